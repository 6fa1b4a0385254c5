//! Why a model card was refused.

use std::path::PathBuf;

use cnn_codes_tail::TailError;
use ort_winograd::GraphError;
use ort_winograd::onnx::{DataType, TensorType, element_name};

/// Why a card could not be used, or does not describe its ONNX file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CardError {
    /// The card's file could not be read.
    #[error("cannot read the model card {}: {source}", path.display())]
    Read {
        /// The card's file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The card is not TOML, lacks a key, or has an unknown key.
    #[error("{card} is no model card: {reason}")]
    Syntax {
        /// The name of the card's file.
        card: String,
        /// What is wrong, and where.
        reason: String,
    },
    /// The card has another format version.
    #[error("{card} has format = {actual}; this cnn-codes reads formats 1 to {supported}")]
    Format {
        /// The name of the card's file.
        card: String,
        /// The version it declares.
        actual: u32,
        /// The latest version that can be read.
        supported: u32,
    },
    /// A key has an impossible value.
    #[error("{card}: {key} {reason}")]
    Invalid {
        /// The name of the card's file.
        card: String,
        /// The key, as `input.width`.
        key: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// Tuned weights do not fit the trunk.
    #[error("{0}")]
    Tail(#[from] Box<TailError>),
    /// The ONNX file lacks the input or output that the card names.
    #[error("{card} names the {role} {name:?}, but {} has only: {there}", model.display())]
    NoTensor {
        /// The name of the card's file.
        card: String,
        /// The ONNX file.
        model: PathBuf,
        /// `input` or `output`.
        role: &'static str,
        /// The name in the card.
        name: String,
        /// The names in the ONNX file.
        there: String,
    },
    /// The ONNX file needs more inputs than the pictures.
    #[error("{} also wants the inputs {others}; {card} can describe a trunk with one input only", model.display())]
    OtherInputs {
        /// The name of the card's file.
        card: String,
        /// The ONNX file.
        model: PathBuf,
        /// The inputs besides the card's.
        others: String,
    },
    /// An input or output has another element type.
    #[error("the {role} {name:?} of {} is {}, but {card} says {}", model.display(), element_name(*actual), element_name(*expected))]
    Element {
        /// The name of the card's file.
        card: String,
        /// The ONNX file.
        model: PathBuf,
        /// `input` or `output`.
        role: &'static str,
        /// The tensor's name.
        name: String,
        /// The element type that the card describes.
        expected: DataType,
        /// The file's element type.
        actual: DataType,
    },
    /// An input or output has another shape.
    #[error("the {role} {name:?} of {} is {actual}, but {card} says {expected}", model.display())]
    Shape {
        /// The name of the card's file.
        card: String,
        /// The ONNX file.
        model: PathBuf,
        /// `input` or `output`.
        role: &'static str,
        /// The tensor's name.
        name: String,
        /// The type that the card describes.
        expected: Box<TensorType>,
        /// The type that the file declares.
        actual: Box<TensorType>,
    },
    /// The ONNX file only takes batches of one size.
    #[error(
        "the {role} {name:?} of {} is {actual}: its first axis, the batch, is fixed; \
         export the model with a free batch axis", model.display()
    )]
    FixedBatch {
        /// The ONNX file.
        model: PathBuf,
        /// `input` or `output`.
        role: &'static str,
        /// The tensor's name.
        name: String,
        /// The type that the file declares.
        actual: Box<TensorType>,
    },
    /// The weights are not those that the card was written for.
    #[error(
        "the weights in {} have the SHA-256 {actual}, but {card} is for those with {expected}; \
         fetch or export the file again, or correct the card", model.display()
    )]
    Weights {
        /// The name of the card's file.
        card: String,
        /// The ONNX file.
        model: PathBuf,
        /// `tensors_sha256` in the card.
        expected: String,
        /// The same hash, of the file.
        actual: String,
    },
    /// The operators around the weights, or weights that are not initializers, differ from those
    /// that the card was written for.
    #[error(
        "the graph in {} has the SHA-256 {actual}, but {card} is for the one with {expected}; \
         fetch or export the file again, or correct the card", model.display()
    )]
    OtherGraph {
        /// The name of the card's file.
        card: String,
        /// The ONNX file.
        model: PathBuf,
        /// `graph_sha256` in the card.
        expected: String,
        /// The same hash, of the file.
        actual: String,
    },
    /// The ONNX file's weights could not be read.
    #[error(transparent)]
    Graph(#[from] GraphError),
}
