//! Why nothing was trained.

use std::path::PathBuf;

use crate::evaluate::EvaluateError;
use crate::files::DraftError;
use crate::head::HeadError;
use crate::head::saved::SavedHeadError;
use crate::report::ReportError;

/// Why nothing was trained, or nothing was left.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The stores do not belong together.
    #[error("{} and {} do not belong together: {reason}", train.display(), validation.display())]
    Mismatch {
        /// The training store.
        train: PathBuf,
        /// The validation store.
        validation: PathBuf,
        /// What differs, and what to do about it.
        reason: String,
    },
    /// The training store holds one class only.
    #[error("{} has pictures of one class only, '{class}'; a head needs two or more", store.display())]
    OneClass {
        /// The training store.
        store: PathBuf,
        /// The class.
        class: String,
    },
    /// A store's codes, or the options, cannot be used for training.
    #[error("{}: {source}", store.display())]
    Head {
        /// The training or the validation store.
        store: PathBuf,
        /// What is wrong.
        source: HeadError,
    },
    /// Training was stopped before there was a head.
    #[error("stopped before a head was trained; nothing was left behind")]
    Stopped,
    /// A head's predictions cannot be judged.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    /// HEAD is not free or not writable.
    #[error(transparent)]
    Draft(#[from] DraftError),
    /// A head could not be saved.
    #[error(transparent)]
    Save(#[from] SavedHeadError),
    /// What tells of the heads could not be written.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// The heads are trained and whole, but what tells of them is not.
    #[error("{why}; the trained head is kept in {}: move it where you want it", kept.display())]
    Kept {
        /// What could not be written.
        why: Box<TrainError>,
        /// The directory.
        kept: PathBuf,
    },
    /// Training was stopped, and what was trained until then does not replace a finished head.
    #[error(
        "stopped: {} is as it was; the head that was trained until then is judged and kept in {}: move it where you want it, or remove it",
        out.display(), kept.display()
    )]
    Interrupted {
        /// The head that was to be replaced.
        out: PathBuf,
        /// The one that was trained.
        kept: PathBuf,
    },
}

/// Why fits on some samples were not done.
#[derive(Debug)]
pub(super) enum FitError {
    Head(HeadError),
    Evaluate(EvaluateError),
    /// Somebody asked for it.
    Stopped,
}

impl From<HeadError> for FitError {
    fn from(error: HeadError) -> Self {
        Self::Head(error)
    }
}

impl From<EvaluateError> for FitError {
    fn from(error: EvaluateError) -> Self {
        Self::Evaluate(error)
    }
}

impl FitError {
    /// What it means for a training on `store`.
    pub(super) fn on(self, store: &std::path::Path) -> TrainError {
        match self {
            Self::Head(source) => TrainError::Head {
                store: store.to_owned(),
                source,
            },
            Self::Evaluate(error) => error.into(),
            Self::Stopped => TrainError::Stopped,
        }
    }
}
