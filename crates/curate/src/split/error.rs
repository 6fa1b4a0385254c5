//! Why nothing was split.

use std::io;
use std::path::PathBuf;

use cnn_codes::progress::Stopped;
use cnn_codes_files::DraftError;

/// Why nothing was split. DIR is unchanged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SplitError {
    /// The shares do not form a split.
    #[error(
        "the shares {train} for train, {validation} for validation and {test} for test are no split; at least two of them must be above 0, and their sum must be at most 1"
    )]
    Shares {
        /// The share of train.
        train: f64,
        /// The share of validation.
        validation: f64,
        /// The share of test.
        test: f64,
    },
    /// The pictures have no labels.
    #[error("the pictures have no labels, so they cannot be dealt class by class")]
    Unlabelled,
    /// Some classes are too small for every part.
    #[error("too few pictures for {n_parts} parts: {}; add pictures, or move these classes away", classes.join(", "))]
    TooSmall {
        /// Number of parts with a share.
        n_parts: usize,
        /// The classes, with their numbers of pictures and groups.
        classes: Vec<String>,
    },
    /// DIR exists already.
    #[error("{} exists already, and is left as it is", out.display())]
    Exists {
        /// The directory, which was left unchanged.
        out: PathBuf,
    },
    /// DIR would lie among the pictures.
    #[error("{} lies in {}, whose pictures are split; the next search would find all of them twice", out.display(), images.display())]
    Inside {
        /// The directory to create.
        out: PathBuf,
        /// The folder of the pictures.
        images: PathBuf,
    },
    /// A picture's path leads out of the folder that it would be placed in.
    #[error(
        "the path '{path}' is absolute, or has a '..' in it: it would be placed outside of the parts; nothing was written"
    )]
    Path {
        /// The path.
        path: String,
    },
    /// DIR exists, is in use, or is not writable.
    #[error("{0}")]
    Draft(#[from] DraftError),
    /// A picture could not be placed.
    #[error("cannot {action} {} to {}: {source}{}; nothing was left behind", from.display(), to.display(), advice(source))]
    Place {
        /// The operation, as a verb.
        action: &'static str,
        /// The picture.
        from: PathBuf,
        /// Its new path.
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
    /// The watch stopped it.
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
