//! The code of docs/files.md, run as a reader would run it: all of it, in one session.

use crate::support;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use support::place::{Place, quarters};

/// What the page's code has left to be checked, against other files and by other ways.
const CHECKS: &str = r#"
assert codes.shape == (18, 12) and codes.dtype == np.float32, codes.shape
assert classes == ["blue", "green", "red"] and list(labels) == [0] * 6 + [1] * 6 + [2] * 6
assert validation_paths[4] == "green/0.png", validation_paths
# The code (2, 2, 3) of a picture with 235 of green in a quarter, which the trunk doubles.
expected = [0, np.float32(2 * 235 / 255)] + [0] * 10
assert np.allclose(validation_codes[4], expected, rtol=1e-6, atol=0), validation_codes[4]
assert len(rows) == 2 * len(validation_paths)


def in_table(head):
    columns = [f"probability of {name}" for name in classes]
    return np.array([[float(row[name]) for name in columns] for row in rows if row["head"] == head])


assert np.abs(probabilities - in_table("mlp")).max() < 1e-5

logits = regression.decision_function(validation_codes) / head["logistic"]["temperature"]
# Two solvers of one convex problem, each to its own tolerance.
assert np.abs(softmax(logits) - in_table("logistic")).max() < 1e-3

recommended = head["recommended"]
assert exported_classes == classes
assert np.abs(exported - in_table(recommended)[: len(exported)]).max() < 1e-5
assert list(indices) == list(exported.argmax(axis=1))
"#;

/// The fenced blocks of `page` whose first line is three backticks and `language`.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let opening = format!("```{language}\n");
    let starts = page.match_indices(&opening);
    starts
        .map(|(start, _)| {
            let code = &page[start + opening.len()..];
            code[..code.find("```").unwrap()].to_owned()
        })
        .collect()
}

/// Python with all that the page imports; without it the test is skipped.
fn python() -> Option<PathBuf> {
    let python = support::python()?;
    let mut import = Command::new(&python);
    import.args(["-c", "import numpy, onnxruntime, PIL, sklearn"]);
    if import.stderr(Stdio::null()).status().unwrap().success() {
        return Some(python);
    }
    support::skip!("{} lacks what the page imports", python.display());
    None
}

/// The page's pictures, codes and head, of the tiny trunk.
fn prepare(place: &Place) {
    for (set, n, brightest) in [("train", 6, 250), ("validation", 4, 235)] {
        for i in 0..n {
            let level = brightest - 10 * i;
            let classes = [
                ("red", [level, 0, 0]),
                ("green", [0, level, 0]),
                ("blue", [0, 0, level]),
            ];
            for (class, color) in classes {
                place.save(&format!("data/{set}/{class}/{i}.png"), &quarters(color));
            }
        }
        let mut extract = support::cnn_codes();
        extract.current_dir(place.path()).arg("extract-features");
        extract.args([&format!("data/{set}"), "--out", &format!("codes/{set}")]);
        extract.args(["--card", "tiny.toml", "--recipe", "rescale"]);
        extract.assert().success();
    }
    let mut train = support::cnn_codes();
    train.current_dir(place.path()).arg("train-head");
    train.args(["--train", "codes/train", "--validation", "codes/validation"]);
    train.args(["--out", "head", "--calibrate", "--folds", "2"]);
    train.assert().success();
}

#[test]
fn the_pages_code_runs_and_finds_what_the_files_say() {
    let Some(python) = python() else {
        return;
    };
    let Some(place) = Place::new() else { return };
    fs::remove_dir_all(place.path().join("pictures")).unwrap();
    fs::create_dir(place.path().join("codes")).unwrap();
    prepare(&place);
    let page = support::root().join("docs/files.md");
    let page = fs::read_to_string(page).unwrap();

    let mut export = support::cnn_codes();
    export.current_dir(place.path());
    export.args(["export", "head", "--out", "head.onnx"]);
    export.args(["--card", "tiny.toml"]).assert().success();
    let mut found = blocks(&page, "python");
    assert_eq!(found.len(), 5, "blocks of the page");
    found.push(CHECKS.to_owned());
    let script = place.path().join("page.py");
    fs::write(&script, found.join("\n")).unwrap();
    let output = Command::new(&python)
        .current_dir(place.path())
        .arg(&script)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
}
