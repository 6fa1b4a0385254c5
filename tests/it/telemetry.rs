//! The library is not loaded where it might start ONNX Runtime's telemetry.
#![cfg(target_os = "linux")]

use crate::support;

use std::fs;

use cnn_codes::model::{Library, Runtime, RuntimeError, telemetry};

/// Runs in a process of its own, which has no switch and, as each test, more than one thread.
#[test]
#[ignore = "started by the test below"]
fn load_with_other_threads() {
    if std::env::var_os(telemetry::SWITCH).is_some() {
        // It was not started by the test below.
        return;
    }
    let models = support::models_with_onnxruntime().unwrap();
    let library = Library::find(None, &models).unwrap();
    let error = Runtime::load(&library).unwrap_err();
    assert!(matches!(error, RuntimeError::Telemetry), "{error}");
    println!("refused: {error}");
}

#[test]
fn a_program_that_has_threads_and_did_not_switch_telemetry_off_is_refused_the_library() {
    if support::models_with_onnxruntime().is_none() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let this = std::env::current_exe().unwrap();
    let mut test = support::in_empty_home(&this, home.path());
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
