//! Reads at a place of a file, which many threads may do at once.

use std::fs::File;
use std::io;

/// Fills `bytes` with those of `file` from `offset` on. Other threads may read the file at the same
/// time.
///
/// # Errors
/// [`io::ErrorKind::UnexpectedEof`] if the file ends before, and what else the system answers.
#[cfg(unix)]
pub fn read_exact_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset)
}

/// Fills `bytes` with those of `file` from `offset` on. Other threads may read the file at the same
/// time.
///
/// # Errors
/// [`io::ErrorKind::UnexpectedEof`] if the file ends before, and what else the system answers.
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
