//! Layers, forward and backward.

use ndarray::{Array1, Array2, Array3, ArrayView2, ArrayViewMut2, Axis, Ix2, Ix3, Zip, s};
use rand::Rng;
use rand::distributions::{Distribution, Uniform};

#[cfg(test)]
use super::LossOptions;
use super::loss::Loss;
use crate::head::fused_update::{aligned_zeros, descend, multiply, n_partials};
use crate::head::optimizer::{Decayed, Rule};
use crate::head::softmax::softmax_cross_entropy;
use crate::head::{CodesView, HeadError, PREDICTED_ROWS, Samples};

/// A fully connected layer: output (B, out) = input (B, in) weights + bias.
#[derive(Clone, Debug, PartialEq)]
pub struct Dense {
    /// Weights (in, out), in C order.
    pub weights: Array2<f32>,
    /// Bias (out).
    pub bias: Array1<f32>,
}

impl Dense {
    /// A layer with Glorot-uniform weights and zero bias, as Keras initialises it.
    ///
    /// Weights are uniform within sqrt(6 / (in + out)) on both sides of zero (X. Glorot and
    /// Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks",
    /// 2010, equation 16).
    pub(crate) fn glorot_uniform(n_in: usize, n_out: usize, rng: &mut impl Rng) -> Self {
        let limit = (6.0 / (n_in + n_out) as f64).sqrt() as f32;
        let uniform = Uniform::new_inclusive(-limit, limit);
        Self {
            weights: Array2::from_shape_simple_fn((n_in, n_out), || uniform.sample(rng)),
            bias: Array1::zeros(n_out),
        }
    }

    /// output (B, out) = input (B, in) weights + bias.
    fn forward(
        &self,
        input: ArrayView2<f32>,
        mut output: ArrayViewMut2<f32>,
        partials: &mut Array3<f32>,
    ) {
        multiply(input, self.weights.view(), output.view_mut(), partials);
        output += &self.bias;
    }

    /// d_input (B, in) = d_output (B, out) weights^T.
    fn backward_input(&self, d_output: ArrayView2<f32>, mut d_input: ArrayViewMut2<f32>) {
        ndarray::linalg::general_mat_mul(1.0, &d_output, &self.weights.t(), 0.0, &mut d_input);
    }

    /// Applies `rule` with the gradients: input^T d_output for the weights, and the sum of
    /// d_output's rows for the bias. Before that, weights decay by a share of `decay`.
    ///
    /// Each of `state` has one number per weight and bias. If the layer's input gradient is needed,
    /// it must be computed before the weights change.
    pub(super) fn descend<const S: usize>(
        &mut self,
        input: ArrayView2<f32>,
        d_output: ArrayView2<f32>,
        mut state: [&mut Self; S],
        rule: &impl Rule<S>,
        decay: f32,
    ) {
        let d_bias = d_output.sum_axis(Axis(0));
        descend(
            input,
            d_output,
            contiguous(self.weights.as_slice_mut()),
            state
                .each_mut()
                .map(|state| contiguous(state.weights.as_slice_mut())),
            &Decayed { rule, rate: decay },
        );
        rule.update(
            contiguous(self.bias.as_slice_mut()),
            contiguous(d_bias.as_slice()),
            state.map(|state| contiguous(state.bias.as_slice_mut())),
        );
    }

    /// A layer of zeros of the same shape.
    pub(super) fn zeros_like(&self) -> Self {
        Self {
            weights: aligned_zeros(self.weights.raw_dim()),
            bias: Array1::zeros(self.bias.raw_dim()),
        }
    }

    /// The same layer, with its weights aligned for fast reading.
    fn aligned(self) -> Self {
        let mut weights = aligned_zeros(self.weights.raw_dim());
        weights.assign(&self.weights);
        Self { weights, ..self }
    }

    fn is_finite(&self) -> bool {
        self.weights
            .iter()
            .chain(&self.bias)
            .all(|value| value.is_finite())
    }
}

/// Not a training rule: stores the gradient in the state.
#[cfg(test)]
struct KeepGradient;

#[cfg(test)]
impl Rule<1> for KeepGradient {
    #[inline(always)]
    fn step(&self, weight: f32, gradient: f32, _: [f32; 1]) -> (f32, [f32; 1]) {
        (weight, [gradient])
    }
}

/// Owned arrays are in C order here: [`Mlp::from_weights`] ensures it.
fn contiguous<T>(slice: Option<T>) -> T {
    slice.expect("parameters of a layer are contiguous")
}

/// A multilayer perceptron: ReLU after every layer but the last, softmax after the last.
#[derive(Clone, Debug, PartialEq)]
pub struct Mlp {
    layers: Vec<Dense>,
}

impl Mlp {
    /// Layers between `sizes` (D, hidden..., K) with Glorot-uniform weights and zero bias.
    ///
    /// # Errors
    /// [`HeadError::Layers`] for fewer than two sizes, or a size of 0.
    pub(crate) fn glorot_uniform(sizes: &[usize], rng: &mut impl Rng) -> Result<Self, HeadError> {
        if sizes.len() < 2 || sizes.contains(&0) {
            let reason = format!("sizes {sizes:?} are not two or more numbers above 0");
            return Err(HeadError::Layers { reason });
        }
        let layers = sizes
            .windows(2)
            .map(|pair| Dense::glorot_uniform(pair[0], pair[1], rng));
        Ok(Self {
            layers: layers.collect(),
        })
    }

    /// Makes a network of layers, from the input on.
    ///
    /// # Errors
    /// [`HeadError::Layers`] if there are no layers, or if one is empty, does not fit the next, or
    /// holds a value that is not finite.
    pub fn from_weights(layers: Vec<Dense>) -> Result<Self, HeadError> {
        check_shapes(&layers).map_err(|reason| HeadError::Layers { reason })?;
        if let Some(layer) = layers.iter().position(|layer| !layer.is_finite()) {
            let reason = format!("layer {layer} holds NaN or infinity");
            return Err(HeadError::Layers { reason });
        }
        let in_c_order = |layer: Dense| Dense {
            weights: layer.weights.as_standard_layout().into_owned(),
            bias: layer.bias.as_standard_layout().into_owned(),
        };
        Ok(Self {
            layers: layers.into_iter().map(in_c_order).collect(),
        })
    }

    /// The layers from the input on.
    #[must_use]
    pub fn layers(&self) -> &[Dense] {
        &self.layers
    }

    /// Number of features, D.
    #[must_use]
    pub(crate) fn n_features(&self) -> usize {
        self.layers[0].weights.nrows()
    }

    /// Number of classes, K.
    #[must_use]
    pub(crate) fn n_classes(&self) -> usize {
        self.layers[self.layers.len() - 1].bias.len()
    }

    /// Logits (N, K) of codes (N, D): the last layer's output before softmax.
    ///
    /// # Errors
    /// [`HeadError::FeatureMismatch`] if the codes have another D.
    pub(crate) fn logits(&self, codes: &CodesView) -> Result<Array2<f32>, HeadError> {
        check_features(self.n_features(), codes.n_features())?;
        let mut logits = Array2::zeros((codes.n_rows(), self.n_classes()));
        let mut pass = Pass::new(self, codes.n_rows().min(PREDICTED_ROWS));
        codes.for_each_chunk(PREDICTED_ROWS, |first, codes| {
            pass.forward(self, codes, |_| {});
            let mut logits = logits.slice_mut(s![first..first + codes.nrows(), ..]);
            logits.assign(&pass.output(codes.nrows()));
        });
        codes.check()?;
        Ok(logits)
    }

    /// Mean loss and accuracy, without dropout, as in Keras' `evaluate`.
    ///
    /// # Errors
    /// [`HeadError::FeatureMismatch`] or [`HeadError::ClassMismatch`] if the samples do not fit the
    /// network.
    pub(crate) fn evaluate(&self, samples: &Samples) -> Result<(f64, f64), HeadError> {
        self.check(samples)?;
        let mut pass = Pass::new(self, samples.len().min(PREDICTED_ROWS));
        let (mut loss, mut correct) = (0.0, 0);
        samples
            .codes()
            .for_each_chunk(PREDICTED_ROWS, |first, codes| {
                pass.forward(self, codes, |_| {});
                let labels = &samples.labels()[first..first + codes.nrows()];
                let (chunk_loss, chunk_correct) = pass.loss(labels);
                loss += chunk_loss;
                correct += chunk_correct;
            });
        samples.codes().check()?;
        let n = samples.len() as f64;
        Ok((loss / n, correct as f64 / n))
    }

    /// Mean training loss of all samples as one batch, and its gradient in the shape of the layers.
    ///
    /// Training never stores a gradient; this is used to compare with other implementations.
    ///
    /// # Errors
    /// As [`Mlp::evaluate`], and [`HeadError::InvalidOption`].
    #[cfg(test)]
    pub(crate) fn loss_and_gradient(
        &self,
        samples: &Samples,
        loss: &LossOptions,
    ) -> Result<(f64, Vec<Dense>), HeadError> {
        self.check(samples)?;
        loss.validate()?;
        let training_loss = Loss::new(loss, samples);
        let mut codes = Array2::zeros((samples.len(), samples.n_features()));
        let rows: Vec<_> = (0..samples.len()).collect();
        samples.codes().read_rows(&rows, codes.view_mut())?;
        let codes = codes.view();
        let mut pass = Pass::new(self, samples.len());
        pass.forward(self, codes, |_| {});
        let (loss, _) = pass.training_loss(samples.labels(), &training_loss);
        pass.backward(self, samples.labels(), &training_loss, 1.0);
        let mut scratch = self.clone();
        let mut gradients: Vec<_> = self.layers.iter().map(Dense::zeros_like).collect();
        pass.descend(&mut scratch, codes, [&mut gradients], &KeepGradient, 0.0);
        Ok((loss / samples.len() as f64, gradients))
    }

    pub(super) fn check(&self, samples: &Samples) -> Result<(), HeadError> {
        check_features(self.n_features(), samples.n_features())?;
        let (expected, actual) = (self.n_classes(), samples.n_classes());
        if expected != actual {
            return Err(HeadError::ClassMismatch { expected, actual });
        }
        Ok(())
    }

    /// The same network, aligned for fast training.
    pub(super) fn aligned(self) -> Self {
        let layers = self.layers.into_iter().map(Dense::aligned).collect();
        Self { layers }
    }

    /// Copies the weights of a network of the same shape.
    pub(super) fn copy_from(&mut self, other: &Self) {
        for (layer, other) in self.layers.iter_mut().zip(&other.layers) {
            layer.weights.assign(&other.weights);
            layer.bias.assign(&other.bias);
        }
    }

    pub(super) fn is_finite(&self) -> bool {
        self.layers.iter().all(Dense::is_finite)
    }
}

fn check_features(expected: usize, actual: usize) -> Result<(), HeadError> {
    if expected != actual {
        return Err(HeadError::FeatureMismatch { expected, actual });
    }
    Ok(())
}

fn check_shapes(layers: &[Dense]) -> Result<(), String> {
    if layers.is_empty() {
        return Err("there is none".to_owned());
    }
    for (index, layer) in layers.iter().enumerate() {
        let (n_in, n_out) = layer.weights.dim();
        let n_bias = layer.bias.len();
        if n_in == 0 || n_out != n_bias || n_out == 0 {
            return Err(format!(
                "layer {index} has weights ({n_in}, {n_out}) and bias ({n_bias})"
            ));
        }
        if let Some(next) = layers.get(index + 1)
            && next.weights.nrows() != n_out
        {
            let next_in = next.weights.nrows();
            return Err(format!(
                "layer {index} gives {n_out} values and the next takes {next_in}"
            ));
        }
    }
    Ok(())
}

/// The arrays of a pass forward and backward, made once for the largest batch B.
///
/// `outputs` holds each layer's output (B, out) after ReLU and dropout. For the last layer these
/// are logits, which [`Pass::loss`] turns into probabilities. `d_outputs` holds the gradient of the
/// mean loss before ReLU and dropout.
#[derive(Debug)]
pub(super) struct Pass {
    outputs: Vec<Array2<f32>>,
    d_outputs: Vec<Array2<f32>>,
    /// Partial sums of each layer's product (blocks, B, out).
    partials: Vec<Array3<f32>>,
}

impl Pass {
    pub(super) fn new(mlp: &Mlp, batch: usize) -> Self {
        let outputs = |layer: &Dense| aligned_zeros(Ix2(batch, layer.bias.len()));
        let partials = |layer: &Dense| {
            let (n_in, n_out) = layer.weights.dim();
            aligned_zeros(Ix3(n_partials(n_in), batch, n_out))
        };
        Self {
            outputs: mlp.layers.iter().map(outputs).collect(),
            d_outputs: mlp.layers.iter().map(outputs).collect(),
            partials: mlp.layers.iter().map(partials).collect(),
        }
    }

    /// Fills `outputs` from input (B, D); `drop` may change ReLU's output (B, hidden).
    pub(super) fn forward(
        &mut self,
        mlp: &Mlp,
        input: ArrayView2<f32>,
        mut drop: impl FnMut(ArrayViewMut2<f32>),
    ) {
        let batch = input.nrows();
        let last = mlp.layers.len() - 1;
        for (index, layer) in mlp.layers.iter().enumerate() {
            let (before, from_here) = self.outputs.split_at_mut(index);
            let input = match before.last() {
                Some(hidden) => hidden.slice(s![..batch, ..]),
                None => input.reborrow(),
            };
            let mut output = from_here[0].slice_mut(s![..batch, ..]);
            layer.forward(input, output.view_mut(), &mut self.partials[index]);
            if index < last {
                output.mapv_inplace(|z| if z > 0.0 || z.is_nan() { z } else { 0.0 });
                drop(output);
            }
        }
    }

    /// The last layer's output (B, K).
    fn output(&self, batch: usize) -> ArrayView2<'_, f32> {
        self.outputs[self.outputs.len() - 1].slice(s![..batch, ..])
    }

    /// Turns the last layer's logits into probabilities. Returns the sum of the plain losses, and
    /// the number of labels with the largest probability.
    pub(super) fn loss(&mut self, labels: &[usize]) -> (f64, usize) {
        self.sum_losses(labels, softmax_cross_entropy)
    }

    /// As [`Pass::loss`], with the training loss.
    pub(super) fn training_loss(&mut self, labels: &[usize], loss: &Loss) -> (f64, usize) {
        self.sum_losses(labels, |row, label| loss.of_logits(row, label))
    }

    fn sum_losses(
        &mut self,
        labels: &[usize],
        of_logits: impl Fn(&mut [f32], usize) -> f64,
    ) -> (f64, usize) {
        let last = self.outputs.len() - 1;
        let (mut loss, mut correct) = (0.0, 0);
        for (mut row, &label) in self.outputs[last].rows_mut().into_iter().zip(labels) {
            let row = contiguous(row.as_slice_mut());
            loss += of_logits(row, label);
            correct += usize::from(is_first_largest(row, label));
        }
        (loss, correct)
    }

    /// Fills `d_outputs` after [`Pass::training_loss`]; the input's gradient is never formed.
    ///
    /// The last layer's gradient is that of the loss with respect to the logits, divided by B.
    /// Where the output is above zero, a gradient passes through dropout and ReLU, times
    /// `dropout_scale`; dropped units and units stopped by ReLU both gave zero.
    pub(super) fn backward(
        &mut self,
        mlp: &Mlp,
        labels: &[usize],
        loss: &Loss,
        dropout_scale: f32,
    ) {
        let batch = labels.len();
        let last = mlp.layers.len() - 1;
        let mut d_logits = self.d_outputs[last].slice_mut(s![..batch, ..]);
        d_logits.assign(&self.outputs[last].slice(s![..batch, ..]));
        for (mut row, &label) in d_logits.rows_mut().into_iter().zip(labels) {
            loss.d_logits(contiguous(row.as_slice_mut()), label);
        }
        d_logits.mapv_inplace(|d| d / batch as f32);
        for index in (0..last).rev() {
            let (here, after) = self.d_outputs.split_at_mut(index + 1);
            let mut d_output = here[index].slice_mut(s![..batch, ..]);
            let d_next = after[0].slice(s![..batch, ..]);
            mlp.layers[index + 1].backward_input(d_next, d_output.view_mut());
            Zip::from(&mut d_output)
                .and(self.outputs[index].slice(s![..batch, ..]))
                .for_each(|d, &output| {
                    *d = if output > 0.0 {
                        *d * dropout_scale
                    } else {
                        0.0
                    }
                });
        }
    }

    /// Applies `rule` to every layer with its gradients, after [`Pass::backward`]. Each of `state`
    /// has the shape of the layers. Before that, weights decay by a share of `decay`.
    pub(super) fn descend<const S: usize>(
        &self,
        mlp: &mut Mlp,
        input: ArrayView2<f32>,
        mut state: [&mut [Dense]; S],
        rule: &impl Rule<S>,
        decay: f32,
    ) {
        let batch = input.nrows();
        for (index, layer) in mlp.layers.iter_mut().enumerate() {
            let state = state.each_mut().map(|layers| &mut layers[index]);
            let input = match index.checked_sub(1) {
                Some(before) => self.outputs[before].slice(s![..batch, ..]),
                None => input.reborrow(),
            };
            let d_output = self.d_outputs[index].slice(s![..batch, ..]);
            layer.descend(input, d_output, state, rule, decay);
        }
    }
}

/// Whether `index` is the first of the largest values.
fn is_first_largest(row: &[f32], index: usize) -> bool {
    let value = row[index];
    row[..index].iter().all(|&other| other < value)
        && row[index..].iter().all(|&other| other <= value)
}
