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
    /// Sets were asked for, and the head was not looked at out of fold.
    #[error(
        "the {kind} head cannot give sets of classes: it has no out-of-fold predictions of training pictures; train it again, calibrated, tuned or judged in folds"
    )]
    NotOutOfFold {
        /// The head.
        kind: HeadKind,
    },
    /// Outliers were asked for, and there is nothing to hold a picture against.
    #[error(
        "the head cannot mark outliers: it has no training codes, because an earlier version trained it, or because all its pictures are one group; train it again"
    )]
    NoTrainingCodes,
    /// There are too few training pictures for what is wanted.
    #[error(
        "{what} of {wanted} need more training pictures (each group of pictures counts once); the {end} possible with these is {possible}"
    )]
    TooFew {
        /// `sets` or `outliers`.
        what: &'static str,
        /// `largest` or `smallest`.
        end: &'static str,
        /// What was asked for, 0 to 1.
        wanted: f64,
        /// The largest share of sets, or the smallest rate of outliers, that can be told.
        possible: f64,
    },
    /// An exported classifier was asked for what only a HEAD holds.
    #[error(
        "{name} is an exported classifier, which holds neither the out-of-fold predictions nor the training codes that are needed; give the HEAD that it was made of"
    )]
    Inside {
        /// Its name.
        name: String,
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
