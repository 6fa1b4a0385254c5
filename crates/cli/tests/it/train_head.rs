//! `cnn-codes train-head` from the outside, on codes made up here.

use crate::support;

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use cnn_codes::codes::{Dtype, Pool, Store};
use cnn_codes::head::logistic::Logistic;
use cnn_codes::head::mlp::Mlp;
use cnn_codes::head::saved::SavedHead;
use cnn_codes::head::scaling::Scaling;
use cnn_codes::head::{Head, probabilities};
use cnn_codes::picture::Recipe;
use predicates::prelude::*;
use support::two_classes::Place;

#[test]
fn both_heads_are_compared_and_the_wrong_picture_is_named() {
    let place = Place::new();
    place
        .train()
        .assert()
        .success()
        .stdout(predicate::str::contains(
            "40 training pictures, 10 validation pictures, 2 classes",
        ))
        // Wilson's interval for 9 of 10, by hand: 0.596 to 0.982.
        .stdout(predicate::str::is_match(r"mlp +90\.0% +1/10 +59\.6% to 98\.2%").unwrap())
        .stdout(predicate::str::is_match(r"logistic +90\.0% +1/10 +59\.6% to 98\.2%").unwrap())
        .stdout(predicate::str::contains(
            // Bonett and Price's interval of 0 : 0 on 10 pictures: 1.96 sqrt(2 / 12 / 12).
            "Not decided: the MLP's accuracy minus the logistic regression's is 0.0 points, 95% from -23.1 to +23.1 (p = 1.000).",
        ))
        .stdout(predicate::str::contains(
            "this MLP (seed 0) and this logistic regression, on pictures like these 10",
        ))
        .stdout(predicate::str::contains(
            "Right by the MLP alone: 0; by the logistic regression alone: 0.",
        ))
        .stdout(predicate::str::contains("logistic: converged"))
        .stdout(predicate::str::contains("  9.jpg: label b c, prediction a, confidence ").count(2))
        .stdout(predicate::str::contains("  a          5      0\n").count(2))
        .stdout(predicate::str::contains("  b c        1      4\n").count(2));

    let metrics: serde_json::Value =
        serde_json::from_str(&place.read("head/metrics.json")).unwrap();
    assert_eq!(
        metrics["heads"]["mlp"]["confusion"],
        serde_json::json!([[5, 0], [1, 4]])
    );
    assert_eq!(
        metrics["heads"]["logistic"]["misclassified"][0]["path"],
        "9.jpg"
    );
    assert_eq!(metrics["difference"]["p_value"], 1.0);
    assert_eq!(metrics["compared"], serde_json::json!(["mlp", "logistic"]));

    let history = place.read("head/history.csv");
    assert_eq!(history.lines().count(), 21);
    assert!(
        history.starts_with(
            "epoch,learning_rate,loss,accuracy,held_out_loss,held_out_accuracy,val_loss,val_acc\n1,"
        ),
        "{history}"
    );

    let mut predictions = csv::Reader::from_path(place.path("head/predictions.csv")).unwrap();
    let rows: Vec<csv::StringRecord> = predictions.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 20);
    let last: Vec<_> = rows[9].iter().take(6).collect();
    assert_eq!(last, ["9", "9.jpg", "b c", "", "mlp", "a"]);
    for row in rows {
        let proba: Vec<f64> = row.iter().skip(9).map(|p| p.parse().unwrap()).collect();
        assert!((proba.iter().sum::<f64>() - 1.0).abs() < 1e-5, "{row:?}");
    }

    let head = SavedHead::load(&place.path("head")).unwrap();
    assert_eq!(head.classes, ["a", "b c"]);
    assert_eq!(head.codes.recipe, Recipe::Caffe);
    assert_eq!(head.get::<Mlp>().unwrap().options.hidden, [8]);
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let place = Place::new();
    let files = [
        "mlp.safetensors",
        "logistic.safetensors",
        "head.json",
        "history.csv",
        "predictions.csv",
        "pictures.csv",
        "report.html",
    ];
    let bytes_with = |seed: &str, threads: &str| {
        place
            .train()
            .args(["--overwrite", "--seed", seed])
            .env("RAYON_NUM_THREADS", threads)
            .assert()
            .success();
        files.map(|name| fs::read(place.path("head").join(name)).unwrap())
    };
    let first = bytes_with("7", "1");
    assert!(first == bytes_with("7", "2"));
    assert!(first[0] != bytes_with("8", "2")[0]);
}

#[test]
fn one_head_alone_has_no_paired_test() {
    let place = Place::new();
    place
        .train()
        .args(["--head", "logistic", "--format", "json"])
        .assert()
        .success()
        .stdout(predicate::str::contains("\"difference\": null"));
    let names = [
        "evidence.safetensors",
        "head.json",
        "logistic.safetensors",
        "metrics.json",
        "pictures.csv",
        "predictions.csv",
        "provenance.json",
        "report.html",
    ];
    let mut found: Vec<_> = fs::read_dir(place.path("head"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    found.sort();
    assert_eq!(found, names);
}

/// What the command says when it fails; there is no head then.
fn message(place: &Place, mut command: Command) -> String {
    let output = command.assert().code(1).get_output().clone();
    assert!(!Path::new(&place.path("head")).exists());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn stores_that_do_not_belong_together_are_refused_with_the_difference() {
    let place = Place::new();
    let rows = [(0, 0.0), (1, 1.0)];
    let mut other = support::description(Dtype::F32, Pool::None);
    other.codes.recipe = Recipe::Rescale;
    place.write("recipe", other, &rows);
    let said = message(&place, place.train_on("train", "recipe"));
    assert_eq!(
        said,
        "error: train and recipe do not belong together: the recipe differs: caffe and rescale; \
         extract both with the same options\n"
    );

    let mut other = support::description(Dtype::F32, Pool::None);
    other.codes.trunk.tensors_sha256 = "2".repeat(64);
    place.write("trunk", other, &rows);
    let said = message(&place, place.train_on("train", "trunk"));
    assert!(
        said.contains("the trunk differs: tiny (parameters 111111111111) and tiny"),
        "{said}"
    );

    let mut other = support::description(Dtype::F32, Pool::None);
    other.classes = vec!["a".to_owned(), "c".to_owned()];
    place.write("classes", other, &rows);
    let said = message(&place, place.train_on("train", "classes"));
    assert!(
        said.contains("the classes differ: a, b c and a, c"),
        "{said}"
    );

    place.write("pooled", support::description(Dtype::F32, Pool::Max), &rows);
    let said = message(&place, place.train_on("train", "pooled"));
    assert!(said.contains("the pooling differs: none and max"), "{said}");
}

#[test]
fn codes_that_cannot_be_trained_on_are_refused_by_name() {
    let place = Place::new();
    place.write(
        "one class",
        support::description(Dtype::F32, Pool::None),
        &[(1, 0.0), (1, 1.0)],
    );
    let said = message(&place, place.train_on("one class", "validation"));
    assert!(
        said.starts_with(
            "error: one class has pictures of one class only, 'b c'; a head needs two or more"
        ),
        "{said}"
    );

    place.write(
        "nan",
        support::description(Dtype::F32, Pool::None),
        &[(0, 0.0), (1, f32::NAN)],
    );
    let said = message(&place, place.train_on("train", "nan"));
    assert!(
        said.starts_with("error: nan: the code in row 1 holds NaN"),
        "{said}"
    );

    let said = message(&place, place.train_on("pictures", "validation"));
    assert!(said.contains("pictures is not a store"), "{said}");

    let mut command = place.train();
    command.args(["--dropout", "1.5"]);
    let said = message(&place, command);
    assert!(said.contains("dropout is 1.5"), "{said}");
}

#[test]
fn a_head_that_is_there_is_kept_unless_it_may_be_replaced() {
    let place = Place::new();
    place.train().assert().success();
    let before = place.read("head/head.json");
    place
        .train()
        .args(["--seed", "3"])
        .assert()
        .code(1)
        .stderr(predicate::str::contains(
            "head exists already; give --overwrite to replace it",
        ));
    assert_eq!(place.read("head/head.json"), before);
    fs::create_dir(place.path("mine")).unwrap();
    fs::write(place.path("mine/thesis.txt"), "dear").unwrap();
    place
        .train_to("mine", "train", "validation")
        .arg("--overwrite")
        .assert()
        .code(1)
        .stderr(predicate::str::contains("mine exists and is not a head"));
    assert_eq!(place.read("mine/thesis.txt"), "dear");
}

#[test]
fn codes_are_scaled_by_the_training_store_alone_and_the_head_keeps_how() {
    for kind in ["standard", "l2", "max"] {
        let place = Place::new();
        place.train().args(["--scale", kind]).assert().success();
        let head = SavedHead::load(&place.path("head")).unwrap();
        assert_eq!(head.scaling.kind().to_string(), kind);
        let store = |name: &str| Store::open(&place.path(name)).unwrap();
        if let Scaling::Standard { mean, deviation } = &head.scaling {
            // The first value is 0 or 3, as often as each other; validation has it otherwise.
            assert!((mean[0] - 1.5).abs() < 1e-6 && (deviation[0] - 1.5).abs() < 1e-6);
        }
        if let Scaling::Max { largest } = &head.scaling {
            assert_eq!(largest[0], 3.0);
        }
        // What was judged is what the saved head says of scaled codes.
        let codes = store("validation").read_codes().unwrap();
        let scaled = head.scaling.apply(codes.view()).unwrap();
        let mlp = &head.get::<Mlp>().unwrap().model;
        let mlp = probabilities(mlp.logits(&scaled.view().into()).unwrap(), 1.0);
        let table = place.read("head/predictions.csv");
        let of_mlp = table.lines().filter(|line| line.contains(",mlp,"));
        for (line, probabilities) in of_mlp.zip(mlp.rows()) {
            let expected: Vec<f32> = line
                .rsplit(',')
                .take(2)
                .map(|number| number.parse().unwrap())
                .collect();
            assert_eq!(
                [expected[1], expected[0]],
                [probabilities[0], probabilities[1]]
            );
        }
    }
}

/// The rows of predictions.csv for one head.
fn predictions(table: &str, head: &str) -> Vec<String> {
    let name = format!(",{head},");
    let lines = table.lines().filter(|line| line.contains(&name));
    lines.map(str::to_owned).collect()
}

#[test]
fn a_head_that_fails_does_not_take_the_other_along() {
    let place = Place::new();
    let mut alone = place.train();
    alone.args(["--head", "logistic"]).assert().success();
    let expected = predictions(&place.read("head/predictions.csv"), "logistic");
    assert_eq!(expected.len(), 10);

    place
        .diverge()
        .args(["--validation", "validation", "--out", "head", "--overwrite"])
        .assert()
        .code(1)
        .stdout(predicate::str::contains(
            "mlp: failed, and is not among the heads: training diverged in epoch 1",
        ))
        .stdout(predicate::str::contains("logistic: converged"))
        .stderr(predicate::str::contains(
            "error: the head mlp failed, and the other one is kept: training diverged",
        ));
    let head = SavedHead::load(&place.path("head")).unwrap();
    assert!(head.get::<Mlp>().is_none() && head.get::<Logistic>().is_some());
    let table = place.read("head/predictions.csv");
    assert_eq!(predictions(&table, "logistic"), expected);
    let metrics: serde_json::Value =
        serde_json::from_str(&place.read("head/metrics.json")).unwrap();
    let reason = metrics["failed"]["mlp"].as_str().unwrap();
    assert!(
        reason.starts_with("training diverged in epoch 1"),
        "{reason}"
    );
    let page = place.read("head/report.html");
    assert!(page.contains("The MLP failed, and is not among the heads: training diverged"));

    // In folds, tuned and calibrated, and in JSON.
    let mut in_folds = place.diverge();
    in_folds.args(["--folds", "3", "--out", "folds"]).args([
        "--tune",
        "--calibrate",
        "--format",
        "json",
    ]);
    let output = in_folds.assert().code(1);
    let printed: serde_json::Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    assert!(printed["failed"]["mlp"].is_string() && printed["heads"]["logistic"].is_object());
    assert!(
        SavedHead::load(&place.path("folds"))
            .unwrap()
            .get::<Mlp>()
            .is_none()
    );
}

#[test]
fn a_head_that_fails_alone_leaves_nothing() {
    let place = Place::new();
    let mut command = place.diverge();
    command.args([
        "--validation",
        "validation",
        "--out",
        "head",
        "--head",
        "mlp",
    ]);
    let said = message(&place, command);
    assert!(said.contains("training diverged in epoch 1"), "{said}");
    assert!(!place.path("head").exists());
}

#[test]
fn codes_that_are_all_the_same_give_both_heads_the_shares_of_the_classes() {
    for value in [0.0, 1.0, 1e-45] {
        let place = Place::new();
        let rows: Vec<_> = (0..40)
            .map(|row| (usize::from(row % 4 == 0), vec![value; 6]))
            .collect();
        let description = support::description(Dtype::F32, Pool::None);
        support::write_codes(&place.path("same"), description, &rows);
        place.train_on("same", "validation").assert().success();
        for line in predictions(&place.read("head/predictions.csv"), "logistic") {
            let of_b: f64 = line.rsplit(',').next().unwrap().parse().unwrap();
            assert!((of_b - 0.25).abs() < 1e-4, "{line}");
        }
    }
}

#[test]
fn numbers_that_no_memory_holds_are_refused() {
    let place = Place::new();
    let refused = |arguments: &[&str], expected: &str| {
        let mut command = place.train();
        command.args(arguments);
        let said = message(&place, command);
        assert!(said.contains(expected), "{said}");
        assert!(!place.path("head").exists());
    };
    refused(
        &["--repeats", "1000000000"],
        "number of seeds is 1000000000, and has to be from 1 to 1000000",
    );
    refused(
        &["--epochs", "1000000000000000000"],
        "number of epochs is 1000000000000000000, and has to be from 1 to 1000000",
    );
    refused(
        &["--tune", "--folds", "1000000000"],
        "number of folds is 1000000000",
    );
    let mut wide = support::cnn_codes();
    wide.current_dir(place.folder.path())
        .args([
            "train-head",
            "--train",
            "train",
            "--validation",
            "validation",
        ])
        .args(["--out", "head", "--head", "mlp", "--hidden", "65536,65536"]);
    let said = message(&place, wide);
    assert!(said.contains("at most 1073741824 weights"), "{said}");
}
