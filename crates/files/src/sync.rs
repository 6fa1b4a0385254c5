//! A directory's entries onto the disk.

use std::fs::File;
use std::path::Path;

use super::error::{PathError, path_error};

/// Makes a directory's entries last through a power failure, where the system can do that.
pub fn sync_directory(path: &Path) -> Result<(), PathError> {
    // Windows opens no directories as files, and needs no such sync.
    if cfg!(unix) {
        File::open(path)
            .and_then(|directory| directory.sync_all())
            .map_err(path_error("sync", path))?;
    }
    Ok(())
}

/// The directory that `path` lies in.
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
