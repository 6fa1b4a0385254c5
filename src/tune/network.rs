//! A head behind a tail: pooling, scaling and layers, forward and backward.
//!
//! ```text
//! outputs (N, H W C)  --pool-->  pooled (N, D)  --scale-->  scaled (N, D)  --layers-->  logits (N, K)
//! ```

use ndarray::{Array1, Array2, ArrayView2, Axis};
use rand::Rng;

use super::TuneError;
use crate::codes::Pool;
use crate::head::logistic::Logistic;
use crate::head::mlp::{Dense, Mlp};
use crate::head::saved::Saved;
use crate::head::scaling::Scaling;
use crate::head::{HeadError, OneHead};

/// Pooling, scaling and layers.
#[derive(Clone, Debug)]
pub(super) struct Network {
    /// Number of channels, C.
    pub(super) channels: usize,
    pub(super) pool: Pool,
    pub(super) scaling: Scaling,
    /// The layers, from the codes on; ReLU between them.
    pub(super) layers: Vec<Dense>,
    /// Share of hidden units that are dropped in a step.
    pub(super) dropout: f32,
}

/// Values of the forward pass that the backward pass needs.
pub(super) struct NetworkPass {
    /// For each row and channel, the position of the largest value, for max pooling.
    largest: Vec<usize>,
    /// Euclidean norm of each pooled code, if codes are divided by it.
    norms: Vec<f32>,
    /// The input of each layer: (N, D), (N, H), ...
    inputs: Vec<Array2<f32>>,
    /// (N, K).
    pub(super) logits: Array2<f32>,
}

/// Gradients with respect to the layers, and to the outputs of the tail (N, H W C).
pub(super) struct NetworkGradients {
    pub(super) layers: Vec<Dense>,
    pub(super) outputs: Vec<f32>,
}

impl Network {
    /// The layers of a head.
    pub(super) fn of(
        head: &OneHead,
        scaling: Scaling,
        pool: Pool,
        channels: usize,
    ) -> Result<Self, TuneError> {
        let (layers, dropout) = match head {
            OneHead::Mlp(saved) => {
                let dropout = match saved.model.layers().len() {
                    1 => 0.0,
                    _ => saved.options.dropout,
                };
                (saved.model.layers().to_vec(), dropout)
            }
            OneHead::Logistic(saved) => {
                let layer = Dense {
                    weights: saved.model.weights().as_standard_layout().into_owned(),
                    bias: saved.model.intercepts().clone(),
                };
                (vec![layer], 0.0)
            }
            other => return Err(TuneError::Kind { kind: other.kind() }),
        };
        Ok(Self {
            channels,
            pool,
            scaling,
            layers,
            dropout,
        })
    }

    /// The head with these layers instead of `head`'s own. Its temperature was fitted to other
    /// logits, and is removed.
    pub(super) fn in_head(&self, head: &OneHead) -> Result<OneHead, HeadError> {
        Ok(match head {
            OneHead::Mlp(saved) => Saved {
                model: Mlp::from_weights(self.layers.clone())?,
                temperature: 1.0,
                ..saved.clone()
            }
            .into(),
            OneHead::Logistic(saved) => {
                let layer = &self.layers[0];
                let model = Logistic::from_weights(layer.weights.clone(), layer.bias.clone())?;
                let convergence = None;
                Saved {
                    model,
                    convergence,
                    temperature: 1.0,
                    ..saved.clone()
                }
                .into()
            }
            other => other.clone(),
        })
    }

    /// Logits of outputs (N, H W C); with `dropout` in training.
    pub(super) fn forward(
        &self,
        outputs: &[f32],
        n: usize,
        mut dropout: Option<&mut dyn rand::RngCore>,
    ) -> NetworkPass {
        let n_features = self.layers[0].weights.nrows();
        let (mut codes, mut largest) = (Vec::with_capacity(n * n_features), Vec::new());
        for output in outputs.chunks_exact(outputs.len() / n) {
            self.pool.append(output, self.channels, &mut codes);
            if self.pool == Pool::Max {
                largest.extend((0..self.channels).map(|channel| self.largest_at(output, channel)));
            }
        }
        let mut norms = Vec::new();
        for code in codes.chunks_exact_mut(n_features) {
            let squares = code.iter().map(|&value| f64::from(value).powi(2));
            let norm = squares.sum::<f64>().sqrt() as f32;
            self.scaling.apply_to_features(0..n_features, norm, code);
            norms.push(norm);
        }
        let mut inputs = Vec::new();
        let codes = Array2::from_shape_vec((n, n_features), codes);
        let mut values = codes.expect("pooling and the head agree on D");
        for (index, layer) in self.layers.iter().enumerate() {
            let mut output = values.dot(&layer.weights);
            output += &layer.bias;
            inputs.push(values);
            if index + 1 < self.layers.len() {
                output.mapv_inplace(|value| value.max(0.0));
                if let Some(rng) = &mut dropout {
                    self.drop_out(&mut output, *rng);
                }
            }
            values = output;
        }
        NetworkPass {
            largest,
            norms,
            inputs,
            logits: values,
        }
    }

    /// Gradients from those with respect to the logits (N, K).
    pub(super) fn backward(
        &self,
        pass: &NetworkPass,
        d_logits: ArrayView2<f32>,
        positions: usize,
    ) -> NetworkGradients {
        let mut d_output = d_logits.to_owned();
        let mut layers = Vec::new();
        for (index, layer) in self.layers.iter().enumerate().rev() {
            let input = &pass.inputs[index];
            layers.push(Dense {
                weights: input.t().dot(&d_output),
                bias: d_output.sum_axis(Axis(0)),
            });
            let mut d_input = d_output.dot(&layer.weights.t());
            if index > 0 {
                // Values that ReLU or dropout set to 0 have no gradient; dropout scaled the others
                // up.
                let kept = 1.0 / (1.0 - self.dropout);
                d_input.zip_mut_with(input, |d, &value| {
                    *d = if value > 0.0 { *d * kept } else { 0.0 };
                });
            }
            d_output = d_input;
        }
        layers.reverse();
        self.unscale(pass, &mut d_output);
        NetworkGradients {
            layers,
            outputs: self.unpool(pass, &d_output, positions),
        }
    }

    /// Drops a share of the values, and scales the others up accordingly.
    fn drop_out(&self, values: &mut Array2<f32>, rng: &mut dyn rand::RngCore) {
        if self.dropout == 0.0 {
            return;
        }
        let kept = 1.0 / (1.0 - self.dropout);
        values.mapv_inplace(|value| match rng.gen_range(0.0..1.0) < self.dropout {
            true => 0.0,
            false => value * kept,
        });
    }

    /// Gradients with respect to pooled codes, from those with respect to scaled ones.
    fn unscale(&self, pass: &NetworkPass, d: &mut Array2<f32>) {
        let divide = |d: &mut Array2<f32>, by: &Array1<f32>| {
            for mut row in d.rows_mut() {
                row /= by;
            }
        };
        match &self.scaling {
            Scaling::None => {}
            Scaling::Standard { deviation, .. } => divide(d, deviation),
            Scaling::Max { largest } => divide(d, largest),
            // z = x / |x|: d_x = (d_z - z (z . d_z)) / |x|.
            Scaling::L2 => {
                let rows = d.rows_mut().into_iter().zip(pass.inputs[0].rows());
                for ((mut d, z), &norm) in rows.zip(&pass.norms) {
                    let along = z.dot(&d);
                    let norm = if norm == 0.0 { 1.0 } else { norm };
                    d.zip_mut_with(&z, |d, z| *d = (*d - z * along) / norm);
                }
            }
        }
    }

    /// Gradients with respect to outputs (N, H W C), from those with respect to pooled codes (N,
    /// D).
    fn unpool(&self, pass: &NetworkPass, d: &Array2<f32>, positions: usize) -> Vec<f32> {
        let channels = self.channels;
        let len = positions * channels;
        let mut outputs = vec![0.0; d.nrows() * len];
        for (row, (d, output)) in d
            .rows()
            .into_iter()
            .zip(outputs.chunks_exact_mut(len))
            .enumerate()
        {
            match self.pool {
                Pool::None => {
                    for (output, d) in output.iter_mut().zip(d) {
                        *output = *d;
                    }
                }
                Pool::Avg => {
                    for position in output.chunks_exact_mut(channels) {
                        for (output, d) in position.iter_mut().zip(d) {
                            *output = d / positions as f32;
                        }
                    }
                }
                Pool::Max => {
                    for (channel, d) in d.iter().enumerate() {
                        let position = pass.largest[row * channels + channel];
                        output[position * channels + channel] = *d;
                    }
                }
            }
        }
        outputs
    }

    /// The first position of a channel's largest value.
    fn largest_at(&self, output: &[f32], channel: usize) -> usize {
        let values = output[channel..].iter().step_by(self.channels).enumerate();
        let best = values.fold((0, f32::NEG_INFINITY), |best, (position, &value)| {
            if value > best.1 {
                (position, value)
            } else {
                best
            }
        });
        best.0
    }

    /// All weights and biases, layer by layer.
    pub(super) fn tensors(&self) -> impl Iterator<Item = &[f32]> {
        self.layers.iter().flat_map(|layer| {
            let [weights, bias] = [layer.weights.as_slice(), layer.bias.as_slice()];
            [weights, bias].map(|slice| slice.expect("layers are in C order"))
        })
    }

    /// The same, mutable.
    pub(super) fn tensors_mut(&mut self) -> impl Iterator<Item = &mut [f32]> {
        self.layers.iter_mut().flat_map(|layer| {
            let [weights, bias] = [layer.weights.as_slice_mut(), layer.bias.as_slice_mut()];
            [weights, bias].map(|slice| slice.expect("layers are in C order"))
        })
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;
    use rand::SeedableRng;
    use rand_xoshiro::Xoshiro256PlusPlus;

    use super::*;

    /// Three positions of two channels, and a hidden layer of 4 units.
    fn network(pool: Pool, scaling: Scaling) -> Network {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(3);
        let n_features = if pool == Pool::None { 6 } else { 2 };
        Network {
            channels: 2,
            pool,
            scaling,
            layers: vec![
                Dense::glorot_uniform(n_features, 4, &mut rng),
                Dense::glorot_uniform(4, 3, &mut rng),
            ],
            dropout: 0.0,
        }
    }

    const OUTPUTS: [f32; 12] = [0.5, 1.0, -0.3, 0.8, 1.7, 0.2, 0.9, 0.1, 0.4, 2.0, 0.6, 1.1];

    /// Sum of logits times fixed numbers: a loss whose gradient to the logits is these.
    fn loss(network: &Network, outputs: &[f32]) -> f64 {
        let logits = network.forward(outputs, 2, None).logits;
        let products = logits.iter().zip(weights());
        products
            .map(|(logit, weight)| f64::from(logit * weight))
            .sum()
    }

    fn weights() -> Array2<f32> {
        array![[1.0, -2.0, 0.5], [0.3, 0.7, -1.1]]
    }

    #[test]
    fn gradients_are_those_of_finite_differences() {
        let standard = Scaling::Standard {
            mean: array![0.1, 0.4],
            deviation: array![0.5, 2.0],
        };
        let max = Scaling::Max {
            largest: array![1.0, 2.0, 3.0, 0.5, 4.0, 1.5],
        };
        for network in [
            network(Pool::None, Scaling::None),
            network(Pool::None, Scaling::L2),
            network(Pool::None, max),
            network(Pool::Avg, standard),
            network(Pool::Max, Scaling::L2),
        ] {
            let pass = network.forward(&OUTPUTS, 2, None);
            let gradients = network.backward(&pass, weights().view(), 3);
            let step = 1e-2_f32;
            for place in 0..OUTPUTS.len() {
                let moved = |by: f32| {
                    let mut outputs = OUTPUTS;
                    outputs[place] += by;
                    loss(&network, &outputs)
                };
                let numeric = (moved(step) - moved(-step)) / f64::from(2.0 * step);
                let analytic = f64::from(gradients.outputs[place]);
                assert!(
                    (numeric - analytic).abs() < 2e-3,
                    "{place}: {numeric} {analytic}"
                );
            }
            let of_layers = Network {
                layers: gradients.layers,
                ..network.clone()
            };
            for (tensor, gradient) in of_layers.tensors().enumerate() {
                for (place, &analytic) in gradient.iter().enumerate() {
                    let moved = |by: f32| {
                        let mut network = network.clone();
                        network.tensors_mut().nth(tensor).unwrap()[place] += by;
                        loss(&network, &OUTPUTS)
                    };
                    let numeric = (moved(step) - moved(-step)) / f64::from(2.0 * step);
                    assert!(
                        (numeric - f64::from(analytic)).abs() < 2e-3,
                        "{tensor} {place}"
                    );
                }
            }
        }
    }

    #[test]
    fn dropout_keeps_the_mean_and_its_gradient_passes_what_was_kept() {
        let mut network = network(Pool::Avg, Scaling::None);
        network.dropout = 0.5;
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        let mut values = Array2::from_elem((100, 100), 1.0);
        network.drop_out(&mut values, &mut rng);
        assert!(values.iter().all(|&value| value == 0.0 || value == 2.0));
        assert!((values.mean().unwrap() - 1.0).abs() < 0.05);
    }
}
