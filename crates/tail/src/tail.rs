//! A tail: layers with a common list of weights.

use std::sync::Arc;

use ort_winograd::Instructions;
use ort_winograd::blocked::Convolutions;

use crate::layers::Layer;

/// The layers of a trunk between two of its tensors, with their weights.
#[derive(Clone, Debug)]
pub struct Tail {
    pub(crate) from: String,
    pub(crate) to: String,
    /// The layers in the order in which they are computed.
    pub(crate) layers: Vec<Layer>,
    pub(crate) tensors: Vec<WeightTensor>,
    /// Index of the output value: 0 is the input, 1 the first layer's output, and so on.
    pub(crate) output: usize,
    /// The convolutions, with their working memory.
    pub(crate) convolutions: Arc<Convolutions>,
}

/// One weight tensor of a layer.
#[derive(Clone, Debug, PartialEq)]
pub struct WeightTensor {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) role: Role,
    pub(crate) values: Vec<f32>,
}

/// The role of weights in their layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Filters (O, I, k, k), or (C, 1, k, k) for a depthwise convolution.
    Filters,
    /// A bias (O).
    Bias,
}

impl WeightTensor {
    /// The name of its tensor in the ONNX file; made from the layer's name if there is none, or if
    /// layers share the tensor. Names are unique in a tail.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The axes' lengths.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The role of the weights in their layer.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// The weights in C order.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }
}

impl Tail {
    /// The tensor after which the tail begins.
    #[must_use]
    pub fn from(&self) -> &str {
        &self.from
    }

    /// The tensor that the tail ends with.
    #[must_use]
    pub fn to(&self) -> &str {
        &self.to
    }

    /// All weights, in the order of the layers. Gradients, rates and states have the same order.
    #[must_use]
    pub fn tensors(&self) -> &[WeightTensor] {
        &self.tensors
    }

    /// The values of all weights, tensor by tensor, mutable.
    pub fn weights_mut(&mut self) -> impl Iterator<Item = &mut [f32]> {
        self.tensors
            .iter_mut()
            .map(|tensor| tensor.values.as_mut_slice())
    }

    /// How many weights there are.
    #[must_use]
    pub fn n_weights(&self) -> usize {
        self.tensors.iter().map(|tensor| tensor.values.len()).sum()
    }

    /// The vector instructions in use: by default the best ones of this processor.
    #[must_use]
    pub fn instructions(&self) -> Instructions {
        self.convolutions.instructions()
    }

    /// The same tail with other instructions, for measurements; results are equal to the bit.
    #[must_use]
    pub fn with_instructions(self, instructions: Instructions) -> Self {
        Self {
            convolutions: Arc::new(Convolutions::with(instructions)),
            ..self
        }
    }

    /// A learning rate for each tensor of weights: `rate` for the last layer, times `decay` for
    /// each layer before it, as in J. Howard and S. Ruder ("Universal Language Model Fine-tuning
    /// for Text Classification", 2018, section 3.2, with 1 / 2.6). With a `decay` of 1, all rates
    /// are equal.
    #[must_use]
    pub fn layer_rates(&self, rate: f32, decay: f32) -> Vec<f32> {
        let mut rates = vec![rate; self.tensors.len()];
        let tuned = self.layers.iter().rev();
        let tuned = tuned.filter(|layer| layer.operation.weights().is_some());
        let mut rate = rate;
        for layer in tuned {
            for tensor in layer.tensors() {
                rates[tensor] = rate;
            }
            rate *= decay;
        }
        rates
    }
}
