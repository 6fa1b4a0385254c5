//! The exported file and its card, which appear whole or not at all.

use std::io;
use std::path::{Path, PathBuf};

use super::{ExportError, Exported};
use crate::files::{Existing, FileDraft, parent, sync_directory};
use crate::model::{ModelCard, OnnxModel};

/// The largest size in bytes of a protobuf message, and so of an ONNX file.
pub(super) const MAX_BYTES: u64 = (1 << 31) - 1;

/// The target of an export: `FILE.onnx`, with its card `FILE.toml` beside it.
#[derive(Debug)]
pub struct Target {
    model: PathBuf,
    card: PathBuf,
    existing: Existing,
}

impl Target {
    /// Checks that `out` can be written, before any work. `has_card` says whether a card belongs to
    /// the file. Existing files are only replaced if `existing` says so, and only if an export
    /// wrote them.
    ///
    /// # Errors
    /// [`ExportError::Ending`], [`ExportError::Exists`], [`ExportError::Foreign`], or
    /// [`ExportError::Write`] if the folder cannot be made.
    pub fn new(out: &Path, has_card: bool, existing: Existing) -> Result<Self, ExportError> {
        if out.extension().is_none_or(|ending| ending != "onnx") {
            return Err(ExportError::Ending {
                path: out.to_owned(),
            });
        }
        let target = Self {
            model: out.to_owned(),
            card: out.with_extension("toml"),
            existing,
        };
        target.check_free(&target.model, is_export)?;
        if has_card && !target.is_half() {
            target.check_free(&target.card, is_exports_card)?;
        }
        let folder = parent(&target.model);
        std::fs::create_dir_all(folder).map_err(write_error(folder))?;
        Ok(target)
    }

    /// The card's file.
    #[must_use]
    pub fn card(&self) -> &Path {
        &self.card
    }

    /// Writes the model, and its card if it has one; returns the model's size in bytes.
    ///
    /// The card is written first: it holds the weights' hash. If the run is killed in between, the
    /// hash shows that an older model beside the card does not belong to it.
    ///
    /// # Errors
    /// [`ExportError::TooLarge`], [`ExportError::Write`], [`ExportError::Exists`] or
    /// [`ExportError::Foreign`]; an existing file is then unchanged.
    pub fn write(&self, exported: &Exported) -> Result<u64, ExportError> {
        let bytes = check_size(exported.model.encoded_len() as u64)?;
        let model = draft(&self.model, &exported.model.to_bytes())?;
        let card = (exported.card.as_ref())
            .map(|card| self.card_draft(card))
            .transpose()?
            .flatten();
        // Both files are synced before either is renamed, so that only a kill between the two
        // renames leaves a card and a model that do not belong together. A file that appeared in
        // the meantime is checked like an older one.
        self.check_free(&self.model, is_export)?;
        if let Some(card) = card {
            self.check_free(&self.card, is_exports_card)?;
            self.publish(card, &self.card)?;
        }
        self.publish(model, &self.model)?;
        // The renames are done; a folder that cannot be synced does not change that.
        let _ = sync_directory(parent(&self.model));
        Ok(bytes)
    }

    /// Whether an earlier run ended between the card and the model. The same command then finishes the
    /// export; the card of another model is not replaced.
    fn is_half(&self) -> bool {
        self.model.symlink_metadata().is_err() && is_exports_card(&self.card)
    }

    /// The card, unless an earlier run already wrote it before it ended.
    fn card_draft(&self, card: &ModelCard) -> Result<Option<FileDraft>, ExportError> {
        let text = self.card_text(card)?;
        let is_there = std::fs::read(&self.card).is_ok_and(|found| found == text.as_bytes());
        let card = (!is_there).then(|| draft(&self.card, text.as_bytes()));
        card.transpose()
    }

    /// The card's text, with this file's name as the model's.
    fn card_text(&self, card: &ModelCard) -> Result<String, ExportError> {
        let file = self.model.file_name().unwrap_or_default();
        let card = ModelCard {
            file: file.to_string_lossy().into_owned(),
            ..card.clone()
        };
        Ok(card.to_text()?)
    }

    fn check_free(&self, path: &Path, is_own: fn(&Path) -> bool) -> Result<(), ExportError> {
        let path_of_error = path.to_owned();
        match self.existing {
            _ if path.symlink_metadata().is_err() => Ok(()),
            Existing::Keep => Err(ExportError::Exists {
                path: path_of_error,
            }),
            Existing::Replace if is_own(path) => Ok(()),
            Existing::Replace => Err(ExportError::Foreign {
                path: path_of_error,
            }),
        }
    }

    fn publish(&self, draft: FileDraft, path: &Path) -> Result<(), ExportError> {
        draft.publish_unsynced(self.existing).map_err(|error| {
            if error.kind() == io::ErrorKind::AlreadyExists {
                return ExportError::Exists {
                    path: path.to_owned(),
                };
            }
            write_error(path)(error)
        })
    }
}

fn draft(path: &Path, bytes: &[u8]) -> Result<FileDraft, ExportError> {
    FileDraft::write(path, bytes).map_err(write_error(path))
}

fn check_size(bytes: u64) -> Result<u64, ExportError> {
    if bytes > MAX_BYTES {
        return Err(ExportError::TooLarge { bytes });
    }
    Ok(bytes)
}

fn is_export(path: &Path) -> bool {
    OnnxModel::read(path).is_ok_and(|model| {
        let created_by = model.metadata("created_by").unwrap_or_default();
        created_by.starts_with("cnn-codes ") && model.metadata("classes").is_some()
    })
}

fn is_exports_card(path: &Path) -> bool {
    ModelCard::load(path).is_ok_and(|card| card.classifier.is_some())
}

fn write_error(path: &Path) -> impl FnOnce(io::Error) -> ExportError {
    move |source| ExportError::Write {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_protobuf_message_of_2_gib_is_too_large() {
        assert_eq!(check_size(2_147_483_647).unwrap(), 2_147_483_647);
        let error = check_size(2_147_483_648).unwrap_err().to_string();
        assert_eq!(
            error,
            "the model would have 2147483648 bytes, and an ONNX file holds at most 2147483647 (2 GiB)"
        );
    }
}
