//! Why a store could not be written or opened.

use std::io;
use std::path::{Path, PathBuf};

use super::{MANIFEST, Pool, Shard};
use crate::files::DraftError;
use crate::files::npy::NpyError;

/// Why a store could not be written or opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The target exists already, or is not writable.
    #[error("{0}")]
    Draft(#[from] DraftError),
    /// A file could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// An unfinished store belongs to another job.
    #[error("{} holds {n_done} pictures of a run that was stopped, and this is not the same job: {difference}", dir.display())]
    OtherJob {
        /// The unfinished store.
        dir: PathBuf,
        /// Pictures that it has finished.
        n_done: usize,
        /// What differs.
        difference: String,
    },
    /// The directory has no store.json.
    #[error("{} is not a store: it has no {MANIFEST}", dir.display())]
    NotAStore {
        /// The directory.
        dir: PathBuf,
    },
    /// The codes have no height and width to pool over.
    #[error(
        "{} cannot be pooled by {wanted}: its codes have no height and width{}; extract the pictures again with \
         --pool none",
        dir.display(),
        if *pool == Pool::None { String::new() } else { format!(" any more, as they were pooled by {pool}") }
    )]
    Pooled {
        /// The directory.
        dir: PathBuf,
        /// The pooling of its codes.
        pool: Pool,
        /// The pooling asked for.
        wanted: Pool,
    },
    /// The codes do not consist of several layers, or this is not recorded.
    #[error(
        "the codes of {} are not of several layers that could be told apart; extract the pictures again, with \
         several layers side by side", dir.display()
    )]
    NoLayers {
        /// The directory.
        dir: PathBuf,
    },
    /// The store does not have the layer asked for.
    #[error("the codes of {} have no columns of {name}; those that can be taken, each once: {there}", dir.display())]
    NoLayer {
        /// The directory.
        dir: PathBuf,
        /// The layer asked for.
        name: String,
        /// The layers in the store.
        there: String,
    },
    /// Two stores cannot be used as one.
    #[error("{} and {} cannot be used together: {reason}", dir.display(), more.display())]
    Joined {
        /// The first.
        dir: PathBuf,
        /// The store to be added.
        more: PathBuf,
        /// What differs.
        reason: String,
    },
    /// The directory holds parts of different stores.
    #[error("{} cannot be used as one store: {reason}", dir.display())]
    Parts {
        /// The directory.
        dir: PathBuf,
        /// How two of them differ.
        reason: String,
    },
    /// The directory lacks some parts of the store.
    #[error("{} cannot be used as one store: {reason}", dir.display())]
    MissingParts {
        /// The directory.
        dir: PathBuf,
        /// Which parts are missing.
        reason: String,
    },
    /// A folder does not hold the part that its name states.
    #[error("{} cannot be used as one store: the folder {} {what}; put the right part there", dir.display(), part.folder())]
    MisplacedPart {
        /// The directory of all parts.
        dir: PathBuf,
        /// The part in the folder's name.
        part: Shard,
        /// What the folder holds, as a verb and its object.
        what: String,
    },
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A file was written to while it was in use, so its bytes may be old or new.
    #[error("{} was changed while it was in use; run this again once nothing writes to it any more", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// A file is damaged, or two files of the store contradict each other.
    #[error("{} cannot be used: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
        /// Whether the store is unfinished, so that its job may start again.
        is_unfinished: bool,
    },
}

impl StoreError {
    /// Makes an error of the system's error when `path` was written.
    pub(super) fn writing(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Write { path, source }
    }

    /// Makes an error for a file of an unfinished store that contradicts its journal, or cannot be
    /// opened.
    pub(super) fn reopening(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::NotFound => Self::Damaged {
                path,
                reason: source.to_string(),
                is_unfinished: true,
            },
            _ => Self::Write { path, source },
        }
    }

    /// Makes an error of the system's error when `path` was read.
    pub(super) fn reading(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Read { path, source }
    }

    /// Makes an error for a damaged file of a finished store.
    pub(super) fn damaged(path: &Path, reason: impl Into<String>) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            reason: reason.into(),
            is_unfinished: false,
        }
    }

    /// The same error, for a file of an unfinished store.
    pub(super) fn in_draft(self) -> Self {
        match self {
            Self::Damaged { path, reason, .. } => Self::Damaged {
                path,
                reason,
                is_unfinished: true,
            },
            error => error,
        }
    }

    /// Makes an error for an unusable .npy file of a finished store.
    pub(super) fn npy(path: &Path) -> impl FnOnce(NpyError) -> Self + use<> {
        let path = path.to_owned();
        move |error| match error {
            NpyError::Io(source) => Self::Read { path, source },
            error => Self::damaged(&path, error.to_string()),
        }
    }
}
