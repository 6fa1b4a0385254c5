//! Opens regular files for reading. A pipe or a device in their place could block.
//!
//! Links are followed, because data sets are often made of them. Files for writing are opened by
//! [`open_itself`](super::open_itself), which refuses links.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// Why a file was not opened.
#[derive(Debug)]
pub enum NotOpened {
    /// The system's error, for example because the file does not exist.
    Io(io::Error),
    /// Its own permissions forbid it; the folders above it are accessible.
    Forbidden(io::Error),
    /// A folder, a FIFO or a device: reading it could block, or never end.
    NotAFile,
}

impl From<io::Error> for NotOpened {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<NotOpened> for io::Error {
    fn from(error: NotOpened) -> Self {
        match error {
            NotOpened::Io(error) | NotOpened::Forbidden(error) => error,
            NotOpened::NotAFile => Self::other("it is not a regular file"),
        }
    }
}

/// Opens a regular file, with its length. It is checked before it is opened, because opening a FIFO
/// could block.
pub fn open_with_length(path: &Path) -> Result<(File, u64), NotOpened> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(NotOpened::NotAFile);
    }
    match File::open(path) {
        Ok(file) => Ok((file, metadata.len())),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Err(NotOpened::Forbidden(error))
        }
        Err(error) => Err(error.into()),
    }
}

/// Opens a regular file.
pub fn open(path: &Path) -> io::Result<File> {
    Ok(open_with_length(path)?.0)
}

/// Reads a regular file.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Opens the files of a folder by their paths: from a disk, or from elsewhere.
pub type Open<'a> = &'a dyn Fn(&Path) -> io::Result<Box<dyn Read>>;

/// Opens regular files on disk.
pub fn open_boxed(path: &Path) -> io::Result<Box<dyn Read>> {
    Ok(Box::new(open(path)?))
}
