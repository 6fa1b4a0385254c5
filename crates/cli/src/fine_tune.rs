//! `cnn-codes fine-tune`: the last layers of the trunk, trained with a head; what was tried, and what it brought.

mod told;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use cnn_codes::codes::Store;
use cnn_codes::head::saved::{self, SavedHead};
use cnn_codes::head::{ClassWeights, HeadKind};
use cnn_codes::model::{ModelCard, OnnxModel, hash_graph, identify};
use cnn_codes::train::{REPORT, Report};
use cnn_codes::tune::{Tail, TuneOptions, TuneRule, Tuned, behind, fine_tune};
use cnn_codes_files::{Draft, Existing};

use crate::command_line::{command_line, without_folders, words};
use crate::evaluations::Evaluations;
use crate::groups::GroupArguments;
use crate::output_file::write;
use crate::page::page;
use crate::stop::Stop;
use crate::train_head::{Display, Shown};
use crate::trunk::TrunkOption;
use crate::{Format, ModelsOption, folder, one_of, positive, print_result, say, say_kept, shown};

/// Train the trunk's last layers together with a head
///
/// Training runs on cached codes of a layer before the tuned ones; the front of the trunk stays as published. It begins
/// with a head of HEAD. Learning rate, L2-SP strength, epochs and mixture are chosen in folds of the training store. If
/// nothing beats the head on the frozen trunk there by more than a standard error, TUNED is that head.
///
/// TUNED is a folder as HEAD is, with the tuned weights beside the head: predict, evaluate, serve, report and export
/// take it. If a run is stopped or killed, the same command continues it. Ctrl-C keeps the best weights so far, and
/// tells which they are.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cnn-codes extract-features pictures/train --out block4/train --output block4_pool
  cnn-codes extract-features pictures/validation --out block4/validation --output block4_pool
  cnn-codes fine-tune --train block4/train --validation block4/validation --from head --out tuned
  cnn-codes extract-features pictures/train --out flip4/train --output block4_pool --views flip
  cnn-codes extract-features pictures/validation --out flip4/validation --output block4_pool --views flip
  cnn-codes fine-tune --train flip4/train --validation flip4/validation --from head --out tuned")]
pub struct Arguments {
    /// How the result is printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Store to train on: codes of the layer before the tuned ones
    #[arg(long, help_heading = INPUT, value_name = "STORE")]
    train: PathBuf,
    /// Store to validate on, of the same layer; never used to choose settings
    #[arg(long, help_heading = INPUT, value_name = "STORE")]
    validation: PathBuf,
    /// Head trained on final-layer codes of the same pictures
    #[arg(long, help_heading = INPUT, value_name = "HEAD")]
    from: PathBuf,
    /// Which head of HEAD [default: the recommended one]
    #[arg(long, help_heading = INPUT, value_parser = one_of::<HeadKind>(HeadKind::NAMES))]
    head: Option<HeadKind>,
    #[command(flatten)]
    groups: GroupArguments,
    /// Folder to make
    #[arg(long, help_heading = OUTPUT, value_name = "TUNED")]
    out: PathBuf,
    /// Replace the folder if it is a head already
    #[arg(long, help_heading = OUTPUT)]
    overwrite: bool,
    /// Folder of the validation pictures, for thumbnails in the report [default: where they were]
    #[arg(long, help_heading = OUTPUT, value_name = "DIR", value_parser = folder())]
    pictures: Option<PathBuf>,
    /// Leave absolute paths, and with them your user name, out of provenance.json and report.html
    #[arg(long, help_heading = OUTPUT)]
    private: bool,
    #[command(flatten)]
    how: TuneArguments,
    #[command(flatten)]
    trunk: TrunkOption,
    #[command(flatten)]
    models: ModelsOption,
}

/// Groups of options in the help.
const INPUT: &str = "Input";
const OUTPUT: &str = "Output";

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Search and training")]
struct TuneArguments {
    /// Learning rates of the last layer to try, separated by commas
    #[arg(long, value_name = "RATE,...", value_delimiter = ',', default_values_t = TuneOptions::default().rates)]
    rates: Vec<f32>,
    /// Strengths of L2 regularisation towards the published weights (L2-SP) to try
    #[arg(long, value_name = "PULL,...", value_delimiter = ',', default_values_t = TuneOptions::default().pulls)]
    pulls: Vec<f32>,
    /// Shares of tuned weights to try when averaging with the published ones (WiSE-FT); 1 is the tuned weights alone
    #[arg(long, value_name = "SHARE,...", value_delimiter = ',', default_values_t = TuneOptions::default().mixtures)]
    mixtures: Vec<f32>,
    /// Number of folds in which settings are chosen
    #[arg(long, value_name = "K", default_value_t = TuneOptions::default().folds, value_parser = positive)]
    folds: usize,
    /// Largest number of epochs to choose from
    #[arg(long, value_name = "N", default_value_t = TuneOptions::default().epochs, value_parser = positive)]
    epochs: usize,
    /// Pictures per batch
    #[arg(long, value_name = "N", default_value_t = TuneOptions::default().batch_size, value_parser = positive)]
    batch_size: usize,
    /// Update rule
    #[arg(long, default_value_t, value_parser = one_of::<TuneRule>(TuneRule::NAMES))]
    optimizer: TuneRule,
    /// Learning rate of the head, as a multiple of the last layer's
    #[arg(long, value_name = "FACTOR", default_value_t = TuneOptions::default().head_factor)]
    head_factor: f32,
    /// Learning rate of each earlier layer, as a multiple of the next one's
    #[arg(long, value_name = "FACTOR", default_value_t = TuneOptions::default().layer_decay)]
    layer_decay: f32,
    /// Share of steps with a rising learning rate
    #[arg(long, value_name = "SHARE", default_value_t = TuneOptions::default().warm_up)]
    warm_up: f32,
    /// Largest gradient norm
    #[arg(long, value_name = "LENGTH", default_value_t = TuneOptions::default().clip)]
    clip: f32,
    /// Weight decay of filters: a step subtracts this share of them, times the learning rate
    #[arg(long, value_name = "SHARE", default_value_t = TuneOptions::default().weight_decay)]
    weight_decay: f32,
    /// Share of each label that is spread over all classes
    #[arg(long, value_name = "SHARE", default_value_t = TuneOptions::default().label_smoothing)]
    label_smoothing: f64,
    /// Weight of a picture in the loss: none, or balanced: inverse to class size
    #[arg(long, default_value_t, value_parser = one_of::<ClassWeights>(ClassWeights::NAMES))]
    class_weights: ClassWeights,
    /// Seed of the folds, the order of the pictures and the dropout
    #[arg(long, value_name = "N", default_value_t = TuneOptions::default().seed)]
    seed: u64,
}

/// Tunes, judges, saves, and prints what it brought.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let stop = Stop::on_signals_in_training()?;
    let display = Display::new(&stop);
    let done = tune(arguments, &display);
    display.clear();
    let (tuned, report, comparison) = stop.result(done)?;
    let head = format!("head: {}", shown(&arguments.out));
    let result = match arguments.format {
        Format::Text => format!(
            "{}\n{}\n{head}\nreport: {}\n",
            told::text(&tuned, comparison.as_ref()),
            report.comparison.to_text(),
            shown(&arguments.out.join(REPORT))
        ),
        Format::Json => format!("{:#}\n", told::json(&tuned, comparison.as_ref())),
    };
    print_result(arguments.format, &result, &head)?;
    if tuned.stopped.is_some() {
        say(&format!(
            "the same command with --overwrite goes on from {}",
            shown(&beside(&arguments.out))
        ));
        return Ok(stop.exit_code());
    }
    Ok(ExitCode::SUCCESS)
}

type Done = (Tuned, Report, Option<cnn_codes::tune::Comparison>);

fn tune(arguments: &Arguments, display: &Display) -> anyhow::Result<Done> {
    let open = arguments.groups.opener()?;
    let (train, validation) = (open(&arguments.train)?, open(&arguments.validation)?);
    let from = SavedHead::load(&arguments.from)?;
    let told = Report::read(&arguments.from)?;
    let published = Published::of(arguments, &from)?;
    let tail = published.tail(&train, &from)?;
    if let Some(difference) =
        (train.manifest().store.codes).difference(&validation.manifest().store.codes)
    {
        bail!(
            "{} and {} do not belong together: {difference}",
            shown(train.dir()),
            shown(validation.dir())
        );
    }
    let existing = match arguments.overwrite {
        true => Existing::Replace,
        false => Existing::Keep,
    };
    let draft = Draft::begin(&arguments.out, saved::KIND, existing)?;
    if let Some(kept) = draft.kept_before() {
        say_kept("head", kept);
    }
    let unfinished = beside(&arguments.out);
    let options = arguments.options();
    let mut tuned = fine_tune(&train, &tail, &from, &options, &unfinished, display)?;
    if let Some(saved) = tuned.saved_tail()? {
        let card = published.card.clone().tuned_by(saved);
        tuned.identify(identify(&card, &published.path)?, &train)?;
    }
    let comparison = tuned.compare(&from, &tail, &validation)?;
    let judged = behind(
        &validation,
        tuned.tail.as_ref().unwrap_or(&tail),
        &tuned.heads.codes,
    )?;
    let pictures = arguments.pictures.as_deref();
    let report = cnn_codes::train::evaluate(&tuned.heads, &told, &judged, None, pictures)?;
    let mut report = tuned.report(report, Some(arguments.command()), &train);
    if arguments.private {
        report.provenance.forget_folders();
    }
    tuned.write_into(draft.path(), &report)?;
    let table = format!("{:#}\n", told::json(&tuned, comparison.as_ref()));
    let evaluations = Evaluations::read(draft.target())?;
    evaluations.write(draft.path())?;
    let root = report.provenance.root().map(Path::to_owned);
    let page = page(&report, &evaluations, pictures.or(root.as_deref()));
    for (name, text) in [("tuning.json", &table), (REPORT, &page)] {
        let path = draft.path().join(name);
        write(&path, text.as_bytes())?;
    }
    draft.publish()?;
    Ok((tuned, report, comparison))
}

/// Where an unfinished run is kept: beside TUNED.
fn beside(out: &Path) -> PathBuf {
    let mut name = out.file_name().unwrap_or_default().to_owned();
    name.push(".tuning");
    out.with_file_name(name)
}

/// The trunk as it is published.
struct Published {
    card: ModelCard,
    path: PathBuf,
    model: OnnxModel,
}

impl Published {
    fn of(arguments: &Arguments, from: &SavedHead) -> anyhow::Result<Self> {
        let models = arguments.models.path()?;
        let (card, path) = arguments.trunk.find(&models, &from.codes.trunk.name)?;
        let card = card.for_output(&from.codes.output);
        let model = card.read_model(&path)?;
        card.check_weights(&model)?;
        Ok(Self { card, path, model })
    }

    /// The layers between what a store holds and what the head takes.
    fn tail(&self, train: &Store, from: &SavedHead) -> anyhow::Result<Tail> {
        let front = &train.manifest().store.codes;
        if let Some(told) = &front.trunk.graph_sha256
            && *told != hash_graph(&self.model, &front.output.name)?
        {
            bail!(
                "{} was made with another trunk than {}",
                shown(train.dir()),
                shown(&self.path)
            );
        }
        Ok(Tail::read(
            &self.model,
            &front.output.name,
            &from.codes.output.name,
        )?)
    }
}

impl Arguments {
    pub(super) fn options(&self) -> TuneOptions {
        let how = &self.how;
        let mut options = TuneOptions::default();
        options.head = self.head;
        options.rule = how.optimizer;
        options.rates = how.rates.clone();
        options.pulls = how.pulls.clone();
        options.mixtures = how.mixtures.clone();
        options.epochs = how.epochs;
        options.folds = how.folds;
        options.batch_size = how.batch_size;
        options.head_factor = how.head_factor;
        options.layer_decay = how.layer_decay;
        options.warm_up = how.warm_up;
        options.clip = how.clip;
        options.weight_decay = how.weight_decay;
        options.label_smoothing = how.label_smoothing;
        options.class_weights = how.class_weights;
        options.seed = how.seed;
        options
    }

    fn command(&self) -> String {
        match self.private {
            true => command_line(without_folders(words().into_iter())),
            false => command_line(words().into_iter()),
        }
    }
}
