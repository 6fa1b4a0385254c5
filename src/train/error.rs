//! Why nothing was trained.

use std::io;
use std::path::{Path, PathBuf};

use crate::codes::{CorrectionsError, StoreError};
use crate::evaluate::EvaluateError;
use crate::files::DraftError;
use crate::head::saved::SavedHeadError;
use crate::head::{Diverged, HeadError};
use crate::progress::Stopped;

/// Why nothing was trained, or nothing was kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The stores do not match.
    #[error("{} and {} do not belong together: {reason}", train.display(), validation.display())]
    Mismatch {
        /// The training store.
        train: PathBuf,
        /// The validation store.
        validation: PathBuf,
        /// How they differ, and what to do about it.
        reason: String,
    },
    /// All pictures of the validation store were used for training.
    #[error(
        "every picture of {} is also in {}, and heads cannot be judged on pictures that they were trained on; give pictures that were kept aside, or judge in folds",
        validation.display(), train.display()
    )]
    SamePictures {
        /// The training store.
        train: PathBuf,
        /// The validation store.
        validation: PathBuf,
    },
    /// The training store holds only one class.
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
    /// A store was changed while heads were trained on it.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The corrections do not fit the store.
    #[error("{0}")]
    Corrections(#[from] CorrectionsError),
    /// Training was stopped before there was a head.
    #[error("stopped before a head was trained; nothing was left behind")]
    Stopped(#[source] Stopped),
    /// A head's predictions cannot be evaluated.
    #[error("{0}")]
    Evaluate(#[from] EvaluateError),
    /// The target of the HEAD exists already, or is not writable.
    #[error("{0}")]
    Draft(#[from] DraftError),
    /// A head could not be saved.
    #[error("{0}")]
    Save(#[from] SavedHeadError),
    /// The report, or another file beside the heads, could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The heads are trained and saved, but the files beside them are not.
    #[error("{why}; the trained head is kept in {}: move it where you want it", kept.display())]
    Kept {
        /// The error.
        #[source]
        why: Box<TrainError>,
        /// The directory.
        kept: PathBuf,
    },
    /// Training was stopped. An unfinished head does not replace a finished one.
    #[error(
        "stopped: {} is as it was; the head that was trained until then is judged and kept in {}: move it where you want it, or remove it",
        out.display(), kept.display()
    )]
    Interrupted {
        /// The head that should have been replaced.
        out: PathBuf,
        /// The head that was trained.
        kept: PathBuf,
    },
}

/// Why fits on some samples were not made.
#[derive(Debug, thiserror::Error)]
pub(super) enum FitError {
    #[error("{0}")]
    Head(HeadError),
    #[error("{0}")]
    Evaluate(#[from] EvaluateError),
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

impl From<HeadError> for FitError {
    fn from(error: HeadError) -> Self {
        match error {
            HeadError::Stopped(stopped) => Self::Stopped(stopped),
            error => Self::Head(error),
        }
    }
}

impl From<Diverged> for FitError {
    fn from(how: Diverged) -> Self {
        Self::Head(how.into())
    }
}

impl FitError {
    /// Whether the error concerns one head alone, so that others may still be trained.
    pub(super) fn spares_others(&self) -> bool {
        match self {
            Self::Head(error) => matches!(
                error,
                HeadError::Diverged(_) | HeadError::Solver { .. } | HeadError::Panicked { .. }
            ),
            Self::Evaluate(_) => true,
            Self::Stopped(_) => false,
        }
    }

    /// The error for a training on `store`.
    pub(super) fn on(self, store: &Path) -> TrainError {
        match self {
            Self::Head(source) => TrainError::Head {
                store: store.to_owned(),
                source,
            },
            Self::Evaluate(error) => error.into(),
            Self::Stopped(stopped) => TrainError::Stopped(stopped),
        }
    }
}
