//! Why nothing can be predicted.

use std::path::PathBuf;

use crate::extract::{SameCodesError, ThreadsError};
use crate::head::saved::SavedHeadError;
use crate::head::{HeadError, HeadKind};
use crate::model::TrunkError;

/// Why nothing can be predicted, or no more.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PredictError {
    /// The head cannot be read.
    #[error("{0}")]
    Head(#[from] SavedHeadError),
    /// The kind of head that was asked for was not trained.
    #[error("{} has no {wanted} head, only {found}", dir.display())]
    NoSuchHead {
        /// The HEAD directory.
        dir: PathBuf,
        /// What was asked for.
        wanted: HeadKind,
        /// What there is.
        found: HeadKind,
    },
    /// The trunk does not give the codes that the head was trained on.
    #[error("the head was trained on other codes than this trunk gives: {difference}")]
    OtherTrunk {
        /// What differs, the head's first.
        difference: String,
    },
    /// A store holds other codes than the head was trained on.
    #[error("the head was trained on other codes than {} holds: {difference}; give the pictures themselves, or extract them with the options that the head's codes had", store.display())]
    OtherCodes {
        /// The store.
        store: PathBuf,
        /// What differs, the head's first.
        difference: String,
    },
    /// The trunk failed.
    #[error("{0}")]
    Trunk(#[from] TrunkError),
    /// The trunk gives one code for all pictures.
    #[error("{0}")]
    SameCodes(#[from] SameCodesError),
    /// The head does not take the codes.
    #[error("{0}")]
    Codes(#[from] HeadError),
    /// The decoders' threads could not be started.
    #[error("{0}")]
    Threads(#[from] ThreadsError),
}
