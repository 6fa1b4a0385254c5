//! `evaluate`: heads judged on a store that was kept aside.

use crate::support;

use std::fs;

use predicates::prelude::*;
use serde_json::Value;
use support::two_classes::Place;

fn evaluate(place: &Place, arguments: &[&str]) -> assert_cmd::Command {
    let mut command = support::cnn_codes();
    command.current_dir(place.path(""));
    command.args(["evaluate", "head"]).args(arguments);
    command
}

fn json(command: &mut assert_cmd::Command) -> Value {
    let run = command.arg("--format").arg("json").assert().success();
    serde_json::from_slice(&run.get_output().stdout).unwrap()
}

#[test]
fn a_store_is_judged_as_train_head_judges_it() {
    let place = Place::new();
    place.train().args(["--calibrate"]).assert().success();
    let trained: Value = serde_json::from_str(&place.read("head/metrics.json")).unwrap();
    let told = json(&mut evaluate(
        &place,
        &["validation", "--html", "page.html"],
    ));
    for head in ["mlp", "logistic"] {
        for key in [
            "confusion",
            "misclassified",
            "metrics",
            "wilson_95",
            "calibration",
        ] {
            assert_eq!(
                told["heads"][head][key], trained["heads"][head][key],
                "{head} {key}"
            );
        }
    }
    for key in ["difference", "verdict", "recommended", "training_pictures"] {
        assert_eq!(told[key], trained[key], "{key}");
    }
    for floor in [0, 1] {
        let errors = |metrics: &Value| metrics["floors"][floor]["errors"].clone();
        assert_eq!(errors(&told), errors(&trained));
    }
    let page = place.read("page.html");
    assert!(page.contains("MLP and logistic regression on 10 pictures of 2 classes"));
    assert!(
        page.contains(
            trained["verdict"]
                .as_str()
                .unwrap()
                .split(" is")
                .next()
                .unwrap()
        )
    );
}

#[test]
fn head_lists_how_often_it_was_judged_and_on_what() {
    let place = Place::new();
    place.train().assert().success();
    let said =
        |count: &str| predicate::str::contains(format!("head/evaluations.csv lists {count}"));
    let of_report = |times: &str| {
        let mut report = support::cnn_codes();
        report
            .current_dir(place.path(""))
            .args(["report", "head"])
            .assert()
            .success();
        let page = place.read("head/report.html");
        assert!(page.contains(&format!("kept aside</h3><p>{times}. The more often")));
    };
    let first = evaluate(&place, &["validation"]).assert().success();
    first.stdout(said(
        "1 evaluation of this HEAD; this store was judged for the first time\n",
    ));
    of_report("Once");
    let again = evaluate(&place, &["validation", "--private"])
        .assert()
        .success();
    again.stdout(said(
        "2 evaluations of this HEAD; this store was judged 2 times\n",
    ));
    of_report("2 times");
    let mut table = csv::Reader::from_path(place.path("head/evaluations.csv")).unwrap();
    let rows: Vec<csv::StringRecord> = table.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 2);
    assert!(rows[0][1].ends_with("/validation") && &rows[1][1] == "validation");
    assert_eq!((&rows[0][2], &rows[0][4]), ("10", "mlp 1; logistic 1"));
    assert_eq!(rows[0][3], rows[1][3]);
    // Whoever trains anew has looked all the same.
    place
        .train()
        .args(["--overwrite", "--epochs", "3"])
        .assert()
        .success();
    assert!(
        place
            .read("head/report.html")
            .contains("kept aside</h3><p>2 times. ")
    );
    let again = evaluate(&place, &["validation"]).assert().success();
    again.stdout(said(
        "3 evaluations of this HEAD, 2 of them of heads that were in its place before; this store was judged 3 times\n",
    ));
}

#[test]
fn lists_of_before_are_read_and_a_damaged_one_stops_a_training_before_it_begins() {
    let place = Place::new();
    place.train().assert().success();
    let of_before =
        "unix_seconds,store,pictures,pictures_blake3,errors\n1,/home/me/test,10,00,mlp 1\n";
    let list = place.path("head/evaluations.csv");
    fs::write(&list, of_before).unwrap();
    let run = evaluate(&place, &["validation"]).assert().success();
    run.stdout(predicate::str::contains(
        "lists 2 evaluations of this HEAD, 1 of them of heads that were",
    ));
    // The name of a user's folder is not carried on where that is asked for.
    place
        .train()
        .args(["--overwrite", "--private"])
        .assert()
        .success();
    for file in ["head/evaluations.csv", "head/report.html"] {
        let text = place.read(file);
        assert!(
            text.contains("test") && !text.contains("/home/me"),
            "{file}: {text}"
        );
    }
    fs::write(&list, "not,a\nlist\n").unwrap();
    let refused = place.train().arg("--overwrite").assert().code(1);
    refused.stderr(
        predicate::str::contains("cannot read head/evaluations.csv")
            .and(predicate::str::contains("epoch").not()),
    );
    assert_eq!(place.read("head/evaluations.csv"), "not,a\nlist\n");
}

#[test]
fn what_cannot_be_judged_is_refused_and_not_noted() {
    let place = Place::new();
    place.train().assert().success();
    let refused = |arguments: &[&str], said: &str| {
        let run = evaluate(&place, arguments).assert().code(1);
        run.stderr(predicate::str::contains(said.to_owned()));
        assert!(!place.path("head/evaluations.csv").exists());
    };
    refused(&["train"], "every picture of train is also in ");
    refused(&["absent"], "absent");
    refused(
        &["validation", "--groups", "absent.csv"],
        "cannot read absent.csv",
    );
    // Without the training store it is not known which pictures it has.
    fs::rename(place.path("train"), place.path("elsewhere")).unwrap();
    let run = evaluate(&place, &["validation"]).assert().success();
    run.stderr(predicate::str::contains(
        "cannot tell whether STORE has training pictures: ",
    ))
    .stdout(predicate::str::contains("floor").not());
    let run = evaluate(&place, &["validation", "--train", "elsewhere"])
        .assert()
        .success();
    run.stderr("").stdout(predicate::str::contains(
        "floor: most frequent class, 50.0%",
    ));
}
