//! `cnn-codes report`: HEAD's files to report.html, anew.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::anyhow;
use cnn_codes::report::Report;
use cnn_codes::train::REPORT;

use super::print;

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
    #[arg(long, value_name = "DIR")]
    pictures: Option<PathBuf>,
}

/// Writes the page, and prints where it is.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let page = Report::read(&arguments.head)?.to_html(arguments.pictures.as_deref());
    let path = arguments.head.join(REPORT);
    // Beside it first, so that the page is whole at any time.
    let draft = path.with_extension("html.partial");
    let write = || {
        let mut file = File::create(&draft)?;
        file.write_all(page.as_bytes())?;
        file.sync_all()?;
        fs::rename(&draft, &path)
    };
    write().map_err(|error| anyhow!("cannot write {}: {error}", path.display()))?;
    print(&format!("report: {}\n", path.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// Arguments as a shell would take them, the program by its name alone.
pub(super) fn command_line(arguments: impl Iterator<Item = OsString>) -> String {
    let quoted = arguments.skip(1).map(|argument| {
        let argument = argument.to_string_lossy();
        let is_plain = |c: char| c.is_alphanumeric() || "-_./=,:+@%".contains(c);
        match argument.as_ref() {
            "" => "''".to_owned(),
            plain if plain.chars().all(is_plain) => plain.to_owned(),
            other => format!("'{}'", other.replace('\'', r"'\''")),
        }
    });
    let words: Vec<_> = std::iter::once("cnn-codes".to_owned())
        .chain(quoted)
        .collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_takes_the_command_line_as_it_was() {
        let arguments = [
            "/bin/cnn-codes",
            "report",
            "my head",
            "it's",
            "",
            "a=b",
            "$x",
        ];
        assert_eq!(
            command_line(arguments.iter().map(OsString::from)),
            r"cnn-codes report 'my head' 'it'\''s' '' a=b '$x'"
        );
    }
}
