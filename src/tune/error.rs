//! Why nothing was tuned.

use std::io;
use std::path::PathBuf;

use cnn_codes_tail::TailError;

use crate::codes::StoreError;
use crate::evaluate::EvaluateError;
use crate::head::saved::SavedHeadError;
use crate::head::{HeadError, HeadKind};
use crate::model::TunedTailError;
use crate::progress::Stopped;
use crate::train::TrainError;

/// Why nothing was tuned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TuneError {
    /// The store does not hold the codes that the tail takes.
    #[error("{} cannot be tuned on: {reason}", store.display())]
    Store {
        /// The store.
        store: PathBuf,
        /// What is wrong, and what to do about it.
        reason: String,
    },
    /// The HEAD has no such head.
    #[error("there is no {kind} head to begin with; there is: {}", there.join(", "))]
    NoHead {
        /// The requested head.
        kind: HeadKind,
        /// The existing heads.
        there: Vec<String>,
    },
    /// This kind of head has no gradient.
    #[error("a {kind} cannot be tuned; the heads that can are mlp and logistic")]
    Kind {
        /// The requested head.
        kind: HeadKind,
    },
    /// The layers cannot be trained at all, or not on these codes.
    #[error("{0}")]
    Tail(#[from] TailError),
    /// Codes cannot be read, or were changed.
    #[error("{0}")]
    Codes(#[from] StoreError),
    /// An option is out of range, there are too few pictures, or a head cannot be trained.
    #[error("{0}")]
    Head(#[from] HeadError),
    /// The predictions cannot be evaluated.
    #[error("{0}")]
    Evaluate(#[from] EvaluateError),
    /// The result cannot be evaluated or saved.
    #[error("{0}")]
    Train(#[from] TrainError),
    /// The result cannot be saved.
    #[error("{0}")]
    Save(#[from] SavedHeadError),
    /// The tuned weights cannot be saved.
    #[error("{0}")]
    SaveTail(#[from] TunedTailError),
    /// Weights became NaN or infinite.
    #[error("the weights became infinite in epoch {epoch} with {setting}; a smaller rate may help")]
    Diverged {
        /// The epoch, counted from 1.
        epoch: usize,
        /// The setting.
        setting: String,
    },
    /// The data of an unfinished run cannot be read or written.
    #[error("cannot use {}: {source}", path.display())]
    Checkpoint {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The folder belongs to the unfinished run of another job.
    #[error(
        "{} holds an unfinished run on other codes, heads or options; remove the folder to begin anew",
        path.display()
    )]
    OtherJob {
        /// The folder.
        path: PathBuf,
    },
    /// It was stopped before a setting was chosen.
    #[error(
        "stopped before a setting was chosen, so the head to begin with is the best so far; the same command goes on from {}",
        path.display()
    )]
    Stopped {
        /// The folder of the checkpoint.
        path: PathBuf,
        /// The stop.
        source: Stopped,
    },
}
