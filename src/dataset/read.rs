//! A picture's bytes, from its file or out of its archive.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

use bytes::Bytes;

use super::{Picture, Pictures, Place};
use crate::codes::Failure;
use crate::files::regular::{NotOpened, open_with_length};

/// The largest file that is read. Pictures are smaller, and an endless file must not fill memory.
pub const MAX_FILE_BYTES: u64 = 512 * 1024 * 1024;

/// Why a picture's bytes could not be read.
///
/// Every message is one line and leaves out the picture's name, as the messages of
/// [`DecodeError`](crate::picture::DecodeError) do. Programs can use [`ReadError::kind`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file does not exist, or its name or permissions prevent reading it.
    #[error("cannot be read: {0}")]
    Read(io::Error),
    /// The file cannot be read now, for a reason outside the picture: its disk failed or was
    /// removed, the file disappeared after it was listed, or too many files are open.
    #[error("cannot be read now: {0}")]
    OutOfReach(#[from] io::Error),
    /// A folder, a FIFO or a device: reading it could block, or never end.
    #[error("not a regular file")]
    NotAFile,
    /// The file has more bytes than are read.
    #[error("larger than {} MiB", max_bytes >> 20)]
    TooLarge {
        /// The largest number of bytes that is read.
        max_bytes: u64,
    },
    /// The archive is shorter than it was when its members were listed.
    #[error(
        "the archive ends {} bytes into this picture's {expected}; it has changed since it was listed",
        actual
    )]
    Truncated {
        /// The picture's length.
        expected: u64,
        /// How many of these bytes the archive holds.
        actual: u64,
    },
}

impl From<NotOpened> for ReadError {
    fn from(error: NotOpened) -> Self {
        match error {
            NotOpened::Io(error) => Self::OutOfReach(error),
            NotOpened::Forbidden(error) => Self::Read(error),
            NotOpened::NotAFile => Self::NotAFile,
        }
    }
}

impl ReadError {
    /// An archive that changed since it was listed is not the picture's own fault.
    fn of_archive(self) -> Self {
        match self {
            Self::Read(source) => Self::OutOfReach(source),
            error => error,
        }
    }

    /// The kind of failure, in stable words.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Read(error) if error.kind() == ErrorKind::NotFound => "missing",
            Self::Read(_) => "unreadable",
            Self::OutOfReach(_) => Failure::OUT_OF_REACH,
            Self::NotAFile => "not_a_file",
            Self::TooLarge { .. } => "too_large",
            Self::Truncated { .. } => Failure::TRUNCATED,
        }
    }
}

impl Pictures {
    /// Reads the bytes of `picture`, which must be one of these pictures.
    ///
    /// An archive is opened for each call. That costs a few microseconds, and any number of threads
    /// may read at once.
    ///
    /// # Errors
    /// [`ReadError`]. The call never waits for a FIFO, and never takes more than [`MAX_FILE_BYTES`]
    /// of memory.
    pub fn read(&self, picture: &Picture) -> Result<Vec<u8>, ReadError> {
        self.read_up_to(picture, MAX_FILE_BYTES)
    }

    /// As [`Pictures::read`], but refuses a picture of more than `max_bytes` bytes by its length,
    /// before anything is read.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn read_up_to(&self, picture: &Picture, max_bytes: u64) -> Result<Vec<u8>, ReadError> {
        let max_bytes = max_bytes.min(MAX_FILE_BYTES);
        match picture.place {
            Place::File => {
                let path = self.root.join(&*picture.path);
                read_file(&path, max_bytes).map_err(|error| self.judge(&path, error))
            }
            Place::Given { index } => {
                let given = self.given_at(index)?;
                match given.len() as u64 > max_bytes {
                    true => Err(ReadError::TooLarge { max_bytes }),
                    false => Ok(given.to_vec()),
                }
            }
            Place::Archived { n_bytes, .. } if n_bytes > max_bytes => {
                Err(ReadError::TooLarge { max_bytes })
            }
            Place::Archived {
                archive,
                offset,
                n_bytes,
            } => {
                let archive = self.archives.get(archive as usize);
                let archive =
                    archive.ok_or_else(|| io::Error::other("its archive is not listed"))?;
                read_member(archive, offset, n_bytes).map_err(ReadError::of_archive)
            }
        }
    }

    /// The length of `picture` in bytes, without reading it.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn n_bytes(&self, picture: &Picture) -> Result<u64, ReadError> {
        match picture.place {
            Place::File => Ok(fs::metadata(self.root.join(&*picture.path))?.len()),
            Place::Archived { n_bytes, .. } => Ok(n_bytes),
            Place::Given { index } => Ok(self.given_at(index)?.len() as u64),
        }
    }

    fn given_at(&self, index: u32) -> Result<&Bytes, ReadError> {
        let given = self.given.get(index as usize);
        Ok(given.ok_or_else(|| io::Error::other("its bytes are not there"))?)
    }

    /// Separates errors that are the picture's own fault from those of its surroundings.
    ///
    /// A name in a table or a list may be wrong, so a missing file is its own fault. If its folder
    /// is missing too, or is empty like the mount point of an unmounted disk, nothing is known
    /// about the file.
    fn judge(&self, path: &Path, error: ReadError) -> ReadError {
        let ReadError::OutOfReach(source) = error else {
            return error;
        };
        let is_own = match source.kind() {
            ErrorKind::NotFound => !self.were_found && is_filled(path.parent()),
            ErrorKind::NotADirectory => !self.were_found,
            // No file can have such a name.
            ErrorKind::InvalidInput | ErrorKind::InvalidFilename => true,
            _ => false,
        };
        if is_own {
            ReadError::Read(source)
        } else {
            ReadError::OutOfReach(source)
        }
    }
}

/// Whether a folder can be listed and is not empty.
fn is_filled(folder: Option<&Path>) -> bool {
    let folder = match folder {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some_and(|entry| entry.is_ok()))
}

fn read_file(path: &Path, max_bytes: u64) -> Result<Vec<u8>, ReadError> {
    let (file, n_bytes) = open_with_length(path)?;
    if n_bytes > max_bytes {
        return Err(ReadError::TooLarge { max_bytes });
    }
    // One byte more, to notice a file that grew meanwhile or does not report its length.
    let bytes = read_bytes(file, n_bytes, max_bytes + 1)?;
    if bytes.len() as u64 > max_bytes {
        return Err(ReadError::TooLarge { max_bytes });
    }
    Ok(bytes)
}

fn read_member(archive: &Path, offset: u64, n_bytes: u64) -> Result<Vec<u8>, ReadError> {
    let (mut file, archive_bytes) = open_with_length(archive)?;
    file.seek(SeekFrom::Start(offset))?;
    let expected = n_bytes.min(archive_bytes.saturating_sub(offset));
    let bytes = read_bytes(file, expected, n_bytes)?;
    if (bytes.len() as u64) < n_bytes {
        return Err(ReadError::Truncated {
            expected: n_bytes,
            actual: bytes.len() as u64,
        });
    }
    Ok(bytes)
}

/// Reads to the end of `file`, at most `limit` bytes; `expected` is the probable length.
fn read_bytes(file: File, expected: u64, limit: u64) -> Result<Vec<u8>, ReadError> {
    let mut bytes = Vec::new();
    let capacity = usize::try_from(expected).unwrap_or(0);
    bytes
        .try_reserve_exact(capacity)
        .map_err(|_| io::Error::from(ErrorKind::OutOfMemory))?;
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}
