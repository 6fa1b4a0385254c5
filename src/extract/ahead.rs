//! Codes of pictures after one that could not be read.
//!
//! Rows keep the order of the pictures, so nothing can be written after a picture that must be read
//! again. The codes of later pictures are kept beside the store, in its draft. The run that resumes
//! copies them from there, as it copies codes from other stores.

use std::path::{Path, PathBuf};

use super::ExtractError;
use crate::codes::{Code, Job, Leftover, Opened, PictureRow, StoreError, StoreWriter};
use crate::files::Existing;

/// The folder in the draft. Its contents are never published, so its path ends in `.partial`.
const NAME: &str = "ahead";

/// Codes that are kept until their turn comes.
#[derive(Debug)]
pub(super) struct Ahead {
    path: PathBuf,
    job: Job,
    /// `None` until there is a code to keep.
    writer: Option<StoreWriter>,
}

impl Ahead {
    /// Opens the codes that an earlier run of `job` left in `draft`, if there are any.
    pub(super) fn open(draft: &Path, job: &Job) -> Result<Self, StoreError> {
        let mut ahead = Self {
            path: draft.join(NAME),
            job: job.clone(),
            writer: None,
        };
        if ahead.path.with_extension("partial").exists() {
            ahead.begin()?;
        }
        Ok(ahead)
    }

    fn begin(&mut self) -> Result<&mut StoreWriter, StoreError> {
        let open = |leftover| StoreWriter::open(&self.path, Existing::Keep, leftover, &self.job);
        // Damaged codes are computed again.
        let opened = open(Leftover::Resume).or_else(|_| open(Leftover::Discard))?;
        match opened {
            Opened::Unfinished(writer) => Ok(self.writer.insert(*writer)),
            Opened::Complete(_) => unreachable!("it is never finished"),
        }
    }

    /// The pictures that have codes here, in the order of the rows.
    pub(super) fn written(&self) -> Result<Vec<PictureRow>, StoreError> {
        self.writer
            .as_ref()
            .map_or(Ok(Vec::new()), StoreWriter::written)
    }

    /// Number of codes.
    pub(super) fn rows(&self) -> usize {
        self.writer.as_ref().map_or(0, StoreWriter::rows)
    }

    /// Keeps a code.
    pub(super) fn append(&mut self, picture: &PictureRow, code: &[f32]) -> Result<(), StoreError> {
        let writer = match &mut self.writer {
            Some(writer) => writer,
            None => self.begin()?,
        };
        writer.append(picture, Code::Values(code))
    }

    /// The bytes of a kept code.
    pub(super) fn read(&mut self, row: usize, bytes: &mut Vec<u8>) -> Result<(), ExtractError> {
        let writer = self.writer.as_mut();
        let writer = writer.expect("a row is known only where there are some");
        Ok(writer.read_code_bytes(row, bytes)?)
    }

    /// Syncs everything to the disk.
    pub(super) fn checkpoint(&mut self) -> Result<(), StoreError> {
        match &mut self.writer {
            Some(writer) if writer.rows() > writer.n_done() => writer.checkpoint(writer.rows()),
            _ => Ok(()),
        }
    }

    /// Removes everything: the store has these rows now.
    pub(super) fn discard(self) {
        if let Some(writer) = self.writer {
            writer.discard();
        }
    }
}
