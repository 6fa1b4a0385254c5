//! A file that appears whole or not at all.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::lock::{has_name, remove_abandoned};
use super::sync::{parent, sync_directory};
use super::target::Existing;

/// How the names of files that are being written begin, and end.
const PREFIX: &str = ".cnn-codes-";
const SUFFIX: &str = ".partial";
/// Number of letters and digits between them.
const N_RANDOM: usize = 6;

/// A file that is written and synced beside its target. If dropped unpublished, it is removed. It
/// is locked; an unlocked one was left by a killed run.
#[derive(Debug)]
pub struct FileDraft {
    draft: NamedTempFile,
    target: PathBuf,
}

impl FileDraft {
    /// Writes `bytes` beside `target`, whose folder must exist. Files that killed runs left in that
    /// folder are removed first.
    ///
    /// # Errors
    /// The system's error; nothing is then left behind.
    pub fn write(target: &Path, bytes: &[u8]) -> io::Result<Self> {
        sweep(parent(target));
        Self::write_in(parent(target), target, bytes)
    }

    /// As [`FileDraft::write`], but in another folder on the same disk, whose old files are not
    /// removed.
    pub fn write_in(folder: &Path, target: &Path, bytes: &[u8]) -> io::Result<Self> {
        let mut draft = new_in(folder)?;
        draft.write_all(bytes)?;
        draft.as_file().sync_all()?;
        Ok(Self {
            draft,
            target: target.to_owned(),
        })
    }

    /// Gives the file its name.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] if the name exists and must be kept; otherwise the system's
    /// error. An existing file is then unchanged.
    pub fn publish(self, existing: Existing) -> io::Result<()> {
        let folder = parent(&self.target).to_owned();
        self.publish_unsynced(existing)?;
        // The rename is done; a folder that cannot be synced does not change that.
        let _ = sync_directory(&folder);
        Ok(())
    }

    /// As [`FileDraft::publish`], without syncing the folder: the caller publishes many files
    /// there, and syncs it once.
    pub fn publish_unsynced(self, existing: Existing) -> io::Result<()> {
        let published = match existing {
            Existing::Keep => self.draft.persist_noclobber(&self.target),
            Existing::Replace => self.draft.persist(&self.target),
        };
        published.map(drop).map_err(|error| error.error)
    }
}

/// A new, locked file, so that no other process removes it.
fn new_in(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX).suffix(SUFFIX).rand_bytes(N_RANDOM);
    // Readable like other files; temporary files are owner-only by default.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut is_lock_refused = false;
    loop {
        let draft = builder.tempfile_in(folder)?;
        match draft.as_file().try_lock() {
            // Another process may have removed it between the two steps.
            Err(fs::TryLockError::WouldBlock) => {}
            Ok(()) if !has_name(draft.as_file(), draft.path()) => {}
            // An error must not be taken for a file system without locks, where nothing is removed.
            Err(fs::TryLockError::Error(_)) if !is_lock_refused => is_lock_refused = true,
            Ok(()) | Err(fs::TryLockError::Error(_)) => return Ok(draft),
        }
    }
}

/// Removes the unfinished files in `folder` whose writers are dead. A failure is harmless.
pub fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(is_draft) {
            remove_abandoned(&entry.path());
        }
    }
}

fn is_draft(name: &str) -> bool {
    let random = name
        .strip_prefix(PREFIX)
        .and_then(|name| name.strip_suffix(SUFFIX));
    random.is_some_and(|random| {
        random.len() == N_RANDOM && random.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_or_kept() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("a.txt");
        let write = |bytes: &[u8]| FileDraft::write(&target, bytes).unwrap();
        write(b"first").publish(Existing::Keep).unwrap();
        let refused = write(b"second").publish(Existing::Keep).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        drop(write(b"never published"));
        assert_eq!(fs::read(&target).unwrap(), b"first");
        write(b"third").publish(Existing::Replace).unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"third");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_a_killed_run_left_is_swept_and_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("a.txt");
        let of_another_process = FileDraft::write(&target, b"1").unwrap();
        let others = [
            ".cnn-codes-abc.partial",
            ".cnn-codes-thesis.partial.txt",
            ".cnn-codes-my dear.partial",
            "cnn-codes-abc123.partial",
        ];
        for name in others.into_iter().chain([".cnn-codes-aB3xYz.partial"]) {
            fs::write(place.path().join(name), "half").unwrap();
        }
        FileDraft::write(&target, b"2")
            .unwrap()
            .publish(Existing::Keep)
            .unwrap();
        for name in others {
            assert!(place.path().join(name).exists(), "{name}");
        }
        assert!(!place.path().join(".cnn-codes-aB3xYz.partial").exists());
        of_another_process.publish(Existing::Replace).unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"1");
        assert_eq!(
            fs::read_dir(place.path()).unwrap().count(),
            1 + others.len()
        );
    }
}
