//! Why nothing was split.

use std::io;
use std::path::PathBuf;

use cnn_codes::progress::Stopped;
use cnn_codes_files::DraftError;

/// Why nothing was split. What was at DIR is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SplitError {
    /// The shares make no split.
    #[error(
        "the shares {train} for train, {validation} for validation and {test} for test are no split; at least two of them must be above 0, and their sum must be at most 1"
    )]
    Shares {
        /// Of train.
        train: f64,
        /// Of validation.
        validation: f64,
        /// Of test.
        test: f64,
    },
    /// The pictures have no labels.
    #[error("the pictures have no labels, so they cannot be dealt class by class")]
    Unlabelled,
    /// Classes that cannot be in every part.
    #[error("too few pictures for {n_parts} parts: {}; add pictures, or move these classes away", classes.join(", "))]
    TooSmall {
        /// The parts that have a share.
        n_parts: usize,
        /// The classes, with how many pictures in how many groups they have.
        classes: Vec<String>,
    },
    /// DIR is there already.
    #[error("{} exists already, and is left as it is", out.display())]
    Exists {
        /// The directory, which was left as it is.
        out: PathBuf,
    },
    /// DIR would lie among the pictures.
    #[error("{} lies in {}, whose pictures are split; the next search would find all of them twice", out.display(), images.display())]
    Inside {
        /// The directory that was to be made.
        out: PathBuf,
        /// The pictures.
        images: PathBuf,
    },
    /// A picture's path leads out of the folder that it is to be placed in.
    #[error(
        "the path '{path}' is absolute, or has a '..' in it: it would be placed outside of the parts; nothing was written"
    )]
    Path {
        /// The path.
        path: String,
    },
    /// DIR is not free or not writable.
    #[error("{0}")]
    Draft(#[from] DraftError),
    /// A picture could not be placed.
    #[error("cannot {action} {} to {}: {source}{}; nothing was left behind", from.display(), to.display(), advice(source))]
    Place {
        /// What was tried, as a verb.
        action: &'static str,
        /// The picture.
        from: PathBuf,
        /// Its new place.
        to: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A folder or the table could not be written.
    #[error("cannot write {}: {source}; nothing was left behind", path.display())]
    Write {
        /// The folder or the file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Its watch stopped it.
    #[error("{0} before all pictures were in their places; nothing was left behind")]
    Stopped(#[from] Stopped),
}

impl SplitError {
    pub(super) fn of_draft(error: DraftError) -> Self {
        match error {
            DraftError::Exists { target } => Self::Exists { out: target },
            error => error.into(),
        }
    }
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::CrossesDevices => " (hard links stay on one file system)",
        _ => "",
    }
}
