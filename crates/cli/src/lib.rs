//! The program `cnn-codes`: one file per verb, and the only code that prints, in `printing`.
//!
//! Results go to stdout, progress and messages to stderr. Exit codes: 0 done, 1 the work failed,
//! 2 wrong usage (clap's own).
//!
//! This library is there for `main.rs`, for the program's own tests, and for the Python package, which runs verbs in its
//! own process ([`host`], [`engine`]); it is no interface for others.

pub mod assets;
mod card;
mod check;
mod command_line;
mod compare_trunks;
mod completions;
#[cfg(test)]
mod defaults;
mod doctor;
mod download;
pub mod engine;
mod evaluate;
mod evaluations;
mod export;
mod extract_features;
mod fetch;
mod fine_tune;
mod groups;
pub mod host;
mod man;
mod models;
mod new_folder;
mod numbers;
mod output_file;
mod page;
mod predict;
mod printing;
mod progress;
mod relabel;
mod remedy;
mod report;
mod review;
mod serve;
mod similar;
mod split;
mod stop;
mod train_head;
mod trunk;
mod trunks;
mod tuned;
mod web;

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use clap::builder::{PathBufValueParser, PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use cnn_codes::dataset::OtherFiles;
use cnn_codes::messages::visible;
use cnn_codes::picture::DecodeLimits;

use self::models::ModelsOption;
use self::numbers::{pixels, positive, threads};
use self::printing::{
    is_closed_pipe, print, print_json, print_result, print_table, say, say_kept, shown,
};
use self::stop::Ended;

/// Transfer learning with a frozen ConvNet: pictures to CNN codes, codes to a trained classifier.
///
/// A pretrained network without its classifier, the trunk, runs once over labelled pictures and saves its outputs,
/// the CNN codes, in a store. A classifier of your classes, the head, then trains on the store in seconds.
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
    Trunks(trunks::Arguments),
    Card(card::Arguments),
    Doctor(doctor::Arguments),
    Download(download::Arguments),
    Split(split::Arguments),
    Check(check::Arguments),
    ExtractFeatures(extract_features::Arguments),
    TrainHead(train_head::Arguments),
    FineTune(fine_tune::Arguments),
    CompareTrunks(compare_trunks::Arguments),
    Evaluate(evaluate::Arguments),
    Report(report::Arguments),
    Predict(predict::Arguments),
    Serve(serve::Arguments),
    Review(review::Arguments),
    Export(export::Arguments),
    Completions(completions::Arguments),
    Man(man::Arguments),
}

/// The exit code of a command line that is understood and cannot be meant, as clap has it.
const WRONG_USAGE: u8 = 2;

/// The group, in the help, of options that say where models and libraries lie.
const FILES: &str = "Models and libraries";

/// How large a picture may be.
#[derive(Clone, Debug, Args)]
struct LimitsOption {
    /// Reject pictures of more than N pixels; 100M means 100 million. Decoding takes at most 8 bytes of memory per
    /// pixel, except for progressive JPEGs
    #[arg(long, value_name = "N", default_value = "50M", value_parser = pixels)]
    max_pixels: u64,
}

impl LimitsOption {
    fn limits(&self) -> DecodeLimits {
        DecodeLimits {
            max_pixels: self.max_pixels,
        }
    }
}

/// Where ONNX Runtime is looked for first.
#[derive(Clone, Debug, Args)]
struct RuntimeOption {
    /// ONNX Runtime's library, or the folder that holds it [default: ORT_DYLIB_PATH, then the folder of the
    /// executable, then MODELS/onnxruntime]
    #[arg(long, value_name = "PATH", help_heading = FILES)]
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

/// The command line of the process. Where it cannot be understood, or asks for help, clap prints that and ends
/// the process.
pub fn arguments() -> Arguments {
    arguments_of(std::env::args_os().collect())
}

/// [`arguments`] of these words, the program's name first, where they are not those of the process.
pub fn arguments_of(words: Vec<OsString>) -> Arguments {
    command_line::set_words(words.clone());
    let error = match Arguments::try_parse_from(&words) {
        Ok(arguments) => return arguments,
        Err(error) => error,
    };
    // clap quotes arguments as they are, among escapes of its own. So it is given them once more,
    // with what a terminal would obey written out.
    let shown = words.iter();
    let shown = shown.map(|argument| visible(&argument.to_string_lossy()));
    match Arguments::try_parse_from(shown) {
        Err(error) => similar::with_recipe(error).exit(),
        Ok(_) => say(&error.to_string()),
    }
    std::process::exit(error.exit_code());
}

/// Does what the arguments say, prints an error if it fails, and returns the exit code.
pub fn run(arguments: Arguments) -> ExitCode {
    match dispatch(arguments.verb) {
        Ok(code) => code,
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

/// Does what the arguments say.
fn dispatch(verb: Verb) -> anyhow::Result<ExitCode> {
    match verb {
        Verb::Fetch(arguments) => fetch::run(&arguments),
        Verb::Trunks(arguments) => trunks::run(&arguments),
        Verb::Card(arguments) => card::run(&arguments),
        Verb::Doctor(arguments) => doctor::run(&arguments),
        Verb::Download(arguments) => download::run(&arguments),
        Verb::Split(arguments) => split::run(&arguments),
        Verb::Check(arguments) => check::run(&arguments),
        Verb::ExtractFeatures(arguments) => extract_features::run(&arguments),
        Verb::TrainHead(arguments) => train_head::run(&arguments),
        Verb::FineTune(arguments) => fine_tune::run(&arguments),
        Verb::CompareTrunks(arguments) => compare_trunks::run(&arguments),
        Verb::Evaluate(arguments) => evaluate::run(&arguments),
        Verb::Report(arguments) => report::run(&arguments),
        Verb::Predict(arguments) => predict::run(&arguments),
        Verb::Serve(arguments) => serve::run(&arguments),
        Verb::Review(arguments) => review::run(&arguments),
        Verb::Export(arguments) => export::run(&arguments),
        Verb::Completions(arguments) => completions::run(&arguments),
        Verb::Man(arguments) => man::run(&arguments),
    }
}

/// Says why the work was not done, and returns the exit code.
fn fail(error: &anyhow::Error) -> ExitCode {
    if let Some(Ended { message, exit_code }) = error.downcast_ref() {
        say(message);
        return *exit_code;
    }
    let error = remedy::message(error.as_ref());
    say(&format!("error: {error}"));
    if let Some(remedy) = remedy::of_system(&error) {
        say(remedy);
    }
    ExitCode::FAILURE
}

/// A line about files that are no pictures by their endings; nothing where there are none.
fn passed_over(files: &OtherFiles) -> String {
    match files.is_empty() {
        true => String::new(),
        false => format!("passed over, not pictures by their endings: {files}\n"),
    }
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
