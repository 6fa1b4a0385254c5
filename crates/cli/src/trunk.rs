//! The trunk that a command line means: its card and its ONNX file.

use std::path::{Path, PathBuf};

use anyhow::bail;
use cnn_codes::model::{Library, ModelCard, Runtime, Trunk, TrunkOptions, TunedTail};

use super::{ModelsOption, RuntimeOption, say};
use crate::assets::{TRUNKS, TrunkPin};
use crate::similar::similar;

/// The group of its options in the help.
const TRUNK: &str = "Trunk";

/// Which trunk.
#[derive(Clone, Debug, clap::Args)]
pub struct TrunkOption {
    /// Name of the trunk, as `cnn-codes trunks` lists it [default: the one that HEAD was trained with, or vgg16]
    #[arg(long = "trunk", value_name = "NAME", conflicts_with_all = ["model", "card"], help_heading = TRUNK)]
    name: Option<String>,
    /// ONNX file of the trunk [default: the trunk's file in MODELS]
    #[arg(long, value_name = "FILE", help_heading = TRUNK)]
    model: Option<PathBuf>,
    /// Model card of the trunk; without --model it also names the ONNX file [default: the card beside the ONNX
    /// file, FILE.toml for FILE.onnx]
    #[arg(long, value_name = "FILE", help_heading = TRUNK)]
    card: Option<PathBuf>,
}

impl TrunkOption {
    /// The trunk that is named, or else the one called `name` in the folder `models`.
    pub fn find(&self, models: &Path, name: &str) -> anyhow::Result<(ModelCard, PathBuf)> {
        match self.given()? {
            None => found(models, self.name.as_deref().unwrap_or(name)),
            Some((_, file)) if !file.exists() => bail!(
                "there is no trunk at {}; give its ONNX file with --model",
                file.display()
            ),
            Some(given) => Ok(given),
        }
    }

    /// The card of the trunk that [`TrunkOption::find`] finds, whose file need not be there.
    pub fn card(&self, models: &Path, name: &str) -> anyhow::Result<ModelCard> {
        match self.given()? {
            Some((card, _)) => Ok(card),
            None => card_named(models, self.name.as_deref().unwrap_or(name)),
        }
    }

    /// The trunk that the command line names, if it does; its file need not be there.
    pub fn given(&self) -> anyhow::Result<Option<(ModelCard, PathBuf)>> {
        Ok(match (&self.card, &self.model) {
            (Some(path), model) => {
                let card = ModelCard::load(path)?;
                let file = model
                    .clone()
                    .unwrap_or_else(|| folder(path).join(&card.file));
                Some((card, file))
            }
            (None, Some(model)) => Some((card_beside(model)?, model.clone())),
            (None, None) => None,
        })
    }
}

/// The card of the trunk of a head: with the tuned weights that are beside the head, if there are.
pub fn tuned(head: &Path, card: ModelCard) -> anyhow::Result<ModelCard> {
    Ok(match TunedTail::beside(head)? {
        Some(tail) => card.tuned_by(tail),
        None => card,
    })
}

/// ONNX Runtime, and where it was found.
pub fn load_runtime(
    models: &ModelsOption,
    runtime: &RuntimeOption,
) -> anyhow::Result<(Library, Runtime)> {
    let library = Library::find(runtime.onnxruntime.as_deref(), &models.path()?)?;
    let runtime = Runtime::load(&library)?;
    Ok((library, runtime))
}

/// A trunk in a session; tells why one that could have run on CUDA does not.
pub fn load_trunk(
    runtime: &Runtime,
    card: ModelCard,
    file: &Path,
    options: TrunkOptions,
) -> anyhow::Result<Trunk> {
    let trunk = Trunk::load(runtime, card, file, options)?;
    if let Some(reason) = trunk.fallback() {
        say(&format!(
            "CUDA cannot be used, so the CPU runs the trunk: {reason}"
        ));
    }
    Ok(trunk)
}

/// The trunk called `name` in the folder `models`.
pub fn found(models: &Path, name: &str) -> anyhow::Result<(ModelCard, PathBuf)> {
    let card = card_named(models, name)?;
    let file = models.join(&card.file);
    if file.exists() {
        return Ok((card, file));
    }
    let advice = match TrunkPin::named(name) {
        Some(_) => {
            format!("run `cnn-codes fetch {name}`, or name the folder of the models with --models")
        }
        None => "put it there, or give it with --model and --card".to_owned(),
    };
    bail!("there is no trunk at {}; {advice}", file.display())
}

/// FILE.toml beside FILE.onnx, or another card there that names the file.
fn card_beside(model: &Path) -> anyhow::Result<ModelCard> {
    let path = model.with_extension("toml");
    if path.exists() {
        return Ok(ModelCard::load(&path)?);
    }
    let is_its = |card: &ModelCard| model.file_name() == Some(card.file.as_ref());
    match cards_in(folder(model)).find(is_its) {
        Some(card) => Ok(card),
        None if !model.exists() => bail!(
            "there is no trunk at {}; give an ONNX file that is there",
            model.display()
        ),
        None => bail!(
            "{} has no model card {} beside it; give its card with --card",
            model.display(),
            path.display()
        ),
    }
}

/// The card that describes the trunk called `name`: a built-in one, or one in the folder
/// `models`.
fn card_named(models: &Path, name: &str) -> anyhow::Result<ModelCard> {
    if let Some(card) = ModelCard::built_in(name) {
        say_of_another_card(models, &card);
        return Ok(card);
    }
    let path = models.join(format!("{name}.toml"));
    if path.exists() {
        let card = ModelCard::load(&path)?;
        if card.name == name {
            return Ok(card);
        }
    }
    let mut names: Vec<_> = TRUNKS.iter().map(|pin| pin.name.to_owned()).collect();
    for card in cards_in(models) {
        if card.name == name {
            return Ok(card);
        }
        names.push(card.name);
    }
    let meant = similar(name, names.iter().map(String::as_str));
    let meant = meant.map_or_else(
        || ";".to_owned(),
        |meant| format!("; did you mean '{meant}'?"),
    );
    bail!(
        "there is no trunk '{name}': no card in {} has that name{meant} `cnn-codes trunks` lists all trunks; for your \
         own trunk, give its ONNX file with --model and its card with --card",
        models.display()
    )
}

/// Tells of a card in the folder `models` that says something else of a trunk than the built-in one.
fn say_of_another_card(models: &Path, built_in: &ModelCard) {
    let path = models.join(format!("{}.toml", built_in.name));
    let is_the_same = ModelCard::load(&path).is_ok_and(|card| card.says_the_same_as(built_in));
    if path.exists() && !is_the_same {
        say(&format!(
            "{} is different from the built-in card of {}, and is ignored; give it with --card to use it",
            path.display(),
            built_in.name
        ));
    }
}

/// The cards in a folder, in the order of their files' names.
///
/// One that cannot be read is passed over, as it may be for another version.
pub fn cards_in(folder: &Path) -> impl Iterator<Item = ModelCard> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
        .collect();
    files.sort();
    files
        .into_iter()
        .filter_map(|path| ModelCard::load(&path).ok())
}

/// The folder that a file lies in.
fn folder(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}
