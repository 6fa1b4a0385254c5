//! Why nothing was trained.

use std::io;
use std::path::{Path, PathBuf};

use crate::codes::{CorrectionsError, StoreError};
use crate::evaluate::EvaluateError;
use crate::files::DraftError;
use crate::head::saved::SavedHeadError;
use crate::head::{Diverged, HeadError};
use crate::progress::Stopped;

/// Why nothing was trained, or nothing was left.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
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
    /// All pictures of the validation store were trained on.
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
    /// A store was changed while heads were trained on it.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// Labels cannot be corrected so.
    #[error("{0}")]
    Corrections(#[from] CorrectionsError),
    /// Training was stopped before there was a head.
    #[error("stopped before a head was trained; nothing was left behind")]
    Stopped(#[source] Stopped),
    /// A head's predictions cannot be judged.
    #[error("{0}")]
    Evaluate(#[from] EvaluateError),
    /// HEAD is not free or not writable.
    #[error("{0}")]
    Draft(#[from] DraftError),
    /// A head could not be saved.
    #[error("{0}")]
    Save(#[from] SavedHeadError),
    /// The report, or another file besides the heads, could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The heads are trained and saved, but the files besides them are not.
    #[error("{why}; the trained head is kept in {}: move it where you want it", kept.display())]
    Kept {
        /// What could not be written.
        #[source]
        why: Box<TrainError>,
        /// The directory.
        kept: PathBuf,
    },
    /// Training was stopped. A half-trained head does not replace a finished one.
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
    /// Whether it is about one head alone, so that another may be trained nevertheless.
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

    /// What it means for a training on `store`.
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
