//! Why a model was refused.

use std::path::PathBuf;

use crate::onnx::TensorError;

/// Why an ONNX file or its graph could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// The file could not be read.
    #[error("cannot read the ONNX file {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The file's bytes are not an ONNX model.
    #[error("{} is no ONNX file: {source}", path.display())]
    NotOnnx {
        /// The file.
        path: PathBuf,
        /// The decoder's error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The file can be decoded, but its graph breaks a rule of the format.
    #[error("{} is no usable ONNX file: {reason}", path.display())]
    Unsound {
        /// The file.
        path: PathBuf,
        /// The broken rule.
        reason: String,
    },
    /// The graph does not have the named tensor.
    #[error("{} has no tensor named {name:?} there; it has {there}", path.display())]
    NoTensor {
        /// The file.
        path: PathBuf,
        /// The requested name.
        name: String,
        /// The possible names.
        there: String,
    },
    /// The new name of a tensor is already in use.
    #[error("cannot rename tensor {from:?} of {}: {to:?} is there already", path.display())]
    NameTaken {
        /// The file.
        path: PathBuf,
        /// The tensor's name.
        from: String,
        /// The new name.
        to: String,
    },
    /// An initializer's values could not be read.
    #[error("tensor {tensor:?} of {} cannot be read: {source}", path.display())]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The initializer's name.
        tensor: String,
        /// What is wrong.
        source: TensorError,
    },
}
