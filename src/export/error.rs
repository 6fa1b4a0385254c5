//! Why an export fails.

use std::io;
use std::path::PathBuf;

use crate::head::{HeadError, HeadKind};
use crate::model::{CardError, GraphError, TrunkError};
use crate::progress::Stopped;

/// Why no file was exported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The trunk is not the one whose codes the head takes.
    #[error("{} is not the trunk '{name}' that the head was trained on: {difference}", path.display())]
    OtherTrunk {
        /// The trunk's ONNX file.
        path: PathBuf,
        /// The name of the expected trunk.
        name: String,
        /// How the two differ.
        difference: String,
    },
    /// The HEAD does not hold the requested head.
    #[error("the head holds no {head}")]
    NoHead {
        /// The requested head.
        head: HeadKind,
        /// The head that it holds.
        other: HeadKind,
    },
    /// The trunk uses an operator set in which the operators added here had another meaning.
    #[error("{} uses operator set {version} of ONNX, and {} is the oldest that can be extended; export the trunk again with a newer one", path.display(), super::MIN_OPERATOR_SET)]
    OldOperators {
        /// The trunk's ONNX file.
        path: PathBuf,
        /// Its operator set; 0 if it states none.
        version: i64,
    },
    /// Weights or operators have no counterpart in float16.
    #[error("{} cannot be exported in float16: {reason}", path.display())]
    NotHalved {
        /// The ONNX file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// A value inside the network does not fit float16.
    #[error(
        "'{tensor}' reaches {value:.0} inside the network, and float16 ends at 65504: on hardware that computes in float16 the result would be wrong"
    )]
    Overflow {
        /// The tensor.
        tensor: String,
        /// Its largest absolute value on the pictures tried.
        value: f32,
    },
    /// The model is larger than the format allows.
    #[error(
        "the model would have {bytes} bytes, and an ONNX file holds at most {} (2 GiB)",
        super::target::MAX_BYTES
    )]
    TooLarge {
        /// Bytes of the file.
        bytes: u64,
    },
    /// The target has another extension.
    #[error("{} does not end in .onnx", path.display())]
    Ending {
        /// The target as given.
        path: PathBuf,
    },
    /// The target exists and must not be replaced.
    #[error("{} exists already", path.display())]
    Exists {
        /// The file that was kept.
        path: PathBuf,
    },
    /// The target exists, but was not written by an export.
    #[error("{} exists and was not written by `cnn-codes export`", path.display())]
    Foreign {
        /// The file that was kept.
        path: PathBuf,
    },
    /// A file could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// None of the pictures for the check is usable.
    #[error("not one picture of {n} to check on can be used, the first one because: {first}")]
    NothingUsable {
        /// How many there are.
        n: usize,
        /// What is wrong with the first one.
        first: String,
    },
    /// The file's output is not a number.
    #[error("the exported model gives NaN for a picture; {advice}")]
    NotANumber {
        /// What to do about it.
        advice: &'static str,
    },
    /// The watch stopped the check.
    #[error("{0}; nothing was written")]
    Stopped(#[from] Stopped),
    /// The trunk's or the exported file's graph cannot be used.
    #[error("{0}")]
    Graph(#[from] GraphError),
    /// The card does not match the trunk.
    #[error("{0}")]
    Card(#[from] CardError),
    /// The trunk or the exported file does not run.
    #[error("{0}")]
    Trunk(#[from] TrunkError),
    /// The head does not take the trunk's codes.
    #[error("{0}")]
    Head(#[from] HeadError),
}
