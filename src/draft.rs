//! A directory that appears whole or not at all.
//!
//! A [`Draft`] is a directory `NAME.partial` beside the target. It is filled in peace and then
//! published in one rename, so that a killed run, a full disk or a second process never leaves a
//! target that is half old and half new. A lock, which dies with its holder, keeps two processes
//! from filling the same draft. What a killed run left in its draft is there for the next run,
//! which either goes on with it ([`Draft::reopen`]) or not ([`Draft::begin`]).

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// Name of the lock file inside a draft; it is removed once the draft is published.
const LOCK: &str = ".lock";

/// Why a directory could not be written as a whole.
#[derive(Debug, thiserror::Error)]
pub enum DraftError {
    /// The target is there already and was not to be replaced.
    #[error("{} exists already; give --overwrite to replace it, or another --out", target.display())]
    Exists {
        /// The directory that was kept.
        target: PathBuf,
    },
    /// The target is there, but is not the kind of directory that would be replaced.
    #[error("{} exists and is not {kind} (it has no {marker}), so --overwrite does not touch it; choose another --out", target.display())]
    Foreign {
        /// The directory that was kept.
        target: PathBuf,
        /// What the target ought to be, with its article: "a store".
        kind: &'static str,
        /// The file by which the kind is recognised.
        marker: &'static str,
    },
    /// Another process holds the draft.
    #[error("another process is writing {}; wait for it to end, or choose another --out", draft.display())]
    Busy {
        /// The draft in question.
        draft: PathBuf,
    },
    /// A directory that is not this program's stands where it has to write.
    #[error("{} is in the way and was not made by this program; move it, or choose another --out", path.display())]
    InTheWay {
        /// The directory, which was left alone.
        path: PathBuf,
    },
    /// The target's path does not end in a name, as `/` or `..`.
    #[error("{} names no directory that could be written; give --out a name of its own", target.display())]
    Unnamed {
        /// The path as given.
        target: PathBuf,
    },
    /// The file system said no.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb: "create".
        action: &'static str,
        /// The file or directory it was tried on.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
}

/// What a published directory is, so that `--overwrite` replaces only its own kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// The kind with its article, for messages: "a store".
    pub name: &'static str,
    /// The file without which a directory is not of this kind: `store.json`.
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

/// A directory being filled. Dropped unpublished, it is removed, unless it was to be kept.
#[derive(Debug)]
pub struct Draft {
    target: PathBuf,
    path: PathBuf,
    /// Open for as long as the draft is locked.
    lock: Option<File>,
    is_kept: bool,
}

impl Draft {
    /// Begins an empty draft for `target`, after checking that `target` may be written.
    ///
    /// Missing parents are created. What a killed run left in the draft is thrown away; a target
    /// that it had moved away and not yet replaced is put back.
    ///
    /// # Errors
    /// [`DraftError::Exists`], [`DraftError::Foreign`], [`DraftError::Busy`] or
    /// [`DraftError::InTheWay`] if `target` or a directory needed beside it is not free,
    /// [`DraftError::Io`] if the place is not writable.
    pub fn begin(target: &Path, kind: Kind, existing: Existing) -> Result<Self, DraftError> {
        let draft = Self::reopen(target, kind, existing)?;
        draft.clear()?;
        Ok(draft)
    }

    /// As [`Draft::begin`], but what a killed run left in the draft is still there.
    ///
    /// # Errors
    /// As [`Draft::begin`].
    pub fn reopen(target: &Path, kind: Kind, existing: Existing) -> Result<Self, DraftError> {
        let name = target.file_name().ok_or_else(|| DraftError::Unnamed {
            target: target.to_owned(),
        })?;
        restore(target, &replaced_path(target), kind)?;
        check_free(target, kind, existing)?;
        let path = target.with_file_name(suffixed(name, ".partial"));
        if is_filled(&path) && !path.join(LOCK).is_file() {
            return Err(DraftError::InTheWay { path });
        }
        fs::create_dir_all(&path).map_err(io_error("create", &path))?;
        let lock = lock(&path)?;
        Ok(Self {
            target: target.to_owned(),
            path,
            lock: Some(lock),
            is_kept: false,
        })
    }

    /// Removes all that is in the draft.
    ///
    /// # Errors
    /// [`DraftError::Io`].
    pub fn clear(&self) -> Result<(), DraftError> {
        clear(&self.path)
    }

    /// From now on the draft outlives this value, for a later run to go on with.
    pub fn keep(&mut self) {
        self.is_kept = true;
    }

    /// Removes the draft, also if it was to be kept.
    pub fn discard(mut self) {
        self.is_kept = false;
    }

    /// Makes the draft's list of files, and the draft itself, as durable as the files are.
    ///
    /// # Errors
    /// [`DraftError::Io`].
    pub fn sync(&self) -> Result<(), DraftError> {
        sync_directory(&self.path)?;
        sync_directory(parent(&self.path))
    }

    /// Where to put the files.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the draft the target: one rename, or two with a way back where a target is replaced.
    ///
    /// The caller has synced the files' contents; this syncs the directories.
    ///
    /// # Errors
    /// [`DraftError::Io`]; the old target is then still in place.
    pub fn publish(mut self) -> Result<(), DraftError> {
        self.sync()?;
        if cfg!(windows) {
            // Windows renames no directory that holds an open file.
            self.lock.take();
        }
        if self.target.exists() {
            self.replace()?;
        } else {
            fs::rename(&self.path, &self.target).map_err(io_error("create", &self.target))?;
        }
        self.is_kept = true;
        // Only now, so that no second process can take the lock before the rename.
        let lock = self.target.join(LOCK);
        fs::remove_file(&lock).map_err(io_error("remove", &lock))?;
        sync_directory(parent(&self.target))
    }

    fn replace(&self) -> Result<(), DraftError> {
        let old = replaced_path(&self.target);
        if old.exists() {
            fs::remove_dir_all(&old).map_err(io_error("remove", &old))?;
        }
        fs::rename(&self.target, &old).map_err(io_error("move away", &self.target))?;
        if let Err(source) = fs::rename(&self.path, &self.target) {
            let _ = fs::rename(&old, &self.target);
            return Err(io_error("replace", &self.target)(source));
        }
        fs::remove_dir_all(&old).map_err(io_error("remove", &old))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_kept {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// The directory that `path` lies in.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Where a target waits while it is being replaced.
fn replaced_path(target: &Path) -> PathBuf {
    target.with_file_name(suffixed(
        target.file_name().unwrap_or_default(),
        ".replaced",
    ))
}

/// Puts back a target that a run moved away before it was killed.
fn restore(target: &Path, old: &Path, kind: Kind) -> Result<(), DraftError> {
    if !old.exists() {
        return Ok(());
    }
    if !old.join(kind.marker).is_file() {
        return Err(DraftError::InTheWay {
            path: old.to_owned(),
        });
    }
    if target.exists() {
        return Ok(());
    }
    fs::rename(old, target).map_err(io_error("put back", target))
}

fn is_filled(directory: &Path) -> bool {
    fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_some())
}

/// Removes the lock that stays in a target when the run that published it was killed just then.
fn tidy(target: &Path, kind: Kind) {
    let lock = target.join(LOCK);
    let is_abandoned = target.join(kind.marker).is_file()
        && File::open(&lock).is_ok_and(|file| file.try_lock().is_ok());
    if is_abandoned {
        // Harmless where it cannot be removed: readers do not look at it.
        let _ = fs::remove_file(&lock);
    }
}

fn check_free(target: &Path, kind: Kind, existing: Existing) -> Result<(), DraftError> {
    tidy(target, kind);
    let target = target.to_owned();
    let entries = match fs::read_dir(&target) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            let Kind { name: kind, marker } = kind;
            return Err(DraftError::Foreign {
                target,
                kind,
                marker,
            });
        }
        Err(source) => return Err(io_error("read", &target)(source)),
    };
    if entries.count() == 0 {
        return Ok(());
    }
    match existing {
        Existing::Keep => Err(DraftError::Exists { target }),
        Existing::Replace if target.join(kind.marker).is_file() => Ok(()),
        Existing::Replace => {
            let Kind { name: kind, marker } = kind;
            Err(DraftError::Foreign {
                target,
                kind,
                marker,
            })
        }
    }
}

fn lock(draft: &Path) -> Result<File, DraftError> {
    let path = draft.join(LOCK);
    let file = File::create(&path).map_err(io_error("create", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(DraftError::Busy {
            draft: draft.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(io_error("lock", &path)(source)),
    }
}

/// Removes everything but the lock.
fn clear(draft: &Path) -> Result<(), DraftError> {
    for entry in fs::read_dir(draft).map_err(io_error("read", draft))? {
        let path = entry.map_err(io_error("read", draft))?.path();
        if path.ends_with(LOCK) {
            continue;
        }
        let removed = if path.is_dir() {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
        removed.map_err(io_error("remove", &path))?;
    }
    Ok(())
}

pub(crate) fn sync_directory(path: &Path) -> Result<(), DraftError> {
    // Windows opens no directories as files, and needs no such sync.
    if cfg!(unix) {
        File::open(path)
            .and_then(|directory| directory.sync_all())
            .map_err(io_error("sync", path))?;
    }
    Ok(())
}

fn suffixed(name: &std::ffi::OsStr, suffix: &str) -> OsString {
    let mut suffixed = name.to_owned();
    suffixed.push(suffix);
    suffixed
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DraftError {
    let path = path.to_owned();
    move |source| DraftError::Io {
        action,
        path,
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOX: Kind = Kind {
        name: "a box",
        marker: "box.json",
    };

    fn publish(target: &Path, content: &str, existing: Existing) -> Result<(), DraftError> {
        let draft = Draft::begin(target, BOX, existing)?;
        fs::write(draft.path().join("box.json"), content).unwrap();
        draft.publish()
    }

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_published_draft_leaves_only_the_target() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("a/b");
        publish(&target, "1", Existing::Keep).unwrap();
        assert_eq!(names(&target), ["box.json"]);
        assert_eq!(names(target.parent().unwrap()), ["b"]);
    }

    #[test]
    fn an_existing_target_is_kept_unless_told_to_replace() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("b");
        publish(&target, "1", Existing::Keep).unwrap();
        let refused = publish(&target, "2", Existing::Keep).unwrap_err();
        assert!(matches!(refused, DraftError::Exists { .. }));
        assert_eq!(fs::read_to_string(target.join("box.json")).unwrap(), "1");
        publish(&target, "2", Existing::Replace).unwrap();
        assert_eq!(fs::read_to_string(target.join("box.json")).unwrap(), "2");
        assert_eq!(names(place.path()), ["b"]);
    }

    #[test]
    fn a_directory_of_another_kind_is_never_replaced() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("pictures");
        fs::create_dir(&target).unwrap();
        fs::write(target.join("dear.jpg"), "x").unwrap();
        let refused = publish(&target, "1", Existing::Replace).unwrap_err();
        assert!(matches!(refused, DraftError::Foreign { .. }), "{refused}");
        assert_eq!(names(&target), ["dear.jpg"]);
    }

    #[test]
    fn an_unpublished_draft_leaves_nothing_and_keeps_the_target() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("b");
        publish(&target, "1", Existing::Keep).unwrap();
        let draft = Draft::begin(&target, BOX, Existing::Replace).unwrap();
        fs::write(draft.path().join("box.json"), "half").unwrap();
        drop(draft);
        assert_eq!(fs::read_to_string(target.join("box.json")).unwrap(), "1");
        assert_eq!(names(place.path()), ["b"]);
    }

    #[test]
    fn two_drafts_of_one_target_exclude_each_other() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("b");
        let first = Draft::begin(&target, BOX, Existing::Keep).unwrap();
        let refused = Draft::begin(&target, BOX, Existing::Keep).unwrap_err();
        assert!(matches!(refused, DraftError::Busy { .. }), "{refused}");
        drop(first);
        Draft::begin(&target, BOX, Existing::Keep).unwrap();
    }

    #[test]
    fn what_a_killed_run_left_is_thrown_away() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("b");
        fs::create_dir(place.path().join("b.partial")).unwrap();
        fs::write(place.path().join("b.partial/stale"), "x").unwrap();
        fs::write(place.path().join("b.partial").join(LOCK), "").unwrap();
        publish(&target, "1", Existing::Keep).unwrap();
        assert_eq!(names(&target), ["box.json"]);
    }

    #[test]
    fn a_kept_draft_is_there_for_the_next_run() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("b");
        let mut draft = Draft::begin(&target, BOX, Existing::Keep).unwrap();
        fs::write(draft.path().join("half"), "1").unwrap();
        draft.keep();
        drop(draft);
        let draft = Draft::reopen(&target, BOX, Existing::Keep).unwrap();
        assert_eq!(fs::read_to_string(draft.path().join("half")).unwrap(), "1");
        drop(draft);
        assert!(names(place.path()).is_empty(), "an unkept one is removed");
    }

    #[test]
    fn a_lock_left_in_a_published_target_is_tidied_away() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("b");
        publish(&target, "1", Existing::Keep).unwrap();
        fs::write(target.join(LOCK), "").unwrap();
        publish(&target, "2", Existing::Keep).unwrap_err();
        assert_eq!(names(&target), ["box.json"]);
    }

    #[test]
    fn a_users_own_directory_beside_the_target_is_left_alone() {
        for name in ["b.partial", "b.replaced"] {
            let place = tempfile::tempdir().unwrap();
            let target = place.path().join("b");
            publish(&target, "1", Existing::Keep).unwrap();
            fs::create_dir(place.path().join(name)).unwrap();
            fs::write(place.path().join(name).join("thesis.txt"), "dear").unwrap();
            let refused = publish(&target, "2", Existing::Replace).unwrap_err();
            assert!(matches!(refused, DraftError::InTheWay { .. }), "{refused}");
            assert_eq!(names(&place.path().join(name)), ["thesis.txt"]);
            assert_eq!(fs::read_to_string(target.join("box.json")).unwrap(), "1");
        }
    }

    #[test]
    fn a_target_that_was_moved_away_when_a_run_was_killed_is_put_back() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("b");
        publish(&target, "1", Existing::Keep).unwrap();
        fs::rename(&target, place.path().join("b.replaced")).unwrap();
        let refused = publish(&target, "2", Existing::Keep).unwrap_err();
        assert!(matches!(refused, DraftError::Exists { .. }), "{refused}");
        assert_eq!(fs::read_to_string(target.join("box.json")).unwrap(), "1");
        assert_eq!(names(place.path()), ["b"]);
    }
}
