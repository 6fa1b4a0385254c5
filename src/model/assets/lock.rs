//! One fetch at a time, and no rubbish after a killed one.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::error::{AssetError, io_error};
use crate::files::Lock;

/// The lock's file; it stays, as removing it would let two processes lock two files.
const LOCK_FILE: &str = ".fetch.lock";
/// How the names of temporary directories begin. Who holds the lock may remove them.
const SCRATCH_PREFIX: &str = ".fetch-";

/// The right to change a models directory, until it is dropped or the process dies.
#[derive(Debug)]
pub(super) struct FetchLock {
    models: PathBuf,
    _lock: Lock,
}

impl FetchLock {
    /// Waits for other fetches to end, saying so, and removes what killed ones left behind.
    pub(super) fn acquire(models: &Path, say: &mut dyn FnMut(&str)) -> Result<Self, AssetError> {
        fs::create_dir_all(models).map_err(io_error("create", models))?;
        let path = models.join(LOCK_FILE);
        let taken = Lock::take(&path, || {
            say(&format!(
                "another fetch is at work in {}; waiting for it",
                models.display()
            ));
        })?;
        let lock = Self {
            models: models.to_owned(),
            _lock: taken,
        };
        lock.sweep(say)?;
        Ok(lock)
    }

    /// A directory beside the assets, from which a rename puts them in place.
    pub(super) fn scratch(&self) -> Result<TempDir, AssetError> {
        let mut builder = tempfile::Builder::new();
        (builder.prefix(SCRATCH_PREFIX).tempdir_in(&self.models))
            .map_err(io_error("create a directory in", &self.models))
    }

    fn sweep(&self, say: &mut dyn FnMut(&str)) -> Result<(), AssetError> {
        let read = io_error("read", &self.models);
        for entry in fs::read_dir(&self.models).map_err(read)? {
            let path = entry.map_err(io_error("read", &self.models))?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            if path.is_dir() && name.is_some_and(|name| name.starts_with(SCRATCH_PREFIX)) {
                say(&format!(
                    "removing {}, which an interrupted fetch left",
                    path.display()
                ));
                // The killed fetch's pip may live on and still write there; then the next one removes it.
                let _ = fs::remove_dir_all(&path);
            }
        }
        Ok(())
    }
}
