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
