//! What heads read of a store's codes: all of them, or their means or maxima, given or chosen.

use crate::support;

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use cnn_codes::codes::{Dtype, Pool, Store, StoreDescription};
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

#[test]
fn without_tune_it_is_told_where_means_do_better_and_nothing_is_changed() {
    let place = tempfile::tempdir().unwrap();
    for (name, seed) in [("train", 5), ("validation", 6)] {
        write_store(&place.path().join(name), 80, seed);
    }
    let train = "train-head --train train --validation validation --head logistic";
    let note = "note: the means of the codes do better";
    cnn_codes(place.path(), &format!("{train} --out told"))
        .assert()
        .success()
        .stderr(
            predicate::str::contains(note).and(predicate::str::contains("--pool avg takes them")),
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
