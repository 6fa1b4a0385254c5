//! `scripts/export_vgg16.py` against what `fetch vgg16` makes, where there is the file and a
//! Python with the `onnx` package, which scripts/test.sh sets up.

use crate::support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use cnn_codes::model::ModelCard;
use cnn_codes::model::OnnxModel;
use cnn_codes_cli::assets::verify;

fn root(path: &str) -> PathBuf {
    support::root().join(path)
}

/// Runs the script; without what it needs the test is skipped.
fn export(arguments: &[&Path]) -> Option<Output> {
    let python = support::python()?;
    let usable = Command::new(&python)
        .args(["-c", "import onnx, tomllib"])
        .output();
    if !usable.is_ok_and(|output| output.status.success()) {
        support::skip!("{} has no onnx, or no tomllib", python.display());
        return None;
    }
    let script = root("scripts/export_vgg16.py");
    let output = Command::new(&python)
        .arg("-B")
        .arg(script)
        .args(arguments)
        .output();
    Some(output.unwrap())
}

#[test]
fn the_script_makes_the_same_file_of_the_same_weights() {
    let Some(trunk) = support::vgg16() else {
        return;
    };
    let place = tempfile::tempdir().unwrap();
    let exported = place.path().join("exported.onnx");
    let arguments = [
        Path::new("--weights-from"),
        &trunk,
        Path::new("--out"),
        &exported,
    ];
    let Some(output) = export(&arguments) else {
        return;
    };
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    verify(&exported, &ModelCard::vgg16()).unwrap();
    let graph = |path: &Path| OnnxModel::read(path).unwrap().graph().clone();
    let same = graph(&exported) == graph(&trunk);
    assert!(same, "the script and `fetch vgg16` make different graphs");
}

#[test]
fn the_script_names_what_it_cannot_read_and_writes_nothing() {
    let place = tempfile::tempdir().unwrap();
    let exported = place.path().join("exported.onnx");
    let missing = place.path().join("missing.onnx");
    let arguments = [
        Path::new("--weights-from"),
        &missing,
        Path::new("--out"),
        &exported,
    ];
    let Some(output) = export(&arguments) else {
        return;
    };
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.starts_with("error: ") && said.contains("missing.onnx"),
        "{said}"
    );
    assert!(!exported.exists());
}
