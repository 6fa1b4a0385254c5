//! The pages of docs/reference: that they say what the program does.

mod commands;
mod environment;

use std::fs;

use clap::CommandFactory;
use cnn_codes_cli::Arguments;

use crate::support;

/// The environment variable that has docs/reference/commands.md written in place of compared: `CNN_CODES_REWRITE=1`.
const REWRITE: &str = "CNN_CODES_REWRITE";

#[test]
fn commands_are_those_of_the_program() {
    let path = support::root().join("docs/reference/commands.md");
    let expected = commands::page(Arguments::command());
    if std::env::var_os(REWRITE).is_some_and(|value| value == "1") {
        fs::write(&path, &expected).unwrap();
        return;
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    let mut lines = found.lines().zip(expected.lines()).enumerate();
    let differs = lines.find(|(_, (found, expected))| found != expected);
    if let Some((n, (found, expected))) = differs {
        panic!(
            "docs/reference/commands.md:{}: the page has\n  {found}\nand the program has\n  {expected}\n{ADVICE}",
            n + 1
        );
    }
    assert_eq!(found.len(), expected.len(), "lines at the end; {ADVICE}");
}

/// What to do where the page is not the program's.
const ADVICE: &str =
    "write the page anew with CNN_CODES_REWRITE=1 cargo test -p cnn-codes-cli --test it documents";

#[test]
fn a_page_changes_with_every_option() {
    let page = |verb: &str, edit: fn(clap::Arg) -> clap::Arg| {
        let command = Arguments::command();
        commands::page(command.mut_subcommand(verb, |verb| verb.mut_arg("seed", edit)))
    };
    let as_it_is = page("split", |argument| argument);
    assert!(as_it_is != page("split", |argument| argument.help("Another text")));
    assert!(as_it_is != page("split", |argument| argument.long("seeds")));
    assert!(as_it_is != page("split", |argument| argument.default_value("1")));
    assert!(as_it_is != page("split", |argument| argument.hide(true)));
}

#[test]
fn every_verb_has_examples_and_a_short_first_line() {
    for verb in Arguments::command().get_subcommands() {
        let name = verb.get_name();
        let examples = verb.get_after_help().map(ToString::to_string);
        let examples = examples.unwrap_or_default();
        assert!(examples.starts_with("Examples:\n  "), "{name}");
        assert!(examples.contains(&format!("cnn-codes {name}")), "{name}");
        let first = verb.get_about().unwrap().to_string();
        assert!(
            first.len() <= 85 && !first.ends_with('.'),
            "{name}: {first}"
        );
    }
}

#[test]
fn every_environment_variable_is_in_the_page_about_the_program() {
    let page = support::root().join("docs/reference/program.md");
    let page = fs::read_to_string(page).unwrap();
    let found = environment::variables();
    for known in [
        "CNN_CODES_MODELS",
        "CNN_CODES_PYTHON",
        "CNN_CODES_TEST_SKIPS",
        "ORT_WINOGRAD_INSTRUCTIONS",
        "SOURCE_DATE_EPOCH",
    ] {
        assert!(found.contains_key(known), "the search misses {known}");
    }
    for (name, place) in found {
        assert!(
            page.contains(&format!("`{name}`")),
            "{name}, which {place} reads"
        );
    }
}
