//! The trunk that a command line means: its card and its ONNX file.

use std::path::{Path, PathBuf};

use anyhow::bail;
use cnn_codes::model::ModelCard;

/// The ONNX file that belongs to `card`: `model`, or the file that the card names beside it, in
/// `folder`. `advice` says what to do where there is none.
pub fn model_file(
    card: &ModelCard,
    folder: &Path,
    model: Option<&Path>,
    advice: &str,
) -> anyhow::Result<PathBuf> {
    let model = model.map_or_else(|| folder.join(&card.file), Path::to_owned);
    if !model.exists() {
        bail!("there is no trunk at {}; {advice}", model.display());
    }
    Ok(model)
}

/// The card in the folder `models` that describes the trunk called `name`, or VGG16's, which is
/// built in.
///
/// Cards are known by what they say, not by their files' names; a card that cannot be read is
/// passed over, as it may be for another version.
pub fn find_card(models: &Path, name: &str) -> anyhow::Result<ModelCard> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(models)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
        .collect();
    files.sort();
    let cards = files.iter().filter_map(|path| ModelCard::load(path).ok());
    let built_in = std::iter::once_with(ModelCard::vgg16);
    match cards.chain(built_in).find(|card| card.name == name) {
        Some(card) => Ok(card),
        None => bail!(
            "the head takes codes of the trunk '{name}', and no card in {} is called so; give the \
             trunk's card with --card, and its ONNX file with --model",
            models.display()
        ),
    }
}

/// The card of `card`'s file, or else of VGG16, and the ONNX file that belongs to it: `model`, or
/// the one that the card names beside it.
pub fn find_trunk(
    model: Option<&Path>,
    card: Option<&Path>,
    models: &Path,
) -> anyhow::Result<(ModelCard, PathBuf)> {
    let advice = if card.is_none() {
        "run `cnn-codes fetch vgg16`, or name the folder of the models with --models"
    } else {
        "give the trunk's ONNX file with --model"
    };
    let (card, folder) = read_card(card, models)?;
    let model = model_file(&card, folder, model, advice)?;
    Ok((card, model))
}

/// The model card, and the folder that its file's name is relative to.
pub fn read_card<'a>(
    card: Option<&'a Path>,
    models: &'a Path,
) -> anyhow::Result<(ModelCard, &'a Path)> {
    let default_card = models.join("vgg16.toml");
    Ok(match card {
        Some(path) => (
            ModelCard::load(path)?,
            path.parent().unwrap_or(Path::new("")),
        ),
        None if default_card.exists() => (ModelCard::load(&default_card)?, models),
        None => (ModelCard::vgg16(), models),
    })
}
