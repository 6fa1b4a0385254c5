//! `cnn-codes predict` from the outside, on the tiny trunk and a head whose weights are known.

use crate::support;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command as StdCommand, Stdio};

use assert_cmd::Command;
use cnn_codes::codes::{CodesIdentity, Store};
use cnn_codes::head::logistic::{Logistic, LogisticOptions};
use cnn_codes::head::mlp::{Dense, Mlp, MlpOptions};
use cnn_codes::head::saved::{Evidence, Saved, SavedHead};
use cnn_codes::head::scaling::Scaling;
use cnn_codes::head::{Convergence, OneHead};
use cnn_codes_files::Existing;
use ndarray::{Array1, Array2, array};
use predicates::prelude::*;
use support::place::{Extract, Place, quarters};

/// Classes of the heads, which tell pictures by the red and green of their upper left quarters.
const CLASSES: [&str; 3] = ["green", "none", "red"];

/// A place with a store of its pictures, and HEAD for codes of that kind.
///
/// The tiny trunk's code is (2, 2, 3): a channel's mean over a quarter, times 1, 2 and -1. Both
/// heads take the first position alone: logits are (2 g, 100, r) / 100, and the MLP's temperature
/// is 2.
fn place() -> Option<Place> {
    let place = Place::new()?;
    place.extract().assert().success();
    let codes = place.store().manifest().store.codes.clone();
    write_heads(&place, codes, true);
    Some(place)
}

fn write_heads(place: &Place, codes: CodesIdentity, with_mlp: bool) {
    let mut weights = Array2::<f32>::zeros((12, 3));
    weights[[1, 0]] = 0.01;
    weights[[0, 2]] = 0.01;
    let bias: Array1<f32> = array![0.0, 1.0, 0.0];
    let layer = Dense {
        weights: weights.clone(),
        bias: bias.clone(),
    };
    let mut without_hidden = MlpOptions::default();
    without_hidden.hidden = vec![];
    let mlp = OneHead::Mlp(Saved {
        model: Mlp::from_weights(vec![layer]).unwrap(),
        options: without_hidden,
        convergence: None,
        temperature: 2.0,
    });
    let logistic = OneHead::Logistic(Saved {
        model: Logistic::from_weights(weights, bias).unwrap(),
        options: LogisticOptions::default(),
        convergence: Some(Convergence {
            converged: true,
            objective: 1.0,
            gradient_norm: 0.0,
            starts: 1,
            stopped: false,
            evaluations: 0,
            explanation: "made by a test".to_owned(),
        }),
        temperature: 1.0,
    });
    let head = SavedHead {
        recommended: None,
        evidence: Evidence::default(),
        codes,
        views: cnn_codes::picture::Views::None,
        classes: CLASSES.map(str::to_owned).to_vec(),
        scaling: Scaling::None,
        heads: with_mlp
            .then_some(mlp)
            .into_iter()
            .chain([logistic])
            .collect(),
    };
    head.save(&place.path().join("head"), Existing::Replace)
        .unwrap();
}

fn predict(place: &Place, arguments: &[&str]) -> Command {
    let mut command = support::cnn_codes();
    command.current_dir(place.path()).args(["predict", "head"]);
    command.args(arguments).args(["--card", "tiny.toml"]);
    command
}

fn stdout(mut command: Command) -> String {
    let output = command.assert().success().get_output().clone();
    String::from_utf8(output.stdout).unwrap()
}

/// softmax(logits / temperature), in f64.
fn softmax(logits: [f64; 3], temperature: f64) -> [f64; 3] {
    let exponentials = logits.map(|logit| (logit / temperature).exp());
    exponentials.map(|e| e / exponentials.iter().sum::<f64>())
}

/// Rows of a table with all three classes: path, probabilities in the order of `CLASSES`, error.
fn rows(table: &str) -> Vec<(String, [f64; 3], String)> {
    let mut reader = csv::Reader::from_reader(table.as_bytes());
    let records = reader.records().map(Result::unwrap);
    let rows = records.map(|record| {
        let mut probabilities = [f64::NAN; 3];
        for pair in (1..7).step_by(2) {
            if let Some(class) = CLASSES.iter().position(|class| *class == &record[pair]) {
                probabilities[class] = record[pair + 1].parse().unwrap();
            }
        }
        (record[0].to_owned(), probabilities, record[7].to_owned())
    });
    rows.collect()
}

fn assert_near(actual: [f64; 3], expected: [f64; 3]) {
    for (actual, expected) in actual.into_iter().zip(expected) {
        // Probabilities are float32.
        assert!((actual - expected).abs() < 1e-6, "{actual} {expected}");
    }
}

#[test]
fn probabilities_are_those_of_a_hand_computation_and_the_mlp_comes_first() {
    let Some(place) = place() else { return };
    let first = "pictures/Äpfel & Birnen/1.png";
    // 10 of red and 20 of green; the other has 200 and 100.
    for (head, temperature) in [(&[][..], 2.0), (&["--head", "logistic"], 1.0)] {
        let table = stdout(predict(
            &place,
            &[&["pictures", "--format", "csv"], head].concat(),
        ));
        assert!(
            table.starts_with("path,class_1,probability_1,class_2,"),
            "{table}"
        );
        let rows = rows(&table);
        assert_eq!(rows.len(), 2);
        // By bytes, an umlaut comes after z.
        assert_eq!(rows[1].0, first);
        assert_near(rows[1].1, softmax([0.4, 1.0, 0.1], temperature));
        assert_near(rows[0].1, softmax([2.0, 1.0, 2.0], temperature));
    }
    let text = stdout(predict(&place, &[first, "--top-k", "1"]));
    // exp(0.5) / (exp(0.2) + exp(0.5) + exp(0.05)) = 1.6487 / 3.9214 = 0.4204
    assert_eq!(text, format!("{first}  none   42.0%\n"));
}

#[test]
fn pictures_of_less_confidence_than_is_asked_for_are_unsure() {
    let Some(place) = place() else { return };
    // The best classes have 42.0% and exp(1) / (2 exp(1) + exp(0.5)) = 38.4%.
    let unsure = |format: &str| {
        let arguments = [
            "pictures",
            "--min-confidence",
            "0.4",
            "--top-k",
            "1",
            "--format",
            format,
        ];
        stdout(predict(&place, &arguments))
    };
    let text = unsure("text");
    let lines: Vec<_> = text.lines().collect();
    assert!(
        lines[0].ends_with(" 38.4%  unsure") && lines[1].ends_with(" 42.0%"),
        "{text}"
    );
    let table = unsure("csv");
    let mut table = csv::Reader::from_reader(table.as_bytes());
    assert_eq!(
        table.headers().unwrap(),
        &vec!["path", "class_1", "probability_1", "unsure", "error"]
    );
    let of_rows: Vec<_> = table
        .records()
        .map(|row| row.unwrap()[3].to_owned())
        .collect();
    assert_eq!(of_rows, ["true", "false"]);
    let json = unsure("jsonl");
    let json = json
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["unsure"].clone());
    assert!(json.eq([true, false]));
    let all = predict(&place, &["pictures", "--min-confidence", "1"])
        .assert()
        .success();
    all.stderr(predicate::str::contains("unsure: 2 of 2 pictures"));
    let wrong = predict(&place, &["pictures", "--min-confidence", "40"])
        .assert()
        .code(2);
    wrong.stderr(predicate::str::contains("it must be from 0 to 1"));
}

#[test]
fn a_store_gives_what_its_pictures_give() {
    let Some(place) = place() else { return };
    let of_pictures = rows(&stdout(predict(&place, &["pictures/", "--format", "csv"])));
    let of_codes = rows(&stdout(predict(&place, &["store", "--format", "csv"])));
    assert_eq!(of_codes.len(), 2);
    for code in &of_codes {
        let path = format!("pictures/{}", code.0);
        let picture = of_pictures.iter().find(|picture| picture.0 == path);
        assert_eq!(picture.unwrap().1, code.1);
    }
    predict(&place, &["store", "pictures"])
        .assert()
        .code(1)
        .stderr(predicate::str::contains(
            "store is a store, and cannot be combined with pictures",
        ));
}

#[test]
fn an_exported_classifier_predicts_in_place_of_head_and_trunk() {
    let Some(place) = place() else { return };
    let run = |arguments: &[&str]| {
        let mut command = support::cnn_codes();
        command.current_dir(place.path()).args(arguments);
        command
    };
    let export = ["export", "head", "--card", "tiny.toml", "--out"];
    run(&[&export[..], &["fruit.onnx"]].concat())
        .assert()
        .success();
    // Neither of them is needed any more.
    fs::rename(place.path().join("tiny.onnx"), place.path().join("away")).unwrap();
    let predict =
        |arguments: &[&str]| run(&[&["predict", "--model", "fruit.onnx"][..], arguments].concat());
    let table = rows(&stdout(predict(&["pictures", "--format", "csv"])));
    assert_eq!(table.len(), 2);
    assert_near(table[1].1, softmax([0.4, 1.0, 0.1], 2.0));
    assert_near(table[0].1, softmax([2.0, 1.0, 2.0], 2.0));
    let one = stdout(predict(&[
        "pictures/Äpfel & Birnen/1.png",
        "--format",
        "json",
    ]));
    let one: serde_json::Value = serde_json::from_str(&one).unwrap();
    assert_eq!(one["head"], "tiny-mlp");
    assert_eq!(one["pictures"].as_array().unwrap().len(), 1);

    let refused = |mut command: Command, code: i32, why: &str| {
        let output = command.assert().code(code).get_output().clone();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(why), "{said}");
    };
    refused(
        predict(&["store"]),
        1,
        "fruit.onnx takes pictures, and store is a store of codes",
    );
    refused(
        predict(&["head", "pictures"]),
        1,
        "holds a head already; leave head out",
    );
    refused(
        predict(&["pictures", "--head", "logistic"]),
        1,
        "--head logistic cannot choose",
    );
    refused(run(&["predict", "head"]), 2, "no pictures are given");
    refused(
        run(&["predict", "fruit.onnx", "pictures"]),
        1,
        "with --model",
    );
    fs::rename(place.path().join("fruit.toml"), place.path().join("lost")).unwrap();
    refused(
        predict(&["pictures"]),
        1,
        "fruit.onnx has no model card fruit.toml beside it",
    );
}

#[test]
fn bad_pictures_are_reported_in_their_place_and_the_rest_is_predicted() {
    let Some(place) = place() else { return };
    place.write("new/2.jpg", b"no picture");
    place.save("new/1.png", &quarters([0, 0, 0]));
    place.save("new/3.png", &quarters([0, 255, 0]));
    let arguments = ["new", "gone.png", "--format", "jsonl", "--batch-size", "2"];
    let output = predict(&place, &arguments)
        .assert()
        .success()
        .get_output()
        .clone();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let paths: Vec<_> = lines
        .iter()
        .map(|line| line["path"].as_str().unwrap())
        .collect();
    assert_eq!(paths, ["new/1.png", "new/2.jpg", "new/3.png", "gone.png"]);
    assert_eq!(lines[0]["predictions"][0]["class"], "none");
    assert_eq!(lines[1]["kind"], "unknown_format");
    assert_eq!(lines[2]["predictions"][0]["class"], "green");
    assert_eq!(lines[3]["kind"], "missing");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("new/2.jpg: "), "{said}");
    assert!(
        said.contains("could not be used: 2 of 4 pictures"),
        "{said}"
    );

    let document: serde_json::Value =
        serde_json::from_str(&stdout(predict(&place, &["new", "--format", "json"]))).unwrap();
    assert_eq!(document["head"], "mlp");
    assert_eq!(document["classes"], serde_json::json!(CLASSES));
    assert_eq!(document["pictures"].as_array().unwrap().len(), 3);
    assert!(document["pictures"][1]["error"].is_string());
}

#[test]
fn the_exit_code_is_1_where_no_picture_could_be_used() {
    let Some(place) = place() else { return };
    place.write("bad.jpg", b"no picture");
    predict(&place, &["bad.jpg", "gone.jpg"])
        .assert()
        .code(1)
        .stderr(predicate::str::contains(
            "none of the 2 pictures could be used\n",
        ));
    let document = predict(&place, &["bad.jpg", "--format", "json"])
        .assert()
        .code(1)
        .get_output()
        .clone();
    let document: serde_json::Value = serde_json::from_slice(&document.stdout).unwrap();
    assert_eq!(document["pictures"][0]["path"], "bad.jpg");
}

#[test]
fn a_picture_that_is_not_there_is_told_once_and_before_the_trunk_is_loaded() {
    let Some(place) = place() else { return };
    let told = predict(&place, &["gone.jpg"]).assert().code(1);
    let told = String::from_utf8(told.get_output().stderr.clone()).unwrap();
    assert!(
        told.starts_with("error: the only picture, gone.jpg, could not be used: "),
        "{told}"
    );
    assert_eq!(told.matches("gone.jpg").count(), 1, "{told}");
    predict(&place, &["gone.jpg", "away.jpg"])
        .assert()
        .code(1)
        .stderr(predicate::str::starts_with(
            "error: none of the 2 pictures could be used; the first, gone.jpg: ",
        ));
}

#[test]
fn the_exit_code_is_1_where_a_picture_could_not_be_read_now() {
    let Some(place) = place() else { return };
    let sound = "pictures/Äpfel & Birnen/1.png";
    // Its folder is gone, as that of a disk that was unplugged.
    predict(&place, &[sound, "gone/2.png"])
        .assert()
        .code(1)
        .stdout(predicate::str::contains(sound))
        .stderr(predicate::str::contains("gone/2.png: cannot be read now"))
        .stderr(predicate::str::contains(
            "because their disk or the system failed: 1",
        ));
    // There is no such file in its folder.
    predict(&place, &[sound, "pictures/Äpfel & Birnen/2.png"])
        .assert()
        .success();
}

#[test]
fn lists_and_archives_are_predicted_whatever_their_labels() {
    let Some(place) = place() else { return };
    place.save("one.png", &quarters([0, 255, 0]));
    let table = predict(&place, &["-", "--format", "csv"])
        .write_stdin("one.png\npictures/zwei Wörter/sub/2.png\n")
        .assert()
        .success()
        .get_output()
        .clone();
    let listed = rows(&String::from_utf8(table.stdout).unwrap());
    assert_eq!(listed.len(), 2);

    // Of one class only, which to extract would be an error.
    let mut archive = tar::Builder::new(fs::File::create(place.path().join("a.tar")).unwrap());
    archive
        .append_path_with_name(place.path().join("one.png"), "1.png")
        .unwrap();
    place.write("1.cls", b"green");
    archive
        .append_path_with_name(place.path().join("1.cls"), "1.cls")
        .unwrap();
    archive
        .append_path_with_name(place.path().join("one.png"), "2.png")
        .unwrap();
    archive.finish().unwrap();
    let archived = rows(&stdout(predict(&place, &["a.tar", "--format", "csv"])));
    let paths: Vec<_> = archived.iter().map(|row| row.0.as_str()).collect();
    assert_eq!(paths, ["a.tar/1.png", "a.tar/2.png"]);
    assert_eq!(archived[0].1, listed[0].1);
}

fn extract(place: &Place, out: &str) -> Command {
    let mut command = support::cnn_codes();
    command.current_dir(place.path()).arg("extract-features");
    command.args(["pictures", "--card", "tiny.toml", "--out", out]);
    command
}

/// Takes away what earlier versions did not record, in a store.json or head.json.
fn make_older(file: &Path) {
    let text = fs::read_to_string(file).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let trunk = json["codes"]["trunk"].as_object_mut().unwrap();
    assert!(trunk.remove("graph_sha256").is_some());
    fs::write(file, serde_json::to_string_pretty(&json).unwrap()).unwrap();
}

#[test]
fn stores_and_heads_of_earlier_versions_go_with_the_trunk_they_were_made_with() {
    let Some(place) = place() else { return };
    make_older(&place.path().join("head/head.json"));
    predict(&place, &["pictures"]).assert().success();
    predict(&place, &["store"]).assert().success();
    make_older(&place.path().join("store/store.json"));
    predict(&place, &["store"]).assert().success();
    place
        .extract()
        .assert()
        .success()
        .stdout(predicate::str::contains("complete already"));
    extract(&place, "again")
        .args(["--reuse", "store"])
        .assert()
        .success();

    support::tiny_trunk::write_with_constant(place.path(), support::tiny_trunk::WEIGHTS);
    predict(&place, &["pictures"]).assert().code(1).stderr(
        predicate::str::contains("the trunk differs: tiny (parameters ")
            .and(predicate::str::contains(" and tiny (no initializers)")),
    );
}

#[test]
fn trunks_that_differ_in_a_constant_are_different_trunks() {
    let Some(place) = Place::new() else { return };
    for (weights, store) in [([1.0, 2.0, 3.0], "b"), ([1.0, 2.0, -1.0], "a")] {
        support::tiny_trunk::write_with_constant(place.path(), weights);
        extract(&place, store).assert().success();
    }
    let train = |train: &str, validation: &str| {
        let mut command = support::cnn_codes();
        command.current_dir(place.path()).arg("train-head");
        command.args([
            "--train",
            train,
            "--validation",
            validation,
            "--out",
            "trained",
        ]);
        command.assert()
    };
    let difference = predicate::str::is_match(
        r"the trunk differs: tiny \(no initializers, graph [0-9a-f]{12}\) and tiny \(no initializers, graph [0-9a-f]{12}\)",
    );
    train("a", "b").code(1).stderr(difference.unwrap());

    let head_for = |store: &str| {
        let store = Store::open(&place.path().join(store)).unwrap();
        write_heads(&place, store.manifest().store.codes.clone(), true);
    };
    head_for("a");
    predict(&place, &["pictures"]).assert().success();
    head_for("b");
    let refused = predicate::str::contains("the trunk differs: tiny (no initializers, graph ");
    predict(&place, &["pictures"])
        .assert()
        .code(1)
        .stderr(refused);

    // Of a version that recorded the hash of the initializers alone, that of nothing.
    make_older(&place.path().join("head/head.json"));
    let unknown = predicate::str::contains("graph not recorded by the version that made it");
    predict(&place, &["pictures"])
        .assert()
        .code(1)
        .stderr(unknown);
    // The very file that made the codes is known all the same.
    head_for("a");
    make_older(&place.path().join("head/head.json"));
    predict(&place, &["pictures"]).assert().success();
}

#[test]
fn a_head_for_other_codes_is_refused_with_the_difference_and_what_to_do() {
    let Some(place) = place() else { return };
    let codes = place.store().manifest().store.codes.clone();
    let said = |place: &Place, arguments: &[&str]| {
        let output = predict(place, arguments)
            .assert()
            .code(1)
            .get_output()
            .clone();
        assert!(output.stdout.is_empty());
        String::from_utf8(output.stderr).unwrap()
    };

    let mut other = codes.clone();
    other.trunk.tensors_sha256 = "1".repeat(64);
    other.trunk.graph_sha256 = Some("2".repeat(64));
    write_heads(&place, other.clone(), true);
    let message = said(&place, &["pictures"]);
    assert!(
        message.contains("the trunk differs: tiny (parameters 111111111111) and tiny")
            && message.contains("give the trunk that it was trained with (--model and --card)"),
        "{message}"
    );
    let message = said(&place, &["store"]);
    assert!(
        message.contains("than store holds: the trunk differs"),
        "{message}"
    );

    other = codes.clone();
    other.resize.width = 9;
    write_heads(&place, other, true);
    let message = said(&place, &["pictures"]);
    assert!(
        message.contains("the resizing differs: 9x8 stretch bilinear and 8x8"),
        "{message}"
    );

    other = codes.clone();
    other.trunk.name = "another".to_owned();
    write_heads(&place, other, true);
    let mut command = support::cnn_codes();
    command
        .current_dir(place.path())
        .args(["predict", "head", "pictures"]);
    command.assert().code(1).stderr(predicate::str::contains(
        "there is no trunk 'another': no card in ",
    ));

    write_heads(&place, codes, false);
    let message = said(&place, &["pictures", "--head", "mlp"]);
    assert!(
        message.contains("head has no mlp head, only logistic; give --head logistic"),
        "{message}"
    );
}

#[test]
fn the_trunk_is_found_by_its_name_among_the_cards_of_the_models() {
    let Some(place) = place() else { return };
    // A card of any file name, beside one that cannot be read.
    fs::create_dir(place.path().join("mine")).unwrap();
    fs::rename(
        place.path().join("tiny.onnx"),
        place.path().join("mine/tiny.onnx"),
    )
    .unwrap();
    fs::rename(
        place.path().join("tiny.toml"),
        place.path().join("mine/b.toml"),
    )
    .unwrap();
    place.write("mine/a.toml", b"format = 7");
    let library = support::models_with_onnxruntime()
        .unwrap()
        .join("onnxruntime");
    let mut command = support::cnn_codes();
    command
        .current_dir(place.path())
        .args(["predict", "head", "pictures", "--models", "mine"]);
    command.arg("--onnxruntime").arg(library);
    assert_eq!(stdout(command).lines().count(), 2);
}

/// Starts a prediction of many pictures, one at a time, whose output is read here.
#[cfg(unix)]
fn start_long(place: &Place) -> std::process::Child {
    let models = support::models();
    place.save("many/1.png", &quarters([9, 9, 9]));
    let list: String = (0..20_000).map(|_| "many/1.png ").collect();
    let mut command = StdCommand::new(assert_cmd::cargo::cargo_bin!("cnn-codes"));
    command
        .current_dir(place.path())
        .env_remove("ORT_DYLIB_PATH")
        .env("CNN_CODES_MODELS", models)
        .args([
            "predict",
            "head",
            "--card",
            "tiny.toml",
            "--batch-size",
            "1",
        ])
        .args(list.split_whitespace())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn().unwrap()
}

#[cfg(unix)]
#[test]
fn a_closed_pipe_ends_it_quietly() {
    let Some(place) = place() else { return };
    let mut child = start_long(&place);
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    assert!(line.starts_with("many/1.png  none "), "{line}");
    drop(output);
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    // Which head answers, and what goes through it.
    assert_eq!(said.lines().count(), 2, "{said}");
    assert!(
        said.starts_with("of 2 heads the MLP answers, the first one: "),
        "{said}"
    );
}

#[cfg(unix)]
#[test]
fn a_signal_ends_it_after_the_batch_in_hand_with_its_code() {
    let Some(place) = place() else { return };
    let mut child = start_long(&place);
    let mut output = BufReader::new(child.stdout.take().unwrap());
    output.read_line(&mut String::new()).unwrap();
    let id = child.id().to_string();
    StdCommand::new("kill")
        .args(["-INT", &id])
        .status()
        .unwrap();
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(rest.is_empty() || rest.ends_with("%\n"), "whole lines only");
    assert!(rest.lines().count() < 19_999);
}
