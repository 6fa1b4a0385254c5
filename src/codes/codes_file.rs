//! The codes of a store, read from codes.npy on demand.
//!
//! The file is not memory-mapped: if a mapped file is cut short, or its disk fails, the system
//! kills the process. A read returns an error instead. After each read the file's state is compared
//! with the state at opening, so that bytes of a changed file are never used.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::{MANIFEST, Manifest, StoreError};
use crate::files::npy::NpyHeader;
use crate::files::{read_exact_at, regular};

/// The codes of a store, or of one of its parts.
#[derive(Clone, Debug)]
pub(super) struct CodesFile {
    file: Arc<File>,
    path: PathBuf,
    /// The file's state when it was opened.
    opened: State,
    offset: usize,
    row_bytes: usize,
    /// The store's row that is this file's first.
    pub(super) first_row: usize,
    pub(super) n_rows: usize,
}

/// Metadata that change when a file's bytes change.
#[derive(Clone, Debug, PartialEq)]
struct State {
    n_bytes: u64,
    /// `None` if the system does not report it.
    modified: Option<SystemTime>,
}

impl State {
    fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Self {
            n_bytes: metadata.len(),
            modified: metadata.modified().ok(),
        })
    }
}

impl CodesFile {
    /// Opens the codes at `path`, which must match the manifest.
    pub(super) fn open(path: &Path, manifest: &Manifest) -> Result<Self, StoreError> {
        let mut file = regular::open(path).map_err(StoreError::reading(path))?;
        let opened = State::of(&file).map_err(StoreError::reading(path))?;
        let header = NpyHeader::read(&mut file).map_err(StoreError::npy(path))?;
        let (dtype, shape) = (manifest.store.dtype, manifest.shape());
        if (header.dtype, &header.shape) != (dtype.element_type(), &shape) {
            let reason = format!(
                "it holds {} {:?} where {MANIFEST} says {dtype} {shape:?}",
                header.dtype, header.shape
            );
            return Err(StoreError::damaged(path, reason));
        }
        Ok(Self {
            file: Arc::new(file),
            path: path.to_owned(),
            opened,
            offset: header.data_offset,
            row_bytes: manifest.store.views.n() * manifest.store.code_bytes(),
            first_row: 0,
            n_rows: manifest.counts.pictures,
        })
    }

    /// Fills `bytes` with bytes of a row of this file, from the row's byte `first` on.
    pub(super) fn read(
        &self,
        row: usize,
        first: usize,
        bytes: &mut [u8],
    ) -> Result<(), StoreError> {
        let offset = (self.offset + first) as u64 + row as u64 * self.row_bytes as u64;
        match read_exact_at(&self.file, bytes, offset) {
            // It was long enough when it was opened.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(self.changed()),
            read => {
                read.map_err(StoreError::reading(&self.path))?;
                self.check_unchanged()
            }
        }
    }

    /// Returns an error if the file was written to since it was opened.
    pub(super) fn check_unchanged(&self) -> Result<(), StoreError> {
        let now = State::of(&self.file).map_err(StoreError::reading(&self.path))?;
        if now == self.opened {
            Ok(())
        } else {
            Err(self.changed())
        }
    }

    fn changed(&self) -> StoreError {
        StoreError::Changed {
            path: self.path.clone(),
        }
    }

    /// Tells the system that these rows of the file will be read soon. This is only advice: without
    /// it, they are read on demand.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(super) fn will_need(&self, rows: Range<usize>) {
        let offset = self.offset as u64 + rows.start as u64 * self.row_bytes as u64;
        let len = rows.len() as u64 * self.row_bytes as u64;
        if let Some(len) = std::num::NonZeroU64::new(len) {
            let advice = rustix::fs::Advice::WillNeed;
            let _ = rustix::fs::fadvise(&self.file, offset, Some(len), advice);
        }
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(super) fn will_need(&self, _rows: Range<usize>) {}
}

thread_local! {
    /// The memory that [`with_bytes`] lends, kept for its capacity.
    static BYTES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Lends `n_bytes` of this thread's memory, with arbitrary contents.
pub(super) fn with_bytes<T>(n_bytes: usize, run: impl FnOnce(&mut [u8]) -> T) -> T {
    BYTES.with_borrow_mut(|bytes| {
        if bytes.len() < n_bytes {
            bytes.resize(n_bytes, 0);
        }
        run(&mut bytes[..n_bytes])
    })
}
