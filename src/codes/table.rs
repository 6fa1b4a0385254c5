//! A growing CSV table that can be resumed from a length known to be on the disk.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::StoreError;
use crate::files::open_itself;

/// A table that is being written.
#[derive(Debug)]
pub(super) struct TableFile {
    path: PathBuf,
    writer: csv::Writer<File>,
}

impl TableFile {
    /// Creates the file, which must not exist, with a header of `columns`.
    pub(super) fn create(path: PathBuf, columns: &[&str]) -> Result<Self, StoreError> {
        let file = File::create_new(&path).map_err(StoreError::writing(&path))?;
        let mut table = Self {
            writer: csv::Writer::from_writer(file),
            path,
        };
        table.append(columns)?;
        Ok(table)
    }

    /// Opens the file to append to its first `length` bytes; what comes after them is cut off.
    pub(super) fn reopen(path: PathBuf, length: u64) -> Result<Self, StoreError> {
        let file = reopen(&path, length).map_err(StoreError::reopening(&path))?;
        // Without a new header: the file has one.
        let writer = csv::Writer::from_writer(file);
        Ok(Self { path, writer })
    }

    /// Appends a record.
    pub(super) fn append<T: AsRef<[u8]>>(&mut self, record: &[T]) -> Result<(), StoreError> {
        self.writer
            .write_record(record)
            .map_err(|error| StoreError::writing(&self.path)(io::Error::from(error)))
    }

    /// Syncs all records to the disk, and returns the file's length.
    pub(super) fn sync(&mut self) -> Result<u64, StoreError> {
        let sync = |writer: &mut csv::Writer<File>| {
            writer.flush()?;
            let mut file = writer.get_ref();
            file.sync_data()?;
            file.stream_position()
        };
        sync(&mut self.writer).map_err(StoreError::writing(&self.path))
    }
}

/// Opens a file that has at least `length` bytes, truncates it to that length, and seeks to its
/// end.
fn reopen(path: &Path, length: u64) -> io::Result<File> {
    let mut file = open_itself(path, File::options().read(true).write(true))?;
    let actual = file.metadata()?.len();
    if actual < length {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            format!("it has {actual} bytes where the journal has {length}"),
        ));
    }
    file.set_len(length)?;
    file.seek(SeekFrom::Start(length))?;
    Ok(file)
}
