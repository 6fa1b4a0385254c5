//! `cnn-codes card`: a model card for an ONNX file of one's own.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use cnn_codes::model::{
    Device, DraftedCard, Kernels, OnnxModel, TrunkOptions, draft_card, name_of,
};

use super::output_file::write;
use super::trunk::{load_runtime, load_trunk};
use super::{ModelsOption, RuntimeOption, print, say, shown};

/// Draft the model card of your own ONNX file
///
/// A model card tells a trunk's input, preprocessing and output; it lies beside the ONNX file. Names, shapes and
/// hashes are read from the graph. Input size and preprocessing are read from --config, or from the
/// preprocessor_config.json that model hubs publish with image models. Everything else is guessed, and each guess
/// is listed on stderr: check them before you extract codes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cnn-codes card resnet50.onnx
  cnn-codes card resnet50.onnx --out resnet50.toml --references
  cnn-codes extract-features pictures/train --out codes/train --card resnet50.toml")]
pub struct Arguments {
    /// The ONNX file
    model: PathBuf,
    /// File to write the card to [default: print it]
    #[arg(long, value_name = "CARD")]
    out: Option<PathBuf>,
    /// Preprocessing in the format of preprocessor_config.json [default: the file of that name beside the ONNX file]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Run the trunk on three computed pictures and store the start of their codes in the card; `doctor --trunk`
    /// compares them on other machines
    #[arg(long)]
    references: bool,
    #[command(flatten)]
    models: ModelsOption,
    #[command(flatten)]
    runtime: RuntimeOption,
}

/// Drafts, tells of guesses, and prints or writes the card.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let model = OnnxModel::read(&arguments.model)?;
    let file = arguments.model.file_name().and_then(|name| name.to_str());
    let Some(file) = file else {
        bail!("the name of {} is not UTF-8", arguments.model.display());
    };
    let config = config(arguments)?;
    let drafted = draft_card(&model, &name_of(&arguments.model), file, config.as_deref())?;
    let DraftedCard { mut card, guesses } = drafted;
    for guess in guesses {
        say(&format!("guess: {guess}"));
    }
    if arguments.references {
        let (_, runtime) = load_runtime(&arguments.models, &arguments.runtime)?;
        let options = TrunkOptions::default()
            .with_device(Device::Cpu)
            .with_kernels(Kernels::OnnxRuntime);
        let mut trunk = load_trunk(&runtime, card.clone(), &arguments.model, options)?;
        card.references = trunk.references()?;
    }
    let text = card.to_text()?;
    match &arguments.out {
        None => print(&text)?,
        Some(out) if out.exists() => bail!(
            "{} exists already, and is left as it is; choose another --out, or move it away",
            out.display()
        ),
        Some(out) => {
            write(out, text.as_bytes())?;
            print(&format!("card: {}\n", shown(out)))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The text of the configuration, if there is one.
fn config(arguments: &Arguments) -> anyhow::Result<Option<String>> {
    let beside = arguments.model.with_file_name("preprocessor_config.json");
    let path: &Path = match &arguments.config {
        Some(path) => path,
        None if beside.exists() => {
            say(&format!("taking {}", shown(&beside)));
            &beside
        }
        None => return Ok(None),
    };
    let text = std::fs::read_to_string(path);
    let text = text.with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Some(text))
}
