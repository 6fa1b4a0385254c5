//! The result of a training, and how it is saved.

use std::io::Write;
use std::path::Path;

use super::result::{self, Comparison, Origin, REPORT, Report, Told};
use super::stores::Stores;
use super::{FitError, TrainError};
use crate::files::Draft;
use crate::head::mlp::Mlp;
use crate::head::saved::{self, SavedHead, SavedHeadError};
use crate::head::{Epoch, Samples};

/// Heads that were trained and evaluated. Nothing is on disk yet.
///
/// [`SavedHead::save`] writes the heads alone, [`Trained::save`] a whole HEAD.
#[derive(Clone, Debug)]
pub struct Trained<'s> {
    /// The final heads.
    pub heads: SavedHead,
    /// The MLP's learning curve; empty without an MLP.
    pub history: Vec<Epoch>,
    /// The heads' results.
    pub comparison: Comparison,
    pub(super) stores: Stores<'s>,
    /// The samples that evaluated the heads, as the heads read them.
    pub(super) judged: Samples<'s>,
}

impl Trained<'_> {
    /// Records the provenance of the heads, and maps the codes that evaluated them. This reads all
    /// of these codes.
    ///
    /// # Errors
    /// [`TrainError::Store`] or [`TrainError::Head`] if the codes were changed or cannot be read.
    pub fn origin(&self, told: Told) -> Result<Origin, TrainError> {
        let origin = Origin::of(self.stores, &self.judged, told);
        let read = self.judged.codes().check();
        read.map_err(|error| FitError::from(error).on(self.stores.judging().dir()))?;
        self.stores.check_unchanged()?;
        Ok(origin)
    }

    /// Writes the HEAD's files into `draft`, and publishes it. The draft must be of kind
    /// [`KIND`](saved::KIND). If it is begun before the training, it refuses an occupied target
    /// before the long work, and keeps other processes out. `page` writes report.html, if wanted,
    /// after all other files.
    ///
    /// A trained head is never deleted. It is kept beside HEAD if the other files cannot be
    /// written, or if it is unfinished and would replace another head. If its own disk is full, it
    /// is kept in the system's folder for temporary files.
    ///
    /// # Errors
    /// [`TrainError::Kept`], [`TrainError::Interrupted`], [`TrainError::Save`], or
    /// [`TrainError::Draft`]. The error says where the head is.
    pub fn save(
        &self,
        draft: Draft,
        origin: &Origin,
        page: impl FnOnce(&Report) -> Option<String>,
    ) -> Result<(), TrainError> {
        if let Err(error) = self.heads.write_into(draft.path()) {
            return Err(keep_elsewhere(&self.heads, error));
        }
        if let Err(error) = self.write_beside(draft.path(), origin, page) {
            return Err(TrainError::Kept {
                why: Box::new(error),
                kept: draft.set_aside(),
            });
        }
        if self.comparison.interrupted && draft.replaces() {
            return Err(TrainError::Interrupted {
                out: draft.target().to_owned(),
                kept: draft.set_aside(),
            });
        }
        Ok(draft.publish()?)
    }

    /// Writes the files beside the heads.
    fn write_beside(
        &self,
        dir: &Path,
        origin: &Origin,
        page: impl FnOnce(&Report) -> Option<String>,
    ) -> Result<(), TrainError> {
        if self.heads.get::<Mlp>().is_some() {
            saved::write_history(dir, &self.history)?;
        }
        result::write_judgement(dir, &self.comparison, origin)?;
        let Some(page) = page(&Report::of(self, origin)) else {
            return Ok(());
        };
        result::write(&dir.join(REPORT), |file| file.write_all(page.as_bytes()))
    }
}

/// Keeps a head in the system's folder for temporary files, because its own disk is full.
fn keep_elsewhere(head: &SavedHead, error: SavedHeadError) -> TrainError {
    let folder = tempfile::Builder::new().prefix("cnn-codes-head-").tempdir();
    match folder {
        Ok(folder) if head.write_into(folder.path()).is_ok() => TrainError::Kept {
            why: Box::new(error.into()),
            kept: folder.keep(),
        },
        _ => error.into(),
    }
}
