//! A directory that appears whole or not at all.
//!
//! A [`Draft`] is a directory `NAME.partial` beside the target. It is filled and then published in
//! one rename, so that a killed run, a full disk or a second process never leaves a target that is
//! half old and half new. A lock, which is released when its holder dies, prevents two processes
//! from filling the same draft. The draft of a killed run remains for the next run, which either
//! continues it ([`Draft::reopen`]) or starts again ([`Draft::begin`]).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::error::{DraftError, PathError, path_error};
use super::lock::{Lock, remove_abandoned};
use super::rename::rename_new;
use super::replacement::{put_back, put_in_place, remove_replaced, tidy, waiting};
use super::sync::{parent, sync_directory};
use super::target::{Existing, Found, Kind, beside, check_free, resolve};

/// Name of the lock file inside a draft; it is removed after the draft is published.
const LOCK: &str = ".lock";

/// How many kept directories may exist beside a target.
const MAX_KEPT: usize = 1000;

/// A directory that is being filled. If dropped unpublished, it is removed, unless [`Draft::keep`]
/// was called.
#[derive(Debug)]
pub struct Draft {
    target: PathBuf,
    path: PathBuf,
    kind: Kind,
    existing: Existing,
    /// Held while the draft is written to.
    lock: Option<Lock>,
    is_kept: bool,
    /// Whether a later run continues with the draft.
    goes_on: bool,
    kept_before: Option<PathBuf>,
}

impl Draft {
    /// Refuses a target that must not be replaced, and changes nothing. Call it before long work
    /// that ends in a draft.
    ///
    /// # Errors
    /// [`DraftError::Exists`], [`DraftError::Foreign`], [`DraftError::Dangling`] or
    /// [`DraftError::Io`].
    pub fn check(target: &Path, kind: Kind, existing: Existing) -> Result<(), DraftError> {
        check_free(&resolve(target)?, kind, existing)
    }

    /// Begins an empty draft for `target`, after checking that `target` can be written.
    ///
    /// If the target is a link to a folder, that folder is used. Missing parents are created. The
    /// draft of a killed run is deleted; if it was finished and only lacked its name, it is set
    /// aside ([`Draft::kept_before`]). A target that was moved away and not yet replaced is put
    /// back.
    ///
    /// # Errors
    /// [`DraftError::Exists`], [`DraftError::Foreign`], [`DraftError::Dangling`],
    /// [`DraftError::Busy`] or [`DraftError::InTheWay`] if `target` or a directory needed beside it
    /// exists or is in use, [`DraftError::Io`] if the place is not writable.
    pub fn begin(target: &Path, kind: Kind, existing: Existing) -> Result<Self, DraftError> {
        let mut draft = Self::open(target, kind, existing)?;
        if draft.path.join(kind.marker).is_file() {
            let kept = draft.set_aside();
            draft = Self::open(target, kind, existing)?;
            draft.kept_before = Some(kept);
        }
        draft.clear()?;
        Ok(draft)
    }

    /// As [`Draft::begin`], but keeps what a killed run left in the draft.
    ///
    /// # Errors
    /// As [`Draft::begin`].
    pub fn reopen(target: &Path, kind: Kind, existing: Existing) -> Result<Self, DraftError> {
        let mut draft = Self::open(target, kind, existing)?;
        draft.goes_on = true;
        Ok(draft)
    }

    fn open(target: &Path, kind: Kind, existing: Existing) -> Result<Self, DraftError> {
        let target = resolve(target)?;
        if target.file_name().is_none() {
            return Err(DraftError::Unnamed { target });
        }
        tidy(&target, kind);
        if Found::at(&target, kind)? == Found::OfKind {
            // Left by a run that was killed just after publishing.
            remove_abandoned(&target.join(LOCK));
        }
        check_free(&target, kind, existing)?;
        let path = beside(&target, ".partial");
        let is_filled = is_filled_draft(&path)?;
        fs::create_dir_all(&path).map_err(path_error("create", &path))?;
        let Some(lock) = Lock::try_take(&path.join(LOCK))? else {
            return Err(DraftError::Busy { draft: path });
        };
        let mut draft = Self {
            target,
            path,
            kind,
            existing,
            lock: Some(lock),
            // An error here must not lose the work of an earlier run.
            is_kept: is_filled,
            goes_on: false,
            kept_before: None,
        };
        put_back(&draft.target, kind)?;
        check_free(&draft.target, kind, existing)?;
        draft.is_kept = false;
        Ok(draft)
    }

    /// Removes everything in the draft.
    ///
    /// # Errors
    /// [`DraftError::Io`].
    pub fn clear(&self) -> Result<(), DraftError> {
        Ok(clear(&self.path)?)
    }

    /// From now on the draft outlives this value, so that a later run can continue it.
    pub fn keep(&mut self) {
        self.is_kept = true;
    }

    /// Removes the draft, even after [`Draft::keep`].
    pub fn discard(mut self) {
        self.is_kept = false;
    }

    /// Syncs the draft's list of files, and the draft itself.
    ///
    /// # Errors
    /// [`DraftError::Io`].
    pub fn sync(&self) -> Result<(), DraftError> {
        sync_directory(&self.path)?;
        Ok(sync_directory(parent(&self.path))?)
    }

    /// The folder to write files into.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path where the draft is published. If a link was given, this is the folder that it
    /// points to.
    #[must_use]
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Where [`Draft::begin`] has set aside the draft of a killed run, if that was finished and
    /// only lacked its name. Report it to the user.
    #[must_use]
    pub fn kept_before(&self) -> Option<&Path> {
        self.kept_before.as_deref()
    }

    /// Whether publishing would replace an existing target.
    #[must_use]
    pub fn replaces(&self) -> bool {
        let found = Found::at(&self.target, self.kind);
        self.existing == Existing::Replace && found.is_ok_and(|found| found == Found::OfKind)
    }

    /// Makes the draft the target: with one rename, or with two that can be undone if a target is
    /// replaced.
    ///
    /// The caller has synced the files' contents; this syncs the directories. A file or folder that
    /// appeared at the target's path in the meantime is never replaced.
    ///
    /// # Errors
    /// [`DraftError::Kept`], which says where the finished directory is; the target is then
    /// unchanged.
    pub fn publish(mut self) -> Result<(), DraftError> {
        let replaced = match self.take_place() {
            Ok(replaced) => replaced,
            Err(why) => return Err(self.kept_because(why)),
        };
        self.is_kept = true;
        // The target is in place. A failure to tidy up does not change that, and the next run tries
        // again. The lock is removed last, and only now, so that no second process could take it
        // before the rename.
        if replaced {
            let _ = remove_replaced(&self.target);
        }
        let _ = fs::remove_file(self.target.join(LOCK));
        let _ = sync_directory(parent(&self.target));
        Ok(())
    }

    /// Whether an old directory was replaced, and must be removed.
    fn take_place(&mut self) -> Result<bool, DraftError> {
        self.sync()?;
        self.let_rename();
        let appeared = || DraftError::Appeared {
            target: self.target.clone(),
        };
        match Found::at(&self.target, self.kind)? {
            Found::Nothing => {}
            // Fails, as it must, if something has appeared in it.
            Found::EmptyFolder => {
                fs::remove_dir(&self.target).map_err(path_error("replace", &self.target))?;
            }
            Found::OfKind if self.existing == Existing::Replace => {
                self.replace()?;
                return Ok(true);
            }
            Found::OfKind | Found::OtherFolder | Found::NoFolder => return Err(appeared()),
        }
        rename_new(&self.path, &self.target).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => appeared(),
            _ => path_error("create", &self.target)(source).into(),
        })?;
        Ok(false)
    }

    fn replace(&self) -> Result<(), DraftError> {
        let aside = waiting(&self.target);
        if Found::at(&aside, self.kind)? != Found::Nothing {
            return Err(DraftError::InTheWay { path: aside });
        }
        put_in_place(&self.path, &self.target, &aside, |old| {
            // Checked again, now that nobody can exchange it by its name.
            match Found::at(old, self.kind)? {
                Found::OfKind => Ok(()),
                _ => Err(DraftError::Appeared {
                    target: self.target.clone(),
                }),
            }
        })
    }

    /// Keeps finished, unpublished work where no later run changes it, and returns its path: in the
    /// draft if the same command continues it, else in a directory `NAME.kept`.
    #[must_use]
    pub fn set_aside(mut self) -> PathBuf {
        self.is_kept = true;
        let _ = self.sync();
        if self.goes_on {
            return self.path.clone();
        }
        self.let_rename();
        for number in 1..=MAX_KEPT {
            let suffix = match number {
                1 => ".kept".to_owned(),
                _ => format!(".kept-{number}"),
            };
            let kept = beside(&self.target, &suffix);
            match rename_new(&self.path, &kept) {
                Ok(()) => {
                    let _ = fs::remove_file(kept.join(LOCK));
                    return kept;
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(_) => break,
            }
        }
        // Without its lock, the draft must not be deleted by anyone.
        let _ = fs::remove_file(self.path.join(LOCK));
        self.path.clone()
    }

    fn kept_because(self, why: DraftError) -> DraftError {
        if !self.path.is_dir() {
            // Another process has removed it.
            return why;
        }
        DraftError::Kept {
            why: Box::new(why),
            kind: self.kind.name,
            goes_on: self.goes_on,
            kept: self.set_aside(),
        }
    }

    /// Windows cannot rename a directory that holds an open file.
    fn let_rename(&mut self) {
        if cfg!(windows) {
            self.lock.take();
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_kept {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Whether there is work in `path`; refuses a directory that is not a draft of this program.
fn is_filled_draft(path: &Path) -> Result<bool, DraftError> {
    // Through a link, another directory could be emptied.
    let is_directory = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        metadata => metadata.map_err(path_error("read", path))?.is_dir(),
    };
    let names: Vec<_> = fs::read_dir(path)
        .map(|entries| entries.flatten().map(|entry| entry.file_name()).collect())
        .unwrap_or_default();
    if !is_directory || !names.is_empty() && !path.join(LOCK).is_file() {
        return Err(DraftError::InTheWay {
            path: path.to_owned(),
        });
    }
    Ok(names.iter().any(|name| name != LOCK))
}

/// Removes everything but the lock.
fn clear(draft: &Path) -> Result<(), PathError> {
    for entry in fs::read_dir(draft).map_err(path_error("read", draft))? {
        let path = entry.map_err(path_error("read", draft))?.path();
        if path.ends_with(LOCK) {
            continue;
        }
        let removed = if path.is_dir() {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
        removed.map_err(path_error("remove", &path))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
