//! What heads read of a store's codes: all of them, or their means or maxima, given or chosen.

use crate::support;

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use cnn_codes::codes::{Dtype, Pool, Store, StoreDescription};
use cnn_codes::model::{LayerColumns, OutputSpec};
use predicates::prelude::*;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use support::{description, write_codes};

const POSITIONS: usize = 64;
const CHANNELS: usize = 3;

/// Codes of (8, 8, 3), each value 0 or 9, a little more often 9 in the class's channel: a mean shows it, a single
/// position and the largest value do not.
fn write_store(out: &Path, n: usize, seed: u64) {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let rows: Vec<_> = (0..n)
        .map(|row| {
            let label = row % 2;
            let value = |at: usize| {
                let chance = if at % CHANNELS == label { 0.6 } else { 0.5 };
                if rng.gen_bool(chance) { 9.0 } else { 0.0 }
            };
            (label, (0..POSITIONS * CHANNELS).map(value).collect())
        })
        .collect();
    write_codes(out, of_shape(Pool::None), &rows);
}

fn of_shape(pool: Pool) -> StoreDescription {
    let mut description = description(Dtype::F32, pool);
    description.codes.output.shape = vec![8, 8, CHANNELS];
    description
}

fn cnn_codes(place: &Path, arguments: &str) -> Command {
    let mut command = Command::cargo_bin("cnn-codes").unwrap();
    command.current_dir(place).args(arguments.split(' '));
    command
}

#[test]
fn a_pool_of_train_head_is_that_of_extract_features() {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name);
    for (name, seed) in [("train", 1), ("validation", 2)] {
        write_store(&path(name), 40, seed);
        let store = Store::open(&path(name)).unwrap().pooled(Pool::Max).unwrap();
        let codes = store.read_codes().unwrap();
        let labels = store.labels().unwrap().iter();
        let rows: Vec<_> = labels
            .copied()
            .zip(codes.rows().into_iter().map(|row| row.to_vec()))
            .collect();
        fs::create_dir_all(path("pooled")).unwrap();
        write_codes(&path("pooled").join(name), of_shape(Pool::Max), &rows);
    }
    let train = "train-head --train train --validation validation --epochs 3";
    cnn_codes(place.path(), &format!("{train} --pool max --out here"))
        .assert()
        .success();
    cnn_codes(&path("pooled"), &format!("{train} --out there"))
        .assert()
        .success();
    for file in ["head.json", "mlp.safetensors", "logistic.safetensors"] {
        let (here, there) = (path("here").join(file), path("pooled/there").join(file));
        assert_eq!(fs::read(here).unwrap(), fs::read(there).unwrap(), "{file}");
    }
    // Whole codes and pooled ones say the same to a head that takes pooled ones.
    let of = |store: &str| {
        let predicted = cnn_codes(place.path(), &format!("predict here {store}"))
            .output()
            .unwrap();
        assert!(predicted.status.success());
        predicted.stdout
    };
    assert_eq!(of("validation"), of("pooled/validation"));
    cnn_codes(place.path(), "evaluate here validation")
        .assert()
        .success();
    // There is nothing left to pool.
    cnn_codes(&path("pooled"), &format!("{train} --pool avg --out other"))
        .assert()
        .failure()
        .stderr(predicate::str::contains(
            "extract the pictures again with --pool none",
        ));
}

#[test]
fn tune_takes_the_means_where_they_tell_more_and_says_so() {
    let place = tempfile::tempdir().unwrap();
    for (name, seed) in [("train", 3), ("validation", 4)] {
        write_store(&place.path().join(name), 80, seed);
    }
    let train = "train-head --train train --validation validation --head logistic --tune";
    cnn_codes(place.path(), &format!("{train} --out chosen"))
        .assert()
        .success()
        .stderr(predicate::str::contains("\n* means over height and width"));
    let head = fs::read_to_string(place.path().join("chosen/head.json")).unwrap();
    assert!(head.contains("\"pool\": \"avg\""), "{head}");
    // Nothing is chosen where it is said, or where the folds that choose would judge.
    for (given, out) in [("--pool none", "a"), ("--scale none", "b")] {
        cnn_codes(place.path(), &format!("{train} {given} --out {out}"))
            .assert()
            .success()
            .stderr(predicate::str::contains("views of the codes").not());
    }
    cnn_codes(
        place.path(),
        "train-head --train train --folds 3 --tune --head logistic --out c",
    )
    .assert()
    .success()
    .stderr(predicate::str::contains("views of the codes").not());
}

/// Codes of two layers side by side, 40 columns of noise of size 5 and 2 that tell the class by 0.5 of a deviation.
fn write_layers(out: &Path, n: usize, seed: u64) {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let rows: Vec<_> = (0..n)
        .map(|row| {
            let label = row % 2;
            let noise = (0..40).map(|_| rng.gen_range(-5.0..5.0));
            let mut code: Vec<f32> = noise.collect();
            let signs = [1.0, -1.0];
            code.extend(
                (0..2).map(|column| rng.gen_range(-1.0..1.0) + 0.5 * signs[label ^ column]),
            );
            (label, code)
        })
        .collect();
    let mut description = description(Dtype::F32, Pool::None);
    description.codes.output = OutputSpec {
        name: "avg(noise) + avg(signal)".to_owned(),
        shape: vec![42],
        layers: [("noise", 40), ("signal", 2)]
            .map(|(layer, columns)| LayerColumns {
                layer: layer.to_owned(),
                columns,
            })
            .into(),
    };
    write_codes(out, description, &rows);
}

#[test]
fn tune_leaves_layers_out_that_tell_nothing() {
    let place = tempfile::tempdir().unwrap();
    for (name, seed) in [("train", 7), ("validation", 8)] {
        write_layers(&place.path().join(name), 100, seed);
    }
    let train = "train-head --train train --validation validation --head logistic";
    cnn_codes(place.path(), &format!("{train} --tune --out chosen"))
        .assert()
        .success()
        .stderr(predicate::str::contains("\n* codes of the last layer"));
    let head = fs::read_to_string(place.path().join("chosen/head.json")).unwrap();
    assert!(head.contains("\"name\": \"avg(signal)\""), "{head}");
    // It is the head that is trained on these columns, and it reads either store.
    cnn_codes(
        place.path(),
        &format!("{train} --columns signal --out given"),
    )
    .assert()
    .success();
    for verb in ["predict given validation", "evaluate given validation"] {
        cnn_codes(place.path(), verb).assert().success();
    }
    let store = Store::open(&place.path().join("train")).unwrap();
    let signal = store.with_layers(&["signal".to_owned()]).unwrap();
    let (all, columns) = (store.read_codes().unwrap(), signal.read_codes().unwrap());
    assert_eq!(columns, all.slice(ndarray::s![.., 40..]));
    let turned = store
        .with_layers(&["signal".to_owned(), "noise".to_owned()])
        .unwrap();
    let turned = turned.read_codes().unwrap();
    assert_eq!(
        turned.slice(ndarray::s![.., 2..]),
        all.slice(ndarray::s![.., ..40])
    );
    assert!(
        store
            .with_layers(&["signal".to_owned(), "signal".to_owned()])
            .is_err()
    );
}

#[test]
fn layers_that_do_not_fit_their_output_are_damage() {
    let place = tempfile::tempdir().unwrap();
    let store = place.path().join("store");
    write_layers(&store, 10, 9);
    let manifest = fs::read_to_string(store.join("store.json")).unwrap();
    for (old, new, said) in [
        (
            "\"columns\": 40",
            "\"columns\": 41",
            "its layers have 43 columns",
        ),
        (
            "\"columns\": 40",
            "\"columns\": 18446744073709551615",
            "its layers have",
        ),
        (
            "\"layer\": \"noise\"",
            "\"layer\": \"nose\"",
            "its layers are not those of its output",
        ),
    ] {
        assert!(manifest.contains(old), "{manifest}");
        fs::write(store.join("store.json"), manifest.replace(old, new)).unwrap();
        let error = Store::open(&store).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn without_tune_it_is_told_where_means_do_better_and_nothing_is_changed() {
    let place = tempfile::tempdir().unwrap();
    for (name, seed) in [("train", 5), ("validation", 6)] {
        write_store(&place.path().join(name), 80, seed);
    }
    let train = "train-head --train train --validation validation --head logistic";
    let note = "note: averaging the codes over height and width does better in folds (log loss ";
    cnn_codes(place.path(), &format!("{train} --out told"))
        .assert()
        .success()
        .stderr(
            predicate::str::contains(note).and(predicate::str::contains("; train with --pool avg")),
        );
    let head = fs::read_to_string(place.path().join("told/head.json")).unwrap();
    assert!(head.contains("\"pool\": \"none\""), "{head}");
    for (given, out) in [("--pool none", "a"), ("--pool avg", "b")] {
        cnn_codes(place.path(), &format!("{train} {given} --out {out}"))
            .assert()
            .success()
            .stderr(predicate::str::contains(note).not());
    }
}
