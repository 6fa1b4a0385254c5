//! A lock that is released when its holder dies, on a file with no other use.

use std::fs::{self, File, TryLockError};
use std::path::Path;

use super::error::{PathError, path_error};
use super::open::open_itself;

/// An exclusive lock, held until it is dropped or the process dies.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock; `None` if another process holds it.
    pub fn try_take(path: &Path) -> Result<Option<Self>, PathError> {
        let file = open(path)?;
        match file.try_lock() {
            // Its holder may just have removed the file, and a third process may have created
            // another.
            Ok(()) if !has_name(&file, path) => Ok(None),
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(path_error("lock", path)(source)),
        }
    }

    /// Takes the lock; if another process holds it, calls `wait` and waits. For files that are not
    /// removed.
    pub fn take(path: &Path, wait: impl FnOnce()) -> Result<Self, PathError> {
        if let Some(lock) = Self::try_take(path)? {
            return Ok(lock);
        }
        wait();
        let file = open(path)?;
        file.lock().map_err(path_error("lock", path))?;
        Ok(Self { _file: file })
    }
}

fn open(path: &Path) -> Result<File, PathError> {
    let mut options = File::options();
    let options = options.write(true).create(true).truncate(false);
    open_itself(path, options).map_err(path_error("open", path))
}

/// Removes a file that its maker holds locked, unless the maker is alive. A failure is harmless.
pub(super) fn remove_abandoned(path: &Path) {
    let Ok(file) = open_itself(path, File::options().read(true)) else {
        return;
    };
    if file.try_lock().is_ok() {
        let _ = fs::remove_file(path);
    }
}

/// Whether `path` is still the name of `file`.
pub(super) fn has_name(file: &File, path: &Path) -> bool {
    let (Ok(ours), Ok(named)) = (file.metadata(), fs::symlink_metadata(path)) else {
        return false;
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        (ours.dev(), ours.ino()) == (named.dev(), named.ino())
    }
    #[cfg(not(unix))]
    {
        ours.is_file() && named.is_file()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_has_the_lock_and_what_is_in_its_file_stays() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("lock");
        fs::write(&path, "dear").unwrap();
        let first = Lock::try_take(&path).unwrap().unwrap();
        assert!(Lock::try_take(&path).unwrap().is_none());
        remove_abandoned(&path);
        assert_eq!(fs::read_to_string(&path).unwrap(), "dear");
        drop(first);
        Lock::take(&path, || panic!("nobody has it")).unwrap();
        remove_abandoned(&path);
        assert!(!path.exists());
    }

    #[cfg(unix)]
    #[test]
    fn a_lock_on_a_file_that_was_removed_is_none() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("lock");
        let file = open(&path).unwrap();
        assert!(has_name(&file, &path));
        fs::remove_file(&path).unwrap();
        assert!(!has_name(&file, &path));
        // Not in the same place on the disk, which would give it the same number.
        let _other = open(&place.path().join("other")).unwrap();
        open(&path).unwrap();
        assert!(!has_name(&file, &path));
    }
}
