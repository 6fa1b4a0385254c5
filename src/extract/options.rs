//! Options for making a store from pictures.

use std::time::Duration;

use crate::codes::{Dtype, Leftover, Pool, Shard};
use crate::files::Existing;
use crate::model::{ModelCard, OutputSpec};
use crate::picture::{DecodeLimits, Preparation, Views};

/// How pictures become a store. Start from [`ExtractOptions::for_card`] and change what you need.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ExtractOptions {
    /// How a decoded picture becomes the input tensor.
    pub preparation: Preparation,
    /// Pictures in a batch, at least 1.
    pub batch_size: usize,
    /// Threads that decode, at least 1.
    pub threads: usize,
    /// How the trunk's output is pooled.
    pub pool: Pool,
    /// Element type on disk.
    pub dtype: Dtype,
    /// What to do with pictures that cannot be used.
    pub on_failure: OnFailure,
    /// What to do with pictures that cannot be read for outside reasons.
    pub on_unread: OnUnread,
    /// How large a picture may be.
    pub limits: DecodeLimits,
    /// What to do if the store exists already.
    pub existing: Existing,
    /// What to do with the remains of a stopped run of the same job.
    pub leftover: Leftover,
    /// Which part of the pictures to process; `None` for all.
    pub shard: Option<Shard>,
    /// Whether store.json names the folder of the pictures, by its absolute path.
    pub names_folder: bool,
    /// Time between checkpoints: the work that a kill may cost, besides the batches in flight. A
    /// checkpoint syncs four files and writes a line to the journal.
    pub checkpoint_every: Duration,
}

impl ExtractOptions {
    /// How many numbers the flattened code of a view has, for a trunk with this output.
    #[must_use]
    pub fn code_len(&self, output: &OutputSpec) -> usize {
        self.pool.shape(&output.shape).iter().product()
    }

    /// The default number of pictures in a batch.
    pub const BATCH_SIZE: usize = 20;
    /// The default time between checkpoints.
    pub(crate) const CHECKPOINT_EVERY: Duration = Duration::from_secs(1);

    /// The default options: pictures in the trunk's size, with the fit, the filter and the recipe
    /// of its card; unpooled float32 codes.
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
    /// List the picture in failures.csv and continue.
    List,
    /// Stop, and leave no store.
    Stop,
}

/// What to do with a picture that cannot be read for an outside reason
/// ([`Failure::may_pass`](crate::codes::Failure::may_pass)): its disk is missing or fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnUnread {
    /// Write no store, and let the next run of the same job try again. The codes of all other
    /// pictures are kept for it. After five such pictures in a row, the run gives up.
    TryAgain,
    /// Treat the picture like any other unusable one.
    Accept,
}
