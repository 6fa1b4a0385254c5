//! What a training gives, and how it is saved.

use std::io::Write;
use std::path::Path;

use super::result::{self, Comparison, Origin, REPORT, Report, Told};
use super::stores::Stores;
use super::{FitError, TrainError};
use crate::files::Draft;
use crate::head::mlp::Mlp;
use crate::head::saved::{self, SavedHead, SavedHeadError};
use crate::head::{Epoch, Samples};

/// Heads that were trained and judged. Nothing of them is on disk yet.
///
/// [`SavedHead::save`] writes the heads alone, [`Trained::save`] a whole HEAD.
#[derive(Clone, Debug)]
pub struct Trained<'s> {
    /// The heads that are kept.
    pub heads: SavedHead,
    /// The MLP's learning curve; empty where there is no MLP.
    pub history: Vec<Epoch>,
    /// How the heads did.
    pub comparison: Comparison,
    pub(super) stores: Stores<'s>,
    /// The samples that judged the heads, as the heads saw them.
    pub(super) judged: Samples<'s>,
}

impl Trained<'_> {
    /// Notes where the heads come from, and maps the codes that judged them, which are all read for
    /// that.
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

    /// Writes HEAD's files into `draft`, and publishes it. The draft is of
    /// [`KIND`](saved::KIND); begun before the training, it refuses a place that is taken before the
    /// long work, and keeps others out. `page` makes report.html, where it is to be, after all other files are there.
    ///
    /// A trained head is never thrown away. Where the other files cannot be written, and where it is
    /// half-trained and would replace another, it is kept beside HEAD; where its own disk takes no
    /// more, in the system's folder for temporary files.
    ///
    /// # Errors
    /// [`TrainError::Kept`], [`TrainError::Interrupted`], [`TrainError::Save`], or
    /// [`TrainError::Draft`], which say where the head is.
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

    /// Writes the files besides the heads.
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

/// Keeps a head in the system's folder for temporary files, as its own disk takes no more.
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
