//! Syncs a directory's entries to the disk.

use std::fs::File;
use std::path::Path;

use super::error::{PathError, path_error};

/// Makes a directory's entries survive a power failure, if the system supports that.
pub fn sync_directory(path: &Path) -> Result<(), PathError> {
    // Windows cannot open directories as files, and needs no such sync.
    if cfg!(unix) {
        File::open(path)
            .and_then(|directory| directory.sync_all())
            .map_err(path_error("sync", path))?;
    }
    Ok(())
}

/// The directory that contains `path`.
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
