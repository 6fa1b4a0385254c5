//! A folder for the one file that a target writes over and over.

use std::path::Path;
use std::sync::OnceLock;

use tempfile::TempDir;

/// The folder, in memory where Linux has a place for that, so that no disk is worn out.
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    FOLDER
        .get_or_init(|| {
            tempfile::tempdir_in("/dev/shm")
                .or_else(|_| tempfile::tempdir())
                .expect("a temporary folder")
        })
        .path()
}
