//! `cnn-codes completions`: the script that completes verbs and options in a shell.

use std::process::ExitCode;

use anyhow::Context;
use clap::CommandFactory;
use clap_complete::{Shell, generate};

use super::print;

/// Print a script that completes verbs and options in your shell
///
/// Put it where your shell looks for completions, and open a new terminal. Print it again after an update.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cnn-codes completions bash > ~/.local/share/bash-completion/completions/cnn-codes
  cnn-codes completions zsh > ~/.zfunc/_cnn-codes
  cnn-codes completions fish > ~/.config/fish/completions/cnn-codes.fish")]
pub struct Arguments {
    /// The shell that you use
    #[arg(value_enum)]
    shell: Shell,
}

/// clap_complete's script for bash calls a program with a hyphen in its name differently where it finds out the verb,
/// and where it acts on it, so that nothing behind a verb is completed: https://github.com/clap-rs/clap/issues/6421.
/// Where that is mended, this replaces nothing.
const MISSPELT: &str = "cnn__subcmd__codes";
const SPELT: &str = "cnn__codes";

/// Prints the script.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut command = super::Arguments::command();
    let mut script = Vec::new();
    generate(arguments.shell, &mut command, "cnn-codes", &mut script);
    let script = String::from_utf8(script).context("the script is not UTF-8")?;
    print(&script.replace(MISSPELT, SPELT))?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use cnn_codes::progress::Progress;

    use crate::host::{self, Host};

    struct Silent;

    impl Host for Silent {
        fn say(&self, message: &str) {
            panic!("{message}");
        }
        fn stage(&self, _: &str, _: usize) {}
        fn progress(&self, _: Progress, _: &str) {}
        fn is_stopped(&self) -> bool {
            false
        }
    }

    #[test]
    fn a_host_gets_the_script() {
        let words = ["completions", "bash"].map(Into::into);
        let done = host::run(Arc::new(Silent), words, None).unwrap();
        assert!(done.is_whole && done.printed.contains("complete -F"));
    }
}
