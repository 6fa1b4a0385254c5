//! Options: what is trained, how, and how it is evaluated.

use crate::head::logistic::LogisticOptions;
use crate::head::mlp::MlpOptions;
use crate::head::scaling::ScalingKind;
use crate::head::{HeadError, HeadOptions, invalid};

/// Most seeds that an MLP is trained with.
const MAX_REPEATS: usize = 1_000_000;

/// Options of [`train`](super::train).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TrainOptions {
    /// The heads, in the order in which they are trained and reported; at most one per kind.
    pub heads: Vec<HeadOptions>,
    /// How the codes are scaled before training, by statistics of the training samples alone.
    pub scaling: ScalingKind,
    /// Number of folds for cross-validation, at least 2: for tuning, for calibration, and for
    /// evaluating the heads without a validation store.
    pub folds: usize,
    /// Seed for dealing samples into folds, the same for every head.
    pub seed: u64,
    /// Whether settings such as L2 strength, learning rate and dropout are chosen by
    /// cross-validation.
    pub tune: bool,
    /// Number of seeds for a head with random numbers, 1 to 1,000,000: its own seed and the ones
    /// after it. The network of the first seed is kept, whichever is best.
    pub repeats: usize,
    /// Whether the heads are also trained on an eighth, a quarter and half of the training samples,
    /// five times each, to measure how accuracy grows with their number.
    pub learning_curve: bool,
    /// Whether a temperature is fitted to each head's out-of-fold logits.
    pub calibrate: bool,
}

/// The MLP and the logistic regression with their own defaults, on unscaled codes.
impl Default for TrainOptions {
    fn default() -> Self {
        Self {
            heads: vec![
                HeadOptions::Mlp(MlpOptions::default()),
                HeadOptions::Logistic(LogisticOptions::default()),
            ],
            scaling: ScalingKind::None,
            folds: 5,
            seed: 0,
            tune: false,
            repeats: 1,
            learning_curve: false,
            calibrate: false,
        }
    }
}

impl TrainOptions {
    /// Checks the ranges that do not depend on the samples.
    ///
    /// # Errors
    /// [`HeadError::InvalidOption`] for the first option that is out of range.
    pub(crate) fn validate(&self) -> Result<(), HeadError> {
        if !(1..=MAX_REPEATS).contains(&self.repeats) {
            return Err(invalid(
                "number of seeds",
                self.repeats,
                "from 1 to 1000000",
            ));
        }
        let n_heads = self.heads.len();
        let kinds = || self.heads.iter().map(HeadOptions::kind);
        let is_twice = |kind| kinds().filter(|&other| other == kind).count() > 1;
        if n_heads == 0 || kinds().any(is_twice) {
            return Err(invalid(
                "number of heads",
                n_heads,
                "at least 1, and at most one of a kind",
            ));
        }
        self.heads.iter().try_for_each(HeadOptions::validate)
    }
}
