//! What the tests share: files of the checkout, ONNX Runtime, Python.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

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
    static ENVIRONMENT: OnceLock<Option<Environment>> = OnceLock::new();
    let environment = ENVIRONMENT.get_or_init(|| {
        let library = library(&checkout("models/onnxruntime"))?;
        // Set by .cargo/config.toml; once the library is loaded it is too late.
        assert_eq!(std::env::var("ORT_DISABLE_TELEMETRY").as_deref(), Ok("1"));
        let builder = ort::init_from(library).unwrap();
        Some(builder.with_telemetry(false).build().unwrap())
    });
    if environment.is_none() {
        crate::skip!("no ONNX Runtime in models/ (run `cnn-codes fetch`)");
    }
    environment.as_ref()
}

fn library(folder: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?;
    let mut files = entries.filter_map(|entry| Some(entry.ok()?.path()));
    files.find(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        [
            "libonnxruntime.so",
            "libonnxruntime.dylib",
            "onnxruntime.dll",
        ]
        .iter()
        .any(|library| name.starts_with(library))
    })
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
