//! Why an extraction wrote no store, and what is kept of it.

use std::path::PathBuf;

use super::SameCodesError;
use crate::codes::{Failure, StoreError};
use crate::messages::none_could_be_used;
use crate::model::TrunkError;
use crate::progress::Stopped;

/// Why an extraction wrote no store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExtractError {
    /// The store could not be written.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The trunk failed.
    #[error("{0}")]
    Trunk(#[from] TrunkError),
    /// The trunk gives the same code for all pictures.
    #[error("{0}")]
    SameCodes(#[from] SameCodesError),
    /// Pictures could not be read for outside reasons, and must be tried again.
    #[error("{}; the first, {}: {}", unread(*n, *is_given_up), first.path, first.error)]
    Unread {
        /// How many.
        n: usize,
        /// The first of them.
        first: Failure,
        /// Whether the run gave up after too many such pictures in a row.
        is_given_up: bool,
    },
    /// A folder could not be listed, so the store would lack an unknown number of pictures.
    #[error("{}: {}; its pictures would be missing", .0.path, .0.error)]
    Unlisted(Failure),
    /// A picture is unusable, and [`OnFailure::Stop`](super::OnFailure::Stop) was set.
    #[error("{}: {}", .0.path, .0.error)]
    Strict(Failure),
    /// No picture is usable.
    #[error("{}", none_could_be_used(*n, first.as_ref().map(|first| (&*first.path, &*first.error))))]
    NothingUsable {
        /// How many pictures there were.
        n: usize,
        /// The first failure of this run.
        first: Option<Failure>,
    },
    /// A store's codes cannot be copied, because they differ from the requested ones.
    #[error("the codes of {} cannot be reused: {reason}", store.display())]
    Reuse {
        /// The store.
        store: PathBuf,
        /// How they differ.
        reason: String,
    },
    /// The decoders' threads could not be started.
    #[error("{0}")]
    Threads(#[from] ThreadsError),
    /// The watch stopped the job.
    #[error("{source}{}", kept.as_ref().map_or(String::new(), ToString::to_string))]
    Stopped {
        /// The stop.
        source: Stopped,
        /// What the next run resumes from, if any batch was finished.
        kept: Option<Kept>,
    },
    /// The job failed, but some of its work is kept.
    #[error("{source}{kept}")]
    Broken {
        /// The error that ended the job.
        source: Box<ExtractError>,
        /// What the next run resumes from.
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
    /// rayon's error.
    pub source: rayon::ThreadPoolBuildError,
}

/// Work that is on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The unfinished store.
    pub draft: PathBuf,
    /// Pictures finished.
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
