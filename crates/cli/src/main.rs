//! The `cnn-codes` command: arguments in, exit code out.

use std::process::ExitCode;

use cnn_codes::model::telemetry;

fn main() -> ExitCode {
    // SAFETY: nothing has started a thread yet.
    unsafe { telemetry::disable() }
    cnn_codes_cli::run(cnn_codes_cli::arguments())
}
