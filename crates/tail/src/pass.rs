//! The forward pass of a batch, and the backward pass of gradients.

use ort_winograd::blocked::{BlockedShape, BlockedTensor};

use crate::layers::{Backward, Context, add};
use crate::{Gradients, Tail, TailError};

/// The codes of several pictures.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// (N, H, W, C).
    pub shape: [usize; 4],
    /// In C order, channels last.
    pub values: &'a [f32],
}

/// Whether the gradient with respect to the batch itself is computed, which takes some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputGradient {
    /// It is computed.
    Wanted,
    /// It is not computed.
    Unwanted,
}

/// The activations of one batch, which the backward pass needs.
#[derive(Debug)]
pub struct Tape {
    /// The input, and the output of each layer.
    values: Vec<BlockedTensor>,
}

impl Tail {
    /// Shape (H, W, C) of the outputs for codes of shape (H, W, C).
    ///
    /// # Errors
    /// [`TailError::Batch`] if the layers cannot take this shape.
    pub fn output_shape(
        &self,
        [height, width, channels]: [usize; 3],
    ) -> Result<[usize; 3], TailError> {
        let shapes = self.shapes([1, height, width, channels])?;
        let output = shapes[self.output];
        Ok([output.height, output.width, output.channels])
    }

    /// Computes the outputs (N, H, W, C) of a batch, and the tape for [`Self::backward`].
    ///
    /// # Errors
    /// [`TailError::Batch`] or [`TailError::Length`] if the layers cannot take such a batch.
    pub fn forward(&self, batch: Batch) -> Result<(Vec<f32>, Tape), TailError> {
        let mut values = vec![self.blocked(batch)?];
        for layer in &self.layers {
            let inputs: Vec<_> = layer.inputs.iter().map(|&input| &values[input]).collect();
            let output = layer.forward(self.context(), &inputs);
            values.push(output);
        }
        Ok((values[self.output].to_channels_last(), Tape { values }))
    }

    /// Computes only the outputs (N, H, W, C) of a batch, as [`Self::forward`] does, with less
    /// memory.
    ///
    /// # Errors
    /// As [`Self::forward`].
    pub fn outputs(&self, batch: Batch) -> Result<Vec<f32>, TailError> {
        let mut last_use = vec![0; self.layers.len() + 1];
        for (index, layer) in self.layers.iter().enumerate() {
            for &input in &layer.inputs {
                last_use[input] = index;
            }
        }
        let mut values = vec![Some(self.blocked(batch)?)];
        for (index, layer) in self.layers.iter().enumerate() {
            let inputs: Vec<_> = (layer.inputs.iter())
                .filter_map(|&input| values[input].as_ref())
                .collect();
            let output = layer.forward(self.context(), &inputs);
            values.push(Some(output));
            for &input in layer.inputs.iter().filter(|&&input| input != self.output) {
                if last_use[input] == index {
                    values[input] = None;
                }
            }
        }
        let output = values[self.output].take();
        Ok(output.map_or_else(Vec::new, |output| output.to_channels_last()))
    }

    /// Gradients of a loss with respect to all weights, summed over the batch. `d_outputs` (N, H,
    /// W, C) is the loss's gradient with respect to the outputs that [`Self::forward`] returned
    /// with `tape`. The weights must not have changed since then.
    ///
    /// # Errors
    /// [`TailError::Length`] if `d_outputs` is not as long as the outputs, or
    /// [`TailError::Foreign`] if `tape` belongs to another tail.
    pub fn backward(
        &self,
        tape: &Tape,
        d_outputs: &[f32],
        input: InputGradient,
    ) -> Result<Gradients, TailError> {
        self.check_tape(tape)?;
        let n_values = self.layers.len() + 1;
        let shape = tape.values[self.output].shape();
        let n_outputs = shape.n * shape.positions() * shape.channels;
        check_length("gradients to outputs", n_outputs, d_outputs.len())?;
        let wanted = self.wanted(input);
        let mut d_values: Vec<Option<BlockedTensor>> = (0..n_values).map(|_| None).collect();
        d_values[self.output] = Some(BlockedTensor::from_channels_last(d_outputs, shape));
        let mut tensors: Vec<Vec<f32>> = vec![Vec::new(); self.tensors.len()];
        for (index, layer) in self.layers.iter().enumerate().rev() {
            // A value that nothing reads has no gradient; neither has one before all weights.
            let Some(d_output) = d_values[index + 1].take().filter(|_| wanted[index + 1]) else {
                continue;
            };
            let back = Backward {
                inputs: layer
                    .inputs
                    .iter()
                    .map(|&input| &tape.values[input])
                    .collect(),
                output: &tape.values[index + 1],
                wants_inputs: layer.inputs.iter().any(|&input| wanted[input]),
            };
            let backed = layer.backward(self.context(), back, d_output);
            for (tensor, gradient) in backed.d_weights {
                tensors[tensor] = gradient;
            }
            for (&input, d_input) in layer.inputs.iter().zip(backed.d_inputs) {
                match &mut d_values[input] {
                    Some(sum) => add(sum, &d_input),
                    none => *none = Some(d_input),
                }
            }
        }
        let d_input = d_values[0].take().filter(|_| wanted[0]);
        Ok(Gradients {
            tensors: self.filled(tensors),
            input: d_input.map(|d_input| d_input.to_channels_last()),
        })
    }

    /// Checks that the tape's shapes are those of this tail.
    fn check_tape(&self, tape: &Tape) -> Result<(), TailError> {
        let there: Vec<_> = tape.values.iter().map(BlockedTensor::shape).collect();
        let BlockedShape {
            n,
            height,
            width,
            channels,
        } = there[0];
        match self.shapes([n, height, width, channels]) {
            Ok(shapes) if shapes == there => Ok(()),
            _ => Err(TailError::Foreign {
                reason: "the tape is that of another one".to_owned(),
            }),
        }
    }

    fn context(&self) -> Context<'_> {
        Context {
            convolutions: &self.convolutions,
            tensors: &self.tensors,
        }
    }

    /// For each value, whether its gradient is needed: for the input if requested, and for all that
    /// depend on weights.
    fn wanted(&self, input: InputGradient) -> Vec<bool> {
        let mut wanted = vec![input == InputGradient::Wanted];
        for layer in &self.layers {
            let comes_of_weights = layer.operation.weights().is_some();
            wanted.push(comes_of_weights || layer.inputs.iter().any(|&input| wanted[input]));
        }
        wanted
    }

    /// Adds zeros for weights that no output depends on.
    fn filled(&self, mut gradients: Vec<Vec<f32>>) -> Vec<Vec<f32>> {
        for (gradient, tensor) in gradients.iter_mut().zip(&self.tensors) {
            gradient.resize(tensor.values.len(), 0.0);
        }
        gradients
    }

    fn blocked(&self, batch: Batch) -> Result<BlockedTensor, TailError> {
        let shapes = self.shapes(batch.shape)?;
        let [n, height, width, channels] = batch.shape;
        let expected = n * height * width * channels;
        check_length("a batch", expected, batch.values.len())?;
        Ok(BlockedTensor::from_channels_last(batch.values, shapes[0]))
    }

    /// The shapes of all values, none of them empty or too large to count.
    fn shapes(&self, shape: [usize; 4]) -> Result<Vec<BlockedShape>, TailError> {
        let refused = |layer: &str, reason: String| TailError::Batch {
            shape,
            layer: layer.to_owned(),
            reason,
        };
        let [n, height, width, channels] = shape;
        let input = BlockedShape {
            n,
            channels,
            height,
            width,
        };
        check_size(input).map_err(|reason| refused(&self.from, reason))?;
        let mut shapes = vec![input];
        for layer in &self.layers {
            let inputs: Vec<_> = layer.inputs.iter().map(|&input| shapes[input]).collect();
            let output = layer.output_shape(&inputs);
            let output = output.and_then(|output| check_size(output).map(|()| output));
            shapes.push(output.map_err(|reason| refused(&layer.name, reason))?);
        }
        Ok(shapes)
    }
}

fn check_length(what: &'static str, expected: usize, actual: usize) -> Result<(), TailError> {
    if expected == actual {
        return Ok(());
    }
    Err(TailError::Length {
        what,
        expected,
        actual,
    })
}

/// The most numbers in a tensor, so that their indices fit `isize` in every layout.
const MOST_NUMBERS: usize = isize::MAX as usize / 1024;

fn check_size(shape: BlockedShape) -> Result<(), String> {
    let axes = [shape.n, shape.height, shape.width, shape.channels];
    let size = axes
        .iter()
        .try_fold(1_usize, |size, &axis| size.checked_mul(axis));
    match size {
        Some(0) => Err("it is empty".to_owned()),
        Some(size) if size <= MOST_NUMBERS => Ok(()),
        _ => Err("it is too large".to_owned()),
    }
}
