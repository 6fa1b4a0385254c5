//! The layers that a tail may have, forward and backward.
//!
//! Every layer takes and returns blocked tensors, (N, C/16, H, W, 16). `d_output` is the gradient
//! of the loss with respect to the layer's output, `d_input` with respect to its input. The
//! backward pass finds the tensors that it needs on the tape.

mod activation;
mod border;
mod convolution;
mod depthwise;
mod global_average;
mod pool;
mod sum;

use ort_winograd::blocked::{BlockedShape, BlockedTensor, Convolutions};

pub(crate) use self::activation::Activation;
pub(crate) use self::border::Border;
pub(crate) use self::convolution::{Convolution, Side};
pub(crate) use self::depthwise::Depthwise;
pub(crate) use self::global_average::GlobalAverage;
pub(crate) use self::pool::{Pool, PoolKind};
pub(crate) use self::sum::add;
use crate::tail::WeightTensor;

/// A layer of a tail.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    /// The tensor of the graph that it computes.
    pub(crate) name: String,
    pub(crate) operation: Operation,
    /// Indices of its input values: two for a sum, otherwise one.
    pub(crate) inputs: Vec<usize>,
}

/// The operation of a layer.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    Convolution(Convolution),
    Depthwise(Depthwise),
    Activation(Activation),
    Pool(Pool),
    GlobalAverage,
    Sum,
}

/// The weights of a layer, as indices into the tail's list.
#[derive(Clone, Debug)]
pub(crate) struct Weights {
    pub(crate) filters: usize,
    pub(crate) bias: Option<usize>,
    /// The nodes of the graph that they come from.
    pub(crate) nodes: Nodes,
}

/// Nodes of a graph, named by the tensors that they compute.
#[derive(Clone, Debug)]
pub(crate) struct Nodes {
    /// A `Conv`.
    pub(crate) convolution: String,
    /// The `BatchNormalization` after it that is folded into the weights.
    pub(crate) normalization: Option<String>,
}

/// Data shared by the layers during a pass.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) convolutions: &'a Convolutions,
    pub(crate) tensors: &'a [WeightTensor],
}

impl<'a> Context<'a> {
    pub(crate) fn filters(&self, weights: &Weights) -> &'a [f32] {
        &self.tensors[weights.filters].values
    }

    /// The bias of `n` output channels; zeros if there is none.
    pub(crate) fn bias(&self, weights: &Weights, n: usize) -> Vec<f32> {
        match weights.bias {
            Some(bias) => self.tensors[bias].values.clone(),
            None => vec![0.0; n],
        }
    }
}

/// The data of a layer's backward pass.
pub(crate) struct Backward<'a> {
    /// The layer's inputs.
    pub(crate) inputs: Vec<&'a BlockedTensor>,
    /// The layer's output.
    pub(crate) output: &'a BlockedTensor,
    /// Whether the gradients with respect to the inputs are needed.
    pub(crate) wants_inputs: bool,
}

/// The result of a layer's backward pass.
#[derive(Default)]
pub(crate) struct Backed {
    /// One per input, if requested.
    pub(crate) d_inputs: Vec<BlockedTensor>,
    /// Indices of weights, with their gradients.
    pub(crate) d_weights: Vec<(usize, Vec<f32>)>,
}

impl Operation {
    /// The weights; `None` for a layer without weights.
    pub(crate) fn weights(&self) -> Option<&Weights> {
        match self {
            Self::Convolution(convolution) => Some(&convolution.weights),
            Self::Depthwise(depthwise) => Some(&depthwise.weights),
            _ => None,
        }
    }

    /// The weights and the activation; `None` for a layer without weights.
    pub(crate) fn parts_mut(&mut self) -> Option<(&mut Weights, &mut Activation)> {
        match self {
            Self::Convolution(Convolution {
                weights,
                activation,
                ..
            })
            | Self::Depthwise(Depthwise {
                weights,
                activation,
                ..
            }) => Some((weights, activation)),
            _ => None,
        }
    }
}

impl Layer {
    /// Indices of the layer's weights.
    pub(crate) fn tensors(&self) -> impl Iterator<Item = usize> {
        let weights = self.operation.weights().into_iter();
        weights.flat_map(|weights| std::iter::once(weights.filters).chain(weights.bias))
    }

    /// The output shape for inputs of these shapes, or why the layer cannot take them.
    pub(crate) fn output_shape(&self, inputs: &[BlockedShape]) -> Result<BlockedShape, String> {
        let input = inputs[0];
        match &self.operation {
            Operation::Convolution(convolution) => convolution.output_shape(input),
            Operation::Depthwise(depthwise) => depthwise.output_shape(input),
            Operation::Activation(_) => Ok(input),
            Operation::Pool(pool) => pool.output_shape(input),
            Operation::GlobalAverage => Ok(GlobalAverage::output_shape(input)),
            Operation::Sum => sum::output_shape(inputs),
        }
    }

    pub(crate) fn forward(&self, context: Context, inputs: &[&BlockedTensor]) -> BlockedTensor {
        let input = inputs[0];
        match &self.operation {
            Operation::Convolution(convolution) => convolution.forward(context, input),
            Operation::Depthwise(depthwise) => depthwise.forward(context, input),
            Operation::Activation(activation) => {
                let mut output = input.clone();
                activation.forward(&mut output);
                output
            }
            Operation::Pool(pool) => pool.forward(input),
            Operation::GlobalAverage => GlobalAverage::forward(input),
            Operation::Sum => sum::forward(inputs),
        }
    }

    pub(crate) fn backward(
        &self,
        context: Context,
        back: Backward,
        mut d_output: BlockedTensor,
    ) -> Backed {
        let d_input = match &self.operation {
            Operation::Convolution(convolution) => {
                return convolution.backward(context, back, d_output);
            }
            Operation::Depthwise(depthwise) => return depthwise.backward(context, back, d_output),
            Operation::Activation(activation) => {
                activation.backward(back.output, &mut d_output);
                d_output
            }
            Operation::Pool(pool) => pool.backward(back.inputs[0], back.output, &d_output),
            Operation::GlobalAverage => GlobalAverage::backward(back.inputs[0].shape(), &d_output),
            Operation::Sum => return sum::backward(d_output),
        };
        Backed {
            d_inputs: vec![d_input],
            ..Backed::default()
        }
    }
}
