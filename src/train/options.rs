//! What is trained, how, and how it is judged.

use crate::head::logistic::LogisticOptions;
use crate::head::mlp::MlpOptions;
use crate::head::scaling::ScalingKind;
use crate::head::{HeadError, HeadKind};

/// Most seeds that an MLP is trained with.
const MAX_REPEATS: usize = 1_000_000;

/// What is trained on samples.
#[derive(Clone, Debug, PartialEq)]
pub struct HeadOptions {
    /// The MLP, unless it is left out.
    pub mlp: Option<MlpOptions>,
    /// The logistic regression, unless it is left out.
    pub logistic: Option<LogisticOptions>,
    /// How the codes are scaled before training, by statistics of the training samples alone.
    pub scaling: ScalingKind,
    /// Share of each class that the MLP is not trained on where an epoch has to be chosen, above 0
    /// and below 1. Without [`Keep::Best`](crate::head::mlp::Keep::Best) and patience nothing is
    /// held out.
    pub hold_out: f64,
}

/// Both heads with their own defaults, on codes as they are.
impl Default for HeadOptions {
    fn default() -> Self {
        Self {
            mlp: Some(MlpOptions::default()),
            logistic: Some(LogisticOptions::default()),
            scaling: ScalingKind::None,
            hold_out: 0.1,
        }
    }
}

/// What [`train`](super::train) does.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainOptions {
    /// The heads.
    pub heads: HeadOptions,
    /// Folds of cross-validation, at least 2: for tuning, for calibration, and for judging the
    /// heads where there is no validation store.
    pub folds: usize,
    /// Whether L2 strength, learning rate and dropout are chosen by cross-validation.
    pub tune: bool,
    /// Seeds that the MLP is trained with, 1 to 1,000,000: its own, and those after it. The first one's
    /// network is kept, whichever does best.
    pub repeats: usize,
    /// Whether a temperature is fitted to each head's out-of-fold logits.
    pub calibrate: bool,
}

/// What `cnn-codes train-head` does where it is not told otherwise.
impl Default for TrainOptions {
    fn default() -> Self {
        Self {
            heads: HeadOptions::default(),
            folds: 5,
            tune: false,
            repeats: 1,
            calibrate: false,
        }
    }
}

impl HeadOptions {
    /// These options for one head, if it is to be trained.
    pub(super) fn only(&self, kind: HeadKind) -> Option<Self> {
        let mut alone = self.clone();
        match kind {
            HeadKind::Mlp => alone.logistic = None,
            HeadKind::Logistic => alone.mlp = None,
        }
        (alone.mlp.is_some() || alone.logistic.is_some()).then_some(alone)
    }
}

impl TrainOptions {
    /// Checks the ranges that do not depend on the samples.
    ///
    /// # Errors
    /// [`HeadError::InvalidOption`] for the first option that is outside.
    pub fn validate(&self) -> Result<(), HeadError> {
        if !(1..=MAX_REPEATS).contains(&self.repeats) {
            return Err(HeadError::InvalidOption {
                option: "number of seeds",
                value: self.repeats.to_string(),
                expected: "from 1 to 1000000",
            });
        }
        if let Some(mlp) = &self.heads.mlp {
            mlp.validate()?;
        }
        self.heads
            .logistic
            .map_or(Ok(()), |logistic| logistic.validate())
    }
}
