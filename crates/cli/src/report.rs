//! `cnn-codes report`: HEAD's files to report.html, anew.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::anyhow;
use cnn_codes::train::{REPORT, Report};
use cnn_codes_files::{Existing, FileDraft};

use super::evaluations::Evaluations;
use super::page::page_of;
use super::{Format, folder, print_result, shown};

/// Make HEAD/report.html anew
///
/// The page is one file that needs nothing else: it can be mailed. It is made of HEAD's other files
/// and of the pictures that judged the heads, where they are still there.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The folder that train-head made
    #[arg(value_name = "HEAD")]
    head: PathBuf,
    /// Folder of the judged pictures [default: where they were when their codes were taken]
    #[arg(long, value_name = "DIR", value_parser = folder())]
    pictures: Option<PathBuf>,
    /// Leave the command and all absolute paths out of the page, and with them the name of the user
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
