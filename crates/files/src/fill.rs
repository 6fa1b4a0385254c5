//! A file that is filled completely, or removed again.

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::Path;

/// Writes the contents of `file`, which was just created at `path`, and waits until they are on the
/// disk. On an error the file is removed, so that no partial file remains.
///
/// Use it for files in a [`Draft`](super::Draft). A file with its own target is written by
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
