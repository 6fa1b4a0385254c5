//! `predict --sets` and `--outliers`: what HEAD's own files say, computed anew.

use crate::support;

use std::collections::BTreeMap;

use cnn_codes::codes::{Dtype, Pool};
use predicates::prelude::*;
use serde_json::Value;
use support::two_classes::Place;

/// A place whose store "mixed" has codes of two classes that overlap, and "far" one like none of them.
fn place() -> Place {
    let place = Place::new();
    let write = |name: &str, codes: &[(usize, Vec<f32>)]| {
        let description = support::description(Dtype::F32, Pool::None);
        support::write_codes(&place.path(name), description, codes);
    };
    // Class 0 has a small first value, class 1 a large one, but for those of rows 5, 15, 25 ...
    let mixed = |n: usize, more: f32| -> Vec<(usize, Vec<f32>)> {
        let code = |row: usize| {
            let label = row % 2;
            let seems = if row % 10 == 5 { 1 - label } else { label };
            let noise = ((row * 37 + 11) % 23) as f32 / 23.0 + more;
            (
                label,
                vec![1.0 + seems as f32 + noise, 2.0, 1.0, 1.0, 2.0 - noise, 1.0],
            )
        };
        (0..n).map(code).collect()
    };
    write("mixed", &mixed(60, 0.0));
    write("new", &mixed(40, 0.011));
    write(
        "far",
        &[
            (0, vec![0.0, -9.0, 0.0, 0.0, 9.0, 0.0]),
            (0, vec![1.2, 2.0, 1.0, 1.0, 1.8, 1.0]),
        ],
    );
    place
}

fn train(place: &Place, options: &[&str]) {
    let mut command = support::cnn_codes();
    command
        .current_dir(place.path(""))
        .args(["train-head", "--train", "mixed", "--out", "head"]);
    command.args(["--head", "logistic", "--l2", "0.01"]);
    command.args(options).assert().success();
}

fn predict(place: &Place, arguments: &[&str]) -> assert_cmd::Command {
    let mut command = support::cnn_codes();
    command
        .current_dir(place.path(""))
        .args(["predict", "head"]);
    command.args(arguments);
    command
}

/// Predictions by path.
fn told(place: &Place, arguments: &[&str]) -> Vec<Value> {
    let run = predict(place, arguments)
        .args(["--format", "jsonl"])
        .assert()
        .success();
    let text = String::from_utf8(run.get_output().stdout.clone()).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// -ln of the probability of each picture's own class, from the smallest on, by predictions.csv.
fn out_of_fold_scores(place: &Place) -> Vec<f64> {
    let mut table = csv::Reader::from_path(place.path("head/predictions.csv")).unwrap();
    let rows: Vec<BTreeMap<String, String>> = table.deserialize().map(Result::unwrap).collect();
    let score = |row: &BTreeMap<String, String>| {
        let of_class = format!("probability of {}", row["label"]);
        let probability: f64 = row
            .get(&of_class)
            .unwrap_or_else(|| panic!("{row:?}"))
            .parse()
            .unwrap();
        -probability.ln()
    };
    let mut scores: Vec<f64> = rows.iter().map(score).collect();
    scores.sort_by(f64::total_cmp);
    scores
}

#[test]
fn sets_have_the_classes_that_are_no_less_probable_than_own_classes_out_of_fold() {
    let place = place();
    train(&place, &["--folds", "5"]);
    let scores = out_of_fold_scores(&place);
    assert_eq!(scores.len(), 60);
    for share in ["0.5", "0.9", "0.97"] {
        // The k-th score has the level k / 61.
        let position = 61.0 * share.parse::<f64>().unwrap();
        let (rank, between) = (position as usize, position.fract());
        let threshold = scores[rank - 1] + between * (scores[rank] - scores[rank - 1]);
        let told = told(&place, &["new", "--sets", share]);
        let (mut both, mut beyond) = (0, 0);
        for picture in &told {
            let classes = picture["predictions"].as_array().unwrap();
            let probable = classes.iter().filter(|class| {
                let score = -class["probability"].as_f64().unwrap().ln();
                assert!((score - threshold).abs() > 1e-5, "too near to tell");
                score <= threshold
            });
            let n = probable.count();
            beyond += usize::from(n == 0);
            let expected: Vec<_> = classes[..n.max(1)]
                .iter()
                .map(|class| &class["class"])
                .collect();
            assert_eq!(
                picture["set"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .collect::<Vec<_>>(),
                expected
            );
            both += usize::from(expected.len() == 2);
        }
        match share {
            "0.5" => assert!(both == 0 && beyond > 0, "a set is never empty"),
            _ => assert!(both > 0, "some pictures are between the classes"),
        }
    }
    let refused = predict(&place, &["new", "--sets", "0.99"]).assert().code(1);
    refused.stderr(predicate::str::contains(
        "sets of 0.99 need more training pictures (each group of pictures counts once); the largest possible with these is 0.983",
    ));
}

#[test]
fn sets_and_outliers_stand_in_every_format() {
    let place = place();
    train(&place, &["--folds", "5"]);
    let arguments = ["far", "--sets", "0.9", "--outliers", "0.05", "--top-k", "1"];
    let csv = |format: &str| {
        let run = predict(&place, &arguments)
            .args(["--format", format])
            .assert()
            .success();
        run.stderr(predicate::str::contains(
            "outliers: 1 of 2 pictures; of pictures like the training pictures it would be about 5%",
        ))
        .get_output()
        .clone()
    };
    let table = csv("csv").stdout;
    let mut table = csv::Reader::from_reader(table.as_slice());
    let header = table.headers().unwrap().clone();
    assert_eq!(
        header,
        vec![
            "path",
            "class_1",
            "probability_1",
            "set",
            "outlier",
            "error"
        ]
    );
    let rows: Vec<csv::StringRecord> = table.records().map(Result::unwrap).collect();
    let classes: Vec<String> = serde_json::from_str(&rows[1][3]).unwrap();
    assert_eq!(classes[0], rows[1][1]);
    assert_eq!((&rows[0][4], &rows[1][4]), ("true", "false"));
    let text = String::from_utf8(csv("text").stdout).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert!(
        lines[0].contains("%  set: ") && lines[0].ends_with("  outlier"),
        "{text}"
    );
    assert!(!lines[1].contains("outlier"), "{text}");
}

#[test]
fn a_picture_is_an_outlier_where_it_is_farther_than_training_pictures_are_from_each_other() {
    let place = place();
    train(&place, &["--folds", "5"]);
    // A code has two positions; the mean of both, scaled to length 1.
    let direction = |code: &[f64]| {
        let mean: Vec<f64> = (0..3)
            .map(|channel| code[channel] + code[channel + 3])
            .collect();
        let norm = mean.iter().map(|value| value * value).sum::<f64>().sqrt();
        mean.iter().map(|value| value / norm).collect::<Vec<_>>()
    };
    let directions = |store: &str| -> Vec<Vec<f64>> {
        let codes: ndarray::ArrayD<f32> =
            ndarray_npy::read_npy(place.path(store).join("codes.npy")).unwrap();
        let rows = codes.outer_iter();
        rows.map(|row| {
            direction(
                &row.iter()
                    .map(|&value| f64::from(value))
                    .collect::<Vec<_>>(),
            )
        })
        .collect()
    };
    let distance = |a: &[f64], b: &[f64]| 1.0 - a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let training = directions("mixed");
    let mut own: Vec<f64> = (0..training.len())
        .map(|row| {
            let others = (0..training.len()).filter(|&other| other != row);
            others
                .map(|other| distance(&training[row], &training[other]))
                .fold(2.0, f64::min)
        })
        .collect();
    own.sort_by(f64::total_cmp);
    // The k-th has the level k / 61; 54.9 is between the last but five and the next.
    let limit = own[53] + 0.9 * (own[54] - own[53]);
    let told = told(&place, &["new", "--outliers", "0.1"]);
    for (picture, direction) in told.iter().zip(directions("new")) {
        let nearest = training
            .iter()
            .map(|other| distance(&direction, other))
            .fold(2.0, f64::min);
        if (nearest - limit).abs() > 1e-6 {
            assert_eq!(picture["outlier"], nearest > limit, "{picture}");
        }
    }
    let refused = predict(&place, &["new", "--outliers", "0.01"])
        .assert()
        .code(1);
    refused.stderr(predicate::str::contains(
        "the smallest possible with these is 0.017",
    ));
    let refused = predict(&place, &["new", "--outliers", "1"])
        .assert()
        .code(2);
    refused.stderr(predicate::str::contains("above 0 and below 1"));
}

#[test]
fn a_head_that_cannot_tell_says_what_to_do() {
    let place = place();
    train(&place, &["--validation", "new"]);
    let refused = predict(&place, &["new", "--sets", "0.9"]).assert().code(1);
    refused.stderr(predicate::str::contains(
        "train it again, calibrated, tuned or judged in folds (--calibrate, --tune, or --folds without --validation)",
    ));
    // Outliers need no folds.
    predict(&place, &["new", "--outliers", "0.05"])
        .assert()
        .success();
    // As a head of before.
    std::fs::remove_file(place.path("head/evidence.safetensors")).unwrap();
    predict(&place, &["new"]).assert().success();
    let refused = predict(&place, &["new", "--outliers", "0.05"])
        .assert()
        .code(1);
    refused.stderr(predicate::str::contains("it has no training codes"));
}
