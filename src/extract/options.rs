//! How pictures become a store.

use std::time::Duration;

use crate::codes::{Dtype, Leftover, Pool, Shard};
use crate::files::Existing;
use crate::model::{ModelCard, OutputSpec};
use crate::picture::{DecodeLimits, Preparation, Views};

/// How pictures become a store. Take [`ExtractOptions::for_card`], and set what is to be otherwise.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ExtractOptions {
    /// How a decoded picture becomes the input tensor.
    pub preparation: Preparation,
    /// Pictures in a batch, at least 1.
    pub batch_size: usize,
    /// Threads that decode, at least 1.
    pub threads: usize,
    /// What is kept of the trunk's output.
    pub pool: Pool,
    /// Element type on disk.
    pub dtype: Dtype,
    /// What to do with pictures that cannot be used.
    pub on_failure: OnFailure,
    /// What to do with pictures that cannot be read for reasons that are not their own.
    pub on_unread: OnUnread,
    /// How large a picture may be.
    pub limits: DecodeLimits,
    /// What to do about a store that is there already.
    pub existing: Existing,
    /// What to do with what a run of the same job left, when it was stopped.
    pub leftover: Leftover,
    /// Which part of the pictures to deal with; nothing for all.
    pub shard: Option<Shard>,
    /// Whether store.json names the folder of the pictures, by its absolute path.
    pub names_folder: bool,
    /// Time between checkpoints: how much work a kill may cost, besides the batches in flight. A
    /// checkpoint brings four files to the disk and writes a line of the journal.
    pub checkpoint_every: Duration,
}

impl ExtractOptions {
    /// How many numbers the flattened code of a view has, of a trunk with this output.
    #[must_use]
    pub fn code_len(&self, output: &OutputSpec) -> usize {
        self.pool.shape(&output.shape).iter().product()
    }

    /// Pictures in a batch where nothing else is said.
    pub const BATCH_SIZE: usize = 20;
    /// The time between checkpoints where nothing else is said.
    pub(crate) const CHECKPOINT_EVERY: Duration = Duration::from_secs(1);

    /// The usual options: pictures in the trunk's size, by the fit, the filter and the recipe of its card;
    /// float32 codes as they are.
    #[must_use]
    pub fn for_card(card: &ModelCard) -> Self {
        Self {
            preparation: Preparation {
                resize: card.resize(),
                recipe: card.input.recipe,
                layout: card.input.layout,
                views: Views::None,
            },
            batch_size: Self::BATCH_SIZE,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            pool: Pool::default(),
            dtype: Dtype::default(),
            on_failure: OnFailure::List,
            on_unread: OnUnread::TryAgain,
            limits: DecodeLimits::default(),
            existing: Existing::Keep,
            leftover: Leftover::Resume,
            shard: None,
            names_folder: true,
            checkpoint_every: Self::CHECKPOINT_EVERY,
        }
    }
}

/// What to do with a picture that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// List it in failures.csv and go on.
    List,
    /// Stop, and leave no store.
    Stop,
}

/// What to do with a picture that cannot be read for a reason that is not its own
/// ([`Failure::may_pass`](crate::codes::Failure::may_pass)): its disk is gone, or fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnUnread {
    /// Leave no store, and let the next run of the same job try again. The codes of all others are
    /// kept for it; after five such pictures in a row the rest is not tried.
    TryAgain,
    /// Deal with it as with any picture that cannot be used.
    Accept,
}
