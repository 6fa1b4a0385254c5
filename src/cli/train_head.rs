//! `cnn-codes train-head`: arguments to options, the library's call, the comparison.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;
use cnn_codes::codes::Store;
use cnn_codes::draft::Existing;
use cnn_codes::head::logistic::LogisticOptions;
use cnn_codes::head::mlp::{Epoch, MlpOptions};
use cnn_codes::head::optimizer::{OptimizerOptions, UpdateRule};
use cnn_codes::head::scaling::ScalingKind;
use cnn_codes::train::{TrainOptions, train};
use indicatif::{ProgressBar, ProgressStyle};

use super::{Format, one_of, positive, print};

/// Train an MLP and a logistic regression on codes, and compare them
///
/// The defaults are those of the 2018 Keras tutorial: Dense(256, relu), Dropout(0.5),
/// Dense(classes, softmax), RMSprop, 20 epochs. HEAD is a folder with the weights (safetensors),
/// head.json, history.csv, metrics.json and predictions.csv.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Store to train on
    #[arg(long, value_name = "STORE")]
    train: PathBuf,
    /// Store to judge the heads on; it is never trained on
    #[arg(long, value_name = "STORE")]
    validation: PathBuf,
    /// The folder to make
    #[arg(long, value_name = "HEAD")]
    out: PathBuf,
    /// Replace the folder if it is a head already
    #[arg(long)]
    overwrite: bool,
    /// Which heads to train
    #[arg(long, value_enum, default_value_t)]
    head: Heads,
    /// How codes are scaled, by statistics of the training store alone: not at all; each feature to
    /// mean 0 and deviation 1; each code to length 1; each feature to at most 1
    #[arg(long, default_value = "none", value_parser = one_of::<ScalingKind>(ScalingKind::NAMES))]
    scale: ScalingKind,
    /// How the comparison is printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    mlp: MlpArguments,
    #[command(flatten)]
    logistic: LogisticArguments,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Heads {
    Mlp,
    Logistic,
    #[default]
    Both,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Options of the MLP")]
struct MlpArguments {
    /// Units of the hidden layers, separated by commas
    #[arg(long, value_name = "N,...", default_value = "256", value_delimiter = ',', value_parser = positive)]
    hidden: Vec<usize>,
    /// Share of hidden units that a training step leaves out
    #[arg(long, value_name = "SHARE", default_value = "0.5")]
    dropout: f32,
    /// Passes over the training codes
    #[arg(long, value_name = "N", default_value = "20", value_parser = positive)]
    epochs: usize,
    /// Codes in a training step
    #[arg(long, value_name = "N", default_value = "20", value_parser = positive)]
    batch_size: usize,
    /// Learning rate of RMSprop
    #[arg(long, value_name = "RATE", default_value = "0.0002")]
    learning_rate: f64,
    /// Decay of RMSprop's mean of squared gradients
    #[arg(long, value_name = "SHARE", default_value = "0.9")]
    rho: f64,
    /// What RMSprop adds to the mean of squared gradients
    #[arg(long, value_name = "NUMBER", default_value = "1e-7")]
    epsilon: f64,
    /// Seed of the initial weights, the order of the codes and the dropout
    #[arg(long, value_name = "N", default_value = "0")]
    seed: u64,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Options of the logistic regression")]
struct LogisticArguments {
    /// Strength of the L2 penalty; scikit-learn's C is 1 / STRENGTH
    #[arg(long, value_name = "STRENGTH", default_value = "1")]
    l2: f64,
    /// Most iterations of the solver at each start
    #[arg(long, value_name = "N", default_value = "1000", value_parser = positive)]
    max_iterations: usize,
}

/// Trains, and prints the comparison and the files.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let options = train_options(arguments);
    let train_store = Store::open(&arguments.train)?;
    let validation_store = Store::open(&arguments.validation)?;
    let bar = progress_bar(options.mlp.as_ref().map_or(0, |mlp| mlp.epochs));
    let comparison = train(
        &train_store,
        &validation_store,
        &options,
        &arguments.out,
        &mut |epoch| show_progress(&bar, epoch),
    );
    bar.finish_and_clear();
    let comparison = comparison?;
    match arguments.format {
        Format::Text => {
            let out = arguments.out.display();
            print(&format!("{}\nhead: {out}\n", comparison.to_text()))?;
        }
        Format::Json => print(&format!("{:#}\n", comparison.to_json()))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn train_options(arguments: &Arguments) -> TrainOptions {
    let Arguments { mlp, logistic, .. } = arguments;
    let mlp = MlpOptions {
        hidden: mlp.hidden.clone(),
        dropout: mlp.dropout,
        epochs: mlp.epochs,
        batch_size: mlp.batch_size,
        optimizer: OptimizerOptions {
            rule: UpdateRule::RmsProp {
                rho: mlp.rho,
                epsilon: mlp.epsilon,
            },
            learning_rate: mlp.learning_rate,
            ..OptimizerOptions::default()
        },
        seed: mlp.seed,
        ..MlpOptions::default()
    };
    let logistic = LogisticOptions {
        l2: logistic.l2,
        max_iterations: logistic.max_iterations as u64,
        ..LogisticOptions::default()
    };
    TrainOptions {
        mlp: (arguments.head != Heads::Logistic).then_some(mlp),
        logistic: (arguments.head != Heads::Mlp).then_some(logistic),
        scaling: arguments.scale,
        existing: if arguments.overwrite {
            Existing::Replace
        } else {
            Existing::Keep
        },
    }
}

/// A bar on stderr; nothing where stderr is no terminal.
fn progress_bar(epochs: usize) -> ProgressBar {
    let style = "{bar:30} epoch {pos}/{len}{msg}";
    ProgressBar::new(epochs as u64)
        .with_style(ProgressStyle::with_template(style).expect("a valid template"))
}

fn show_progress(bar: &ProgressBar, epoch: &Epoch) {
    let Epoch { loss, accuracy, .. } = epoch;
    let mut message = format!(": loss {loss:.4}, accuracy {accuracy:.3}");
    if let (Some(loss), Some(accuracy)) = (epoch.val_loss, epoch.val_accuracy) {
        message += &format!(", val_loss {loss:.4}, val_accuracy {accuracy:.3}");
    }
    bar.set_message(message);
    bar.set_position(epoch.epoch as u64);
}
