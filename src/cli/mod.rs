//! The command line: one file per verb, and the only code that prints.
//!
//! Results go to stdout, progress and messages to stderr. Exit codes: 0 done, 1 the work failed,
//! 2 wrong usage (clap's own).

mod check;
mod command_line;
mod doctor;
mod download;
mod export;
mod extract_features;
mod fetch;
mod predict;
mod progress;
mod remedy;
mod report;
mod split;
mod stop;
mod train_head;
mod trunk;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use clap::builder::{PathBufValueParser, PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};

/// Transfer learning with a frozen ConvNet: pictures to CNN codes, codes to a trained classifier.
///
/// A pretrained trunk (VGG16) runs once over labelled pictures and leaves its codes in a store;
/// heads train on the store in seconds, as often as you like.
#[derive(Debug, Parser)]
#[command(
    name = "cnn-codes",
    version,
    propagate_version = true,
    max_term_width = 100
)]
#[command(after_help = "First steps:
  cnn-codes fetch
  cnn-codes extract-features pictures/train --out codes/train
  cnn-codes extract-features pictures/validation --out codes/validation
  cnn-codes train-head --train codes/train --validation codes/validation --out head
  cnn-codes predict head new.jpg")]
pub struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Fetch(fetch::Arguments),
    Doctor(doctor::Arguments),
    Download(download::Arguments),
    Split(split::Arguments),
    Check(check::Arguments),
    ExtractFeatures(extract_features::Arguments),
    TrainHead(train_head::Arguments),
    Report(report::Arguments),
    Predict(predict::Arguments),
    Export(export::Arguments),
}

/// Where trunks and ONNX Runtime lie.
#[derive(Debug, Args)]
struct ModelsOption {
    /// Folder of model cards, trunks and ONNX Runtime
    #[arg(
        long,
        value_name = "DIR",
        env = "CNN_CODES_MODELS",
        default_value = "models"
    )]
    models: PathBuf,
}

/// Where ONNX Runtime is looked for first.
#[derive(Debug, Args)]
struct RuntimeOption {
    /// ONNX Runtime's library, or its folder [default: ORT_DYLIB_PATH, then beside the executable,
    /// then MODELS/onnxruntime]
    #[arg(long, value_name = "PATH")]
    onnxruntime: Option<PathBuf>,
}

/// How a result is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: one JSON document.
    Json,
}

/// Does what the arguments say, prints an error if it fails, and returns the exit code.
pub fn run(arguments: Arguments) -> ExitCode {
    let done = match arguments.verb {
        Verb::Fetch(arguments) => fetch::run(&arguments),
        Verb::Doctor(arguments) => doctor::run(&arguments),
        Verb::Download(arguments) => download::run(&arguments),
        Verb::Split(arguments) => split::run(&arguments),
        Verb::Check(arguments) => check::run(&arguments),
        Verb::ExtractFeatures(arguments) => extract_features::run(&arguments),
        Verb::TrainHead(arguments) => train_head::run(&arguments),
        Verb::Report(arguments) => report::run(&arguments),
        Verb::Predict(arguments) => predict::run(&arguments),
        Verb::Export(arguments) => export::run(&arguments),
    };
    match done {
        Ok(code) => code,
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error}");
            if let Some(remedy) = remedy::of(&error.to_string()) {
                say(remedy);
            }
            ExitCode::FAILURE
        }
    }
}

/// Prints a result to stdout, whole.
fn print(result: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(result.as_bytes())?;
    stdout.flush()?;
    Ok(())
}

/// Says something to stderr, where a closed stderr is no reason to stop.
fn say(message: &str) {
    let _ = writeln!(io::stderr(), "{message}");
}

/// Whoever read our output (`head`, a pager) has seen enough.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// A parser for one of `names`, which the library's `FromStr` understands.
fn one_of<T>(names: &'static [&'static str]) -> impl TypedValueParser<Value = T>
where
    T: FromStr + Clone + Send + Sync + 'static,
    T::Err: std::fmt::Display + Send + Sync + 'static,
{
    PossibleValuesParser::new(names).try_map(|name| {
        name.parse::<T>()
            .map_err(|error| io::Error::other(error.to_string()))
    })
}

/// Threads to use where none are named: as many as the machine gives this process.
fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// A parser for a folder that is there.
fn folder() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| {
        if path.is_dir() {
            Ok(path)
        } else {
            Err("there is no such folder")
        }
    })
}

/// A thread count, batch size or other number that is at least 1.
fn positive(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(0) => Err("it must be at least 1".to_owned()),
        Ok(number) => Ok(number),
        Err(error) => Err(error.to_string()),
    }
}
