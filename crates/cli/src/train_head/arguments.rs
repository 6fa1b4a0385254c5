//! The arguments of `cnn-codes train-head`.

use std::fmt;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Parser, ValueEnum};
use cnn_codes::codes::{Pool, Store, StoreError};
use cnn_codes::head::logistic::LogisticOptions;
use cnn_codes::head::mlp::{Keep, LossOptions, MlpOptions};
use cnn_codes::head::nearest_centroid::NearestCentroidOptions;
use cnn_codes::head::optimizer::{
    AdamMeans, OptimizerKind, OptimizerOptions, Schedule, ScheduleKind, UpdateRule,
};
use cnn_codes::head::scaling::ScalingKind;
use cnn_codes::head::{ClassWeights, HeadOptions};
use cnn_codes::train::{Told, TrainOptions};
use cnn_codes_files::Existing;

use crate::command_line::{command_line, without_folders, words, words_of};
use crate::groups::GroupArguments;
use crate::relabel::RelabelArguments;
use crate::{Format, Verb, folder, one_of, positive};

/// Train an MLP and a logistic regression on codes, and compare them
///
/// The defaults are those of the 2018 Keras tutorial: Dense(256, relu), Dropout(0.5),
/// Dense(classes, softmax), RMSprop, 20 epochs. HEAD is a folder with the weights (safetensors),
/// head.json, history.csv, metrics.json, predictions.csv and report.html, which shows all of it.
///
/// Validation pictures never influence training: --tune, --keep best, --patience and --calibrate use the training store
/// only. Ctrl-C keeps the weights of that moment (with --keep best, the best so far). If HEAD exists, Ctrl-C leaves it
/// as it is and keeps the new head as HEAD.kept.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "cnn-codes train-head [OPTIONS] --train <STORE> --validation <STORE> --out <HEAD>
       cnn-codes train-head [OPTIONS] --train <STORE> --folds <K> --out <HEAD>",
    after_help = "Examples:
  cnn-codes train-head --train codes/train --validation codes/validation --out head
  cnn-codes train-head --train codes/train --validation codes/validation --out tuned --tune
  cnn-codes train-head --train codes/train --folds 5 --out head
  cnn-codes extract-features pictures/train --out flip/train --views flip
  cnn-codes extract-features pictures/validation --out flip/validation --views flip
  cnn-codes train-head --train flip/train --validation flip/validation --out head"
)]
pub struct Arguments {
    /// How the comparison is printed
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Store to train on
    #[arg(long, help_heading = INPUT, value_name = "STORE")]
    pub train: PathBuf,
    /// Store to validate on
    #[arg(long, help_heading = INPUT, value_name = "STORE")]
    pub validation: Option<PathBuf>,
    /// Use the mean or the maximum of each code over height and width, computed here from a store of whole codes
    #[arg(long, help_heading = INPUT, value_parser = one_of::<Pool>(Pool::NAMES))]
    pub pool: Option<Pool>,
    /// Use only the columns of these layers, separated by commas, of a store of several layers
    #[arg(long, help_heading = INPUT, value_name = "LAYER,...", value_delimiter = ',')]
    columns: Vec<String>,
    /// Scaling of the codes, by statistics of the training store: none; standard, each feature to mean 0 and standard
    /// deviation 1; l2, each code to length 1; max, each feature to at most 1 [default: none]
    #[arg(long, help_heading = INPUT, value_parser = one_of::<ScalingKind>(ScalingKind::NAMES))]
    scale: Option<ScalingKind>,
    #[command(flatten)]
    pub groups: GroupArguments,
    #[command(flatten)]
    pub relabel: RelabelArguments,
    /// Folder to make
    #[arg(long, help_heading = OUTPUT, value_name = "HEAD")]
    pub out: PathBuf,
    /// Replace the folder if it is a head already
    #[arg(long, help_heading = OUTPUT)]
    overwrite: bool,
    /// Folder of the judged pictures, for thumbnails in the report [default: where they were when their codes were
    /// extracted]
    #[arg(long, help_heading = OUTPUT, value_name = "DIR", value_parser = folder())]
    pictures: Option<PathBuf>,
    /// Leave absolute paths, and with them your user name, out of provenance.json and report.html; a later `report`
    /// needs --pictures
    #[arg(long, help_heading = OUTPUT)]
    pub(super) private: bool,
    /// The command that asks for this, where it is not that of the process.
    #[arg(skip)]
    command: Option<String>,
    /// Which heads to train
    #[arg(long, help_heading = BOTH, value_enum, default_value_t)]
    head: Heads,
    #[command(flatten)]
    loss: LossArguments,
    #[command(flatten)]
    judging: JudgingArguments,
    #[command(flatten)]
    mlp: MlpArguments,
    #[command(flatten)]
    optimizer: OptimizerArguments,
    #[command(flatten)]
    logistic: LogisticArguments,
}

/// Groups of options in the help.
const INPUT: &str = "Input";
const OUTPUT: &str = "Output";
const BOTH: &str = "Options of both heads";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Heads {
    Mlp,
    Logistic,
    NearestCentroid,
    #[default]
    Both,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = BOTH)]
struct LossArguments {
    /// Weight of a picture in the loss: none, or balanced: inverse to class size
    #[arg(long, default_value_t, value_parser = one_of::<ClassWeights>(ClassWeights::NAMES))]
    class_weights: ClassWeights,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Choosing and judging")]
struct JudgingArguments {
    /// Choose L2 strength, learning rate and dropout by cross-validation of the training store. With --validation also
    /// choose pooling, layers and scaling of the codes, unless --pool, --columns or --scale is given
    #[arg(long)]
    tune: bool,
    /// Fit a temperature to out-of-fold logits, so that probabilities match frequencies
    #[arg(long)]
    calibrate: bool,
    /// Number of folds of cross-validation [default: 5]; without --validation the heads are judged in them
    #[arg(long, value_name = "K", value_parser = positive)]
    folds: Option<usize>,
    /// Number of seeds of the MLP, trained in parallel; the network of the first is kept, and the comparison is about
    /// all. With --folds and without --validation, how often folds are dealt
    #[arg(long, value_name = "N", default_value_t = TrainOptions::default().repeats, value_parser = positive)]
    repeats: usize,
    /// Train also on an eighth, a quarter and half of the pictures, five times each, to tell whether more
    /// pictures would help
    #[arg(long)]
    learning_curve: bool,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Options of the MLP")]
struct MlpArguments {
    /// Units of the hidden layers, separated by commas, or none
    #[arg(long, value_name = "N,...", default_value_t, value_parser = hidden)]
    hidden: Hidden,
    /// Share of hidden units that a training step leaves out
    #[arg(long, value_name = "SHARE", default_value_t = MlpOptions::default().dropout)]
    dropout: f32,
    /// Number of epochs, passes over the training codes
    #[arg(long, value_name = "N", default_value_t = MlpOptions::default().epochs, value_parser = positive)]
    epochs: usize,
    /// Codes per batch
    #[arg(long, value_name = "N", default_value_t = MlpOptions::default().batch_size, value_parser = positive)]
    batch_size: usize,
    /// Epoch whose weights are kept: the last, or the best: the one with the smallest loss on held-out training
    /// pictures
    #[arg(long, default_value_t, value_parser = one_of::<Keep>(Keep::NAMES))]
    keep: Keep,
    /// Stop when the held-out loss has not fallen for N epochs
    #[arg(long, value_name = "N", value_parser = positive)]
    patience: Option<usize>,
    /// Share of each class held out for --keep best and --patience
    #[arg(long, value_name = "SHARE", default_value_t = MlpOptions::default().hold_out)]
    hold_out: f64,
    /// Share of each label that is spread over all classes
    #[arg(long, value_name = "SHARE", default_value_t = LossOptions::default().label_smoothing)]
    label_smoothing: f64,
    /// Seed of the initial weights, the order of the codes, the dropout and the folds
    #[arg(long, value_name = "N", default_value_t = TrainOptions::default().seed)]
    seed: u64,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Options of the MLP's optimizer")]
struct OptimizerArguments {
    /// Update rule
    #[arg(long, default_value_t, value_parser = one_of::<OptimizerKind>(OptimizerKind::NAMES))]
    optimizer: OptimizerKind,
    /// Learning rate [default: 0.0002 for rmsprop, 0.001 for adam and adamw, 0.01 for sgd]
    #[arg(long, value_name = "RATE")]
    learning_rate: Option<f64>,
    /// Schedule of the learning rate: constant, down to 0 along a cosine, or down in steps
    #[arg(long, default_value_t, value_parser = one_of::<ScheduleKind>(ScheduleKind::NAMES))]
    schedule: ScheduleKind,
    /// Factor of the learning rate at each step of --schedule step
    #[arg(long, value_name = "FACTOR", default_value_t = Schedule::STEP_FACTOR)]
    step_factor: f64,
    /// Epochs between two steps of --schedule step [default: a third of the epochs]
    #[arg(long, value_name = "N", value_parser = positive)]
    step_every: Option<usize>,
    /// Weight decay: a step subtracts this share of each weight, times the learning rate [default: 0.004 for adamw,
    /// otherwise 0]
    #[arg(long, value_name = "SHARE")]
    weight_decay: Option<f64>,
    /// Momentum of sgd
    #[arg(long, value_name = "SHARE", default_value_t = UpdateRule::MOMENTUM)]
    momentum: f64,
    /// Decay of rmsprop's mean of squared gradients
    #[arg(long, value_name = "SHARE", default_value_t = UpdateRule::RHO)]
    rho: f64,
    /// Decay of adam's mean of gradients
    #[arg(long, value_name = "SHARE", default_value_t = AdamMeans::default().beta_1)]
    beta_1: f64,
    /// Decay of adam's mean of squared gradients
    #[arg(long, value_name = "SHARE", default_value_t = AdamMeans::default().beta_2)]
    beta_2: f64,
    /// Number that rmsprop, adam and adamw add to their divisors
    // As text, because a number would be shown as 0.0000001.
    #[arg(long, value_name = "NUMBER", default_value = "1e-7")]
    epsilon: f64,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Options of the logistic regression")]
struct LogisticArguments {
    /// Strength of the L2 penalty; scikit-learn's C is 1 / STRENGTH, with two
    /// classes 2 / STRENGTH
    #[arg(long, value_name = "STRENGTH", default_value_t = LogisticOptions::default().l2)]
    l2: f64,
    /// Largest number of iterations of the solver; each is a pass over the codes if they do not fit in memory
    #[arg(long, value_name = "N", default_value_t = LogisticOptions::default().max_iterations, value_parser = at_least_one)]
    max_iterations: u64,
}

/// Units of the hidden layers; a type of its own, so that `none` is one value.
#[derive(Clone, Debug)]
struct Hidden(Vec<usize>);

impl Default for Hidden {
    fn default() -> Self {
        Self(MlpOptions::default().hidden)
    }
}

impl fmt::Display for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(
            match units.as_slice() {
                [] => "none".to_owned(),
                units => units.join(","),
            }
            .as_str(),
        )
    }
}

fn at_least_one(text: &str) -> Result<u64, String> {
    positive(text).map(|number| number as u64)
}

/// Words without some options and their values.
fn without_options(words: &[String], options: &[&str]) -> Vec<String> {
    let mut kept = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let name = word.split_once('=').map_or(&**word, |(name, _)| name);
        if !options.contains(&name) {
            kept.push(word.clone());
        } else if name == word {
            // Its value is the next word.
            words.next();
        }
    }
    kept
}

fn hidden(text: &str) -> Result<Hidden, String> {
    if text == "none" {
        return Ok(Hidden(Vec::new()));
    }
    let units = text.split(',').map(positive);
    units.collect::<Result<_, _>>().map(Hidden)
}

/// Where a training that is done again finds its stores, and leaves its head.
#[derive(Clone, Debug)]
pub struct Again {
    pub train: PathBuf,
    pub validation: Option<PathBuf>,
    pub relabel: RelabelArguments,
    pub out: PathBuf,
}

impl Arguments {
    /// Those of a command that trained a head, with other stores, corrected labels, and the head replaced; those of
    /// a training without options, where the command is not known.
    ///
    /// # Errors
    /// What clap says of a command that this version does not take.
    pub fn again(command: Option<&str>, again: &Again) -> anyhow::Result<Self> {
        let bare = match again.validation {
            Some(_) => "cnn-codes train-head --train train --validation validation --out head",
            None => "cnn-codes train-head --train train --folds 5 --out head",
        };
        let command = command.unwrap_or(bare);
        let words = words_of(command).with_context(|| format!("'{command}' is no command"))?;
        let mut words = without_options(&words, &["--relabel", "--more"]);
        let mut add = |option: &str, path: &Option<PathBuf>| {
            if let Some(path) = path {
                words.extend([option.to_owned(), path.display().to_string()]);
            }
        };
        add("--relabel", &again.relabel.relabel);
        add("--more", &again.relabel.more);
        let parsed = crate::Arguments::try_parse_from(&words);
        let Verb::TrainHead(arguments) = parsed?.verb else {
            bail!("'{command}' trained no head");
        };
        Ok(Self {
            command: Some(command_line(words.into_iter().map(Into::into))),
            train: again.train.clone(),
            validation: again.validation.clone(),
            out: again.out.clone(),
            relabel: again.relabel.clone(),
            overwrite: true,
            ..arguments
        })
    }

    /// What the arguments ask for.
    pub fn options(&self) -> TrainOptions {
        let mut options = TrainOptions::default();
        options.heads = self.heads();
        options.scaling = self.scale.unwrap_or_default();
        options.folds = self.judging.folds.unwrap_or(options.folds);
        options.seed = self.mlp.seed;
        options.tune = self.judging.tune;
        options.repeats = self.judging.repeats;
        options.calibrate = self.judging.calibrate;
        options.learning_curve = self.judging.learning_curve;
        options
    }

    fn heads(&self) -> Vec<HeadOptions> {
        let mlp = HeadOptions::Mlp(self.mlp_options());
        let logistic = HeadOptions::Logistic(self.logistic_options());
        match self.head {
            Heads::Mlp => vec![mlp],
            Heads::Logistic => vec![logistic],
            Heads::NearestCentroid => {
                vec![HeadOptions::NearestCentroid(
                    NearestCentroidOptions::default(),
                )]
            }
            Heads::Both => vec![mlp, logistic],
        }
    }

    /// Whether it says on which pictures the heads are judged: those of a validation store, or folds of the training
    /// store.
    pub fn says_where_to_judge(&self) -> bool {
        self.validation.is_some() || self.judging.folds.is_some()
    }

    /// A store with what heads are to read of its codes.
    pub fn viewed(&self, store: Store) -> Result<Store, StoreError> {
        let store = match self.pool {
            Some(pool) => store.pooled(pool)?,
            None => store,
        };
        match self.columns.as_slice() {
            [] => Ok(store),
            layers => store.with_layers(layers),
        }
    }

    /// Whether it is to be chosen what heads read of the codes. Without a validation store the folds that
    /// choose would judge as well.
    pub fn chooses_view(&self) -> bool {
        self.judging.tune
            && self.validation.is_some()
            && self.pool.is_none()
            && self.columns.is_empty()
            && self.scale.is_none()
    }

    /// Whether the summary is to tell where means of the codes would do better: unless it is chosen, or said,
    /// what is read.
    pub fn wonders_about_means(&self) -> bool {
        !self.judging.tune
            && self.pool.is_none()
            && matches!(self.head, Heads::Logistic | Heads::Both)
    }

    /// What was asked for and changes nothing here, a sentence each.
    pub fn unused(&self) -> Vec<String> {
        let JudgingArguments {
            tune,
            calibrate,
            folds,
            repeats,
            ..
        } = self.judging;
        let mut told = Vec::new();
        if self.validation.is_some() && folds.is_some() && !tune && !calibrate {
            let unused = "--folds changes nothing: the heads are judged on --validation, and without --tune or --calibrate no folds are needed";
            told.push(unused.to_owned());
        }
        let has_seeds = matches!(self.head, Heads::Mlp | Heads::Both);
        if self.validation.is_some() && repeats > 1 && !has_seeds {
            let unused = "--repeats changes nothing: without the MLP there is no seed, and folds are dealt anew only where there is no --validation";
            told.push(unused.to_owned());
        }
        told
    }

    /// What the files tell of this run.
    pub fn told(&self) -> Told {
        let mut told = Told::default();
        let words = match &self.command {
            Some(command) => words_of(command)
                .unwrap_or_default()
                .into_iter()
                .map(Into::into)
                .collect(),
            None => words(),
        };
        told.command = Some(match self.private {
            true => command_line(without_folders(words.into_iter())),
            false => command_line(words.into_iter()),
        });
        told.pictures = self.pictures.clone();
        told.names_folders = !self.private;
        told
    }

    /// What to do about a HEAD that is there already.
    pub fn existing(&self) -> Existing {
        if self.overwrite {
            Existing::Replace
        } else {
            Existing::Keep
        }
    }

    fn logistic_options(&self) -> LogisticOptions {
        let mut options = LogisticOptions::default();
        options.l2 = self.logistic.l2;
        options.max_iterations = self.logistic.max_iterations;
        options.class_weights = self.loss.class_weights;
        options
    }

    fn mlp_options(&self) -> MlpOptions {
        let mlp = &self.mlp;
        let mut options = MlpOptions::default();
        options.hidden = mlp.hidden.0.clone();
        options.dropout = mlp.dropout;
        options.epochs = mlp.epochs;
        options.batch_size = mlp.batch_size;
        options.optimizer = self.optimizer.options(mlp.epochs);
        options.loss.label_smoothing = mlp.label_smoothing;
        options.loss.class_weights = self.loss.class_weights;
        options.keep = mlp.keep;
        options.patience = mlp.patience;
        options.seed = mlp.seed;
        options.hold_out = mlp.hold_out;
        options
    }
}

impl OptimizerArguments {
    fn options(&self, epochs: usize) -> OptimizerOptions {
        let mut options = OptimizerOptions::of(self.optimizer);
        let Self {
            beta_1,
            beta_2,
            epsilon,
            ..
        } = *self;
        let means = AdamMeans {
            beta_1,
            beta_2,
            epsilon,
        };
        options.rule = match self.optimizer {
            OptimizerKind::RmsProp => UpdateRule::RmsProp {
                rho: self.rho,
                epsilon,
            },
            OptimizerKind::Adam => UpdateRule::Adam(means),
            OptimizerKind::AdamW => UpdateRule::AdamW(means),
            OptimizerKind::Sgd => UpdateRule::Sgd {
                momentum: self.momentum,
            },
        };
        options.learning_rate = self.learning_rate.unwrap_or(options.learning_rate);
        options.weight_decay = self.weight_decay.unwrap_or(options.weight_decay);
        options.schedule = match self.schedule.schedule(epochs) {
            Schedule::Step { every, .. } => Schedule::Step {
                factor: self.step_factor,
                every: self.step_every.unwrap_or(every),
            },
            schedule => schedule,
        };
        options
    }
}
