//! What stands where a directory is to be written.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::error::{DraftError, PathError, path_error};

/// What a published directory is, so that `--overwrite` replaces only its own kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// The kind, for messages: "store".
    pub name: &'static str,
    /// The file without which a directory is not of this kind: `store.json`. It is written when all
    /// that is needed is there.
    pub marker: &'static str,
}

/// What to do about a target that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Refuse, and leave it as it is.
    Keep,
    /// Replace it at the moment of publishing, and not before.
    Replace,
}

/// What stands at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing.
    Nothing,
    /// A folder with nothing in it, whose place may always be taken.
    EmptyFolder,
    /// A folder of the kind in question.
    OfKind,
    /// Another folder.
    OtherFolder,
    /// A file, a link or something stranger.
    NoFolder,
}

impl Found {
    /// What is at `path` itself: links are not followed.
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

/// Where a target really lies: a link to a folder means that folder, on its disk.
///
/// # Errors
/// [`DraftError::Dangling`] if `target`, or a folder above it, is a link to something that is not
/// there; [`DraftError::Io`] if a link cannot be followed.
pub fn resolve(target: &Path) -> Result<PathBuf, DraftError> {
    // Without a `/` at the end, which would follow a link.
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

/// Refuses a target whose place may not be taken.
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

/// `target` with something added to its name.
pub(super) fn beside(target: &Path, suffix: &str) -> PathBuf {
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    target.with_file_name(name)
}
