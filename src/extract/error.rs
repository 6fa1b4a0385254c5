//! Why an extraction left no store, and what of it is kept.

use std::path::PathBuf;

use super::SameCodesError;
use crate::codes::{Failure, StoreError};
use crate::messages::none_could_be_used;
use crate::model::TrunkError;
use crate::progress::Stopped;

/// Why an extraction left no store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExtractError {
    /// The store could not be written.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The trunk failed.
    #[error("{0}")]
    Trunk(#[from] TrunkError),
    /// The trunk gives one code for all pictures.
    #[error("{0}")]
    SameCodes(#[from] SameCodesError),
    /// Pictures could not be read for reasons that are not their own, and are to be tried again.
    #[error("{}; the first, {}: {}", unread(*n, *is_given_up), first.path, first.error)]
    Unread {
        /// How many.
        n: usize,
        /// The first of them.
        first: Failure,
        /// Whether there were so many in a row that the rest was not tried.
        is_given_up: bool,
    },
    /// A folder could not be listed, so that the store would lack pictures that nobody knows of.
    #[error("{}: {}; its pictures would be missing", .0.path, .0.error)]
    Unlisted(Failure),
    /// A picture could not be used, and [`OnFailure::Stop`](super::OnFailure::Stop) was asked for.
    #[error("{}: {}", .0.path, .0.error)]
    Strict(Failure),
    /// Not one picture could be used.
    #[error("{}", none_could_be_used(*n, first.as_ref().map(|first| (&*first.path, &*first.error))))]
    NothingUsable {
        /// How many there were.
        n: usize,
        /// The first of them in this run.
        first: Option<Failure>,
    },
    /// A store's codes cannot be copied, as they are others than those asked for.
    #[error("the codes of {} cannot be reused: {reason}", store.display())]
    Reuse {
        /// The store.
        store: PathBuf,
        /// What differs.
        reason: String,
    },
    /// The decoders' threads could not be started.
    #[error("{0}")]
    Threads(#[from] ThreadsError),
    /// Its watch stopped it.
    #[error("{source}{}", kept.as_ref().map_or(String::new(), ToString::to_string))]
    Stopped {
        /// That it was stopped.
        source: Stopped,
        /// What the next run goes on from, if any batch was done.
        kept: Option<Kept>,
    },
    /// The job broke off, but not all of its work is lost.
    #[error("{source}{kept}")]
    Broken {
        /// Why it broke off.
        source: Box<ExtractError>,
        /// What the next run goes on from.
        kept: Kept,
    },
}

impl From<Stopped> for ExtractError {
    fn from(source: Stopped) -> Self {
        Self::Stopped { source, kept: None }
    }
}

fn unread(n: usize, is_given_up: bool) -> String {
    let reason = "could not be read, because their disk or the system failed";
    match (n, is_given_up) {
        (1, _) => "1 picture could not be read, because its disk or the system failed".to_owned(),
        (n, false) => format!("{n} pictures {reason}"),
        (n, true) => format!("{n} pictures {reason}, the last ones in a row, so the run has ended"),
    }
}

/// The decoders' threads could not be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot start {threads} decoder threads: {source}")]
#[non_exhaustive]
pub struct ThreadsError {
    /// How many were asked for.
    pub threads: usize,
    /// What rayon said.
    pub source: rayon::ThreadPoolBuildError,
}

/// Work that is safe on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The unfinished store.
    pub draft: PathBuf,
    /// Pictures dealt with.
    pub n_done: usize,
    /// Pictures of the job.
    pub n_pictures: usize,
}

impl std::fmt::Display for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "; {} of {} pictures are done and kept in {}: the same command goes on from there",
            self.n_done,
            self.n_pictures,
            self.draft.display()
        )
    }
}
