//! Why an export fails.

use std::io;
use std::path::PathBuf;

use crate::head::{HeadError, HeadKind};
use crate::model::{CardError, GraphError, TrunkError};
use crate::progress::Stopped;

/// Why there is no exported file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The trunk is not the one whose codes the head takes.
    #[error("{} is not the trunk '{name}' that the head was trained on: {difference}", path.display())]
    OtherTrunk {
        /// The trunk's ONNX file.
        path: PathBuf,
        /// The name of the trunk that is wanted.
        name: String,
        /// How the two differ.
        difference: String,
    },
    /// The HEAD does not hold the head that was asked for.
    #[error("the head holds no {head}")]
    NoHead {
        /// The head that was asked for.
        head: HeadKind,
        /// The one that it holds.
        other: HeadKind,
    },
    /// The trunk's operators are of a version in which the ones added here meant something else.
    #[error("{} uses operator set {version} of ONNX, and {} is the oldest that can be extended; export the trunk again with a newer one", path.display(), super::MIN_OPERATOR_SET)]
    OldOperators {
        /// The trunk's ONNX file.
        path: PathBuf,
        /// Its version; 0 where it names none.
        version: i64,
    },
    /// Weights or operators have no counterpart in float16.
    #[error("{} cannot be exported in float16: {reason}", path.display())]
    NotHalved {
        /// The ONNX file.
        path: PathBuf,
        /// What stands in the way.
        reason: String,
    },
    /// A value inside the network is beyond float16.
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
    /// The target's name has another ending.
    #[error("{} does not end in .onnx", path.display())]
    Ending {
        /// The target as given.
        path: PathBuf,
    },
    /// The target is there already and was not to be replaced.
    #[error("{} exists already", path.display())]
    Exists {
        /// The file that was kept.
        path: PathBuf,
    },
    /// The target is there, but is not what an export writes.
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
        /// What the system answered.
        source: io::Error,
    },
    /// None of the pictures that the file was to be checked on can be used.
    #[error("not one picture of {n} to check on can be used, the first one because: {first}")]
    NothingUsable {
        /// How many there are.
        n: usize,
        /// What is wrong with the first one.
        first: String,
    },
    /// The file gives no probabilities.
    #[error("the exported model gives NaN for a picture; {advice}")]
    NotANumber {
        /// What to do about it.
        advice: &'static str,
    },
    /// Its watch stopped the check.
    #[error("{0}; nothing was written")]
    Stopped(#[from] Stopped),
    /// The trunk's or the exported file's graph cannot be used.
    #[error("{0}")]
    Graph(#[from] GraphError),
    /// The card does not fit the trunk.
    #[error("{0}")]
    Card(#[from] CardError),
    /// The trunk or the exported file does not run.
    #[error("{0}")]
    Trunk(#[from] TrunkError),
    /// The head does not take the trunk's codes.
    #[error("{0}")]
    Head(#[from] HeadError),
}
