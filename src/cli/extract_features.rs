//! `cnn-codes extract-features`: arguments to options, the library's call, the summary.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use cnn_codes::codes::{Dtype, Pool};
use cnn_codes::dataset;
use cnn_codes::draft::Existing;
use cnn_codes::extract::{ExtractOptions, Extracted, OnFailure, Progress, extract};
use cnn_codes::model::{Device, Library, ModelCard, Runtime, Trunk, TrunkOptions};
use cnn_codes::picture::{Filter, Fit, Preparation, Recipe, Resize};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::{Format, ModelsOption, RuntimeOption, default_threads, one_of, positive, print, say};

/// Failures that the summary names; failures.csv has them all.
const NAMED_FAILURES: usize = 5;

/// Run a trunk over pictures and leave its codes in a store
///
/// IMAGES holds one folder per class. The store is a folder with codes.npy and labels.npy (both
/// open in NumPy), images.csv, failures.csv and store.json. Pictures that cannot be read are
/// listed in failures.csv, and the rest goes on.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Folder that holds one folder of pictures per class (JPEG, PNG, BMP, GIF, TIFF, WebP)
    images: PathBuf,
    /// The store to make
    #[arg(long, value_name = "STORE")]
    out: PathBuf,
    /// Replace the store if it is there already
    #[arg(long)]
    overwrite: bool,
    /// Stop at the first picture that cannot be used, and leave no store
    #[arg(long)]
    strict: bool,
    /// The trunk, an ONNX file; needs --card [default: MODELS/vgg16_notop.onnx]
    #[arg(long, value_name = "FILE", requires = "card")]
    model: Option<PathBuf>,
    /// The trunk's model card; without --model, the trunk is the file that it names beside it
    /// [default: VGG16's]
    #[arg(long, value_name = "FILE")]
    card: Option<PathBuf>,
    /// How pixels become the trunk's input [default: the card's]
    #[arg(long, value_parser = one_of::<Recipe>(Recipe::NAMES))]
    recipe: Option<Recipe>,
    /// How a picture is fitted into the trunk's input: stretched, cropped, or padded with white
    #[arg(long, default_value = "stretch", value_parser = one_of::<Fit>(Fit::NAMES))]
    resize: Fit,
    /// Resampling filter, the same as Pillow's to the byte
    #[arg(long, default_value = "bilinear", value_parser = one_of::<Filter>(Filter::NAMES))]
    filter: Filter,
    /// Keep the whole code, or its mean or maximum over height and width
    #[arg(long, default_value = "none", value_parser = one_of::<Pool>(Pool::NAMES))]
    pool: Pool,
    /// Element type of codes.npy
    #[arg(long, default_value = "f32", value_parser = one_of::<CodesDtype>(&["f32", "f16"]))]
    dtype: CodesDtype,
    /// Pictures in a batch
    #[arg(long, default_value = "20", value_name = "N", value_parser = positive)]
    batch_size: usize,
    /// Where the trunk runs; auto takes CUDA where it works
    #[arg(long, default_value = "auto", value_parser = one_of::<Device>(Device::NAMES))]
    device: Device,
    /// Threads for decoding and for the trunk [default: the number of cores]
    #[arg(long, value_name = "N", value_parser = positive)]
    threads: Option<usize>,
    /// How the summary is printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    models: ModelsOption,
    #[command(flatten)]
    runtime: RuntimeOption,
}

/// The element types that codes may have.
#[derive(Clone, Copy, Debug)]
struct CodesDtype(Dtype);

impl std::str::FromStr for CodesDtype {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "f32" => Ok(Self(Dtype::F32)),
            "f16" => Ok(Self(Dtype::F16)),
            _ => Err(format!("'{name}' is none of f32, f16")),
        }
    }
}

/// Extracts, and prints the summary.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let pictures = dataset::find(&arguments.images)?;
    let (card, model) = find_trunk(arguments)?;
    let threads = arguments.threads.unwrap_or_else(default_threads);
    let library = Library::find(
        arguments.runtime.onnxruntime.as_deref(),
        &arguments.models.models,
    )?;
    let runtime = Runtime::load(&library)?;
    let options = extract_options(arguments, &card, threads);
    let device = arguments.device;
    let mut trunk = Trunk::load(&runtime, card, &model, TrunkOptions { device, threads })?;
    if let Some(reason) = trunk.fallback() {
        say(&format!(
            "CUDA cannot be used, so the CPU runs the trunk: {reason}"
        ));
    }
    say(&format!(
        "{} pictures of {} classes through {} on {}, recipe {}",
        pictures.len(),
        pictures.classes.len(),
        trunk.card().name,
        trunk.provider(),
        options.preparation.recipe,
    ));
    let bar = progress_bar(pictures.len());
    let extracted = extract(
        &pictures,
        &mut trunk,
        runtime.version(),
        &options,
        &arguments.out,
        &mut |progress| show_progress(&bar, progress),
    );
    bar.finish_and_clear();
    let extracted = extracted?;
    match arguments.format {
        Format::Text => print(&summary(&extracted, &arguments.out, pictures.n_other_files))?,
        Format::Json => print(&summary_json(&extracted, &arguments.out))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The model card and the ONNX file that belongs to it.
fn find_trunk(arguments: &Arguments) -> anyhow::Result<(ModelCard, PathBuf)> {
    let models = arguments.models.models.as_path();
    let default_card = models.join("vgg16.toml");
    let (card, folder) = match &arguments.card {
        Some(path) => (
            ModelCard::load(path)?,
            path.parent().unwrap_or(Path::new("")),
        ),
        None if default_card.exists() => (ModelCard::load(&default_card)?, models),
        None => (ModelCard::vgg16(), models),
    };
    let model = match &arguments.model {
        Some(model) => model.clone(),
        None => folder.join(&card.file),
    };
    if !model.exists() {
        let advice = if arguments.card.is_none() {
            "run `cnn-codes fetch vgg16`, or name the folder of the models with --models"
        } else {
            "give the trunk's ONNX file with --model"
        };
        bail!("there is no trunk at {}; {advice}", model.display());
    }
    Ok((card, model))
}

fn extract_options(arguments: &Arguments, card: &ModelCard, threads: usize) -> ExtractOptions {
    ExtractOptions {
        preparation: Preparation {
            resize: Resize {
                width: card.input.width,
                height: card.input.height,
                fit: arguments.resize,
                filter: arguments.filter,
            },
            recipe: arguments.recipe.unwrap_or(card.input.recipe),
            layout: card.input.layout,
        },
        batch_size: arguments.batch_size,
        threads,
        pool: arguments.pool,
        dtype: arguments.dtype.0,
        on_failure: if arguments.strict {
            OnFailure::Stop
        } else {
            OnFailure::List
        },
        existing: if arguments.overwrite {
            Existing::Replace
        } else {
            Existing::Keep
        },
    }
}

/// A bar on stderr; nothing where stderr is no terminal.
fn progress_bar(total: usize) -> ProgressBar {
    let style = "{bar:30} {pos}/{len} pictures, {per_sec}, {eta} left{msg}";
    ProgressBar::new(total as u64)
        .with_style(ProgressStyle::with_template(style).expect("a valid template"))
}

fn show_progress(bar: &ProgressBar, progress: Progress) {
    if progress.failures > 0 {
        bar.set_message(format!(", {} unusable", progress.failures));
    }
    bar.set_position(progress.done as u64);
}

fn summary(extracted: &Extracted, out: &Path, n_other_files: usize) -> String {
    let Extracted {
        manifest,
        failures,
        elapsed,
        busy,
    } = extracted;
    let seconds = elapsed.as_secs_f64();
    let rate = manifest.counts.pictures as f64 / seconds;
    let mut text = format!(
        "{} codes of {} ({}, {}) in {seconds:.1} s: {rate:.2} pictures/s\n",
        manifest.counts.pictures,
        shape(&manifest.shape[1..]),
        manifest.dtype,
        manifest.provider,
    );
    let classes = manifest.classes.iter().zip(&manifest.counts.per_class);
    for (class, n) in classes {
        text += &format!("  {n:6}  {class}\n");
    }
    text += &format!(
        "busy: decoding {:.1} s, inference {:.1} s, writing {:.1} s\n",
        busy.decode.as_secs_f64(),
        busy.inference.as_secs_f64(),
        busy.write.as_secs_f64(),
    );
    if n_other_files > 0 {
        text += &format!("passed over, not pictures by their endings: {n_other_files}\n");
    }
    if !failures.is_empty() {
        let list = out.join("failures.csv");
        text += &format!(
            "could not be used: {} ({})\n",
            failures.len(),
            list.display()
        );
        for failure in failures.iter().take(NAMED_FAILURES) {
            text += &format!("  {}: {}\n", failure.path, failure.error);
        }
        if failures.len() > NAMED_FAILURES {
            text += &format!("  and {} more\n", failures.len() - NAMED_FAILURES);
        }
    }
    text + &format!("store: {}\n", out.display())
}

fn shape(axes: &[usize]) -> String {
    let axes: Vec<_> = axes.iter().map(ToString::to_string).collect();
    axes.join("x")
}

fn summary_json(extracted: &Extracted, out: &Path) -> String {
    let Extracted {
        manifest,
        failures,
        elapsed,
        busy,
    } = extracted;
    let failures: Vec<_> = failures
        .iter()
        .map(|failure| json!({ "path": failure.path, "error": failure.error }))
        .collect();
    let document = json!({
        "store": out.display().to_string(),
        "pictures": manifest.counts.pictures,
        "failures": failures,
        "shape": manifest.shape,
        "dtype": manifest.dtype,
        "provider": manifest.provider,
        "seconds": elapsed.as_secs_f64(),
        "pictures_per_second": manifest.counts.pictures as f64 / elapsed.as_secs_f64(),
        "busy_seconds": {
            "decode": busy.decode.as_secs_f64(),
            "inference": busy.inference.as_secs_f64(),
            "write": busy.write.as_secs_f64(),
        },
    });
    format!("{document:#}\n")
}
