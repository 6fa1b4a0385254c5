//! All that is printed: results to stdout, progress and messages to stderr.
//!
//! Names of files, classes, archives and servers may hold anything. Here, every character that a
//! terminal would obey or not show is written out. A name within a text is written out earlier, by
//! [`visible`] where the text is made, so that a line end in it begins no line.

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use cnn_codes::messages::{visible, visible_json, visible_lines};

use super::{Format, host};

/// Prints lines for people to stdout, whole.
pub fn print(text: &str) -> anyhow::Result<()> {
    write(&visible_lines(text))
}

/// Prints JSON for programs to stdout, whole.
pub fn print_json(document: &str) -> anyhow::Result<()> {
    write(&visible_json(document))
}

/// Prints a table for programs to stdout, whole: as it is, unless people see it on a terminal.
pub fn print_table(csv: &str) -> anyhow::Result<()> {
    if host::current().is_none() && io::stdout().is_terminal() {
        return print(csv);
    }
    write(csv)
}

/// Prints the result of work that is done. `done` says where the work is, for when stdout fails.
pub fn print_result(format: Format, result: &str, done: &str) -> anyhow::Result<()> {
    let printed = match format {
        Format::Text => print(result),
        Format::Json => print_json(result),
    };
    printed.map_err(|error| {
        let message = format!("{error}; the work is done: {done}");
        error.context(message)
    })
}

fn write(text: &str) -> anyhow::Result<()> {
    if host::takes(text) {
        return Ok(());
    }
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(text.as_bytes());
    written.and_then(|()| stdout.flush()).map_err(|error| {
        let message = format!("cannot write to stdout: {error}");
        anyhow::Error::new(error).context(message)
    })
}

/// A path as it is shown.
pub fn shown(path: &Path) -> String {
    visible(&path.display().to_string())
}

/// Says a line to stderr, where a closed stderr is no reason to stop.
pub fn say(message: &str) {
    if let Some(host) = host::current() {
        host.say(&visible(message));
        return;
    }
    let _ = writeln!(io::stderr(), "{}", visible(message));
}

/// Says where the finished work of a run is that was killed before it was in its place; `kind` is what
/// it is.
pub fn say_kept(kind: &str, kept: &Path) {
    say(&format!(
        "an earlier run was killed before its finished {kind} was moved into place: it is kept in {}",
        kept.display()
    ));
}

/// Whoever read our output (`head`, a pager) has seen enough.
pub fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
