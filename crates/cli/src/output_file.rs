//! Files that an option names, such as --html: pages and tables.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::anyhow;
use cnn_codes_files::{Existing, FileDraft};

/// Writes a file, and tells which where that fails, in one line with its cause, as the library's errors
/// are.
pub fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    write_whole(path, bytes).map_err(|error| anyhow!("cannot write {}: {error}", path.display()))
}

/// Writes a file that is there whole or not at all; what is no file, as a pipe, is written to.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // Where a link leads, and not in the link's place.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    match fs::metadata(&target) {
        Ok(found) if !found.is_file() => fs::write(&target, bytes),
        _ => FileDraft::write(&target, bytes)?.publish(Existing::Replace),
    }
}
