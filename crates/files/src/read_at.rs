//! Reads a part of a file, independent of other threads' reads.

use std::fs::File;
use std::io;

/// Fills `bytes` from the file, starting at `offset` (bytes). The file's own position is not used,
/// so that several threads may read the same file.
///
/// # Errors
/// The system's error; [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) if the file ends first.
#[cfg(unix)]
pub fn read_exact_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset)
}

/// Fills `bytes` from the file, starting at `offset` (bytes). The file's own position is not used,
/// so that several threads may read the same file.
///
/// # Errors
/// The system's error; [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) if the file ends first.
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
