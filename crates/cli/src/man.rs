//! `cnn-codes man`: a manual page for the program, and one for each verb.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};
use cnn_codes_files::{Kind, fill};

use super::{Format, new_folder, print_result, shown};

/// Write the manual pages: cnn-codes.1, and one for each verb
///
/// DIR must be new or empty. Read a page with `man -l DIR/cnn-codes-VERB.1`, or copy all of them to a man1 folder of
/// your MANPATH, such as ~/.local/share/man/man1, and read them with `man cnn-codes-VERB`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cnn-codes man --out man1
  man -l man1/cnn-codes-train-head.1")]
pub struct Arguments {
    /// The folder to make
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

const KIND: Kind = Kind {
    name: "folder of manual pages",
    marker: "cnn-codes.1",
};

/// What the program's exit codes mean; those of signals are the shell's.
const EXIT_CODES: &str = "0 if the work is done, 1 if it failed, 2 if the command line was wrong, and 129, 130 or \
    143 if a signal stopped it.";

/// Writes the pages, and prints where they are.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let draft = new_folder::begin(&arguments.out, KIND, "--out")?;
    let mut program = super::Arguments::command().disable_help_subcommand(true);
    program.build();
    for verb in program.get_subcommands() {
        write(verb.clone(), draft.path())?;
    }
    // The marker, so it comes last.
    write(program, draft.path())?;
    draft.publish()?;
    let line = format!("manual pages: {}", shown(&arguments.out));
    print_result(Format::Text, &format!("{line}\n"), &line)?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the page of a command into `folder`.
fn write(command: Command, folder: &Path) -> anyhow::Result<()> {
    let (name, text) = page_of(command)?;
    let path = folder.join(name);
    File::create_new(&path)
        .and_then(|file| fill(file, &path, |file| file.write_all(&text)))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// The name of a command's page, and its text: clap_mangen's sections, and examples whose lines stay lines.
fn page_of(command: Command) -> anyhow::Result<(String, Vec<u8>)> {
    let examples = command.get_after_help().map(ToString::to_string);
    let has_verbs = command.has_subcommands();
    let page = Man::new(command)
        .source(format!("cnn-codes {}", env!("CARGO_PKG_VERSION")))
        .manual("cnn-codes");
    let mut text = Vec::new();
    page.render_title(&mut text)?;
    page.render_name_section(&mut text)?;
    page.render_synopsis_section(&mut text)?;
    page.render_description_section(&mut text)?;
    page.render_options_section(&mut text)?;
    if has_verbs {
        page.render_subcommands_section(&mut text)?;
    }
    last_sections(examples.as_deref()).to_writer(&mut text)?;
    Ok((page.get_filename(), text))
}

/// The examples, and the exit codes.
fn last_sections(examples: Option<&str>) -> Roff {
    let mut roff = Roff::new();
    if let Some((heading, lines)) = examples.and_then(|text| text.split_once(":\n")) {
        roff.control("SH", [heading.to_uppercase().as_str()]);
        roff.control("nf", []);
        for line in lines.lines() {
            roff.text([roman(line)]);
        }
        roff.control("fi", []);
    }
    roff.control("SH", ["EXIT STATUS"]);
    roff.text([roman(EXIT_CODES)]);
    roff
}
