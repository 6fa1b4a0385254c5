//! What the file system said, and why a directory could not be written as a whole.

use std::io;
use std::path::{Path, PathBuf};

/// The file system said no.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {source}", path.display())]
pub struct PathError {
    /// What was tried, as a verb: "create".
    pub action: &'static str,
    /// The file or directory it was tried on.
    pub path: PathBuf,
    /// The system's error.
    pub source: io::Error,
}

/// Why a directory could not be written as a whole.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DraftError {
    /// The target is there already and was not to be replaced.
    #[error("{} exists already", target.display())]
    Exists {
        /// The directory that was kept.
        target: PathBuf,
    },
    /// The target is there, but is not the kind of directory that would be replaced.
    #[error("{} exists and is not a {kind} (it has no {marker})", target.display())]
    Foreign {
        /// The directory that was kept.
        target: PathBuf,
        /// What the target ought to be: "store".
        kind: &'static str,
        /// The file by which the kind is recognised.
        marker: &'static str,
    },
    /// Another process holds the draft.
    #[error("another process is writing {}", draft.display())]
    Busy {
        /// The draft in question.
        draft: PathBuf,
    },
    /// A directory that is not this program's stands where it has to write.
    #[error("{} is in the way and was not made by this program", path.display())]
    InTheWay {
        /// The directory, which was left alone.
        path: PathBuf,
    },
    /// The target's path does not end in a name, as `/` or `..`.
    #[error("{} names no directory that could be written", target.display())]
    Unnamed {
        /// The path as given.
        target: PathBuf,
    },
    /// The target, or a folder above it, is a link to something that is not there.
    #[error("{} is a link to {}, which is not there", link.display(), leads_to.display())]
    Dangling {
        /// The link.
        link: PathBuf,
        /// What it names.
        leads_to: PathBuf,
    },
    /// Something came to the target's place while the draft was filled.
    #[error("{} was put there by something else in the meantime, and was left as it is", target.display())]
    Appeared {
        /// What was left alone.
        target: PathBuf,
    },
    /// The directory is finished, but could not be put in its place.
    #[error("{why}; the finished {kind} is kept in {}: {}", kept.display(), advice(*goes_on))]
    Kept {
        /// Why it is not in its place.
        #[source]
        why: Box<DraftError>,
        /// What it is: "store".
        kind: &'static str,
        /// Where it lies.
        kept: PathBuf,
        /// Whether the same command puts it in its place.
        goes_on: bool,
    },
    /// The file system said no.
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

/// For `map_err`: an I/O error with what was tried, and on what.
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
