//! Nothing leaves the machine: ONNX Runtime's telemetry never starts.
#![cfg(target_os = "linux")]

use crate::support;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use cnn_codes::model::telemetry;
use support::place::{Extract, Place, quarters};

/// ONNX Runtime sends what it has queued about 9 s after it was loaded.
const LONGER_THAN_THE_FIRST_SENDING: Duration = Duration::from_secs(15);

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn loading_onnx_runtime_leaves_no_trace_of_telemetry_in_the_home_folder() {
    if support::models_with_onnxruntime().is_none() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    for asked_for in [None, Some("0"), Some("")] {
        let home = place.path().join(format!("home {asked_for:?}"));
        let mut doctor = support::in_empty_home(assert_cmd::cargo::cargo_bin!("cnn-codes"), &home);
        doctor.arg("doctor");
        if let Some(value) = asked_for {
            doctor.env(telemetry::SWITCH, value);
        }
        let output = doctor.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("ok  ONNX Runtime"), "{text}");
        assert_eq!(files_in(&home), Vec::<PathBuf>::new(), "{asked_for:?}");
    }
}

/// What runs a program in a network of its own and lists its sockets in a file; the test is
/// skipped where that cannot be had.
fn traced(trace: &Path) -> Option<Vec<String>> {
    let strace = ["strace", "-f", "-qq", "-e", "trace=%network", "-o"];
    let mut tracer: Vec<String> = strace.map(str::to_owned).into();
    tracer.push(trace.display().to_string());
    let works = |command: &[String]| {
        let mut run = Command::new(&command[0]);
        run.args(&command[1..]).arg("true").stderr(Stdio::null());
        run.status().is_ok_and(|status| status.success())
    };
    if !works(&tracer) {
        support::skip!("strace cannot be used here, so that no sockets can be seen");
        return None;
    }
    let apart = [
        "unshare".to_owned(),
        "--map-root-user".to_owned(),
        "--net".to_owned(),
    ];
    if works(&apart) {
        Some([&apart[..], &tracer].concat())
    } else {
        eprintln!("without a network of its own: unshare cannot be used here");
        Some(tracer)
    }
}

#[test]
fn a_long_run_opens_no_socket() {
    let Some(place) = Place::new() else { return };
    let trace = place.path().join("trace");
    let Some(tracer) = traced(&trace) else { return };
    // Its own weights make a head of any kind; what is printed matters here.
    place.save("pictures/Äpfel & Birnen/3.png", &quarters([30, 20, 10]));
    place.save("pictures/zwei Wörter/sub/4.png", &quarters([90, 100, 0]));
    place.extract().assert().success();
    let mut train = support::cnn_codes();
    train.current_dir(place.path()).arg("train-head");
    train.args(["--train", "store", "--folds", "2"]);
    train.args(["--out", "head", "--head", "logistic"]);
    train.assert().success();
    place.save("many/1.png", &quarters([9, 9, 9]));

    let home = place.path().join("home");
    let mut predict = support::in_empty_home(&tracer[0], &home);
    predict
        .current_dir(place.path())
        .args(&tracer[1..])
        .arg(assert_cmd::cargo::cargo_bin!("cnn-codes"))
        .args([
            "predict",
            "head",
            "--card",
            "tiny.toml",
            "--batch-size",
            "1",
        ])
        .args(vec!["many/1.png"; 5_000])
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = predict.spawn().unwrap();
    let mut printed = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    printed.read_line(&mut text).unwrap();
    // The library is loaded, and the pipe is full before all is printed: the run waits for us.
    thread::sleep(LONGER_THAN_THE_FIRST_SENDING);
    printed.read_to_string(&mut text).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(text.lines().count(), 5_000, "the run went on to its end");

    let calls = fs::read_to_string(trace).unwrap();
    let sockets: Vec<_> = (calls.lines())
        .filter(|line| line.contains(" socket(") || line.contains(" connect("))
        .filter(|line| !line.contains("AF_UNIX"))
        .collect();
    assert!(sockets.is_empty(), "{sockets:#?}");
    assert_eq!(files_in(&home), Vec::<PathBuf>::new());
}
