//! Ten wrong labels among the tutorial's training pictures, found and corrected in a review; skipped where
//! ../shared/datasets/produce or the trunk are absent.

use crate::support;

use std::fs;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_xoshiro::Xoshiro256PlusPlus;
use serde_json::json;
use support::review::Review;

const CLASSES: [&str; 3] = ["pumpkin", "tomato", "watermelon"];
const WRONG: usize = 10;

#[test]
fn ten_wrong_labels_are_among_the_first_thirty_and_once_corrected_the_heads_are_those_of_the_clean_set()
 {
    let Some(produce) = support::shared("datasets/produce/train") else {
        return;
    };
    if support::vgg16().is_none() {
        return;
    }
    let mut rows = Vec::new();
    for class in CLASSES {
        let entries = fs::read_dir(produce.join(class)).unwrap();
        for entry in entries {
            let name = entry.unwrap().file_name().into_string().unwrap();
            rows.push((format!("{class}/{name}"), class, class));
        }
    }
    rows.sort();
    let mut places: Vec<_> = (0..rows.len()).collect();
    places.shuffle(&mut Xoshiro256PlusPlus::seed_from_u64(7));
    for &place in &places[..WRONG] {
        let others = CLASSES.into_iter().filter(|class| *class != rows[place].1);
        rows[place].2 = others.collect::<Vec<_>>()[place % 2];
    }
    let folder = tempfile::tempdir().unwrap();
    let mut table = "path,label\n".to_owned();
    for (path, _, label) in &rows {
        table += &format!("{}/{path},{label}\n", produce.display());
    }
    fs::write(folder.path().join("noisy.csv"), table).unwrap();
    for words in [
        "extract-features --csv noisy.csv --out codes --pool avg",
        "train-head --train codes --folds 5 --head logistic --out head",
    ] {
        let mut command = support::cnn_codes();
        command.current_dir(folder.path()).args(words.split(' '));
        command
            .timeout(std::time::Duration::from_secs(600))
            .assert()
            .success();
    }
    let truth = |path: &str| {
        let row = rows
            .iter()
            .find(|(own, ..)| path.ends_with(own.as_str()))
            .unwrap();
        (row.1, row.2)
    };
    let review = Review::start(folder.path(), &[]);
    let queue = review.queue("train");
    let is_wrong = |item: &serde_json::Value| {
        let (class, label) = truth(item["path"].as_str().unwrap());
        class != label
    };
    // At random 5% of all are among the first 30 of 600; nine of ten were asked of the order.
    let found = queue[..30].iter().filter(|item| is_wrong(item)).count();
    assert!(found >= 9, "{found} of {WRONG}");
    for item in queue.iter().filter(|item| is_wrong(item)) {
        let (class, _) = truth(item["path"].as_str().unwrap());
        review.say(item, "class", Some(class));
    }
    let round = review.train()["job"]["rounds"][0].clone();
    assert_eq!(round["changed"], json!(WRONG));
    let errors = |name: &str| round[name].as_f64().unwrap();
    // By the old labels, the ten count as errors besides those of the clean set, which are 5.
    assert!(
        errors("errors_by_old_labels") > errors("errors_after") + 8.0,
        "{round}"
    );
    assert!(errors("errors_after") <= 7.0, "{round}");
}
