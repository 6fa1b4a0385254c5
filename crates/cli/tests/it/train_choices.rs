//! What `train-head` chooses, and that the pictures that judge the heads choose nothing.

use crate::support;

use std::fs;

use cnn_codes::codes::{Dtype, Pool, Store};
use cnn_codes::head::logistic::Logistic;
use cnn_codes::head::mlp::Mlp;
use cnn_codes::head::nearest_centroid::NearestCentroid;
use cnn_codes::head::{CodesView, Head};
use predicates::prelude::*;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use serde_json::Value;
use support::noise::{N_FEATURES, Place, alternating};

#[test]
fn in_folds_nothing_is_known_by_heart() {
    let place = Place::new();
    // Codes that say nothing of the label.
    place.write("train", &alternating(120), 0.0, 1);
    place
        .command(&["--folds", "4", "--tune", "--calibrate"])
        .assert()
        .success()
        .stdout(predicate::str::contains(
            "120 training pictures, each judged by heads trained without its fold, one of 4",
        ));
    let head = place.head();
    let store = Store::open(&place.path("train")).unwrap();
    let logits = head
        .get::<Logistic>()
        .unwrap()
        .model
        .logits(&CodesView::from(&store))
        .unwrap();
    let by_heart = logits.rows().into_iter().zip(store.labels().unwrap());
    let by_heart = by_heart.filter(|(row, label)| (row[1] > row[0]) == (**label == 1));
    assert!(
        by_heart.count() > 110,
        "the head that is kept knows nearly all of them"
    );

    let metrics = place.metrics();
    for name in ["mlp", "logistic"] {
        let judged = &metrics["heads"][name];
        // A fair coin's share of 120 is within four deviations of 0.046.
        let accuracy = judged["top1_accuracy"].as_f64().unwrap();
        assert!((accuracy - 0.5).abs() < 4.0 * 0.046, "{name}: {accuracy}");
        let loss = judged["metrics"]["log_loss"].as_f64().unwrap();
        // Once calibrated, a head that knows nothing says so: ln 2 is 0.693, and the temperatures that
        // it takes cost the regression something, as the settings that were given stay where others are
        // better by noise alone. Without calibration it is 8 and more.
        assert!((loss - 2f64.ln()).abs() < 0.14, "{name}: {loss}");
        let by_fold = judged["accuracy_by_fold"]["values"].as_array().unwrap();
        assert_eq!(by_fold.len(), 4);
        let mean = by_fold
            .iter()
            .map(|value| value.as_f64().unwrap())
            .sum::<f64>()
            / 4.0;
        assert!((mean - accuracy).abs() < 1e-9, "folds of 30 pictures each");
        let rows = place.predictions(name);
        let rows_of = |fold: &str| rows.iter().filter(|row| &row[3] == fold).count();
        assert_eq!(["0", "1", "2", "3"].map(rows_of), [30; 4]);
    }
}

#[test]
fn a_seed_deals_the_folds_and_every_head_has_the_same() {
    let place = Place::new();
    place.write("train", &alternating(40), 3.0, 20);
    let folds_of = |head: &str, seed: &str| {
        let arguments = ["--folds", "4", "--head", head, "--seed", seed];
        place.command(&arguments).assert().success();
        let rows = place.predictions(head);
        rows.iter().map(|row| row[3].to_owned()).collect::<Vec<_>>()
    };
    let with_7 = folds_of("logistic", "7");
    assert_eq!(with_7.len(), 40);
    assert_ne!(folds_of("logistic", "0"), with_7);
    assert_eq!(folds_of("mlp", "7"), with_7);
    assert_eq!(folds_of("nearest-centroid", "7"), with_7);
}

#[test]
fn the_floor_is_the_nearest_centroid_as_it_is_judged_alone_and_is_not_kept() {
    let place = Place::new();
    place.write("train", &alternating(60), 2.0, 21);
    place.write("validation", &alternating(30), 2.0, 22);
    for judged in [["--validation", "validation"], ["--folds", "3"]] {
        let train = |head: &str| {
            let head = ["--calibrate", "--head", head];
            let command = &mut place.command(&[&judged[..], &head].concat());
            let run = command.assert().success();
            String::from_utf8(run.get_output().stdout.clone()).unwrap()
        };
        let text = train("nearest-centroid");
        assert!(text.contains("floor: most frequent class, "), "{text}");
        assert!(!text.contains("floor: nearest centroid"), "{text}");
        let alone = place.metrics();
        assert_eq!(alone["floors"].as_array().unwrap().len(), 1);
        let alone = &alone["heads"]["nearest-centroid"];
        assert!(place.head().get::<NearestCentroid>().is_some());
        assert!(place.path("head/nearest-centroid.safetensors").exists());

        let text = train("logistic");
        let metrics = place.metrics();
        let floor = &metrics["floors"][1];
        assert_eq!(floor["name"], "nearest centroid");
        for number in ["top1_accuracy", "errors", "n", "wilson_95"] {
            assert_eq!(floor[number], alone[number], "{number}");
        }
        assert_eq!(floor["log_loss"], alone["metrics"]["log_loss"]);
        let line = format!(
            "\nfloor: nearest centroid, {:.1}% top-1 accuracy, {}/{} errors, ",
            100.0 * alone["top1_accuracy"].as_f64().unwrap(),
            alone["errors"],
            alone["n"]
        );
        assert!(text.contains(&line), "{text}");
        assert_eq!(metrics["heads"].as_object().unwrap().len(), 1);
        assert!(place.head().get::<NearestCentroid>().is_none());
        assert!(!place.path("head/nearest-centroid.safetensors").exists());
        assert!(place.predictions("nearest-centroid").is_empty());
        assert!(!place.read("head.json").contains("centroid"));
    }
}

#[test]
fn the_validation_store_chooses_nothing() {
    let place = Place::new();
    place.write("train", &alternating(60), 8.0, 2);
    place.write("one", &alternating(20), 8.0, 3);
    // Contradicts the training store.
    place.write("other", &alternating(20), -8.0, 4);
    let chosen_with = |validation: &str| {
        let arguments = ["--tune", "--calibrate", "--keep", "best", "--patience", "2"];
        let validation = ["--validation", validation];
        place
            .command(&[&arguments[..], &validation].concat())
            .assert()
            .success();
        let files = ["mlp.safetensors", "logistic.safetensors", "head.json"];
        let bytes = files.map(|name| fs::read(place.path("head").join(name)).unwrap());
        (bytes, place.metrics())
    };
    let (bytes, metrics) = chosen_with("one");
    let (other_bytes, other_metrics) = chosen_with("other");
    assert!(bytes == other_bytes);
    for name in ["mlp", "logistic"] {
        let tuning = &metrics["heads"][name]["tuning"];
        assert_eq!(tuning, &other_metrics["heads"][name]["tuning"]);
        let trials = tuning["trials"].as_array().unwrap();
        let losses = trials
            .iter()
            .map(|trial| trial["log_loss"].as_f64().unwrap());
        let smallest = losses.clone().fold(f64::INFINITY, f64::min);
        let chosen = usize::try_from(tuning["chosen"].as_u64().unwrap()).unwrap();
        assert_eq!(
            losses.clone().position(|loss| loss == smallest),
            Some(chosen)
        );
    }
    let errors = |metrics: &Value| metrics["heads"]["logistic"]["errors"].as_u64().unwrap();
    assert!(errors(&metrics) < 4 && errors(&other_metrics) >= 8);
    // What was chosen is what the head has.
    let head = place.head();
    let tuning = &metrics["heads"]["logistic"]["tuning"];
    let chosen = &tuning["trials"][usize::try_from(tuning["chosen"].as_u64().unwrap()).unwrap()];
    let l2 = head.get::<Logistic>().unwrap().options.l2;
    assert_eq!(chosen["setting"], format!("L2 strength {l2}"));
}

#[test]
fn repeats_are_the_runs_of_the_seeds_one_by_one() {
    let place = Place::new();
    place.write("train", &alternating(30), 1.0, 5);
    place.write("validation", &alternating(40), 1.0, 6);
    let on = ["--validation", "validation", "--head", "mlp"];
    let errors_with = |seed: &str| {
        place
            .command(&[&on[..], &["--seed", seed]].concat())
            .assert()
            .success();
        place.metrics()["heads"]["mlp"]["errors"].as_f64().unwrap()
    };
    let alone = ["4", "5", "6"].map(errors_with);
    let repeated = [&on[..], &["--seed", "4", "--repeats", "3"]].concat();
    place
        .command(&repeated)
        .assert()
        .success()
        .stdout(predicate::str::contains("with 3 seeds: "));
    let spread = &place.metrics()["heads"]["mlp"]["errors_by_seed"];
    assert_eq!(spread["values"], serde_json::json!(alone));
    assert_eq!(place.head().get::<Mlp>().unwrap().options.seed, 4);
    let mean = alone.iter().sum::<f64>() / 3.0;
    assert!((spread["mean"].as_f64().unwrap() - mean).abs() < 1e-12);
}

#[test]
fn probabilities_are_those_of_the_saved_temperature() {
    let place = Place::new();
    place.write("train", &alternating(60), 2.0, 7);
    place.write("validation", &alternating(30), 2.0, 8);
    place
        .command(&["--validation", "validation", "--calibrate"])
        .assert()
        .success()
        .stdout(predicate::str::contains("calibrated with temperature").count(2));
    let head = place.head();
    let (mlp, logistic) = (head.get::<Mlp>().unwrap(), head.get::<Logistic>().unwrap());
    let store = Store::open(&place.path("validation")).unwrap();
    let codes = CodesView::from(&store);
    for (name, logits, temperature) in [
        ("mlp", mlp.model.logits(&codes).unwrap(), mlp.temperature),
        (
            "logistic",
            logistic.model.logits(&codes).unwrap(),
            logistic.temperature,
        ),
    ] {
        assert_ne!(temperature, 1.0);
        for (row, logits) in place.predictions(name).iter().zip(logits.rows()) {
            let gap = f64::from(logits[1] - logits[0]) / temperature;
            let expected = 1.0 / (1.0 + (-gap).exp());
            let found: f64 = row[10].parse().unwrap();
            assert!(
                (found - expected).abs() < 1e-5,
                "{name}: {found} for {expected}"
            );
        }
    }
}

#[test]
fn the_epoch_that_is_kept_is_said() {
    let place = Place::new();
    place.write("train", &alternating(60), 1.0, 9);
    place.write("validation", &alternating(10), 1.0, 10);
    let kept = |arguments: &[&str]| {
        let base = ["--validation", "validation"];
        let run = place
            .command(&[&base[..], arguments].concat())
            .assert()
            .success();
        String::from_utf8(run.get_output().stdout.clone()).unwrap()
    };
    assert!(kept(&[]).contains("the last epoch's weights are kept: epoch 6;"));
    let text = kept(&["--keep", "best"]);
    let history = place.read("history.csv");
    let held_out = history
        .lines()
        .skip(1)
        .map(|line| line.split(',').nth(4).unwrap());
    let losses: Vec<f64> = held_out.map(|loss| loss.parse().unwrap()).collect();
    let best = losses.iter().copied().fold(f64::INFINITY, f64::min);
    let epoch = 1 + losses.iter().position(|&loss| loss == best).unwrap();
    let expected =
        format!("the best epoch's weights are kept: epoch {epoch}, held-out loss {best:.4}");
    assert!(text.contains(&expected), "{text}");
    let text = kept(&["--patience", "1", "--learning-rate", "1"]);
    assert!(text.contains("stopped early after epoch "), "{text}");
}

#[test]
fn few_pictures_are_trained_on_or_refused_in_words() {
    let place = Place::new();
    place.write("validation", &alternating(10), 5.0, 14);
    // One picture in each class, and more classes than that.
    place.write("train", &[0, 1], 5.0, 15);
    let on = ["--validation", "validation"];
    place.command(&on).assert().success();
    assert_eq!(place.metrics()["training_pictures"], 2);
    for (arguments, said) in [
        (
            vec!["--tune"],
            "number of folds is 5, and has to be from 2 to the number of training pictures",
        ),
        (
            vec!["--calibrate", "--folds", "2"],
            "these are too few pictures for that",
        ),
        (
            vec!["--keep", "best"],
            "share that is held out is 0.1, and has to be large enough for one picture",
        ),
        (
            vec!["--hold-out", "1.5", "--patience", "1"],
            "share that is held out is 1.5, and has to be above 0 and below 1",
        ),
    ] {
        place
            .command(&[&on[..], &arguments].concat())
            .assert()
            .code(1)
            .stderr(predicate::str::contains("error: train: ").and(predicate::str::contains(said)));
    }
    // A class with one picture: in its fold nobody knows it.
    place.write("lopsided", &[0, 0, 0, 0, 0, 0, 0, 1, 0, 1], 5.0, 16);
    support::cnn_codes()
        .current_dir(place.folder.path())
        .args([
            "train-head",
            "--train",
            "lopsided",
            "--folds",
            "5",
            "--out",
            "lopsided head",
        ])
        .args(["--hidden", "none", "--class-weights", "balanced"])
        .assert()
        .success();
}

#[test]
fn a_store_is_judged_by_another_or_in_folds() {
    let place = Place::new();
    place.write("train", &alternating(20), 1.0, 17);
    place
        .command(&[])
        .assert()
        .code(2)
        .stderr(predicate::str::contains(
            "give --validation STORE, or --folds 5 to judge them on the training store",
        ));
    place
        .command(&["--folds", "1"])
        .assert()
        .code(1)
        .stderr(predicate::str::contains("number of folds is 1"));
    place.command(&["--folds", "0"]).assert().code(2);
}

#[test]
fn a_class_with_one_picture_does_not_make_all_probabilities_equal() {
    let place = Place::new();
    // Class 2 has one picture in training; in its fold no head knows it.
    for (name, n_of_last, seed) in [("train", 1, 33), ("validation", 10, 34)] {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut description = support::description(Dtype::F32, Pool::None);
        description.codes.output.shape = vec![1, 1, N_FEATURES];
        description.classes = ["a", "b", "c"].map(str::to_owned).to_vec();
        let labels = [alternating(40), vec![2; n_of_last]].concat();
        let rows = labels.into_iter().map(|label| {
            let mut code: Vec<f32> = (0..N_FEATURES).map(|_| rng.gen_range(-1.0..1.0)).collect();
            code[label] += 6.0;
            (label, code)
        });
        support::write_codes(&place.path(name), description, &rows.collect::<Vec<_>>());
    }
    let judged = ["--validation", "validation", "--head", "logistic"];
    place
        .command(&[&judged[..], &["--calibrate"]].concat())
        .assert()
        .success();
    let metrics = place.metrics();
    let told = &metrics["heads"]["logistic"]["calibration"];
    let temperature = told["temperature"].as_f64().unwrap();
    assert!(temperature < 100.0, "{temperature}");
    let rows = place.predictions("logistic");
    let sure = rows
        .iter()
        .filter(|row| row[6].parse::<f64>().unwrap() > 0.9);
    assert!(sure.count() > 20);
}

#[test]
fn the_temperature_that_is_kept_is_that_of_the_settings_that_are_kept() {
    let place = Place::new();
    place.write("train", &alternating(60), 1.5, 35);
    place.write("validation", &alternating(30), 1.5, 36);
    let kept = |arguments: &[&str]| {
        let all = [&["--tune", "--calibrate", "--folds", "3"], arguments].concat();
        place.command(&all).assert().success();
        let head = place.head();
        let (mlp, logistic) = (head.get::<Mlp>().unwrap(), head.get::<Logistic>().unwrap());
        let weights = fs::read(place.path("head/mlp.safetensors")).unwrap();
        (weights, mlp.temperature, logistic.temperature)
    };
    // How they are judged changes nothing of what is kept.
    assert!(kept(&[]) == kept(&["--validation", "validation"]));
}

#[test]
fn folds_are_dealt_anew_by_repeats() {
    let place = Place::new();
    place.write("train", &alternating(60), 1.5, 37);
    let folds = ["--folds", "3", "--repeats", "4"];
    place
        .command(&folds)
        .assert()
        .success()
        .stdout(predicate::str::contains("one of 3, dealt 4 times"))
        .stdout(predicate::str::contains(
            "(4 times 3 folds, Nadeau and Bengio's correction)",
        ));
    let metrics = place.metrics();
    assert_eq!(metrics["difference"]["basis"], "folds");
    for name in ["mlp", "logistic"] {
        let judged = &metrics["heads"][name];
        assert_eq!(
            judged["accuracy_by_fold"]["values"]
                .as_array()
                .unwrap()
                .len(),
            12
        );
        let errors = judged["errors_by_seed"]["values"].as_array().unwrap();
        assert_eq!(errors.len(), 4);
        assert_eq!(errors[0], judged["errors"].as_f64().unwrap());
        let rows = place.predictions(name);
        assert!(
            rows.iter().all(|row| row[3].split(';').count() == 4),
            "a fold of each dealing"
        );
        let right: f64 = rows.iter().map(|row| row[7].parse::<f64>().unwrap()).sum();
        let mean = errors.iter().map(|n| n.as_f64().unwrap()).sum::<f64>() / 4.0;
        assert!((right - (60.0 - mean)).abs() < 1e-6);
    }
    let page = place.read("report.html");
    let report = support::cnn_codes()
        .current_dir(place.folder.path())
        .args(["report", "head"])
        .assert();
    report.success();
    assert!(place.read("report.html") == page);
}

#[test]
fn the_training_store_recommends_the_head_that_predict_takes() {
    let place = Place::new();
    place.write("train", &alternating(60), 1.5, 38);
    place.write("validation", &alternating(20), 1.5, 39);
    let head_json = || place.read("head.json");
    place
        .command(&["--validation", "validation"])
        .assert()
        .success()
        .stdout(predicate::str::contains(
            "predict and export take the logistic regression, the simplest",
        ));
    assert!(head_json().contains("\"recommended\": \"logistic\""));
    place
        .command(&["--validation", "validation", "--head", "mlp"])
        .assert()
        .success()
        .stdout(predicate::str::contains(
            "predict and export take the MLP, the only head.",
        ));
    place.command(&["--folds", "3"]).assert().success();
    let recommended = place.metrics()["recommended"].clone();
    let losses = recommended["log_losses"].as_array().unwrap();
    let loss = |index: usize| losses[index][1].as_f64().unwrap();
    let better = usize::from(loss(1) < loss(0));
    assert_eq!(recommended["head"], losses[better][0]);
    let told = format!("\"recommended\": {}", losses[better][0]);
    assert!(head_json().contains(&told));
    assert_eq!(place.head().default_kind().name(), recommended["head"]);
}

#[test]
fn a_learning_curve_ends_at_the_heads_that_are_judged() {
    let place = Place::new();
    place.write("train", &alternating(80), 2.0, 40);
    place.write("validation", &alternating(40), 2.0, 41);
    for (judged, sizes) in [
        (["--validation", "validation"], [10, 20, 40, 80]),
        // As many as 4 of 5 folds leave.
        (["--folds", "5"], [8, 16, 32, 64]),
    ] {
        place
            .command(&[&judged[..], &["--learning-curve"]].concat())
            .assert()
            .success()
            .stdout(predicate::str::contains("learning curve: mean accuracy"));
        let metrics = place.metrics();
        let points = metrics["learning_curve"]["points"].as_array().unwrap();
        let pictures: Vec<_> = points
            .iter()
            .map(|point| point["pictures"].as_u64().unwrap())
            .collect();
        assert_eq!(pictures, sizes);
        // The first run on all pictures is the head that is judged, in the same folds.
        for (index, name) in ["mlp", "logistic"].into_iter().enumerate() {
            let first = &points[3]["accuracy"][index][1]["values"][0];
            let judged = &metrics["heads"][name]["top1_accuracy"];
            assert!(
                (first.as_f64().unwrap() - judged.as_f64().unwrap()).abs() < 1e-12,
                "{name}"
            );
        }
        let page = place.read("report.html");
        assert!(page.contains("Would more pictures help?"));
        let mut report = support::cnn_codes();
        report
            .current_dir(place.folder.path())
            .args(["report", "head"]);
        report.assert().success();
        assert!(place.read("report.html") == page);
    }
}
