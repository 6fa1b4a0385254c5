//! `--kernels`: whose convolutions run.

use crate::support;

use predicates::prelude::*;
use support::place::{Extract, Place};

#[test]
fn a_trunk_without_such_convolutions_runs_on_its_own_kernels_or_not_at_all() {
    let Some(place) = Place::new() else { return };
    place
        .extract()
        .args(["--kernels", "winograd"])
        .assert()
        .failure()
        .stderr(predicate::str::contains(
            "--kernels winograd cannot be used: the trunk has no",
        ))
        .stderr(predicate::str::contains("give --kernels auto"));
    place
        .extract()
        .arg("--verbose")
        .assert()
        .success()
        .stderr(predicate::str::contains(
            "convolutions: all by ONNX Runtime",
        ));
    assert_eq!(place.store().manifest().store.kernels, "onnxruntime");
}
