//! `cnn-codes extract-features`: arguments to options, the library's call, the summary.

mod summary;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use cnn_codes::codes::{Dtype, Leftover, Pool, Shard, Store};
use cnn_codes::dataset::{self, InputKind, Pictures};
use cnn_codes::extract::{ExtractOptions, Extracted, Extractor, OnFailure, OnUnread, QUEUE_DEPTH};
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

/// Run a trunk over pictures and leave its codes in a store
///
/// The store is a folder with codes.npy and labels.npy (both open in NumPy), images.csv,
/// failures.csv and store.json. Pictures that cannot be used are listed in failures.csv, and the
/// rest goes on. A run that was stopped or killed goes on when the same command is given again.
///
/// Pictures that were there and cannot be read now (their disk fails or went away) leave no store:
/// the exit code is 1, the codes of all others are kept, and the same command tries those pictures
/// again. After five in a row the run ends at once. A file that is missing from its folder, but named
/// in a table or a list, counts as a picture that cannot be used.
///
/// Tables hold names as they are. A spreadsheet takes those that begin with = + - or @ for formulas:
/// import the columns of a stranger's pictures as text.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cnn-codes extract-features pictures/train --out codes/train
  cnn-codes extract-features --csv labels.csv --split train --out codes/train
  find pictures -name '*.jpg' | cnn-codes extract-features - --out codes/unlabelled
  cnn-codes extract-features shard-*.tar --out codes/train
  cnn-codes extract-features pictures/train --out codes/train --shard $SLURM_ARRAY_TASK_ID/8")]
pub struct Arguments {
    /// Folder that holds one folder of pictures per class (JPEG, PNG, BMP, GIF, TIFF, WebP); or
    /// tar shards with NAME.jpg and NAME.cls or NAME.json (WebDataset); or - for a list of files
    /// on stdin, without labels (at most 2 GiB and 20 million lines)
    #[arg(required_unless_present = "csv", conflicts_with = "csv")]
    images: Vec<PathBuf>,
    /// Take the pictures from a table with the columns path, label and perhaps split and group; paths
    /// are relative to the table's folder
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Take only the rows of the table whose split is NAME
    #[arg(long, value_name = "NAME", requires = "csv")]
    split: Option<String>,
    /// The store to make
    #[arg(long, value_name = "STORE", required_unless_present = "dry_run")]
    out: Option<PathBuf>,
    /// Replace the store if it is there already
    #[arg(long)]
    overwrite: bool,
    /// Throw away what a run that was stopped has done, instead of going on with it
    #[arg(long)]
    restart: bool,
    /// Deal with the I-th of N parts of the pictures, I from 0, and leave it in
    /// STORE/part-IIIII-of-NNNNN; STORE is complete with its last part
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// Copy the codes of pictures that STORE has, byte for byte, instead of computing them; may be
    /// given again
    #[arg(long, value_name = "STORE")]
    reuse: Vec<PathBuf>,
    /// Read and decode all pictures, and leave no store: what cannot be used, and how fast it goes
    #[arg(long, conflicts_with_all = ["overwrite", "restart", "reuse"])]
    dry_run: bool,
    /// Stop at the first picture that cannot be used, and leave no store
    #[arg(long)]
    strict: bool,
    /// Also list pictures in failures.csv that cannot be read because their disk fails or went
    /// away; without this, the next run tries them again
    #[arg(long, conflicts_with = "strict")]
    accept_unreadable: bool,
    #[command(flatten)]
    limits: LimitsOption,
    /// Leave the folder of the pictures out of store.json, and with it the name of the user. train-head
    /// and report need --pictures then, to show them
    #[arg(long)]
    private: bool,
    #[command(flatten)]
    trunk: TrunkOption,
    /// How pixels become the trunk's input: caffe, rescale, torch, tf, none, or a formula such as
    /// '(rgb - 127) / 128' [default: the card's]
    #[arg(long, value_parser = str::parse::<Recipe>)]
    recipe: Option<Recipe>,
    /// How a picture is fitted into the trunk's input: stretch, crop, pad (with white), or crop:256, which
    /// makes the shorter side 256 pixels long and cuts out the middle [default: the card's, or stretch]
    #[arg(long, value_name = "FIT", value_parser = str::parse::<Fit>)]
    resize: Option<Fit>,
    /// Resampling filter, the same as Pillow's to the byte [default: the card's, or bilinear]
    #[arg(long, value_parser = one_of::<Filter>(Filter::NAMES))]
    filter: Option<Filter>,
    /// Decode JPEGs that are at least four times as large as the trunk's input at a half, a quarter or an
    /// eighth: the same picture to about a level after resizing, in a fraction of the time (not with
    /// --filter nearest); or decode all pixels
    #[arg(long, default_value_t, value_parser = one_of::<Decoding>(Decoding::NAMES))]
    decode: Decoding,
    /// A layer of the trunk whose codes are taken in place of its output, such as block4_pool, from which `fine-tune`
    /// goes on; or several, separated by commas, whose codes are pooled by --pool and put side by side
    #[arg(long, value_name = "LAYER,...", value_delimiter = ',')]
    output: Vec<String>,
    /// Scale the code of each layer of --output to length 1
    #[arg(long, requires = "output")]
    unit_length: bool,
    /// Keep the whole code, or its mean or maximum over height and width
    #[arg(long, default_value_t, value_parser = one_of::<Pool>(Pool::NAMES))]
    pool: Pool,
    /// Views of each picture whose codes are stored with its own: flip, its mirror image; or flips+crops:N, N views in
    /// all, with parts of 49 to 90% of its area. Heads are trained on all of them, and judge a picture by their mean
    #[arg(long, value_name = "VIEWS", default_value_t, value_parser = str::parse::<Views>)]
    views: Views,
    /// Short for --views flip
    #[arg(long, conflicts_with = "views")]
    flip: bool,
    /// Element type of codes.npy
    #[arg(long, default_value_t, value_parser = one_of::<Dtype>(Dtype::NAMES))]
    dtype: Dtype,
    /// Pictures in a batch, at most 4096
    #[arg(long, default_value_t = ExtractOptions::BATCH_SIZE, value_name = "N", value_parser = batch_size)]
    batch_size: usize,
    /// Where the trunk runs; auto takes CUDA where it works
    #[arg(long, default_value_t, value_parser = one_of::<Device>(Device::NAMES))]
    device: Device,
    /// Whose kernels do the 3 x 3 convolutions on a CPU: winograd takes a quarter of the
    /// multiplications, and its codes agree with onnxruntime's to a few millionths; auto takes it
    /// where the trunk has such convolutions
    #[arg(long, default_value_t, value_parser = one_of::<Kernels>(Kernels::NAMES))]
    kernels: Kernels,
    /// Threads for decoding and for the trunk, at most 1024 [default: the number of cores]
    #[arg(long, value_name = "N", value_parser = threads)]
    threads: Option<usize>,
    /// Time between checkpoints, in seconds: how much work a kill may cost
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    checkpoint_every: Duration,
    /// Say more: provider, threads, queues, files
    #[arg(long, short)]
    verbose: bool,
    /// How the summary is printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    groups: GroupArguments,
    #[command(flatten)]
    models: ModelsOption,
    #[command(flatten)]
    runtime: RuntimeOption,
}

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
    let n_other_files = pictures.n_other_files;
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
        Format::Text => summary::text(&extracted, n_other_files),
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
    let seen = extractor.dry_run(pictures);
    display.finish();
    let seen = stop.result(seen)?;
    match arguments.format {
        Format::Text => print(&summary::dry_text(&seen))?,
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
        "{shard}{} pictures {classes}{views} through {} on {}, recipe {}",
        pictures.len(),
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
