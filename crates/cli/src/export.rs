//! `cnn-codes export`: arguments to options, the library's calls, the summary.

mod summary;

use std::path::PathBuf;
use std::process::ExitCode;

use cnn_codes::dataset::{self, Pictures};
use cnn_codes::export::{
    Against, CheckPictures, Drift, ExportError, ExportOptions, Exported, Precision, Target, check,
    export_classifier, export_head,
};
use cnn_codes::head::HeadKind;
use cnn_codes::head::saved::SavedHead;
use cnn_codes::model::{Device, Kernels, TrunkOptions};
use cnn_codes_files::Existing;

use self::summary::Summary;
use super::progress::PictureDisplay;
use super::stop::Stop;
use super::trunk::{TrunkOption, load_runtime, load_trunk, tuned};
use super::{
    Format, ModelsOption, RuntimeOption, default_threads, one_of, print_result, say, threads,
};

/// Export preprocessing, trunk and head as one ONNX file
///
/// Input: pixels, uint8 RGB (N, H, W, 3), in the size that the file declares. Outputs: probabilities, float32 (N, K),
/// and label_index, int64 (N). The metadata holds classes, recipe, versions and licence. A model card, FILE.toml, is
/// written beside the file.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cnn-codes export head --out classifier.onnx
  cnn-codes export head --out classifier.onnx --check pictures/validation
  cnn-codes export head --out classifier.onnx --fp16 --check pictures/validation
  cnn-codes export head --out head.onnx --head-only")]
pub struct Arguments {
    /// Folder that train-head or fine-tune made
    #[arg(value_name = "HEAD")]
    source: PathBuf,
    /// File to write; its name must end in .onnx
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Which head of HEAD to export [default: the recommended one]
    #[arg(long, value_parser = one_of::<HeadKind>(HeadKind::NAMES))]
    head: Option<HeadKind>,
    /// Export the head without the trunk; its input is the codes of a store, float32
    #[arg(long, conflicts_with_all = ["check", "model", "card"])]
    head_only: bool,
    /// Use float16 for weights and arithmetic, which halves the file. The change of the probabilities is measured on
    /// the pictures of --check, or else on computed ones, and printed
    #[arg(long)]
    fp16: bool,
    /// Compare the probabilities of the file with those of trunk and head on a folder of pictures, one folder per
    /// class, and print the largest difference
    #[arg(long, value_name = "PICTURES")]
    check: Option<PathBuf>,
    /// Replace the file and its card if `export` wrote them
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    trunk: TrunkOption,
    /// Device that runs --check; auto uses CUDA if it works
    #[arg(long, default_value_t, value_parser = one_of::<Device>(Device::NAMES))]
    device: Device,
    /// Threads for --check, at most 1024 [default: the number of cores]
    #[arg(long, value_name = "N", value_parser = threads)]
    threads: Option<usize>,
    /// How the summary is printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    models: ModelsOption,
    #[command(flatten)]
    runtime: RuntimeOption,
}

/// Exports, and prints what was written.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let head = SavedHead::load(&arguments.source)?;
    let kind = arguments.head.unwrap_or_else(|| head.default_kind());
    if let Some(choice) = head.choice().filter(|_| arguments.head.is_none()) {
        say(&format!("{choice} (--head names another)"));
    }
    if !head.views.is_none() {
        say(&format!(
            "note: HEAD was judged by the mean over the views {}; the file classifies a picture by itself, and `predict --model FILE --views {}` takes the mean",
            head.views, head.views
        ));
    }
    let mut options = ExportOptions::of(kind);
    if arguments.fp16 {
        options.precision = Precision::Float16;
    }
    let existing = if arguments.overwrite {
        Existing::Replace
    } else {
        Existing::Keep
    };
    let target = Target::new(&arguments.out, !arguments.head_only, existing)?;
    let (exported, drift) = if arguments.head_only {
        (export_head(&head, options)?, None)
    } else {
        let stop = Stop::on_signals()?;
        stop.result(classifier(arguments, &head, options, &stop))?
    };
    let bytes = target.write(&exported)?;
    let summary = Summary {
        out: &arguments.out,
        card: exported.card.is_some().then(|| target.card()),
        bytes,
        head: &head,
        options,
        checked_on: arguments.check.as_deref(),
        drift,
    };
    let result = match arguments.format {
        Format::Text => summary.to_text(),
        Format::Json => format!("{:#}\n", summary.to_json()),
    };
    let done = format!("model: {}", arguments.out.display());
    print_result(arguments.format, &result, &done)?;
    Ok(ExitCode::SUCCESS)
}

/// Makes the whole classifier and, where it is wanted, compares it with trunk and head.
fn classifier(
    arguments: &Arguments,
    head: &SavedHead,
    options: ExportOptions,
    stop: &Stop,
) -> anyhow::Result<(Exported, Option<Drift>)> {
    let models = &arguments.models.path()?;
    let (card, path) = arguments.trunk.find(models, &head.codes.trunk.name)?;
    let card = tuned(&arguments.source, card.for_output(&head.codes.output))?;
    let trunk = card.read_model(&path)?;
    let exported = export_classifier(trunk.clone(), &card, head, options)?;
    let in_float32 = match options.precision {
        Precision::Float32 if arguments.check.is_none() => return Ok((exported, None)),
        Precision::Float32 => None,
        Precision::Float16 => {
            let as_trained = ExportOptions::of(options.head);
            Some(export_classifier(trunk, &card, head, as_trained)?)
        }
    };
    let (_, runtime) = load_runtime(&arguments.models, &arguments.runtime)?;
    let trunk_options = TrunkOptions::default()
        .with_device(arguments.device)
        .with_threads(arguments.threads.unwrap_or_else(default_threads))
        // What is exported runs without this program's kernels.
        .with_kernels(Kernels::OnnxRuntime);
    let mut trunk = load_trunk(&runtime, card, &path, trunk_options)?;
    let against = Against {
        runtime: &runtime,
        options: trunk_options,
        trunk: &mut trunk,
        in_float32: in_float32.as_ref(),
    };
    let pictures = arguments.check.as_deref().map(dataset::find).transpose()?;
    let drift = measure(&exported, head, options, against, pictures.as_ref(), stop)?;
    Ok((exported, Some(drift)))
}

/// Runs the check, shows how far it is, and stops it at a signal.
fn measure(
    exported: &Exported,
    head: &SavedHead,
    options: ExportOptions,
    against: Against,
    pictures: Option<&Pictures>,
    stop: &Stop,
) -> Result<Drift, ExportError> {
    let (what, total) = match pictures {
        Some(pictures) => (CheckPictures::Found(pictures), pictures.listed.len()),
        None => (CheckPictures::MadeUp, CheckPictures::N_MADE_UP),
    };
    let display = PictureDisplay::new(total, stop);
    let drift = check(exported, head, options, against, what, &display);
    display.finish();
    drift
}
