//! The `cnn-codes` command: arguments in, exit code out.

use std::process::ExitCode;

use cnn_codes::quiet;
use cnn_codes_onnxruntime::telemetry;

fn main() -> ExitCode {
    // SAFETY: nothing has started a thread yet.
    unsafe { telemetry::disable() }
    quiet::hide_caught_panics();
    cnn_codes_cli::run(cnn_codes_cli::arguments())
}
