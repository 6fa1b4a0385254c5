//! What exists at the path of a directory to be written.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::error::{DraftError, PathError, path_error};

/// The kind of a published directory, so that `--overwrite` only replaces its own kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// The kind, for messages: "store".
    pub name: &'static str,
    /// The file that makes a directory one of this kind: `store.json`. It is written after
    /// everything else that is needed.
    pub marker: &'static str,
}

/// What to do about an existing target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Refuse, and leave it unchanged.
    Keep,
    /// Replace it, but only when the draft is published.
    Replace,
}

/// What exists at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing.
    Nothing,
    /// An empty folder, which may always be replaced.
    EmptyFolder,
    /// A folder of this kind.
    OfKind,
    /// Another folder.
    OtherFolder,
    /// A file, a link, or anything else.
    NoFolder,
}

impl Found {
    /// What is at `path` itself, without following links.
    pub(super) fn at(path: &Path, kind: Kind) -> Result<Self, PathError> {
        let metadata = match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::Nothing),
            metadata => metadata.map_err(path_error("read", path))?,
        };
        if !metadata.is_dir() {
            return Ok(Self::NoFolder);
        }
        let mut entries = fs::read_dir(path).map_err(path_error("read", path))?;
        Ok(if entries.next().is_none() {
            Self::EmptyFolder
        } else if path.join(kind.marker).is_file() {
            Self::OfKind
        } else {
            Self::OtherFolder
        })
    }
}

/// The real path of a target: a link to a folder is replaced by that folder, on its own disk.
///
/// # Errors
/// [`DraftError::Dangling`] if `target`, or a folder above it, is a link to a missing path;
/// [`DraftError::Io`] if a link cannot be followed.
pub fn resolve(target: &Path) -> Result<PathBuf, DraftError> {
    // Without a trailing `/`, which would follow a link.
    let target: PathBuf = target.components().collect();
    let is_link =
        |path: &Path| fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink());
    let is_missing = |path: &Path| {
        fs::metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    };
    if let Some(link) = (target.ancestors()).find(|path| is_link(path) && is_missing(path)) {
        let leads_to = fs::read_link(link).map_err(path_error("read", link))?;
        return Err(DraftError::Dangling {
            link: link.to_owned(),
            leads_to,
        });
    }
    if !is_link(&target) {
        return Ok(target);
    }
    Ok(fs::canonicalize(&target).map_err(path_error("read", &target))?)
}

/// Refuses a target that must not be replaced.
pub(super) fn check_free(target: &Path, kind: Kind, existing: Existing) -> Result<(), DraftError> {
    let owned = target.to_owned();
    match (Found::at(target, kind)?, existing) {
        (Found::Nothing | Found::EmptyFolder, _) | (Found::OfKind, Existing::Replace) => Ok(()),
        (Found::OfKind | Found::OtherFolder, Existing::Keep) => {
            Err(DraftError::Exists { target: owned })
        }
        (Found::OtherFolder, Existing::Replace) | (Found::NoFolder, _) => {
            Err(DraftError::Foreign {
                target: owned,
                kind: kind.name,
                marker: kind.marker,
            })
        }
    }
}

/// `target` with a suffix added to its name.
pub(super) fn beside(target: &Path, suffix: &str) -> PathBuf {
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    target.with_file_name(name)
}
