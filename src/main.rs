//! The `cnn-codes` command: arguments in, exit code out.

mod cli;

use std::process::ExitCode;

use cnn_codes::model::telemetry;

fn main() -> ExitCode {
    // SAFETY: nothing has started a thread yet.
    unsafe { telemetry::disable() }
    cli::run(cli::arguments())
}
