//! A part of a file, wherever other threads read.

use std::fs::File;
use std::io;

/// Fills `bytes` with what the file holds from `offset` (bytes) on. The file's own position does not
/// count, so that threads may read the same file at once.
///
/// # Errors
/// What the system answers; [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) where the file ends first.
#[cfg(unix)]
pub fn read_exact_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset)
}

/// Fills `bytes` with what the file holds from `offset` (bytes) on. The file's own position does not
/// count, so that threads may read the same file at once.
///
/// # Errors
/// What the system answers; [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) where the file ends first.
#[cfg(windows)]
pub fn read_exact_at(file: &File, mut bytes: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, bytes, offset)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => {
                bytes = &mut bytes[n..];
                offset += n as u64;
            }
        }
    }
    Ok(())
}
