//! `cnn-codes report`: HEAD's files to report.html, anew.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::anyhow;
use cnn_codes::train::{REPORT, Report};
use cnn_codes_files::{Existing, FileDraft};

use super::evaluations::Evaluations;
use super::page::page_of;
use super::{Format, folder, print_result, shown};

/// Write HEAD/report.html again
///
/// The page is a single file that you can mail. It is made from the other files in HEAD, and from the validation
/// pictures if they are still there.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cnn-codes report head
  cnn-codes report head --private --pictures pictures/validation")]
pub struct Arguments {
    /// Folder that train-head or fine-tune made
    #[arg(value_name = "HEAD")]
    head: PathBuf,
    /// Folder of the validation pictures, for thumbnails [default: where they were when their codes were extracted]
    #[arg(long, value_name = "DIR", value_parser = folder())]
    pictures: Option<PathBuf>,
    /// Leave the command and absolute paths, and with them your user name, out of the page
    #[arg(long)]
    private: bool,
}

/// Writes the page, and prints where it is.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut report = Report::read(&arguments.head)?;
    let pictures = arguments.pictures.as_deref();
    let evaluations = Evaluations::read(&arguments.head)?;
    let page = page_of(&mut report, evaluations, pictures, arguments.private);
    let path = arguments.head.join(REPORT);
    FileDraft::write(&path, page.as_bytes())
        .and_then(|draft| draft.publish(Existing::Replace))
        .map_err(|error| anyhow!("cannot write {}: {error}", path.display()))?;
    let line = format!("report: {}", shown(&path));
    print_result(Format::Text, &format!("{line}\n"), &line)?;
    Ok(ExitCode::SUCCESS)
}
