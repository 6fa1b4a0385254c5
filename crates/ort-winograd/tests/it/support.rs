//! What the tests share: files of the checkout, ONNX Runtime, Python.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use cnn_codes_onnxruntime::{Library, Runtime, RuntimeError};
use ort::environment::Environment;

/// A file of the checkout.
pub fn checkout(path: &str) -> PathBuf {
    crate::root().join(path)
}

/// A model of fuzz/seeds/onnx.
pub fn seed_file(name: &str) -> PathBuf {
    checkout(&format!("fuzz/seeds/onnx/{name}.onnx"))
}

/// ONNX Runtime from the checkout's models folder, of which a process may have one; `None`, with a
/// message, where it was not fetched.
pub fn environment() -> Option<&'static Environment> {
    static RUNTIME: OnceLock<Option<Runtime>> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| match Library::find(None, &checkout("models")) {
        // Refused where its telemetry is not off; .cargo/config.toml switches it off.
        Ok(library) => Some(Runtime::load(&library).unwrap()),
        Err(RuntimeError::NotFound { .. }) => None,
        Err(error) => panic!("{error}"),
    });
    if runtime.is_none() {
        crate::skip!("no ONNX Runtime in models/ (run `cnn-codes fetch`)");
    }
    runtime.as_ref().map(Runtime::environment)
}

/// Python with onnx, which scripts/test.sh sets up; says so where it is absent.
pub fn python() -> Option<PathBuf> {
    let python = std::env::var_os("CNN_CODES_TEST_PYTHON").map(PathBuf::from);
    if python.is_none() {
        crate::skip!("CNN_CODES_TEST_PYTHON names no Python with onnx (see scripts/test.sh)");
    }
    python
}

/// Runs a Python program with `arguments`, and returns what it printed.
pub fn run_python(python: &Path, program: &str, arguments: &[&Path]) -> String {
    let output = Command::new(python)
        .args(["-c", program])
        .args(arguments)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    String::from_utf8(output.stdout).unwrap()
}
