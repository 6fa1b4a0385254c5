//! Accidents: each verb that writes is killed, failed or held up at one call to the system after
//! another. After each, the old result is there whole, or the new one; or the same command, given
//! again, makes it. Errors name the file and tell what to do.
//!
//! It takes strace. All points are tried with `CNN_CODES_TEST_FAULTS=all`.

#![cfg(target_os = "linux")]

mod faults;
mod fetch;
mod judge;
mod snapshot;
mod strace;
mod trial;

use std::fs;

use cnn_codes::codes::{Dtype, Pool};

use crate::support;
use crate::support::http_server::Server;
use judge::Appears;
use support::place::quarters;
use support::tiny_trunk;
use trial::Trial;

/// Six small pictures of two classes.
fn pictures(trial: &Trial) {
    for class in ["a", "b"] {
        fs::create_dir_all(trial.path("pictures").join(class)).unwrap();
        for i in 0..3 {
            let color = [60 * i, 40, if class == "a" { 0 } else { 200 }];
            let path = trial.path(&format!("pictures/{class}/{i}.png"));
            quarters(color).save(path).unwrap();
        }
    }
}

/// Stores to train a head on, and to judge it on.
fn stores(trial: &Trial) {
    for (name, n) in [("train", 8), ("validation", 4)] {
        let rows: Vec<_> = (0..n)
            .map(|row| {
                (
                    row % 2,
                    vec![(row % 2) as f32, 0.1 * (row % 3) as f32, 0.0, 0.0, 0.0, 1.0],
                )
            })
            .collect();
        let description = support::description(Dtype::F32, Pool::None);
        support::write_codes(&trial.path(name), description, &rows);
    }
}

const TRAIN: [&str; 12] = [
    "train-head",
    "--train",
    "@train",
    "--validation",
    "@validation",
    "--out",
    "@head",
    "--hidden",
    "2",
    "--batch-size",
    "4",
    "--epochs",
];

fn with<'a>(words: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    words.iter().chain(more).copied().collect()
}

#[test]
fn split_survives_accidents() {
    let Some(trial) = Trial::new("split") else {
        return;
    };
    pictures(&trial);
    let split = trial.cnn_codes(&[
        "split",
        "@pictures",
        "--out",
        "@parts",
        "--train",
        "0.7",
        "--ignore-duplicates",
        "--threads",
        "1",
    ]);
    trial.judge(&split, Appears::AtOnce);
}

#[test]
fn train_head_survives_accidents() {
    let Some(trial) = Trial::new("train-head") else {
        return;
    };
    stores(&trial);
    let train = trial.cnn_codes(&with(&TRAIN, &["2"]));
    trial.judge(&train, Appears::AtOnce);
}

#[test]
fn train_head_over_another_survives_accidents() {
    let Some(trial) = Trial::new("train-head --overwrite") else {
        return;
    };
    stores(&trial);
    trial.prepare(&with(&TRAIN, &["1"]));
    let train = trial.cnn_codes(&with(&TRAIN, &["2", "--overwrite"]));
    trial.judge(&train, Appears::AtOnce);
}

#[test]
fn report_survives_accidents() {
    let Some(trial) = Trial::new("report") else {
        return;
    };
    stores(&trial);
    trial.prepare(&with(&TRAIN, &["2"]));
    fs::write(trial.path("head/report.html"), "an old report").unwrap();
    trial.judge(&trial.cnn_codes(&["report", "@head"]), Appears::AtOnce);
}

#[test]
fn check_survives_accidents() {
    let Some(trial) = Trial::new("check --html") else {
        return;
    };
    pictures(&trial);
    fs::write(trial.path("page.html"), "an old page").unwrap();
    let check = trial.cnn_codes(&[
        "check",
        "@pictures",
        "--html",
        "@page.html",
        "--threads",
        "1",
    ]);
    trial.judge(&check, Appears::AsPage);
}

/// The tiny trunk; `false`, with a message, where there is no ONNX Runtime to run it.
fn trunk(trial: &Trial) -> bool {
    let is_there = support::models_with_onnxruntime().is_some();
    if is_there {
        tiny_trunk::write(&trial.place());
    }
    is_there
}

const EXTRACT: [&str; 8] = [
    "extract-features",
    "@pictures",
    "--out",
    "@store",
    "--card",
    "@tiny.toml",
    "--threads",
    "1",
];

#[test]
fn extract_features_survives_accidents() {
    let Some(trial) = Trial::new("extract-features") else {
        return;
    };
    pictures(&trial);
    if trunk(&trial) {
        trial.judge(&trial.cnn_codes(&EXTRACT), Appears::AtOnce);
    }
}

#[test]
fn extract_features_over_another_store_survives_accidents() {
    let Some(trial) = Trial::new("extract-features --overwrite") else {
        return;
    };
    pictures(&trial);
    if trunk(&trial) {
        trial.prepare(&with(&EXTRACT, &["--pool", "avg"]));
        let extract = trial.cnn_codes(&with(&EXTRACT, &["--overwrite"]));
        trial.judge(&extract, Appears::AtOnce);
    }
}

#[test]
fn extract_features_that_goes_on_survives_accidents() {
    let Some(trial) = Trial::new("extract-features, resumed") else {
        return;
    };
    pictures(&trial);
    if trunk(&trial) {
        let extract = trial.cnn_codes(&EXTRACT);
        trial.kill_before_rename(&extract);
        trial.judge(&extract, Appears::AtOnce);
    }
}

/// A head on the tiny trunk.
fn head(trial: &Trial) -> bool {
    pictures(trial);
    if !trunk(trial) {
        return false;
    }
    trial.prepare(&EXTRACT);
    trial.prepare(&[
        "train-head",
        "--train",
        "@store",
        "--folds",
        "2",
        "--out",
        "@head",
        "--hidden",
        "2",
        "--epochs",
        "1",
    ]);
    true
}

const EXPORT: [&str; 6] = [
    "export",
    "@head",
    "--card",
    "@tiny.toml",
    "--out",
    "@out.onnx",
];

#[test]
fn export_survives_accidents() {
    let Some(trial) = Trial::new("export") else {
        return;
    };
    if head(&trial) {
        trial.judge(&trial.cnn_codes(&EXPORT), Appears::FileByFile);
    }
}

#[test]
fn export_over_another_survives_accidents() {
    let Some(trial) = Trial::new("export --overwrite") else {
        return;
    };
    if head(&trial) {
        trial.prepare(&with(&EXPORT, &["--head", "logistic"]));
        let export = trial.cnn_codes(&with(&EXPORT, &["--overwrite"]));
        trial.judge(&export, Appears::FileByFile);
    }
}

#[test]
fn download_survives_accidents() {
    let Some(trial) = Trial::new("download") else {
        return;
    };
    let server = Server::start();
    let rows =
        ["a", "b"].map(|label| format!("{},{label}\n", server.url(&format!("/png/{label}"))));
    fs::write(
        trial.path("urls.csv"),
        format!("url,label\n{}", rows.concat()),
    )
    .unwrap();
    let download = trial.cnn_codes(&[
        "download",
        "@urls.csv",
        "--out",
        "@out",
        "--jobs",
        "1",
        "--allow-private",
        "--retry-wait",
        "0.01",
    ]);
    trial.judge(&download, Appears::FileByFile);
}

#[test]
fn fetch_survives_accidents() {
    let Some(trial) = Trial::new("fetch") else {
        return;
    };
    fetch::write_wheel(&trial.place());
    trial.judge(&fetch::program(&trial), Appears::AtOnce);
}

#[test]
fn fetch_over_a_damaged_runtime_survives_accidents() {
    let Some(trial) = Trial::new("fetch, of a damaged one") else {
        return;
    };
    fetch::write_wheel(&trial.place());
    let fetch = fetch::program(&trial);
    assert!(fetch.run().status.success());
    fs::write(trial.path("onnxruntime/LICENSE"), "damaged").unwrap();
    trial.judge(&fetch, Appears::AtOnce);
}
