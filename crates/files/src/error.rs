//! Errors of the file system, and why a directory could not be written as a whole.

use std::io;
use std::path::{Path, PathBuf};

/// A file system operation failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {source}", path.display())]
pub struct PathError {
    /// The operation, as a verb: "create".
    pub action: &'static str,
    /// The file or directory.
    pub path: PathBuf,
    /// The system's error.
    pub source: io::Error,
}

/// Why a directory could not be written as a whole.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DraftError {
    /// The target exists and must not be replaced.
    #[error("{} exists already", target.display())]
    Exists {
        /// The directory that was kept.
        target: PathBuf,
    },
    /// The target exists, but is not the kind of directory that may be replaced.
    #[error("{} exists and is not a {kind} (it has no {marker})", target.display())]
    Foreign {
        /// The directory that was kept.
        target: PathBuf,
        /// The expected kind: "store".
        kind: &'static str,
        /// The file by which the kind is recognised.
        marker: &'static str,
    },
    /// Another process uses the draft.
    #[error("another process is writing {}", draft.display())]
    Busy {
        /// The draft.
        draft: PathBuf,
    },
    /// A foreign directory is at a path that must be written.
    #[error("{} is in the way and was not made by this program", path.display())]
    InTheWay {
        /// The directory, which was left alone.
        path: PathBuf,
    },
    /// The target's path does not end in a name; for example `/` or `..`.
    #[error("{} names no directory that could be written", target.display())]
    Unnamed {
        /// The path as given.
        target: PathBuf,
    },
    /// The target, or a folder above it, is a link to a missing path.
    #[error("{} is a link to {}, which is not there", link.display(), leads_to.display())]
    Dangling {
        /// The link.
        link: PathBuf,
        /// The path that the link names.
        leads_to: PathBuf,
    },
    /// Something appeared at the target's path while the draft was filled.
    #[error("{} was put there by something else in the meantime, and was left as it is", target.display())]
    Appeared {
        /// The path, which was left alone.
        target: PathBuf,
    },
    /// The directory is finished, but could not be put in its place.
    #[error("{why}; the finished {kind} is kept in {}: {}", kept.display(), advice(*goes_on))]
    Kept {
        /// Why it was not put in its place.
        #[source]
        why: Box<DraftError>,
        /// Its kind: "store".
        kind: &'static str,
        /// Its path.
        kept: PathBuf,
        /// Whether the same command can put it in its place.
        goes_on: bool,
    },
    /// A file system operation failed.
    #[error("{0}")]
    Io(#[from] PathError),
}

fn advice(goes_on: bool) -> &'static str {
    if goes_on {
        "once that is mended, the same command puts it in its place"
    } else {
        "move it where you want it"
    }
}

/// For `map_err`: an I/O error with the operation and its path.
pub fn path_error(
    action: &'static str,
    path: &Path,
) -> impl FnOnce(io::Error) -> PathError + use<> {
    let path = path.to_owned();
    move |source| PathError {
        action,
        path,
        source,
    }
}
