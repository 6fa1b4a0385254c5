//! The native part of the Python package `cnn_codes`: the program's verbs, trunks and heads, in Python's process.
//!
//! ```text
//! call      work on a thread of its own, while Python's thread looks for Ctrl-C and shows progress
//! process   what a forked process has to make again
//! errors    errors as Python's exceptions
//! pictures  pictures in files and in memory
//! trunk     pictures to codes
//! head      pictures or codes to probabilities; heads fitted on arrays
//! store     what a store holds besides its codes
//! ```

mod call;
mod errors;
mod head;
mod pictures;
mod process;
mod store;
mod trunk;

use std::ffi::OsString;
use std::process::ExitCode;

use pyo3::prelude::*;

use self::call::{Listener, wait};
use self::errors::raised;

/// The program `cnn-codes`, with `words` after its name; its exit code.
#[pyfunction]
fn program(py: Python<'_>, words: Vec<OsString>) -> u8 {
    py.detach(|| {
        cnn_codes::quiet::hide_caught_panics();
        let name = std::iter::once(OsString::from("cnn-codes"));
        let arguments = cnn_codes_cli::arguments_of(name.chain(words).collect());
        let code = cnn_codes_cli::run(arguments);
        // Rust does not tell the number of a code.
        (0..=u8::MAX)
            .find(|&number| code == ExitCode::from(number))
            .unwrap_or(1)
    })
}

/// What the program prints for `words`, with `input` for its stdin, and whether all of it was done.
#[pyfunction]
#[pyo3(signature = (words, input=None, listener=None))]
fn run(
    py: Python<'_>,
    words: Vec<OsString>,
    input: Option<String>,
    listener: Option<Listener>,
) -> PyResult<(String, bool)> {
    let done = wait(py, listener, move |host| {
        cnn_codes_cli::host::run(host, words, input)
    })?;
    let done = done.map_err(|error| raised(py, error, "CnnCodesError"))?;
    Ok((done.printed, done.is_whole))
}

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    cnn_codes::quiet::hide_caught_panics();
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_function(wrap_pyfunction!(program, module)?)?;
    module.add_function(wrap_pyfunction!(run, module)?)?;
    module.add_function(wrap_pyfunction!(head::fit, module)?)?;
    module.add_function(wrap_pyfunction!(store::shard_range, module)?)?;
    module.add_class::<trunk::Trunk>()?;
    module.add_class::<head::Head>()?;
    module.add_class::<store::Store>()
}
