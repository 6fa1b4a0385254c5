//! Why a trunk cannot be loaded or run.

use std::path::PathBuf;

use ort_winograd::GraphError;

use crate::model::card::CardError;

/// Why a trunk cannot be loaded or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrunkError {
    /// The ONNX file cannot be read, or is not an ONNX file.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The card does not match the ONNX file.
    #[error(transparent)]
    Card(#[from] CardError),
    /// ONNX Runtime rejects the model.
    #[error("ONNX Runtime cannot load {}: {source}", path.display())]
    Load {
        /// The ONNX file.
        path: PathBuf,
        /// ONNX Runtime's error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// CUDA was asked for and does not work.
    #[error("CUDA cannot be used: {reason}")]
    Cuda {
        /// What is missing.
        reason: String,
        /// Whether the library supports CUDA: then CUDA 13, cuDNN 9 or their driver is missing.
        is_built_in: bool,
    },
    /// Winograd kernels were asked for and cannot be used.
    #[error("the Winograd kernels cannot be used: {reason}")]
    Kernels {
        /// The reason.
        reason: &'static str,
    },
    /// A run failed.
    #[error("the trunk failed on a batch of {n}: {source}")]
    Run {
        /// Pictures in the batch.
        n: usize,
        /// ONNX Runtime's error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The length of the pixels is not that of one or more pictures.
    #[error(
        "the trunk takes pictures of {per_picture} numbers each, and was given {actual} numbers, \
         which are not 1, 2, 3, ... pictures"
    )]
    PixelCount {
        /// Numbers given.
        actual: usize,
        /// Numbers of one picture: height * width * 3.
        per_picture: usize,
    },
    /// The trunk takes bytes, and a number is not a byte.
    #[error(
        "the trunk takes the levels 0 to 255 as bytes, and was given {value}; its recipe is inside"
    )]
    NotALevel {
        /// The first such number.
        value: f32,
    },
    /// The output does not have the card's shape.
    #[error(
        "the trunk's output '{output}' has shape {actual:?} where the card says {expected:?}; correct the card's [output] shape"
    )]
    OutputShape {
        /// Name of the output.
        output: String,
        /// N, then the shape on the card.
        expected: Vec<i64>,
        /// The actual shape.
        actual: Vec<i64>,
    },
}
