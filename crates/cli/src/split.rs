//! `cnn-codes split`: arguments to options, the library's calls, the summary.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use cnn_codes::dataset::{self, Pictures};
use cnn_codes::messages::count;
use cnn_codes_curate::check::{CheckError, CheckOptions, Checked, FindingKind, check};
use cnn_codes_curate::split::{
    Placement, Shares, Split, SplitOptions, TABLE, check_out, group, split,
};
use regex::Regex;
use serde_json::json;

use super::progress::PictureDisplay;
use super::stop::Stop;
use super::{Format, default_threads, print_result, say, say_kept, shown, threads, visible};

/// Groups of options in the help.
const PARTS: &str = "Parts";
const TOGETHER: &str = "Pictures that belong together";

/// Split pictures into train/, validation/ and test/, class by class
///
/// Each part gets its share of each class. Copies of a picture stay in one part, even if they were saved again,
/// resized, slightly cropped or rotated, or mirrored. DIR is written completely or not at all. DIR/split.csv lists
/// the part and the group of each picture.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cnn-codes split pictures --out split --train 0.8
  cnn-codes split pictures --out split --train 0.8 --validation 0.1 --test 0.1 --link
  cnn-codes split pictures --out split --train 0.8 --group-by 'patient([0-9]+)'")]
pub struct Arguments {
    /// Folder that holds one folder of pictures per class
    images: PathBuf,
    /// The folder to make
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Share of the training pictures
    #[arg(long, help_heading = PARTS, default_value_t = Shares::TRAIN, value_name = "SHARE")]
    train: f64,
    /// Share of the validation pictures [default: the rest]
    #[arg(long, help_heading = PARTS, value_name = "SHARE")]
    validation: Option<f64>,
    /// Share of the test pictures [default: 0]
    #[arg(long, help_heading = PARTS, value_name = "SHARE")]
    test: Option<f64>,
    /// Seed of the random choice
    #[arg(long, help_heading = PARTS, default_value_t = SplitOptions::default().seed, value_name = "N")]
    seed: u64,
    /// Keep pictures in one part if the pattern finds the same text in their paths (CLASS/NAME): its first capture
    /// group, or else its whole match
    #[arg(long, help_heading = TOGETHER, value_name = "REGEX")]
    group_by: Option<Regex>,
    /// Do not search for copies; faster, as pictures are not decoded
    #[arg(long, help_heading = TOGETHER)]
    ignore_duplicates: bool,
    /// Make hard links instead of copies: they take no space, but a picture edited in place changes in both folders
    #[arg(long)]
    link: bool,
    /// Threads for decoding, at most 1024 [default: the number of cores]
    #[arg(long, value_name = "N", value_parser = threads)]
    threads: Option<usize>,
    /// How the summary is printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Splits, and prints the summary.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let options = split_options(arguments)?;
    let stop = Stop::on_signals()?;
    let pictures = dataset::find(&arguments.images)?;
    check_out(&pictures, &arguments.out)?;
    let (checked, inputs) = stop.result(find_copies(arguments, pictures, &stop))?;
    let pictures = &inputs[0].1;
    tell(pictures, checked.as_ref());
    let grouping = group(pictures, checked.as_ref(), arguments.group_by.as_ref());
    if grouping.n_unmatched > 0 {
        say(&format!(
            "{} paths do not match --group-by; each of these pictures is a group of its own",
            grouping.n_unmatched
        ));
    }
    let done = split(pictures, &grouping, &options, &arguments.out, &stop);
    let done = stop.result(done)?;
    if let Some(kept) = &done.kept_before {
        say_kept("split", kept);
    }
    let result = match arguments.format {
        Format::Text => text(&done, pictures, &arguments.out),
        Format::Json => json(&done, pictures, &arguments.out),
    };
    let done = format!("split: {}", arguments.out.display());
    print_result(arguments.format, &result, &done)?;
    Ok(ExitCode::SUCCESS)
}

/// How pictures are split.
pub(super) fn split_options(arguments: &Arguments) -> anyhow::Result<SplitOptions> {
    let mut options = SplitOptions::default();
    options.shares = Shares::new(arguments.train, arguments.validation, arguments.test)?;
    options.seed = arguments.seed;
    if arguments.link {
        options.placement = Placement::HardLink;
    }
    Ok(options)
}

/// What [`check`] takes: the only input here.
type Inputs = Vec<(String, Pictures)>;

/// Which pictures are copies, unless that does not matter; with the pictures.
fn find_copies(
    arguments: &Arguments,
    pictures: Pictures,
    stop: &Stop,
) -> Result<(Option<Checked>, Inputs), CheckError> {
    let total = pictures.listed.len();
    let inputs = vec![(arguments.images.display().to_string(), pictures)];
    if arguments.ignore_duplicates {
        return Ok((None, inputs));
    }
    let mut options = CheckOptions::default();
    options.threads = arguments.threads.unwrap_or_else(default_threads);
    let display = PictureDisplay::new(total, stop);
    let checked = check(&inputs, &options, &display);
    display.finish();
    Ok((Some(checked?), inputs))
}

/// Says what a user might not expect.
fn tell(pictures: &Pictures, checked: Option<&Checked>) {
    for failure in &pictures.unusable {
        say(&format!("left out: {}: {}", failure.path, failure.error));
    }
    let Some(checked) = checked else { return };
    let counts = checked.counts();
    let broken = counts.get(&FindingKind::Broken).copied().unwrap_or(0);
    let n_broken = broken.saturating_sub(pictures.unusable.len());
    if n_broken > 0 {
        say(&format!(
            "{} cannot be decoded; `cnn-codes check` names them, and the split takes them like the others",
            count(n_broken, "picture", "pictures")
        ));
    }
    if let Some(n) = counts.get(&FindingKind::Contradiction) {
        say(&format!(
            "{} of two classes; each stays in one part, and `cnn-codes check` names them",
            count(*n, "group of copies is", "groups of copies are")
        ));
    }
}

/// The summary for people.
fn text(split: &Split, pictures: &Pictures, out: &Path) -> String {
    let mut text = String::new();
    for (part, counts) in &split.per_part {
        let n: usize = counts.iter().sum();
        let classes = pictures.classes.iter().zip(counts);
        let classes: Vec<_> = classes
            .map(|(class, n)| format!("{n} {}", visible(class)))
            .collect();
        text += &format!("{part}: {n} pictures ({})\n", classes.join(", "));
    }
    if split.n_left_out > 0 {
        text += &format!("in no part: {} pictures, by the shares\n", split.n_left_out);
    }
    text + &format!("split: {}\n", shown(&out.join(TABLE)))
}

/// The summary for programs.
fn json(split: &Split, pictures: &Pictures, out: &Path) -> String {
    let parts = split.per_part.iter().map(|(part, counts)| {
        let classes = pictures.classes.iter().zip(counts);
        let classes: serde_json::Map<_, _> = classes
            .map(|(class, n)| (class.clone(), json!(n)))
            .collect();
        (part.name().to_owned(), json!(classes))
    });
    let document = json!({
        "out": out.display().to_string(),
        "parts": parts.collect::<serde_json::Map<_, _>>(),
        "left_out": split.n_left_out,
        "unusable": pictures.unusable.len(),
    });
    format!("{document:#}\n")
}
