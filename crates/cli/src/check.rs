//! `cnn-codes check`: arguments to options, the library's calls, what was found.

mod html;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use cnn_codes::codes::Store;
use cnn_codes::dataset::{self, InputKind, Pictures};
use cnn_codes::messages::count;
use cnn_codes::train::{self, LabelError, LabelErrorOptions, Reason};
use cnn_codes_curate::check::{CheckOptions, Checked, Finding, FindingKind, PictureName, check};

use self::report::Report;
use super::output_file::write;
use super::progress::PictureDisplay;
use super::stop::Stop;
use super::{
    Format, LimitsOption, default_threads, is_closed_pipe, one_of, print, print_json, remedy, say,
    shown, threads,
};

/// The group of limits in the help.
const LIMITS: &str = "Limits";

/// Find broken pictures, copies, contradicting labels and leakage
///
/// Copies are found even if they were saved again, resized, slightly cropped or rotated, or mirrored. All inputs are
/// compared with each other: a picture of one input that is in another one too is leakage. A store among the
/// inputs adds outliers and doubtful labels: pictures that a head trained without them predicts as another class.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cnn-codes check pictures/train pictures/validation
  cnn-codes check pictures/train codes/train --html check.html
  cnn-codes check pictures/train pictures/validation --strict=broken,contradiction,leakage")]
pub struct Arguments {
    /// Folders with one folder of pictures per class, CSV tables, tar shards, or stores
    #[arg(required = true, value_name = "IMAGES")]
    inputs: Vec<PathBuf>,
    /// Exit with code 1 on findings of these kinds; without kinds, on any finding
    #[arg(
        long,
        value_name = "KIND,...",
        num_args = 0..,
        require_equals = true,
        value_delimiter = ',',
        value_parser = one_of::<FindingKind>(FindingKind::NAMES)
    )]
    strict: Option<Vec<FindingKind>>,
    /// Report pictures as tiny whose shorter side has fewer pixels
    #[arg(long, help_heading = LIMITS, default_value_t = CheckOptions::default().min_side, value_name = "PIXELS")]
    min_side: u32,
    /// Report pictures as extreme whose longer side is more than RATIO times the shorter one
    #[arg(long, help_heading = LIMITS, default_value_t = CheckOptions::default().max_aspect, value_name = "RATIO", value_parser = ratio)]
    max_aspect: f64,
    /// Write an HTML page of the findings, with copies side by side
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write a CSV table of the groups of copies, for `train-head --groups`: path, group
    #[arg(long, value_name = "FILE")]
    groups: Option<PathBuf>,
    /// Threads for decoding, at most 1024 [default: the number of cores]
    #[arg(long, value_name = "N", value_parser = threads)]
    threads: Option<usize>,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten, next_help_heading = LIMITS)]
    limits: LimitsOption,
}

/// What the arguments name.
struct Inputs {
    pictures: Vec<(String, Pictures)>,
    stores: Vec<Store>,
}

/// Checks, prints what was found, and fails if that was asked for.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let inputs = open(&arguments.inputs)?;
    let stop = Stop::on_signals()?;
    let (mut checked, label_errors) = stop.result(find_all(arguments, &inputs, &stop))?;
    for finding in &mut checked.findings {
        finding.detail += remedy::of_decoding(&finding.detail);
    }
    let report = Report::new(&inputs, checked, label_errors);
    let printed = match arguments.format {
        Format::Text => print(&report.to_text()),
        Format::Json => print_json(&format!("{:#}\n", report.to_json())),
    };
    // That the reader has gone does not make the pictures any better.
    match printed {
        Err(error) if is_closed_pipe(&error) => {}
        printed => printed?,
    }
    if let Some(path) = &arguments.html {
        write(path, html::page(&report, &inputs).as_bytes())?;
    }
    if let Some(path) = &arguments.groups {
        write(path, &groups(&report)?)?;
        say(&format!(
            "groups: {}, {}",
            shown(path),
            count(report.duplicates.len(), "group", "groups")
        ));
    }
    let found = report.counts();
    let is_found = |kinds: &Vec<FindingKind>| match kinds.as_slice() {
        [] => !found.is_empty(),
        kinds => kinds.iter().any(|kind| found.contains_key(kind)),
    };
    Ok(match &arguments.strict {
        Some(kinds) if is_found(kinds) => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    })
}

/// A table with the columns path and group: pictures that show the same.
fn groups(report: &Report) -> anyhow::Result<Vec<u8>> {
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record(["path", "group"])?;
    for (number, group) in report.duplicates.iter().enumerate() {
        for member in &group.members {
            table.write_record([&member.picture.path, &format!("copies {number}")])?;
        }
    }
    Ok(table.into_inner()?)
}

fn open(paths: &[PathBuf]) -> anyhow::Result<Inputs> {
    let mut inputs = Inputs {
        pictures: Vec::new(),
        stores: Vec::new(),
    };
    for (place, path) in paths.iter().enumerate() {
        if paths[..place].contains(path) {
            bail!("{} is given twice; give each input once", path.display());
        }
        let pictures = match InputKind::of(path) {
            InputKind::Store => {
                inputs.stores.push(Store::open(path)?);
                continue;
            }
            InputKind::Folder => dataset::find(path)?,
            InputKind::Table => dataset::read_table(path, None)?,
            InputKind::List | InputKind::Archive | InputKind::File => {
                dataset::read_labelled_archives(std::slice::from_ref(path))?
            }
        };
        inputs.pictures.push((path.display().to_string(), pictures));
    }
    Ok(inputs)
}

/// What is wrong with pictures, and what the codes of each store say.
fn find_all(
    arguments: &Arguments,
    inputs: &Inputs,
    stop: &Stop,
) -> anyhow::Result<(Checked, Vec<Vec<LabelError>>)> {
    let options = check_options(arguments);
    let total = inputs.pictures.iter().map(|(_, input)| input.listed.len());
    // First, because they are sooner refused than pictures are looked at.
    let label_errors = |store| train::label_errors(store, &LabelErrorOptions::default(), stop);
    let stores = inputs.stores.iter();
    let label_errors = stores.map(label_errors).collect::<Result<_, _>>()?;
    let display = PictureDisplay::new(total.sum(), stop);
    let checked = check(&inputs.pictures, &options, &display);
    display.finish();
    Ok((checked?, label_errors))
}

/// What codes say of a store's pictures; `input` is the store's place among all inputs.
fn finding(store: &Store, input: usize, error: &LabelError) -> Finding {
    let row = &store.pictures()[error.row];
    let class = |label: usize| store.classes()[label].clone();
    let (kind, detail) = match error.reason {
        Reason::OtherClass { class: other, .. } => (
            FindingKind::DoubtfulLabel,
            format!("rather '{}': {}", class(other), error.reason),
        ),
        Reason::Outlier { .. } => (FindingKind::Outlier, error.reason.to_string()),
    };
    let picture = Some(PictureName {
        input,
        path: row.path.to_string(),
        class: row.label.map(class),
    });
    Finding {
        kind,
        picture,
        detail,
    }
}

/// What is looked for.
pub(super) fn check_options(arguments: &Arguments) -> CheckOptions {
    let mut options = CheckOptions::default();
    options.min_side = arguments.min_side;
    options.max_aspect = arguments.max_aspect;
    options.limits = arguments.limits.limits();
    options.threads = arguments.threads.unwrap_or_else(default_threads);
    options
}

/// A ratio of 1 or more.
fn ratio(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(ratio) if ratio >= 1.0 && ratio.is_finite() => Ok(ratio),
        Ok(_) => Err("it must be 1 or more".to_owned()),
        Err(_) => Err("it is not a number".to_owned()),
    }
}
