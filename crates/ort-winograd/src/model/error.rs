//! Why a model was refused.

use std::path::PathBuf;

use crate::onnx::TensorError;

/// Why an ONNX file or its graph could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// The file could not be read at all.
    #[error("cannot read the ONNX file {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The file's bytes are no ONNX model.
    #[error("{} is no ONNX file: {source}", path.display())]
    NotOnnx {
        /// The file.
        path: PathBuf,
        /// Where the decoder stopped.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The file decodes, but its graph breaks a rule of the format.
    #[error("{} is no usable ONNX file: {reason}", path.display())]
    Unsound {
        /// The file.
        path: PathBuf,
        /// The rule that it breaks.
        reason: String,
    },
    /// A tensor was named that the graph does not have.
    #[error("{} has no tensor named {name:?} there; it has {there}", path.display())]
    NoTensor {
        /// The file.
        path: PathBuf,
        /// The name that was asked for.
        name: String,
        /// The names that could have been meant.
        there: String,
    },
    /// A tensor was to get a name that another one has.
    #[error("cannot rename tensor {from:?} of {}: {to:?} is there already", path.display())]
    NameTaken {
        /// The file.
        path: PathBuf,
        /// The tensor's name.
        from: String,
        /// The name it was to get.
        to: String,
    },
    /// An initializer's values could not be read.
    #[error("tensor {tensor:?} of {} cannot be read: {source}", path.display())]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The initializer's name.
        tensor: String,
        /// What is wrong with its values.
        source: TensorError,
    },
}
