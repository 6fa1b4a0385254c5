//! How an MLP is built and trained.

use serde::{Deserialize, Serialize};

use crate::head::HeadError;
use crate::head::optimizer::RmsPropOptions;

/// Most units of a hidden layer: far above any use, and below what exhausts memory by a typing
/// error.
const MAX_HIDDEN: usize = 65_536;

/// The order in which training samples come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BatchOrder {
    /// A new random order in every epoch, as Keras' `fit` has it.
    #[default]
    Shuffled,
    /// The order of the store in every epoch: all of one class after all of another.
    AsStored,
}

/// How an MLP is built and trained; the default is the tutorial's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MlpOptions {
    /// Units of each hidden layer, from the input on; none leaves one layer with softmax.
    pub hidden: Vec<usize>,
    /// Share of hidden units that a training step leaves out: at least 0 and below 1.
    pub dropout: f32,
    /// Number of passes over the training samples.
    pub epochs: usize,
    /// Samples in a step; the last step of an epoch takes what is left.
    pub batch_size: usize,
    /// The update rule's settings.
    pub optimizer: RmsPropOptions,
    /// Seed of the initial weights, of the order and of dropout, which have a stream each.
    pub seed: u64,
    /// The order of the training samples.
    pub order: BatchOrder,
}

impl Default for MlpOptions {
    fn default() -> Self {
        Self {
            hidden: vec![256],
            dropout: 0.5,
            epochs: 20,
            batch_size: 20,
            optimizer: RmsPropOptions::default(),
            seed: 0,
            order: BatchOrder::Shuffled,
        }
    }
}

impl MlpOptions {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`HeadError::InvalidOption`] for the first option that is outside.
    pub fn validate(&self) -> Result<(), HeadError> {
        if let Some(units) = self
            .hidden
            .iter()
            .find(|&&units| units == 0 || units > MAX_HIDDEN)
        {
            return Err(invalid("number of hidden units", units, "from 1 to 65536"));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(invalid("dropout", self.dropout, "at least 0 and below 1"));
        }
        if self.epochs == 0 {
            return Err(invalid("number of epochs", self.epochs, "at least 1"));
        }
        if self.batch_size == 0 {
            return Err(invalid("batch size", self.batch_size, "at least 1"));
        }
        self.optimizer.validate()
    }

    /// Sizes of all layers for D = `n_features` and K = `n_classes`: D, hidden, K.
    #[must_use]
    pub fn sizes(&self, n_features: usize, n_classes: usize) -> Vec<usize> {
        let mut sizes = vec![n_features];
        sizes.extend(&self.hidden);
        sizes.push(n_classes);
        sizes
    }
}

fn invalid(option: &'static str, value: impl ToString, expected: &'static str) -> HeadError {
    HeadError::InvalidOption {
        option,
        value: value.to_string(),
        expected,
    }
}
