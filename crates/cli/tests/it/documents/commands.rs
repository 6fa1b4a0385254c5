//! docs/reference/commands.md, rendered from clap's description of the command line.

use std::fmt::Write;

use clap::{Arg, Command};
use regex::Regex;

/// The page, whole.
pub fn page(mut program: Command) -> String {
    program.build();
    let verbs: Vec<&Command> = program
        .get_subcommands()
        .filter(|verb| verb.get_name() != "help")
        .collect();
    let mut page = format!("{INTRODUCTION}\n## Verbs\n\n| verb | what it does |\n|---|---|\n");
    for verb in &verbs {
        let name = verb.get_name();
        let about = verb.get_about().expect("a verb says what it does");
        writeln!(page, "| [`{name}`](#{name}) | {about} |").unwrap();
    }
    if let Some(steps) = program.get_after_help() {
        page += &examples(&steps.to_string());
    }
    for verb in verbs {
        page += &section(verb);
    }
    page
}

const INTRODUCTION: &str = "# Commands

<!-- Generated from the program; do not edit. To write it anew:
     CNN_CODES_REWRITE=1 cargo test -p cnn-codes-cli --test it documents -->

All verbs of `cnn-codes`, with their options. `cnn-codes VERB --help` prints the same, `cnn-codes VERB -h` a summary.
Every verb also takes `-h`, `--help`, `-V` and `--version`. Exit codes and environment variables are in
[program.md](program.md).
";

/// A verb: what it does, its usage, its arguments and options by their groups, and examples.
fn section(verb: &Command) -> String {
    let about = verb.get_long_about().or(verb.get_about());
    let about = about.expect("a verb says what it does").to_string();
    let usage = verb.clone().render_usage().to_string();
    let usage = usage
        .trim_start_matches("Usage:")
        .replace("\n       ", "\n");
    let mut text = format!(
        "\n## {}\n\n{about}\n\n```text\n{}\n```\n",
        verb.get_name(),
        usage.trim()
    );
    for (heading, arguments) in groups(verb) {
        writeln!(
            text,
            "\n**{heading}**\n\n| given as | meaning | default |\n|---|---|---|"
        )
        .unwrap();
        for argument in arguments {
            text += &row(argument);
        }
    }
    if let Some(lines) = verb.get_after_help() {
        text += &examples(&lines.to_string());
    }
    text
}

/// The arguments of a verb by the headings of its help, in the help's order.
fn groups(verb: &Command) -> Vec<(String, Vec<&Arg>)> {
    let mut groups: Vec<(String, Vec<&Arg>)> = Vec::new();
    let shown = verb.get_arguments().filter(|argument| {
        !argument.is_hide_set() && !["help", "version"].contains(&argument.get_id().as_str())
    });
    let (positional, options): (Vec<_>, Vec<_>) =
        shown.partition(|argument| argument.is_positional());
    if !positional.is_empty() {
        groups.push(("Arguments".to_owned(), positional));
    }
    // In the help, those without a heading come first.
    let (with, without): (Vec<_>, Vec<_>) = options
        .into_iter()
        .partition(|option| option.get_help_heading().is_some());
    for option in without.into_iter().chain(with) {
        let heading = option.get_help_heading().unwrap_or("Options");
        match groups.iter_mut().find(|(name, _)| name == heading) {
            Some((_, options)) => options.push(option),
            None => groups.push((heading.to_owned(), vec![option])),
        }
    }
    groups
}

/// A row of the table: how it is given, what it does, and its default.
fn row(argument: &Arg) -> String {
    let help = argument.get_long_help().or(argument.get_help());
    let help = help.map(ToString::to_string).unwrap_or_default();
    let (help, mut default) = without("default", &help.replace('\n', " "));
    let (mut help, variable) = without("env", &help);
    if argument.get_action().takes_values() {
        help += &values(argument);
    }
    if !variable.is_empty() {
        write!(help, ". Environment: `{variable}`").unwrap();
    }
    let defaults = argument.get_default_values().iter();
    let defaults: Vec<_> = defaults.map(|value| value.to_string_lossy()).collect();
    if argument.get_action().takes_values() && !defaults.is_empty() {
        default = format!("`{}`", defaults.join(" "));
    }
    let given = argument.to_string();
    let short = argument
        .get_short()
        .map_or(String::new(), |short| format!("`-{short}`, "));
    let cell = |text: &str| text.replace('|', "\\|");
    format!(
        "| {short}`{}` | {} | {} |\n",
        cell(&given),
        cell(&help),
        cell(&default)
    )
}

/// The values that an option may have, in a line each where the help tells what they mean.
fn values(argument: &Arg) -> String {
    let values = argument.get_possible_values();
    let values = values.iter().filter(|value| !value.is_hide_set());
    let (mut meant, mut named) = (String::new(), Vec::new());
    for value in values {
        let name = value.get_name();
        match value.get_help() {
            Some(help) => write!(meant, "<br>`{name}`: {help}").unwrap(),
            None => named.push(format!("`{name}`")),
        }
    }
    if !named.is_empty() {
        write!(meant, ". One of {}", named.join(", ")).unwrap();
    }
    meant
}

/// A help text, and what it names at its end in brackets behind a word, as in `Threads [default: all]`.
fn without(word: &str, help: &str) -> (String, String) {
    let bracketed = Regex::new(&format!(r"\s*\[{word}: ([^\]]*)\]")).unwrap();
    let named = bracketed
        .captures(help)
        .map_or("", |found| found.get(1).unwrap().as_str());
    (bracketed.replace(help, "").into_owned(), named.to_owned())
}

/// The lines under `Examples:` as a block of code.
fn examples(text: &str) -> String {
    let (heading, lines) = text.split_once(":\n").expect("a heading, and lines");
    let lines: Vec<_> = lines
        .lines()
        .map(|line| line.trim_start_matches("  "))
        .collect();
    format!("\n**{heading}**\n\n```sh\n{}\n```\n", lines.join("\n"))
}
