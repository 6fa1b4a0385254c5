//! `cnn-codes extract-features`: arguments to options, the library's call, the summary.

mod summary;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use cnn_codes::codes::{Dtype, Leftover, Pool, Shard, Store};
use cnn_codes::dataset::{self, InputKind, Pictures};
use cnn_codes::extract::{ExtractOptions, Extracted, Extractor, OnFailure, OnUnread, QUEUE_DEPTH};
use cnn_codes::messages::count;
use cnn_codes::model::{
    Device, Kernels, Layers, Library, ModelCard, OnnxModel, Runtime, Trunk, TrunkOptions, shape_of,
};
use cnn_codes::picture::{self, Decoding, Filter, Fit, Recipe, Views};
use cnn_codes_files::{Existing, resolve};
use ort_winograd::Rewritten;

use super::groups::GroupArguments;
use super::numbers::batch_size;
use super::progress::PictureDisplay;
use super::stop::Stop;
use super::trunk::{TrunkOption, load_runtime, load_trunk};
use super::{
    Format, LimitsOption, ModelsOption, RuntimeOption, default_threads, one_of, print, print_json,
    print_result, say, shown, threads,
};

/// Extract the CNN codes of pictures into a store
///
/// The store is a folder with codes.npy and labels.npy (both open in NumPy), images.csv, failures.csv and store.json.
/// Pictures that cannot be used are listed in failures.csv and skipped. If a run is stopped or killed, the same command
/// continues it.
///
/// Pictures that are there but cannot be read now (their disk fails or went away) leave the store unfinished: the exit
/// code is 1, the codes of all other pictures are kept, and the same command tries those pictures again. After five
/// such pictures in a row the run ends at once. A file that a table or list names and that is missing from its folder
/// counts as a picture that cannot be used.
///
/// Tables hold names as they are. A spreadsheet runs names that begin with = + - or @ as formulas: import the columns
/// of a stranger's pictures as text.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cnn-codes extract-features pictures/train --out codes/train
  cnn-codes extract-features pictures/train --out codes/train --views flip
  cnn-codes extract-features --csv labels.csv --split train --out codes/train
  find pictures -name '*.jpg' | cnn-codes extract-features - --out codes/unlabelled
  cnn-codes extract-features shard-*.tar --out codes/train
  cnn-codes extract-features pictures/train --out codes/train --shard $SLURM_ARRAY_TASK_ID/8
  cnn-codes extract-features pictures/train --dry-run")]
pub struct Arguments {
    /// Folder that holds one folder of pictures per class (JPEG, PNG, BMP, GIF, TIFF, WebP); or
    /// tar shards with NAME.jpg and NAME.cls or NAME.json (WebDataset); or - for a list of files
    /// on stdin, without labels (at most 2 GiB and 20 million lines)
    #[arg(required_unless_present = "csv", conflicts_with = "csv")]
    images: Vec<PathBuf>,
    /// Print more: provider, threads, queues, files
    #[arg(long, short)]
    verbose: bool,
    /// How the summary is printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// CSV table of pictures, with the columns path, label and perhaps split and group; paths are relative to the
    /// table's folder
    #[arg(long, help_heading = INPUT, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Take only the rows of the table whose split is NAME
    #[arg(long, help_heading = INPUT, value_name = "NAME", requires = "csv")]
    split: Option<String>,
    /// Process part I of N (I from 0) into STORE/part-IIIII-of-NNNNN; with its last part STORE is complete
    #[arg(long, help_heading = INPUT, value_name = "I/N")]
    shard: Option<Shard>,
    /// Copy the codes of identical pictures from STORE; may be repeated
    #[arg(long, help_heading = INPUT, value_name = "STORE")]
    reuse: Vec<PathBuf>,
    #[command(flatten)]
    groups: GroupArguments,
    /// Store to make
    #[arg(long, help_heading = OUTPUT, value_name = "STORE", required_unless_present = "dry_run")]
    out: Option<PathBuf>,
    /// Replace the store if it exists
    #[arg(long, help_heading = OUTPUT)]
    overwrite: bool,
    /// Discard the unfinished work of an earlier run
    #[arg(long, help_heading = OUTPUT)]
    restart: bool,
    /// Read and decode only; report unusable pictures and the speed
    #[arg(long, help_heading = OUTPUT, conflicts_with_all = ["overwrite", "restart", "reuse"])]
    dry_run: bool,
    /// Stop at the first picture that cannot be used, and make no store
    #[arg(long, help_heading = OUTPUT)]
    strict: bool,
    /// List pictures in failures.csv that a failing disk hides; otherwise the next run tries them again
    #[arg(long, help_heading = OUTPUT, conflicts_with = "strict")]
    accept_unreadable: bool,
    /// Leave the folder of the pictures, and with it your user name, out of store.json; train-head and report then need
    /// --pictures to show pictures
    #[arg(long, help_heading = OUTPUT)]
    private: bool,
    #[command(flatten)]
    trunk: TrunkOption,
    /// How pixels become the trunk's input: caffe, rescale, torch, tf, none, or a formula such as
    /// '(rgb - 127) / 128' [default: the card's]
    #[arg(long, help_heading = PREPROCESSING, value_parser = str::parse::<Recipe>)]
    recipe: Option<Recipe>,
    /// How a picture is fitted into the trunk's input: stretch, crop, pad (with white), or crop:256, which
    /// makes the shorter side 256 pixels long and cuts out the middle [default: the card's, or stretch]
    #[arg(long, help_heading = PREPROCESSING, value_name = "FIT", value_parser = str::parse::<Fit>)]
    resize: Option<Fit>,
    /// Resampling filter, the same as Pillow's to the byte [default: the card's, or bilinear]
    #[arg(long, help_heading = PREPROCESSING, value_parser = one_of::<Filter>(Filter::NAMES))]
    filter: Option<Filter>,
    /// full decodes all pixels; scaled decodes large JPEGs at 1/2, 1/4 or 1/8 of their size: faster, levels differ by
    /// about one (not with --filter nearest)
    #[arg(long, help_heading = PREPROCESSING, default_value_t, value_parser = one_of::<Decoding>(Decoding::NAMES))]
    decode: Decoding,
    /// Views of each picture whose codes are stored too: flip, the mirror image; or flips+crops:N, N views with parts
    /// of 49 to 90% of the area. Heads train on all views and average their logits
    #[arg(long, help_heading = PREPROCESSING, value_name = "VIEWS", default_value_t, value_parser = str::parse::<Views>)]
    views: Views,
    /// Short for --views flip
    #[arg(long, help_heading = PREPROCESSING, conflicts_with = "views")]
    flip: bool,
    /// Take the codes of this layer instead of the trunk's output, such as block4_pool for `fine-tune`; or of several
    /// layers, separated by commas, pooled by --pool and concatenated
    #[arg(long, help_heading = CODES, value_name = "LAYER,...", value_delimiter = ',')]
    output: Vec<String>,
    /// Scale the code of each layer of --output to length 1
    #[arg(long, help_heading = CODES, requires = "output")]
    unit_length: bool,
    /// Keep the whole code, or its mean or maximum over height and width
    #[arg(long, help_heading = CODES, default_value_t, value_parser = one_of::<Pool>(Pool::NAMES))]
    pool: Pool,
    /// Element type of codes.npy
    #[arg(long, help_heading = CODES, default_value_t, value_parser = one_of::<Dtype>(Dtype::NAMES))]
    dtype: Dtype,
    /// Pictures per batch, at most 4096
    #[arg(long, help_heading = SPEED, default_value_t = ExtractOptions::BATCH_SIZE, value_name = "N", value_parser = batch_size)]
    batch_size: usize,
    /// Device that runs the trunk; auto uses CUDA if it works
    #[arg(long, help_heading = SPEED, default_value_t, value_parser = one_of::<Device>(Device::NAMES))]
    device: Device,
    /// Kernels of the 3 x 3 convolutions on a CPU: winograd needs a quarter of the multiplications, and its codes agree
    /// with onnxruntime's to a few millionths; auto uses winograd if the trunk has such convolutions
    #[arg(long, help_heading = SPEED, default_value_t, value_parser = one_of::<Kernels>(Kernels::NAMES))]
    kernels: Kernels,
    /// Threads for decoding and for the trunk, at most 1024 [default: the number of cores]
    #[arg(long, help_heading = SPEED, value_name = "N", value_parser = threads)]
    threads: Option<usize>,
    /// Time between checkpoints, in seconds: at most this much work is lost if the run is killed
    #[arg(long, help_heading = SPEED, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    checkpoint_every: Duration,
    #[command(flatten, next_help_heading = SPEED)]
    limits: LimitsOption,
    #[command(flatten)]
    models: ModelsOption,
    #[command(flatten)]
    runtime: RuntimeOption,
}

/// Groups of options in the help.
const INPUT: &str = "Input";
const OUTPUT: &str = "Output";
const PREPROCESSING: &str = "Preprocessing";
const CODES: &str = "Codes";
const SPEED: &str = "Speed and limits";

/// The trunk that runs where none is named.
const VGG16: &str = "vgg16";

/// Extracts, and prints the summary.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if let Some(out) = &arguments.out {
        // A link that leads nowhere is told before there is any work.
        resolve(out)?;
    }
    let mut pictures = find_pictures(arguments)?;
    arguments.groups.apply(&mut pictures)?;
    if arguments.private {
        check_relative(&pictures)?;
    }
    let threads = arguments.threads.unwrap_or_else(default_threads);
    match &arguments.out {
        Some(out) if !arguments.dry_run => run_extraction(arguments, pictures, threads, out),
        _ => run_dry(arguments, pictures, threads),
    }
}

/// The trunk, and how pictures become its codes.
pub fn load(arguments: &Arguments) -> anyhow::Result<(Trunk, ExtractOptions)> {
    if arguments.flip || !arguments.views.is_none() {
        bail!(
            "views are for stores: a trunk in memory gives one code for each picture; leave them out"
        );
    }
    let threads = arguments.threads.unwrap_or_else(default_threads);
    let models = arguments.models.path()?;
    let (card, model) = arguments.trunk.find(&models, VGG16)?;
    let (_, runtime) = load_runtime(&arguments.models, &arguments.runtime)?;
    let card = with_layers(arguments, card, &model, &runtime)?;
    let options = extract_options(arguments, &card, threads)?;
    let trunk = load_trunk(&runtime, card, &model, trunk_options(arguments, threads))?;
    Ok((trunk, options))
}

fn run_extraction(
    arguments: &Arguments,
    pictures: Pictures,
    threads: usize,
    out: &Path,
) -> anyhow::Result<ExitCode> {
    let models = arguments.models.path()?;
    let (card, model) = arguments.trunk.find(&models, VGG16)?;
    let reuse = open_stores(&arguments.reuse)?;
    let (library, runtime) = load_runtime(&arguments.models, &arguments.runtime)?;
    let card = with_layers(arguments, card, &model, &runtime)?;
    let options = extract_options(arguments, &card, threads)?;
    let trunk_options = trunk_options(arguments, threads);
    let mut trunk = load_trunk(&runtime, card, &model, trunk_options)?;
    say(&introduction(&pictures, &trunk, &options));
    if arguments.verbose {
        details(&trunk, &library, &options).lines().for_each(say);
    }
    let other_files = pictures.other_files.clone();
    let stop = Stop::on_signals()?;
    let display = PictureDisplay::new(pictures.listed.len(), &stop);
    let extractor = Extractor::new(&mut trunk)
        .options(options)
        .reuse(&reuse)
        .watch(&display);
    let extracted = extractor.run(pictures, out);
    display.finish();
    let extracted = stop.result(extracted)?;
    if arguments.private {
        check_rootless(&extracted)?;
    }
    let result = match arguments.format {
        Format::Text => summary::text(&extracted, &other_files),
        Format::Json => summary::json(&extracted),
    };
    let done = format!("store: {}", extracted.store.display());
    print_result(arguments.format, &result, &done)?;
    Ok(ExitCode::SUCCESS)
}

/// The card with the layers that are asked for: one as it is, or several pooled side by side.
fn with_layers(
    arguments: &Arguments,
    card: ModelCard,
    file: &Path,
    runtime: &Runtime,
) -> anyhow::Result<ModelCard> {
    match arguments.output.as_slice() {
        [] => return Ok(card),
        [tensor] if arguments.pool == Pool::None && !arguments.unit_length => {
            let shape = shape_of(runtime, &card, file, tensor)?;
            return Ok(card.cut_at(tensor, shape));
        }
        _ => {}
    }
    let layers = Layers::new(
        arguments.output.clone(),
        arguments.pool,
        arguments.unit_length,
    )?;
    let channels = layers.channels(&OnnxModel::read(file)?, &card.output)?;
    Ok(card.with_layers(&layers, &channels))
}

/// Refuses a finished store of an earlier run that names the folder of its pictures.
fn check_rootless(extracted: &Extracted) -> anyhow::Result<()> {
    if extracted.manifest.store.root.is_some() {
        bail!(
            "{} was made before without --private, and names the folder of its pictures; give \
             --overwrite to make it anew",
            extracted.store.display()
        );
    }
    Ok(())
}

fn run_dry(arguments: &Arguments, pictures: Pictures, threads: usize) -> anyhow::Result<ExitCode> {
    let card = arguments.trunk.card(&arguments.models.path()?, VGG16)?;
    let options = extract_options(arguments, &card, threads)?;
    let stop = Stop::on_signals()?;
    let display = PictureDisplay::new(pictures.listed.len(), &stop);
    let extractor = Extractor::without_trunk(&card)
        .options(options)
        .watch(&display);
    let other_files = pictures.other_files.clone();
    let seen = extractor.dry_run(pictures);
    display.finish();
    let seen = stop.result(seen)?;
    match arguments.format {
        Format::Text => print(&summary::dry_text(&seen, &other_files))?,
        Format::Json => print_json(&summary::dry_json(&seen))?,
    }
    if seen.unread > 0 && !arguments.accept_unreadable {
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// The pictures of whichever kind of input was given.
fn find_pictures(arguments: &Arguments) -> anyhow::Result<Pictures> {
    if let Some(csv) = &arguments.csv {
        return Ok(dataset::read_table(csv, arguments.split.as_deref())?);
    }
    let is_archive = |path: &PathBuf| InputKind::of(path) == InputKind::Archive;
    match arguments.images.as_slice() {
        [list] if InputKind::of(list) == InputKind::List => {
            Ok(dataset::read_unlabelled_list(crate::host::input())?)
        }
        archives if archives.iter().all(is_archive) => {
            Ok(dataset::read_labelled_archives(archives)?)
        }
        [folder] => Ok(dataset::find(folder)?),
        several => bail!(
            "{} and {} are given together; give one folder of classes, or tar shards only, or - \
             for a list of files on stdin",
            several[0].display(),
            several[1].display()
        ),
    }
}

/// Refuses rows that would be called by absolute paths.
fn check_relative(pictures: &Pictures) -> anyhow::Result<()> {
    let rows = pictures.listed.iter().map(|picture| &*picture.path);
    let unusable = pictures.unusable.iter().map(|failure| &*failure.path);
    match rows
        .chain(unusable)
        .find(|path| Path::new(path).is_absolute())
    {
        Some(path) => bail!(
            "--private cannot leave out the path {path}, which is the name of a row; give paths \
             that are relative to the working folder, or to the table's"
        ),
        None => Ok(()),
    }
}

/// A time of 0 or more.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| "it is not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

fn open_stores(dirs: &[PathBuf]) -> anyhow::Result<Vec<Store>> {
    Ok(dirs
        .iter()
        .map(|dir| Store::open(dir))
        .collect::<Result<_, _>>()?)
}

fn introduction(pictures: &Pictures, trunk: &Trunk, options: &ExtractOptions) -> String {
    let classes = match pictures.classes.len() {
        0 => "without labels".to_owned(),
        n => format!("of {n} classes"),
    };
    let views = match options.preparation.views {
        Views::None => String::new(),
        views => format!(", {} views of each,", views.n()),
    };
    let shard = options
        .shard
        .map_or(String::new(), |shard| format!("shard {shard} of "));
    format!(
        "{shard}{} {classes}{views} through {} on {}, recipe {}",
        count(pictures.len(), "picture", "pictures"),
        trunk.card().name,
        trunk.provider(),
        options.preparation.recipe,
    )
}

/// What `--verbose` tells.
fn details(trunk: &Trunk, library: &Library, options: &ExtractOptions) -> String {
    format!(
        "provider: {}, ONNX Runtime {} ({})\n\
         convolutions: {}\n\
         threads: {} for decoding, {} for the trunk\n\
         queues: at most {QUEUE_DEPTH} batches of {} pictures before the trunk, and {QUEUE_DEPTH} after it\n\
         JPEG decoder: {}\n\
         trunk: SHA-256 {}",
        trunk.provider(),
        trunk.onnxruntime(),
        shown(&library.path),
        trunk
            .rewritten()
            .map_or("all by ONNX Runtime".to_owned(), Rewritten::summary),
        options.threads,
        trunk.threads(),
        options.batch_size,
        picture::DECODER,
        trunk.identity().sha256,
    )
}

/// How the trunk runs.
pub(super) fn trunk_options(arguments: &Arguments, threads: usize) -> TrunkOptions {
    TrunkOptions::default()
        .with_device(arguments.device)
        .with_threads(threads)
        .with_kernels(arguments.kernels)
}

pub(super) fn extract_options(
    arguments: &Arguments,
    card: &ModelCard,
    threads: usize,
) -> anyhow::Result<ExtractOptions> {
    let mut options = ExtractOptions::for_card(card);
    if let Some(fit) = arguments.resize
        && let Err(reason) = card.check_fit(fit)
    {
        bail!("--resize {reason}");
    }
    let resize = &mut options.preparation.resize;
    resize.fit = arguments.resize.unwrap_or(resize.fit);
    resize.filter = arguments.filter.unwrap_or(resize.filter);
    resize.decoding = arguments.decode;
    if let Some(recipe) = arguments.recipe {
        options.preparation.recipe = recipe;
    }
    options.preparation.views = match arguments.flip {
        true => Views::Flip,
        false => arguments.views,
    };
    options.batch_size = arguments.batch_size;
    options.threads = threads;
    options.pool = match arguments.output.as_slice() {
        [] => arguments.pool,
        // It is done in the graph.
        _ => Pool::None,
    };
    options.dtype = arguments.dtype;
    if arguments.strict {
        options.on_failure = OnFailure::Stop;
    }
    if arguments.accept_unreadable {
        options.on_unread = OnUnread::Accept;
    }
    options.limits = arguments.limits.limits();
    if arguments.overwrite {
        options.existing = Existing::Replace;
    }
    if arguments.restart {
        options.leftover = Leftover::Discard;
    }
    options.shard = arguments.shard;
    options.names_folder = !arguments.private;
    options.checkpoint_every = arguments.checkpoint_every;
    Ok(options)
}
