//! Pictures that belong together, and pictures that stand in both stores.

use std::fs;

use cnn_codes::codes::{Dtype, Pool};
use predicates::prelude::*;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::support;
use crate::support::noise::{N_FEATURES, Place, alternating};

/// Pictures with random labels, each of them twice, as `0.jpg` and `1.jpg`, and so on.
fn write_twice(place: &Place, name: &str, n: usize, seed: u64) {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut description = support::description(Dtype::F32, Pool::None);
    description.codes.output.shape = vec![1, 1, N_FEATURES];
    let rows = (0..n).flat_map(|_| {
        let code: Vec<f32> = (0..N_FEATURES).map(|_| rng.gen_range(-1.7..1.7)).collect();
        let row = (usize::from(rng.gen_bool(0.5)), code);
        [row.clone(), row]
    });
    support::write_codes(&place.path(name), description, &rows.collect::<Vec<_>>());
}

#[test]
fn copies_that_are_said_to_belong_together_teach_nothing() {
    let place = Place::new();
    write_twice(&place, "train", 60, 30);
    let folds = ["--folds", "5", "--head", "logistic"];
    place.command(&folds).assert().success();
    let accuracy = || {
        let judged = &place.metrics()["heads"]["logistic"];
        judged["top1_accuracy"].as_f64().unwrap()
    };
    assert!(
        accuracy() > 0.7,
        "copies in other folds are known by heart: {}",
        accuracy()
    );
    let rows = (0..120).map(|row| format!("{row}.jpg,pair {}\n", row / 2));
    let table = place.path("groups.csv");
    fs::write(&table, format!("path,group\n{}", rows.collect::<String>())).unwrap();
    let grouped = ["--groups", "groups.csv"];
    place
        .command(&[&folds[..], &grouped].concat())
        .assert()
        .success()
        .stdout(predicate::str::contains(
            "120 training pictures in 60 groups, each judged",
        ));
    // A fair coin's share of 60 is within four deviations of 0.065.
    assert!((accuracy() - 0.5).abs() < 4.0 * 0.065, "{}", accuracy());
    assert_eq!(place.metrics()["judged_groups"], 60);
    let rows = place.predictions("logistic");
    assert!(
        rows.iter()
            .enumerate()
            .all(|(row, told)| told[8] == *format!("{}", row / 2))
    );
    let pairs = rows.chunks(2);
    assert!(
        pairs.into_iter().all(|pair| pair[0][3] == pair[1][3]),
        "one fold"
    );
    // The page says so too, from HEAD alone.
    let page = place.read("report.html");
    assert!(page.contains("120 training pictures in 60 groups"));

    let pattern = ["--group-by", "^([0-9]*)[0-9].jpg"];
    let run = place
        .command(&[&folds[..], &pattern].concat())
        .assert()
        .success();
    run.stdout(predicate::str::contains(
        "120 training pictures in 12 groups",
    ))
    .stderr(predicate::str::contains(
        "train: 12 groups, 12 of them with pictures of several classes",
    ));
    let nothing = ["--group-by", "plant([0-9]+)"];
    let run = place
        .command(&[&folds[..], &nothing].concat())
        .assert()
        .success();
    run.stderr(predicate::str::contains(
        "warning: --group-by 'plant([0-9]+)' matches no picture of train, such as 0.jpg",
    ));
    let wrong = ["--groups", "absent.csv"];
    let run = place
        .command(&[&folds[..], &wrong].concat())
        .assert()
        .code(1);
    run.stderr(predicate::str::contains("cannot read absent.csv"));
    fs::write(&table, "path,part\na,b\n").unwrap();
    let run = place
        .command(&[&folds[..], &grouped].concat())
        .assert()
        .code(1);
    run.stderr(predicate::str::contains("needs the columns path and group"));
}

#[test]
fn pictures_that_were_trained_on_are_counted_and_a_store_does_not_judge_itself() {
    let place = Place::new();
    place.write("train", &alternating(40), 3.0, 31);
    place.write("validation", &alternating(20), 3.0, 32);
    let itself = place.command(&["--validation", "train"]).assert().code(1);
    itself.stderr(predicate::str::contains(
        "every picture of train is also in train",
    ));
    // Picture 0 of both stores is one patient, and so is picture 1.
    fs::write(place.path("groups.csv"), "path,group\n0.jpg,p\n1.jpg,q\n").unwrap();
    let arguments = ["--validation", "validation", "--groups", "groups.csv"];
    place
        .command(&arguments)
        .assert()
        .success()
        .stderr(predicate::str::contains("38 of 40 pictures are in no group"))
        .stdout(predicate::str::contains(
            "warning: 2 of 20 validation pictures stand in the training store too: 0.jpg, 1.jpg. Accuracy without them: mlp ",
        ))
        .stdout(predicate::str::contains("/18 errors)"));
    assert_eq!(
        place.metrics()["in_both_stores"]["rows"],
        serde_json::json!([0, 1])
    );
    assert!(
        place
            .read("report.html")
            .contains("stand in the training store too")
    );
}
