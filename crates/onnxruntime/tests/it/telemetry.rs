//! The library is not loaded where it might start ONNX Runtime's telemetry.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::Path;
use std::process::Command;

use cnn_codes_onnxruntime::{Library, Runtime, RuntimeError, telemetry};

/// The library from the checkout's models folder; without it the test is skipped.
fn library() -> Option<Library> {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
    match Library::find(None, &models) {
        Ok(library) => Some(library),
        Err(RuntimeError::NotFound { .. }) => {
            crate::skip!("no ONNX Runtime in models/ (run `cnn-codes fetch`)");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// Runs in a process of its own, which has no switch and, as each test, more than one thread.
#[test]
#[ignore = "started by the test below"]
fn load_with_other_threads() {
    if std::env::var_os(telemetry::SWITCH).is_some() {
        // It was not started by the test below.
        return;
    }
    let error = Runtime::load(&library().unwrap()).unwrap_err();
    assert!(matches!(error, RuntimeError::Telemetry), "{error}");
    println!("refused: {error}");
}

#[test]
fn a_program_that_has_threads_and_did_not_switch_telemetry_off_is_refused_the_library() {
    if library().is_none() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let this = std::env::current_exe().unwrap();
    let mut test = Command::new(&this);
    // Nothing that switches the telemetry off, and a home to write to.
    test.env_clear().env("HOME", home.path());
    test.args([
        "--exact",
        "--ignored",
        "--nocapture",
        "telemetry::load_with_other_threads",
    ]);
    let output = test.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(
        text.contains("refused: ") && text.contains("ORT_DISABLE_TELEMETRY=1"),
        "{text}"
    );
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}
