//! One fetch at a time, and no rubbish after a killed one.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use cnn_codes_files::Lock;
use tempfile::TempDir;

use super::error::{AssetError, io_error};

/// The lock's file; it stays, as removing it would let two processes lock two files.
const LOCK_FILE: &str = ".fetch.lock";
/// How the names of temporary directories begin. Who holds the lock may remove them.
const SCRATCH_PREFIX: &str = ".fetch-";
/// Letters and digits after that.
const N_RANDOM: usize = 6;

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

    /// Removes what killed fetches left behind, for those who have nothing to fetch. Harmless where
    /// it fails, as in a directory that cannot be written to; a fetch at work is not waited for.
    pub(super) fn tidy(models: &Path, say: &mut dyn FnMut(&str)) {
        if !scratches(models).is_ok_and(|left| !left.is_empty()) {
            return;
        }
        if let Ok(Some(taken)) = Lock::try_take(&models.join(LOCK_FILE)) {
            let lock = Self {
                models: models.to_owned(),
                _lock: taken,
            };
            let _ = lock.sweep(say);
        }
    }

    /// A directory beside the assets, from which a rename puts them in place.
    pub(super) fn scratch(&self) -> Result<TempDir, AssetError> {
        let mut builder = tempfile::Builder::new();
        let builder = builder.prefix(SCRATCH_PREFIX).rand_bytes(N_RANDOM);
        (builder.tempdir_in(&self.models)).map_err(io_error("create a directory in", &self.models))
    }

    fn sweep(&self, say: &mut dyn FnMut(&str)) -> Result<(), AssetError> {
        for path in scratches(&self.models).map_err(io_error("read", &self.models))? {
            say(&format!(
                "removing {}, which an interrupted fetch left",
                path.display()
            ));
            // The killed fetch's pip may live on and still write there; then the next one removes it.
            let _ = fs::remove_dir_all(&path);
        }
        Ok(())
    }
}

/// Temporary directories in `models`, be they of a killed fetch or of one at work.
fn scratches(models: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(models)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() && entry.file_name().to_str().is_some_and(is_scratch) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

fn is_scratch(name: &str) -> bool {
    name.strip_prefix(SCRATCH_PREFIX).is_some_and(|random| {
        random.len() == N_RANDOM && random.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}
