//! `cnn-codes train-head`: arguments to options, the library's call, the comparison.

mod arguments;
mod progress;

use std::process::ExitCode;

use cnn_codes::codes::Store;
use cnn_codes::report::{FailedHead, REPORT};
use cnn_codes::train::train;

pub use self::arguments::Arguments;
use self::progress::Display;
use super::stop::Stop;
use super::{Format, print_result, say, shown};

/// Trains, and prints the comparison and the files.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let options = arguments.options();
    let train_store = Store::open(&arguments.train)?;
    let validation = arguments.validation.as_deref().map(Store::open);
    let validation = validation.transpose()?;
    let stop = Stop::on_signals_in_training()?;
    let epochs = options.heads.mlp.as_ref().map_or(0, |mlp| mlp.epochs);
    let display = Display::new(&stop, epochs);
    let trained = train(
        &train_store,
        validation.as_ref(),
        &options,
        &arguments.out,
        &display,
    );
    display.clear();
    let comparison = stop.result(trained)?;
    let head = format!("head: {}", shown(&arguments.out));
    let result = match arguments.format {
        Format::Text => format!(
            "{}\n{head}\nreport: {}\n",
            comparison.to_text(),
            shown(&arguments.out.join(REPORT))
        ),
        Format::Json => format!("{:#}\n", comparison.to_json()),
    };
    print_result(arguments.format, &result, &head)?;
    if comparison.interrupted {
        say("stopped by a signal: what was trained until then is judged and kept");
        return Ok(stop.exit_code());
    }
    for FailedHead { name, reason } in &comparison.failed {
        say(&format!(
            "error: the head {name} failed, and the other one is kept: {reason}"
        ));
    }
    Ok(match comparison.failed.as_slice() {
        [] => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}
