//! Why nothing can be predicted.

use std::path::PathBuf;

use crate::extract::{SameCodesError, ThreadsError};
use crate::head::saved::SavedHeadError;
use crate::head::{HeadError, HeadKind};
use crate::model::TrunkError;

/// Why nothing, or nothing more, can be predicted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PredictError {
    /// The head cannot be read.
    #[error("{0}")]
    Head(#[from] SavedHeadError),
    /// The requested kind of head was not trained.
    #[error("{} has no {wanted} head, only {found}", dir.display())]
    NoSuchHead {
        /// The HEAD directory.
        dir: PathBuf,
        /// The requested kind.
        wanted: HeadKind,
        /// The kind that was found.
        found: HeadKind,
    },
    /// Sets were requested, and the head has no predictions out of fold.
    #[error(
        "the {kind} head cannot give sets of classes: it has no out-of-fold predictions of training pictures; train it again, calibrated, tuned or judged in folds"
    )]
    NotOutOfFold {
        /// The head.
        kind: HeadKind,
    },
    /// Outliers were requested, and the head has no training codes to compare with.
    #[error(
        "the head cannot mark outliers: it has no training codes, because an earlier version trained it, or because all its pictures are one group; train it again"
    )]
    NoTrainingCodes,
    /// There are too few training pictures for the request.
    #[error(
        "{what} of {wanted} need more training pictures (each group of pictures counts once); the {end} possible with these is {possible}"
    )]
    TooFew {
        /// `sets` or `outliers`.
        what: &'static str,
        /// `largest` or `smallest`.
        end: &'static str,
        /// The requested share, 0 to 1.
        wanted: f64,
        /// The largest share of sets, or the smallest rate of outliers, that is possible.
        possible: f64,
    },
    /// An exported classifier lacks data that only a HEAD holds.
    #[error(
        "{name} is an exported classifier, which holds neither the out-of-fold predictions nor the training codes that are needed; give the HEAD that it was made of"
    )]
    Inside {
        /// Its name.
        name: String,
    },
    /// The trunk does not compute the codes that the head was trained on.
    #[error("the head was trained on other codes than this trunk gives: {difference}")]
    OtherTrunk {
        /// The difference, the head's value first.
        difference: String,
    },
    /// A store holds other codes than the head was trained on.
    #[error("the head was trained on other codes than {} holds: {difference}; give the pictures themselves, or extract them with the options that the head's codes had", store.display())]
    OtherCodes {
        /// The store.
        store: PathBuf,
        /// The difference, the head's value first.
        difference: String,
    },
    /// The trunk failed.
    #[error("{0}")]
    Trunk(#[from] TrunkError),
    /// The trunk gives the same code for all pictures.
    #[error("{0}")]
    SameCodes(#[from] SameCodesError),
    /// The head does not take the codes.
    #[error("{0}")]
    Codes(#[from] HeadError),
    /// The decoders' threads could not be started.
    #[error("{0}")]
    Threads(#[from] ThreadsError),
}
