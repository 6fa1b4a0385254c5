#![doc = include_str!("../README.md")]
//!
//! # Modules
//! ```text
//! rewrite        a model's bytes -> rewritten bytes and the operators for them
//! OnnxModel      a model read, checked, cut, renamed, written
//! hash           a hash of everything that computes an output; another of the weights alone
//! onnx           the messages of an ONNX file, and helpers to build them
//! blocked        convolutions with their gradients, for networks that are trained
//! Instructions   sets of vector instructions, and kernels compiled for each
//! ```

pub mod hash;
mod instructions;
mod model;
pub mod onnx;
mod winograd;

use std::path::Path;

pub use self::hash::graph::hash_graph;
pub use self::hash::tensors::{TensorHash, hash_tensors};
pub use self::instructions::{InstructionSet, Instructions, Kernel};
pub use self::model::{GraphError, OnnxModel};
#[cfg(feature = "stage-times")]
pub use self::winograd::StageTimes;
pub use self::winograd::{FilterTransforms, Rewritten};

/// Convolutions of stride 1 with their gradients, for training networks, on tensors whose channels
/// are in blocks of 16.
pub mod blocked {
    pub use crate::instructions::{LANES, Vector};
    pub use crate::winograd::{BlockedShape, BlockedTensor, Convolutions, FilterBank, Rectifier};
}

/// Rewrites a model, given as the bytes of its ONNX file, so that its 3 x 3 convolutions run on the
/// kernels of this crate. `None` if no convolution is suitable; then run the model unchanged.
///
/// `n_threads` is the size of ONNX Runtime's own thread pool in the session (`with_intra_threads`).
/// The replaced convolutions have stride 1, a border of 1, one group and at least 16 channels on
/// either side, with float32 weights in the file; a convolution of up to 4 input channels before
/// them is replaced too. A ReLU and a 2 x 2 pooling after them are done in the same pass.
///
/// # Errors
/// [`GraphError::NotOnnx`] or [`GraphError::Unsound`]: the bytes are not a model that ONNX Runtime
/// could load, or its weights are in another file.
pub fn rewrite(onnx: &[u8], n_threads: usize) -> Result<Option<Rewritten>, GraphError> {
    let bytes = onnx.to_vec().into();
    let model = OnnxModel::from_bytes(bytes, Path::new("the model"))?;
    Ok(Rewritten::of(&model, n_threads))
}
