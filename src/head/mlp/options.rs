//! Options of an MLP and its training.

use serde::{Deserialize, Serialize};

use super::LossOptions;
use super::batches::bytes_held;
use crate::head::invalid::invalid;
use crate::head::optimizer::OptimizerOptions;
use crate::head::{HeadError, Samples};
use crate::named;

/// Most units of a hidden layer: far above any use, and small enough that a typing error does not
/// exhaust memory.
const MAX_HIDDEN: usize = 65_536;

/// Most passes over the training samples.
const MAX_EPOCHS: usize = 1_000_000;

/// Most weights of a network: 4 GiB. Training needs at least three times as much memory.
const MAX_WEIGHTS: usize = 1 << 30;

/// The order of the training samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BatchOrder {
    /// A new random order in every epoch, as in Keras' `fit`.
    #[default]
    Shuffled,
    /// The store's order in every epoch: all of one class, then all of the next. Used to compare
    /// with other implementations.
    #[doc(hidden)]
    AsStored,
}

/// Which weights are kept after training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// The weights after the last epoch.
    #[default]
    Last,
    /// The weights after the epoch with the smallest loss on held-out samples; of equal ones, the
    /// first.
    Best,
}

named!(Keep, "weights to keep", Last => "last", Best => "best");

/// Options of an MLP and its training; the default is the tutorial's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct MlpOptions {
    /// Units of each hidden layer, from the input on. If empty, there is only one layer with
    /// softmax.
    pub hidden: Vec<usize>,
    /// Share of hidden units that are dropped in a training step: at least 0 and below 1.
    pub dropout: f32,
    /// Number of passes over the training samples.
    pub epochs: usize,
    /// Samples in a step; the last step of an epoch takes the rest.
    pub batch_size: usize,
    /// The update rule, the learning rate, the weight decay.
    pub optimizer: OptimizerOptions,
    /// The training loss.
    pub loss: LossOptions,
    /// Which weights are kept; [`Keep::Best`] needs held-out samples.
    pub keep: Keep,
    /// Training ends after this many epochs in a row without a smaller loss on held-out samples; at
    /// least 1. It needs held-out samples.
    pub patience: Option<usize>,
    /// Seed of the initial weights, of the order and of dropout; each has its own stream.
    pub seed: u64,
    /// The order of the training samples.
    pub order: BatchOrder,
    /// Share of each class that is held out of training if an epoch must be chosen, above 0 and
    /// below 1. Without [`Keep::Best`] and patience, nothing is held out.
    /// [`train`](mod@crate::train) holds samples out; `Mlp::fit` receives them. This option is not
    /// stored in head.json.
    #[serde(skip, default = "default_hold_out")]
    pub hold_out: f64,
}

fn default_hold_out() -> f64 {
    MlpOptions::default().hold_out
}

impl Default for MlpOptions {
    fn default() -> Self {
        Self {
            hidden: vec![256],
            dropout: 0.5,
            epochs: 20,
            batch_size: 20,
            optimizer: OptimizerOptions::default(),
            loss: LossOptions::default(),
            keep: Keep::Last,
            patience: None,
            seed: 0,
            order: BatchOrder::Shuffled,
            hold_out: 0.1,
        }
    }
}

impl MlpOptions {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`HeadError::InvalidOption`] for the first option that is out of range.
    pub(crate) fn validate(&self) -> Result<(), HeadError> {
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
        if !(1..=MAX_EPOCHS).contains(&self.epochs) {
            return Err(invalid(
                "number of epochs",
                self.epochs,
                "from 1 to 1000000",
            ));
        }
        if self.batch_size == 0 {
            return Err(invalid("batch size", self.batch_size, "at least 1"));
        }
        if self.patience == Some(0) {
            return Err(invalid("patience", 0, "at least 1"));
        }
        self.loss.validate()?;
        self.optimizer.validate()
    }

    /// Refuses a network whose weights do not fit into memory.
    pub(super) fn check_sizes(sizes: &[usize]) -> Result<(), HeadError> {
        let mut products = sizes.windows(2).map(|pair| pair[0].checked_mul(pair[1]));
        let n_weights = products.try_fold(0_usize, |sum, product| sum.checked_add(product?));
        match n_weights {
            Some(..=MAX_WEIGHTS) => Ok(()),
            _ => Err(invalid(
                "sizes of the layers",
                format!("{sizes:?}"),
                "such that there are at most 1073741824 weights",
            )),
        }
    }

    /// Refuses options that need held-out samples if there are none.
    pub(super) fn require_held_out(&self) -> Result<(), HeadError> {
        if self.keep == Keep::Best {
            let expected = "last without held-out samples, as nothing else tells which epoch is \
                            best; hold a part of the training samples out";
            return Err(invalid("keep", self.keep, expected));
        }
        if let Some(patience) = self.patience {
            let expected = "left away without held-out samples, as nothing else tells whether \
                            epochs get better; hold a part of the training samples out";
            return Err(invalid("patience", patience, expected));
        }
        Ok(())
    }

    /// Approximate memory in bytes of training on `train`: weights, the rule's state, the best
    /// weights, and the rows that are read ahead of a large store.
    #[must_use]
    pub(crate) fn training_bytes(&self, train: &Samples) -> usize {
        let sizes = self.sizes(train.n_features(), train.n_classes());
        let weights: usize = sizes.windows(2).map(|pair| pair[0] * pair[1]).sum();
        let copies = 2 + self.optimizer.rule.n_states();
        size_of::<f32>() * copies * weights + bytes_held(train, self)
    }

    /// Sizes of all layers for D = `n_features` and K = `n_classes`: D, hidden, K.
    #[must_use]
    pub(crate) fn sizes(&self, n_features: usize, n_classes: usize) -> Vec<usize> {
        let mut sizes = vec![n_features];
        sizes.extend(&self.hidden);
        sizes.push(n_classes);
        sizes
    }
}
