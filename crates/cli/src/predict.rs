//! `cnn-codes predict`: arguments to options, the library's call, predictions as they come.

mod printed;

use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;

use anyhow::bail;
use clap::ValueEnum;
use cnn_codes::codes::Store;
use cnn_codes::dataset::{self, InputKind, Picture, Pictures, ReadError};
use cnn_codes::head::HeadKind;
use cnn_codes::head::saved;
use cnn_codes::messages::{count, none_could_be_used};
use cnn_codes::model::{Device, FilterTransforms, Kernels, ModelCard, TrunkOptions};
use cnn_codes::picture::Views;
use cnn_codes::predict::{Classifier, Outcome, PredictOptions, Predictor};

pub use self::printed::{Printed, Wanted};
use super::numbers::batch_size;
use super::stop::Stop;
use super::trunk::{TrunkOption, load_runtime, load_trunk, tuned};
use super::tuned::taken_by;
use super::{
    LimitsOption, ModelsOption, RuntimeOption, WRONG_USAGE, default_threads, one_of, positive,
    print, print_json, print_table, remedy, say, threads,
};

/// Classify pictures with a trained head
///
/// Each batch is printed as soon as it is done: the most probable classes of each picture, best first. Pictures that
/// cannot be used are reported and skipped. The exit code is 1 if no picture could be used, or if some could not be
/// read because their disk failed. Labels of the pictures are ignored.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "cnn-codes predict [OPTIONS] <HEAD> <IMAGES>...
       cnn-codes predict [OPTIONS] --model <CLASSIFIER.onnx> <IMAGES>...",
    after_help = "Examples:
  cnn-codes predict head new.jpg pictures/
  cnn-codes predict --model classifier.onnx new.jpg
  find pictures -name '*.jpg' | cnn-codes predict head - --format jsonl
  cnn-codes predict head shard-*.tar --format csv > predictions.csv
  cnn-codes predict head codes/validation --head logistic
  cnn-codes predict head new/ --sets 0.9 --outliers 0.05"
)]
pub struct Arguments {
    /// Folder that train-head or fine-tune made; leave it out if --model is a classifier that `export` wrote
    head: PathBuf,
    /// Pictures (JPEG, PNG, BMP, GIF, TIFF, WebP) and folders, searched with their subfolders; or - for a list of
    /// files on stdin; or tar shards; or stores, whose codes are classified without the trunk
    images: Vec<PathBuf>,
    /// How predictions are printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Pictures per batch, at most 4096 [default: 4, on CUDA 20]
    #[arg(long, value_name = "N", value_parser = batch_size)]
    batch_size: Option<usize>,
    #[command(flatten)]
    pub(super) by: Classifying,
}

/// Groups of options in the help.
const PREDICTIONS: &str = "Predictions";
const SPEED: &str = "Speed and limits";

/// What answers, how sure it must be, and where it runs: for whoever predicts.
#[derive(Clone, Debug, clap::Args)]
pub struct Classifying {
    /// Which head of HEAD predicts [default: the recommended one]
    #[arg(long = "head", help_heading = PREDICTIONS, value_name = "KIND", value_parser = one_of::<HeadKind>(HeadKind::NAMES))]
    kind: Option<HeadKind>,
    /// Views of each picture whose logits are averaged: none, flip or flips+crops:N [default: those by which HEAD
    /// was judged; for a store, those in it]
    #[arg(long, help_heading = PREDICTIONS, value_name = "VIEWS", value_parser = str::parse::<Views>)]
    views: Option<Views>,
    /// Number of classes to print for each picture
    #[arg(long, help_heading = PREDICTIONS, default_value = "3", value_name = "K", value_parser = positive)]
    top_k: usize,
    /// Mark pictures as unsure whose most probable class has a probability below P, 0 to 1; train-head prints values
    /// that keep wrong answers rare
    #[arg(long, help_heading = PREDICTIONS, value_name = "P", value_parser = probability)]
    min_confidence: Option<f32>,
    /// Print a set of classes for each picture that contains the true class with probability P, such as 0.9 (a
    /// conformal prediction set); HEAD must be trained with --calibrate, --tune or --folds
    #[arg(long, help_heading = PREDICTIONS, value_name = "P", value_parser = share)]
    sets: Option<f64>,
    /// Mark outliers: pictures unlike all training pictures. RATE is the share of ordinary pictures that are marked by
    /// mistake, such as 0.05
    #[arg(long, help_heading = PREDICTIONS, value_name = "RATE", value_parser = share)]
    outliers: Option<f64>,
    #[command(flatten)]
    trunk: TrunkOption,
    /// Device that runs the trunk; auto uses CUDA if it works
    #[arg(long, help_heading = SPEED, default_value_t, value_parser = one_of::<Device>(Device::NAMES))]
    device: Device,
    /// Kernels of the 3 x 3 convolutions on a CPU; auto uses winograd if the trunk has such convolutions
    #[arg(long, help_heading = SPEED, default_value_t, value_parser = one_of::<Kernels>(Kernels::NAMES))]
    kernels: Kernels,
    /// Threads for decoding and for the trunk, at most 1024 [default: the number of cores]
    #[arg(long, help_heading = SPEED, value_name = "N", value_parser = threads)]
    threads: Option<usize>,
    #[command(flatten, next_help_heading = SPEED)]
    limits: LimitsOption,
    #[command(flatten)]
    models: ModelsOption,
    #[command(flatten)]
    runtime: RuntimeOption,
}

impl Classifying {
    /// What is told of each picture.
    pub fn wanted(&self) -> Wanted {
        Wanted {
            top_k: self.top_k,
            min_confidence: self.min_confidence,
            sets: self.sets.is_some(),
            outliers: self.outliers.is_some(),
        }
    }
}

/// How predictions are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people: a line for each picture; pictures that cannot be used are reported on stderr
    #[default]
    Text,
    /// A CSV table: path, class_1, probability_1, class_2, ..., then columns of other options, then error. Names are
    /// not escaped: in a spreadsheet, import them as text, as names that begin with = + - or @ are run as formulas
    Csv,
    /// One JSON document
    Json,
    /// One JSON document per line and picture
    Jsonl,
}

impl Format {
    fn print(self, predictions: &str) -> anyhow::Result<()> {
        match self {
            Self::Text => print(predictions),
            Self::Csv => print_table(predictions),
            Self::Json | Self::Jsonl => print_json(predictions),
        }
    }
}

fn probability(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(probability) if (0.0..=1.0).contains(&probability) => Ok(probability),
        Ok(_) => Err("it must be from 0 to 1".to_owned()),
        Err(_) => Err("it is not a number".to_owned()),
    }
}

/// A share of pictures, neither none nor all.
fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if share > 0.0 && share < 1.0 => Ok(share),
        Ok(_) => Err("it must be above 0 and below 1, such as 0.9".to_owned()),
        Err(_) => Err("it is not a number".to_owned()),
    }
}

/// A number to four digits, without zeros at its end.
fn short(number: f64) -> String {
    let text = format!("{number:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Pictures from which on it pays to transform VGG16's filters once and for all, which takes as long as two
/// pictures and makes each a tenth faster.
const MANY_PICTURES: usize = 20;

/// What is to be predicted.
enum Input {
    Pictures(Pictures),
    Stores(Vec<Store>),
}

/// What predicts.
enum Source<'a> {
    /// A HEAD directory, behind the trunk that it was trained with.
    Head(&'a Path),
    /// A classifier that `export` wrote: its card and its file.
    Exported(Box<ModelCard>, PathBuf),
}

/// Predicts, and prints.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let (source, images) = find_source(arguments)?;
    if images.is_empty() {
        say("error: no pictures are given; see `cnn-codes predict --help`");
        return Ok(ExitCode::from(WRONG_USAGE));
    }
    match (find_input(&images)?, source) {
        (Input::Pictures(pictures), source) => predict_pictures(arguments, source, pictures),
        (Input::Stores(stores), Source::Head(head)) => predict_stores(arguments, head, &stores),
        (Input::Stores(stores), Source::Exported(_, file)) => bail!(
            "{} takes pictures, and {} is a store of codes; give the pictures, or the head that was \
             trained on such codes",
            file.display(),
            stores[0].dir().display()
        ),
    }
}

/// What predicts, and what is to be predicted: an exported classifier leaves HEAD's place to the
/// first picture.
fn find_source(arguments: &Arguments) -> anyhow::Result<(Source<'_>, Vec<PathBuf>)> {
    let Arguments { head, images, .. } = arguments;
    let exported = arguments.by.trunk.given()?;
    let Some((card, file)) = exported.filter(|(card, _)| card.classifier.is_some()) else {
        if head.extension().is_some_and(|ending| ending == "onnx") {
            bail!(
                "{} is no folder that train-head made; give a classifier that export wrote with \
                 --model",
                head.display()
            );
        }
        return Ok((Source::Head(head), images.clone()));
    };
    if head.join(saved::MANIFEST).exists() {
        bail!(
            "{} holds a head already; leave {} out",
            file.display(),
            head.display()
        );
    }
    if let Some(kind) = arguments.by.kind {
        bail!(
            "{} holds one head, so --head {kind} cannot choose; export that one",
            file.display()
        );
    }
    let images = std::iter::once(head).chain(images);
    Ok((
        Source::Exported(Box::new(card), file),
        images.cloned().collect(),
    ))
}

/// What predicts pictures as they come, with the head of a folder, and how.
pub fn predictor_of(by: &Classifying, head: &Path) -> anyhow::Result<(Predictor, PredictOptions)> {
    let predictor = load_predictor(by, Source::Head(head), MANY_PICTURES)?;
    let options = predict_options(by, &predictor);
    Ok((predictor, options))
}

/// The head of a folder, with what is asked for besides probabilities.
pub fn classifier_of(by: &Classifying, head: &Path) -> anyhow::Result<Classifier> {
    load_classifier(by, head)
}

/// The head of HEAD, for codes.
pub fn classifier(arguments: &Arguments) -> anyhow::Result<Classifier> {
    load_classifier(&arguments.by, &arguments.head)
}

/// What predicts pictures as they come, and how.
pub fn predictor(arguments: &Arguments) -> anyhow::Result<(Predictor, PredictOptions)> {
    let (source, _) = find_source(arguments)?;
    let predictor = load_predictor(&arguments.by, source, MANY_PICTURES)?;
    let mut options = predict_options(&arguments.by, &predictor);
    options.batch_size = arguments.batch_size.unwrap_or(options.batch_size);
    Ok((predictor, options))
}

fn predict_options(by: &Classifying, predictor: &Predictor) -> PredictOptions {
    let mut options = PredictOptions::for_trunk(predictor.trunk());
    options.threads = by.threads.unwrap_or(options.threads);
    options.limits = by.limits.limits();
    options
}

fn predict_pictures(
    arguments: &Arguments,
    source: Source,
    pictures: Pictures,
) -> anyhow::Result<ExitCode> {
    if arguments.format == Format::Text {
        check_some_are_there(&pictures)?;
    }
    let mut predictor = load_predictor(&arguments.by, source, pictures.listed.len())?;
    let mut options = predict_options(&arguments.by, &predictor);
    options.batch_size = arguments.batch_size.unwrap_or(options.batch_size);
    say(&introduction(&pictures, &predictor));
    let paths = pictures.listed.iter().map(|picture| &*picture.path);
    let mut session = Session::begin(arguments, predictor.classifier(), paths)?;
    for outcomes in predictor.predict(pictures, options) {
        if session.take(outcomes?).is_break() {
            break;
        }
    }
    session.end()
}

/// Refuses pictures none of which is there, before a trunk is loaded. Formats for programs list each of them.
fn check_some_are_there(pictures: &Pictures) -> anyhow::Result<()> {
    let missing = |picture: &Picture| match pictures.n_bytes(picture) {
        Err(ReadError::OutOfReach(error)) if error.kind() == ErrorKind::NotFound => Some(error),
        _ => None,
    };
    if !pictures.unusable.is_empty()
        || pictures
            .listed
            .iter()
            .any(|picture| missing(picture).is_none())
    {
        return Ok(());
    }
    let listed = &pictures.listed;
    let first = listed
        .first()
        .and_then(|first| Some((&*first.path, missing(first)?.to_string())));
    let first = first.as_ref().map(|(path, why)| (*path, &**why));
    bail!(none_could_be_used(listed.len(), first))
}

/// The head that answers, with what is asked for besides probabilities.
fn load_classifier(by: &Classifying, head: &Path) -> anyhow::Result<Classifier> {
    let classifier = Classifier::load(head, by.kind)?;
    if let Some(choice) = classifier.choice() {
        say(&format!("{choice} (--head names another)"));
    }
    with_choices(by, classifier)
}

/// The classifier with the views that are asked for, telling sets and outliers where they are.
fn with_choices(by: &Classifying, classifier: Classifier) -> anyhow::Result<Classifier> {
    let classifier = match by.views {
        Some(views) => classifier.with_views(views),
        None => classifier,
    };
    let classifier = match by.sets {
        Some(share) => classifier.with_sets(share)?,
        None => classifier,
    };
    Ok(match by.outliers {
        Some(rate) => classifier.with_outliers(rate)?,
        None => classifier,
    })
}

fn predict_stores(
    arguments: &Arguments,
    head: &Path,
    stores: &[Store],
) -> anyhow::Result<ExitCode> {
    let classifier = load_classifier(&arguments.by, head)?;
    let pictures = stores.iter().flat_map(Store::pictures);
    let paths = pictures.map(|picture| &*picture.path);
    let mut session = Session::begin(arguments, &classifier, paths)?;
    for store in stores {
        let by = &arguments.by;
        let store = &taken_by(
            head,
            classifier.codes(),
            with_views(store, by.views)?,
            &by.trunk,
            &by.models,
        )?;
        if !session.goes_on() {
            break;
        }
        for outcomes in classifier.predict_store(store)? {
            if session.take(outcomes?).is_break() {
                break;
            }
        }
    }
    session.end()
}

/// The store with the views that are asked for.
fn with_views(store: &Store, views: Option<Views>) -> anyhow::Result<Store> {
    match views {
        Some(Views::None) => Ok(store.without_views()),
        Some(views) if views != store.views() => bail!(
            "{} holds codes of the views {}, and --views asks for {views}; extract the pictures with --views {views}",
            store.dir().display(),
            store.views()
        ),
        _ => Ok(store.clone()),
    }
}

/// What was given, which is all of one kind.
fn find_input(images: &[PathBuf]) -> anyhow::Result<Input> {
    let kinds: Vec<_> = images.iter().map(|path| InputKind::of(path)).collect();
    let of_kind = |kind| {
        let kinds = images.iter().zip(&kinds);
        kinds.filter_map(move |(path, other)| (*other == kind).then_some(path))
    };
    if kinds.contains(&InputKind::List) {
        if images.len() > 1 {
            bail!("- cannot be combined with other inputs; put all files into the list on stdin");
        }
        let list = dataset::read_unlabelled_list(crate::host::input())?;
        return Ok(Input::Pictures(list));
    }
    if kinds.iter().all(|&kind| kind == InputKind::Archive) {
        let pictures = dataset::read_unlabelled_archives(images)?;
        return Ok(Input::Pictures(pictures));
    }
    let stores = of_kind(InputKind::Store).map(|dir| Store::open(dir));
    let stores: Vec<_> = stores.collect::<Result<_, _>>()?;
    match (stores.first(), of_kind(InputKind::Archive).next()) {
        (Some(store), _) if stores.len() < images.len() => bail!(
            "{} is a store, and cannot be combined with pictures; give stores and pictures to separate commands",
            store.dir().display()
        ),
        (Some(_), _) => Ok(Input::Stores(stores)),
        (None, Some(archive)) => bail!(
            "{} is a tar shard, and cannot be combined with other inputs; give tar shards to a separate command",
            archive.display()
        ),
        (None, None) => Ok(Input::Pictures(dataset::find_unlabelled(images)?)),
    }
}

/// How the trunk runs.
pub(super) fn trunk_options(by: &Classifying) -> TrunkOptions {
    TrunkOptions::default()
        .with_device(by.device)
        .with_threads(by.threads.unwrap_or_else(default_threads))
        .with_kernels(by.kernels)
}

/// What predicts, with its trunk in a session.
fn load_predictor(
    by: &Classifying,
    source: Source,
    n_pictures: usize,
) -> anyhow::Result<Predictor> {
    let load_runtime = || load_runtime(&by.models, &by.runtime);
    let filters = match n_pictures < MANY_PICTURES {
        true => FilterTransforms::WhenUsed,
        false => FilterTransforms::Once,
    };
    let options = trunk_options(by).with_filters(filters);
    match source {
        Source::Head(head) => {
            // Side by side: both read files of 25 MB.
            let (classifier, runtime) = thread::scope(|scope| {
                let runtime = scope.spawn(load_runtime);
                let classifier = load_classifier(by, head);
                let runtime = runtime.join().expect("loading does not panic");
                (classifier, runtime)
            });
            let classifier = classifier?;
            let models = by.models.path()?;
            let (card, file) = by.trunk.find(&models, &classifier.codes().trunk.name)?;
            let card = tuned(head, card.for_output(&classifier.codes().output))?;
            let trunk = load_trunk(&runtime?.1, card, &file, options)?;
            Ok(Predictor::new(classifier, trunk)?)
        }
        Source::Exported(card, file) => {
            let trunk = load_trunk(&load_runtime()?.1, *card, &file, options)?;
            let classifier = Classifier::inside(&trunk).expect("its card was looked at");
            let classifier = with_choices(by, classifier)?;
            Ok(Predictor::new(classifier, trunk)?)
        }
    }
}

fn introduction(pictures: &Pictures, predictor: &Predictor) -> String {
    let trunk = predictor.trunk();
    let (card, provider) = (trunk.card(), trunk.provider());
    let pictures = count(pictures.len(), "picture", "pictures");
    let through = format!("{pictures} through {} on {provider}", card.name);
    match &card.classifier {
        Some(_) => through,
        None => format!("{through}, and the {} head", predictor.classifier().name()),
    }
}

/// Predictions on their way out.
struct Session {
    format: Format,
    printed: Printed,
    stop: Stop,
    n_predicted: usize,
    /// Of these, those whose confidence is below the one that was asked for.
    n_unsure: usize,
    n_outliers: usize,
    /// Share of false alarms, where outliers are asked for.
    outlier_rate: Option<f64>,
    n_failed: usize,
    /// Those of them that could not be read for reasons that are not their own.
    n_unread: usize,
    /// Whether printing went well.
    result: anyhow::Result<()>,
}

impl Session {
    /// Begins with what comes before the pictures at `paths`.
    fn begin<'a>(
        arguments: &Arguments,
        classifier: &Classifier,
        paths: impl Iterator<Item = &'a str>,
    ) -> anyhow::Result<Self> {
        let wanted = arguments.by.wanted();
        let printed = Printed::new(arguments.format, wanted, classifier, paths);
        arguments.format.print(&printed.begin())?;
        Ok(Self {
            format: arguments.format,
            printed,
            stop: Stop::on_signals()?,
            n_predicted: 0,
            n_unsure: 0,
            n_outliers: 0,
            outlier_rate: arguments.by.outliers,
            n_failed: 0,
            n_unread: 0,
            result: Ok(()),
        })
    }

    /// Prints some outcomes, and breaks where nobody reads them or a signal has come.
    fn take(&mut self, mut outcomes: Vec<Outcome>) -> ControlFlow<()> {
        for failure in outcomes
            .iter_mut()
            .filter_map(|outcome| outcome.as_mut().err())
        {
            failure.error = remedy::reason(failure);
            say(&format!("{}: {}", failure.path, failure.error));
            self.n_failed += 1;
            self.n_unread += usize::from(failure.may_pass());
        }
        self.n_predicted += outcomes.iter().flatten().count();
        let predicted = outcomes.iter().flatten();
        self.n_unsure += predicted
            .filter(|told| self.printed.is_unsure(told))
            .count();
        let outliers = outcomes.iter().flatten();
        self.n_outliers += outliers
            .filter(|told| told.is_outlier == Some(true))
            .count();
        self.result = self.format.print(&self.printed.outcomes(&outcomes));
        if self.goes_on() {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    }

    fn goes_on(&self) -> bool {
        self.result.is_ok() && !self.stop.is_wanted()
    }

    fn end(self) -> anyhow::Result<ExitCode> {
        self.result?;
        self.format.print(&self.printed.end())?;
        if self.stop.is_wanted() {
            return Ok(self.stop.exit_code());
        }
        let n = self.n_predicted + self.n_failed;
        match self.n_failed {
            // Why, was said of each.
            0 => {}
            n_failed if n_failed == n => bail!(none_could_be_used(n, None)),
            n_failed => say(&format!("could not be used: {n_failed} of {n} pictures")),
        }
        if self.n_unsure > 0 {
            say(&format!("unsure: {} of {n} pictures", self.n_unsure));
        }
        if let Some(rate) = self.outlier_rate {
            say(&format!(
                "outliers: {} of {n} pictures; of pictures like the training pictures it would be about {}%",
                self.n_outliers,
                short(100.0 * rate)
            ));
        }
        if self.n_unread > 0 {
            say(&format!(
                "could not be read, because their disk or the system failed: {}; try them again",
                self.n_unread
            ));
            return Ok(ExitCode::FAILURE);
        }
        Ok(ExitCode::SUCCESS)
    }
}
