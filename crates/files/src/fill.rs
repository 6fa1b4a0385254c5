//! A file that is filled, or removed again.

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::Path;

/// Writes the contents of `file`, which was just created at `path`, and waits until they are on
/// the disk. Where that fails, the file is removed, so that no half of it is left.
///
/// For the files of a [`Draft`](super::Draft). A file with a place of its own is written by
/// [`FileDraft`](super::FileDraft).
pub fn fill(
    file: File,
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<()> {
    let mut buffer = BufWriter::new(file);
    write(&mut buffer)
        .and_then(|()| buffer.into_inner()?.sync_all())
        .inspect_err(|_| drop(fs::remove_file(path)))
}
