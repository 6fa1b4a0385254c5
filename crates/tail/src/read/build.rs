//! Makes layers from the nodes of a path.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ort_winograd::blocked::Convolutions;

use super::constants::Constants;
use super::form::{ConvolutionForm, ConvolutionKind, Form, NormalizationForm};
use super::path::{Path, Step};
use crate::layers::{Activation, Convolution, Depthwise, Layer, Nodes, Operation, Weights};
use crate::tail::{Role, WeightTensor};
use crate::{Tail, TailError};

/// The layout of a tensor in the graph. Inside a tail all tensors have the same layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// (N, C, H, W).
    ChannelsFirst,
    /// (N, H, W, C).
    ChannelsLast,
    /// (N, numbers), in the order of (N, H, W, C).
    Flat,
}

/// A tensor of the graph.
#[derive(Clone, Copy)]
struct Value {
    /// 0 for the input, 1 for the first layer's output, and so on.
    index: usize,
    layout: Layout,
    /// Number of channels, if it is known.
    channels: Option<usize>,
    /// Whether height and width are 1.
    is_pooled: bool,
}

/// What a normalization does to a channel: factor (x - mean) + shift.
struct NormalizedChannel {
    factor: f64,
    mean: f64,
    shift: f64,
}

/// The layers built so far.
pub(super) struct Builder<'a> {
    path: &'a Path<'a>,
    constants: &'a Constants<'a>,
    values: HashMap<&'a str, Value>,
    /// How many steps read each tensor; the tail's output counts once more.
    readers: HashMap<&'a str, usize>,
    layers: Vec<Layer>,
    tensors: Vec<WeightTensor>,
    names: HashSet<String>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(path: &'a Path, constants: &'a Constants) -> Self {
        let mut readers = HashMap::from([(path.to, 1)]);
        for name in path.steps.iter().flat_map(Step::inputs) {
            *readers.entry(name).or_default() += 1;
        }
        let input = Value {
            index: 0,
            layout: layout_of_input(path),
            channels: None,
            is_pooled: false,
        };
        Self {
            path,
            constants,
            values: HashMap::from([(path.from, input)]),
            readers,
            layers: Vec::new(),
            tensors: Vec::new(),
            names: HashSet::new(),
        }
    }

    pub(super) fn build(mut self) -> Result<Tail, TailError> {
        for step in &self.path.steps {
            let inputs: Vec<Value> = step.inputs().map(|name| self.values[name]).collect();
            let value = self.take(step, &inputs)?;
            self.values.insert(step.output(), value);
        }
        if self.tensors.is_empty() {
            return Err(TailError::NothingToTune {
                from: self.path.from.to_owned(),
                to: self.path.to.to_owned(),
            });
        }
        Ok(Tail {
            from: self.path.from.to_owned(),
            to: self.path.to.to_owned(),
            output: self.values[self.path.to].index,
            layers: self.layers,
            tensors: self.tensors,
            convolutions: Arc::new(Convolutions::default()),
        })
    }

    /// Applies a step to its inputs.
    fn take(&mut self, step: &'a Step, inputs: &[Value]) -> Result<Value, TailError> {
        let input = inputs[0];
        let refused = |reason: &str| Err(self.path.refusal(step, reason));
        let needs_planes = matches!(
            step.form,
            Form::Convolution(_) | Form::Normalization(_) | Form::Pool(_) | Form::GlobalAverage
        );
        if needs_planes && input.layout != Layout::ChannelsFirst {
            return refused("its channels do not come first");
        }
        match &step.form {
            Form::Convolution(form) => self.convolution(step, form, input),
            Form::Normalization(form) => self.normalization(step, form, input),
            Form::Activation(activation) => Ok(self.activation(step, *activation, input)),
            Form::Pool(pool) => Ok(Value {
                is_pooled: false,
                ..self.push(step, Operation::Pool(pool.clone()), inputs)
            }),
            Form::GlobalAverage => Ok(Value {
                is_pooled: true,
                ..self.push(step, Operation::GlobalAverage, inputs)
            }),
            Form::Sum if input.layout != inputs[1].layout => {
                refused("it adds tensors of different layouts")
            }
            Form::Sum if !may_be_added(input, inputs[1]) => {
                refused("it adds tensors of different channels")
            }
            Form::Sum => Ok(self.push(step, Operation::Sum, inputs)),
            Form::ToChannelsFirst if input.layout == Layout::ChannelsLast => Ok(Value {
                layout: Layout::ChannelsFirst,
                ..input
            }),
            Form::ToChannelsLast if input.layout == Layout::ChannelsFirst => Ok(Value {
                layout: Layout::ChannelsLast,
                ..input
            }),
            Form::ToChannelsFirst | Form::ToChannelsLast => refused("it moves other axes"),
            Form::Flatten => flat(input).or_else(&refused),
            Form::Reshape(shape) => reshaped(input, shape).or_else(refused),
            Form::Identity => Ok(input),
        }
    }

    fn convolution(
        &mut self,
        step: &Step,
        form: &ConvolutionForm,
        input: Value,
    ) -> Result<Value, TailError> {
        let [n_out, n_in, rows, columns] = form.shape;
        let n_taken = match form.kind {
            ConvolutionKind::Full(_) => n_in,
            ConvolutionKind::Depthwise => n_out,
        };
        if input.channels.is_some_and(|channels| channels != n_taken) {
            let reason = format!("its filters are for {n_taken} channels");
            return Err(self.path.refusal(step, &reason));
        }
        let weights = self.weights(step, form)?;
        let activation = Activation::Linear;
        let border = form.border;
        let operation = match form.kind {
            ConvolutionKind::Full(side) => Operation::Convolution(Convolution {
                weights,
                side,
                n_in,
                n_out,
                border,
                activation,
            }),
            ConvolutionKind::Depthwise => Operation::Depthwise(Depthwise {
                weights,
                channels: n_out,
                kernel: [rows, columns],
                border,
                activation,
            }),
        };
        let value = self.push(step, operation, &[input]);
        Ok(Value {
            channels: Some(n_out),
            is_pooled: false,
            ..value
        })
    }

    fn weights(&mut self, step: &Step, form: &ConvolutionForm) -> Result<Weights, TailError> {
        let filters = WeightTensor {
            name: self.name(&form.filters, step.output(), "filters"),
            shape: form.shape.to_vec(),
            role: Role::Filters,
            values: self.constants.weights(&form.filters)?,
        };
        self.tensors.push(filters);
        let filters = self.tensors.len() - 1;
        let bias = match &form.bias {
            None => None,
            Some(bias) => {
                let values = self.constants.weights(bias)?;
                let name = self.name(bias, step.output(), "bias");
                Some(self.push_bias(name, values))
            }
        };
        let nodes = Nodes {
            convolution: step.output().to_owned(),
            normalization: None,
        };
        Ok(Weights {
            filters,
            bias,
            nodes,
        })
    }

    fn push_bias(&mut self, name: String, values: Vec<f32>) -> usize {
        self.tensors.push(WeightTensor {
            name,
            shape: vec![values.len()],
            role: Role::Bias,
            values,
        });
        self.tensors.len() - 1
    }

    /// The file's name for weights; if another layer has it, a name made from the layer's.
    fn name(&mut self, in_file: &str, layer: &str, what: &str) -> String {
        let mut name = in_file.to_owned();
        if name.is_empty() || self.names.contains(&name) {
            name = format!("{layer}/{what}");
        }
        while self.names.contains(&name) {
            name.push('\'');
        }
        self.names.insert(name.clone());
        name
    }

    /// Folds a normalization into the convolution before it: filters = g filters, bias = g (bias -
    /// mean) + shift.
    fn normalization(
        &mut self,
        step: &Step,
        form: &NormalizationForm,
        input: Value,
    ) -> Result<Value, TailError> {
        let before = input.index.checked_sub(1);
        let weights = before.and_then(|index| self.layers[index].operation.weights().cloned());
        let (Some(before), Some(mut weights)) = (before, weights) else {
            return Err(self.path.refusal(step, "it does not follow a convolution"));
        };
        let n_out = self.tensors[weights.filters].shape[0];
        let channels = self.normalized_channels(form, n_out)?;
        let bias = match weights.bias {
            Some(bias) => bias,
            None => {
                let name = self.name("", &weights.nodes.convolution, "bias");
                self.push_bias(name, vec![0.0; n_out])
            }
        };
        for (bias, channel) in self.tensors[bias].values.iter_mut().zip(&channels) {
            let centred = f64::from(*bias) - channel.mean;
            *bias = (centred * channel.factor + channel.shift) as f32;
        }
        let filters = &mut self.tensors[weights.filters].values;
        let filter_len = filters.len() / n_out;
        for (filter, channel) in filters.chunks_exact_mut(filter_len).zip(&channels) {
            for weight in filter {
                *weight = (f64::from(*weight) * channel.factor) as f32;
            }
        }
        weights.bias = Some(bias);
        weights.nodes.normalization = Some(step.output().to_owned());
        let layer = &mut self.layers[before];
        layer.name = step.output().to_owned();
        if let Some((own, _)) = layer.operation.parts_mut() {
            *own = weights;
        }
        Ok(input)
    }

    /// What a normalization does to each channel: g (x - mean) + shift, where g = scale / sqrt(variance + epsilon)
    /// (S. Ioffe and C. Szegedy, "Batch Normalization", 2015, algorithm 2).
    fn normalized_channels(
        &self,
        form: &NormalizationForm,
        n_out: usize,
    ) -> Result<Vec<NormalizedChannel>, TailError> {
        let refused = |name: &str, reason: String| TailError::Weights {
            tensor: name.to_owned(),
            reason,
        };
        let numbers = |name: &str| {
            let values = self.constants.weights(name)?;
            if values.len() != n_out {
                let reason = format!("there are {} where {n_out} belong", values.len());
                return Err(refused(name, reason));
            }
            Ok(values)
        };
        let (scales, shifts) = (numbers(&form.scale)?, numbers(&form.shift)?);
        let (means, variances) = (numbers(&form.mean)?, numbers(&form.variance)?);
        let channel = |out: usize| {
            let variance = f64::from(variances[out]);
            let factor = f64::from(scales[out]) / (variance + f64::from(form.epsilon)).sqrt();
            if !factor.is_finite() {
                let reason = format!("a variance of {variance} cannot be divided by");
                return Err(refused(&form.variance, reason));
            }
            Ok(NormalizedChannel {
                factor,
                mean: f64::from(means[out]),
                shift: f64::from(shifts[out]),
            })
        };
        (0..n_out).map(channel).collect()
    }

    /// Merges an activation into the convolution before it, if nothing else reads the convolution's
    /// result.
    fn activation(&mut self, step: &Step, activation: Activation, input: Value) -> Value {
        let tensor = step.node.input[0].as_str();
        let is_alone = self.readers.get(tensor) == Some(&1);
        let before = input
            .index
            .checked_sub(1)
            .map(|index| &mut self.layers[index]);
        if let Some(layer) = before.filter(|layer| is_alone && layer.name == tensor)
            && let Some((_, own)) = layer.operation.parts_mut()
            && *own == Activation::Linear
        {
            *own = activation;
            layer.name = step.output().to_owned();
            return input;
        }
        self.push(step, Operation::Activation(activation), &[input])
    }

    fn push(&mut self, step: &Step, operation: Operation, inputs: &[Value]) -> Value {
        self.layers.push(Layer {
            name: step.output().to_owned(),
            operation,
            inputs: inputs.iter().map(|input| input.index).collect(),
        });
        let channels = inputs.iter().find_map(|input| input.channels);
        Value {
            index: self.layers.len(),
            channels,
            ..inputs[0]
        }
    }
}

/// The layout of the tail's input in the graph: channels are last if the first layout-dependent
/// node moves them to the front.
fn layout_of_input(path: &Path) -> Layout {
    let mut same = HashSet::from([path.from]);
    for step in &path.steps {
        if !step.inputs().any(|name| same.contains(name)) {
            continue;
        }
        match step.form {
            Form::Identity | Form::Activation(_) | Form::Sum => {
                same.insert(step.output());
            }
            Form::ToChannelsFirst => return Layout::ChannelsLast,
            _ => break,
        }
    }
    Layout::ChannelsFirst
}

/// Whether two tensors have the same number of channels, as far as these are known.
fn may_be_added(a: Value, b: Value) -> bool {
    a.channels.zip(b.channels).is_none_or(|(a, b)| a == b)
}

/// (N, numbers), if the order stays that of (N, H, W, C).
fn flat(input: Value) -> Result<Value, &'static str> {
    match input.layout {
        Layout::ChannelsFirst if !input.is_pooled => {
            Err("it flattens with channels first, in another order than that of codes")
        }
        _ => Ok(Value {
            layout: Layout::Flat,
            ..input
        }),
    }
}

/// A new shape for the same numbers: (N, numbers), or any shape for a pooled tensor (N, C, 1, 1).
fn reshaped(input: Value, shape: &[i64]) -> Result<Value, &'static str> {
    let channels = input
        .channels
        .and_then(|channels| i64::try_from(channels).ok());
    let is_c = |axis: i64| axis == -1 || Some(axis) == channels;
    match shape {
        [0, -1] => flat(input),
        [-1, axis] if input.is_pooled && Some(*axis) == channels => flat(input),
        [0, axis] if input.is_pooled && is_c(*axis) => flat(input),
        [0, axis, 1, 1] if input.is_pooled && is_c(*axis) => Ok(Value {
            layout: Layout::ChannelsFirst,
            ..input
        }),
        [0, 1, 1, axis] if input.is_pooled && is_c(*axis) => Ok(Value {
            layout: Layout::ChannelsLast,
            ..input
        }),
        _ => Err("it makes other shapes than (N, numbers)"),
    }
}
