//! `review`, and trainings with the labels that it wrote.

use crate::support;

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use support::place::{Place, quarters};
use support::review::Review;

/// Pictures of each class.
const N: u8 = 10;

/// Runs the program in a folder; what it said.
fn run(place: &Place, words: &[&str]) -> String {
    let mut command = support::cnn_codes();
    command.current_dir(place.path()).args(words);
    let done = command.assert().success();
    String::from_utf8(done.get_output().stderr.clone()).unwrap()
}

/// Runs the program in a folder, where it has to fail; what it said.
fn fail(place: &Place, words: &[&str]) -> String {
    let mut command = support::cnn_codes();
    command.current_dir(place.path()).args(words);
    let done = command.assert().code(1);
    String::from_utf8(done.get_output().stderr.clone()).unwrap()
}

fn extract(place: &Place, input: &[&str], store: &str) {
    let words = ["extract-features", "--out", store, "--card", "tiny.toml"];
    run(place, &[&words[..], input].concat());
}

/// Extracts pictures without labels.
fn extract_list(place: &Place, list: &str, store: &str) {
    let mut command = support::cnn_codes();
    command.current_dir(place.path()).write_stdin(list);
    command.args([
        "extract-features",
        "-",
        "--out",
        store,
        "--card",
        "tiny.toml",
    ]);
    command.assert().success();
}

fn train(place: &Place, store: &str, head: &str, more: &[&str]) -> String {
    let words = [
        "train-head",
        "--train",
        store,
        "--folds",
        "2",
        "--out",
        head,
        "--head",
        "logistic",
    ];
    run(place, &[&words[..], more].concat())
}

/// Green and red pictures, of which two green ones stand among the red ones.
fn noisy() -> Option<Place> {
    let place = Place::new()?;
    for i in 0..N {
        place.save(
            &format!("train/green/{i}.png"),
            &quarters([0, 250 - 7 * i, i]),
        );
        place.save(
            &format!("train/red/{i}.png"),
            &quarters([250 - 7 * i, 0, i]),
        );
    }
    place.save("train/red/wrong-1.png", &quarters([0, 215, 3]));
    place.save("train/red/wrong-2.png", &quarters([0, 236, 4]));
    extract(&place, &["train"], "codes");
    train(&place, "codes", "head", &[]);
    Some(place)
}

fn lines(path: &Path) -> Vec<csv::StringRecord> {
    let mut table = csv::Reader::from_path(path).unwrap();
    table.records().map(Result::unwrap).collect()
}

#[test]
fn wrong_labels_come_first_and_what_is_said_outlives_a_kill_and_trains() {
    let Some(place) = noisy() else { return };
    let review = Review::start(place.path(), &[]);
    let queue = review.queue("train");
    let mut first: Vec<_> = queue[..2].iter().map(|item| item["path"].clone()).collect();
    first.sort_by_key(Value::to_string);
    assert_eq!(first, ["red/wrong-1.png", "red/wrong-2.png"]);
    assert_eq!(
        (&queue[0]["why"], &queue[0]["predicted"]),
        (&json!("label"), &json!("green"))
    );
    let state = review.say(&queue[0], "class", Some("green"));
    assert_eq!(
        state["since"],
        json!({ "changed": 1, "set_aside": 0, "added": 0 })
    );
    review.say(&queue[2], "keep", None);
    review.say(&queue[3], "aside", None);
    let undone = review.post("undo", &json!({}));
    assert_eq!(
        undone["undone"],
        json!({ "part": "train", "row": queue[3]["row"] })
    );
    review.say(&queue[1], "class", Some("green"));
    drop(review);

    let table = place.path().join("relabel.csv");
    let said: Vec<_> = lines(&table)
        .iter()
        .map(|line| (line[2].to_owned(), line[3].to_owned(), line[5].to_owned()))
        .collect();
    let kept = queue[2]["label"].as_str().unwrap().to_owned();
    let changed = || {
        (
            "red".to_owned(),
            "green".to_owned(),
            "changed: seen".to_owned(),
        )
    };
    let expected = [
        changed(),
        (kept.clone(), kept, "kept: seen".to_owned()),
        changed(),
    ];
    assert_eq!(said, expected);

    let review = Review::start(place.path(), &[]);
    let before = review.get("state");
    assert_eq!(before["since"]["changed"], 2);
    assert_eq!(before["head_errors"][0]["errors"], 2);
    let after = review.train();
    let round = &after["job"]["rounds"][0];
    assert_eq!(
        (&round["changed"], &round["judged"]),
        (&json!(2), &json!(22))
    );
    // The two that are labelled wrong are wrong by the old labels, in all dealings.
    assert!(round["errors_by_old_labels"].as_f64().unwrap() >= 2.0);
    assert_eq!(
        (&round["errors_after"], &after["head_errors"][0]["errors"]),
        (&json!(0.0), &json!(0))
    );
    assert_eq!(after["since"]["changed"], 0);
    // HEAD is what the command says that made it.
    let told = fs::read_to_string(place.path().join("head/provenance.json")).unwrap();
    let told: Value = serde_json::from_str(&told).unwrap();
    let command = told["command"].as_str().unwrap();
    assert!(
        command.starts_with("cnn-codes train-head --train codes"),
        "{command}"
    );
    drop(review);
    train(&place, "codes", "by-hand", &["--relabel", "relabel.csv"]);
    for file in [
        "head.json",
        "logistic.safetensors",
        "predictions.csv",
        "relabel.csv",
    ] {
        let [one, other] =
            ["head", "by-hand"].map(|head| fs::read(place.path().join(head).join(file)).unwrap());
        assert_eq!(one, other, "{file}");
    }
}

#[test]
fn a_training_with_corrections_is_that_of_a_store_with_these_labels() {
    let Some(place) = noisy() else { return };
    place.save("z/a.png", &quarters([0, 120, 90]));
    place.save("z/b.png", &quarters([90, 30, 0]));
    place.save("z/c.png", &quarters([1, 2, 3]));
    let wrong = "train/red/wrong-1.png,red\n";
    let rows: Vec<_> = (0..N)
        .map(|i| format!("train/green/{i}.png,green\ntrain/red/{i}.png,red\n"))
        .collect();
    place.write(
        "given.csv",
        format!("path,label\n{wrong}{}", rows.concat()).as_bytes(),
    );
    place.write(
        "right.csv",
        format!(
            "path,label\n{}{}z/b.png,red\n",
            wrong.replace(",red", ",green"),
            rows[1..].concat()
        )
        .as_bytes(),
    );
    extract(&place, &["--csv", "given.csv"], "given");
    extract(&place, &["--csv", "right.csv"], "right");
    extract_list(&place, "z/a.png\nz/b.png\nz/c.png\n", "new-codes");

    let rows = [
        lines(&place.path().join("given/images.csv")),
        lines(&place.path().join("new-codes/images.csv")),
    ]
    .concat();
    let hash = |path: &str| rows.iter().find(|row| &row[1] == path).unwrap()[5].to_owned();
    let line = |path: &str, old: &str, new: &str| format!("{path},{},{old},{new},,\n", hash(path));
    let header = "path,blake3,old,new,when,why\n";
    let table = [
        header.to_owned(),
        line("train/red/wrong-1.png", "red", "green"),
        line("train/green/0.png", "green", ""),
        line("train/red/0.png", "red", "green"),
        line("train/red/0.png", "red", ""),
        line("z/b.png", "", "red"),
        format!("other.png,{},a,b,,\n", blake3::hash(b"").to_hex()),
    ];
    place.write("relabel.csv", table.concat().as_bytes());
    let corrected = ["--relabel", "relabel.csv", "--more", "new-codes"];
    let said = train(&place, "given", "one", &corrected);
    for expected in [
        "labels of given: 1 changed, 2 set aside",
        "labels of new-codes: 1 given",
        "1 of 5 corrected pictures are in none of these stores",
    ] {
        assert!(said.contains(expected), "{said}");
    }
    train(&place, "right", "other", &[]);
    for file in ["logistic.safetensors", "predictions.csv", "metrics.json"] {
        let [one, other] = ["one", "other"].map(|head| {
            let text = fs::read(place.path().join(head).join(file)).unwrap();
            // Time differs.
            let text = String::from_utf8_lossy(&text).into_owned();
            let lines = text
                .lines()
                .filter(|line| !line.contains("training_seconds"));
            lines.collect::<Vec<_>>().join("\n")
        });
        assert_eq!(one, other, "{file}");
    }

    place.write(
        "relabel.csv",
        [header, &line("train/red/0.png", "red", "blue")]
            .concat()
            .as_bytes(),
    );
    let words = [
        "train-head",
        "--train",
        "given",
        "--folds",
        "2",
        "--out",
        "x",
        "--relabel",
        "relabel.csv",
    ];
    let said = fail(&place, &words);
    assert!(
        said.contains(
            "train/red/0.png is corrected to 'blue', which is none of the classes: green, red"
        ),
        "{said}"
    );
    place.write("relabel.csv", b"path,label\na,b\n");
    assert!(fail(&place, &words).contains("relabel.csv cannot be used"));
}

#[test]
fn who_lacks_the_token_or_asks_for_what_there_is_not_is_refused() {
    let Some(place) = noisy() else { return };
    let review = Review::start(place.path(), &[]);
    let with = |token: &str| format!("Authorization: Bearer {token}\r\n");
    for path in [
        "state",
        "queue/train",
        "picture/train/0",
        "neighbours/train/0",
    ] {
        for headers in [
            String::new(),
            with("0123"),
            "Cookie: token=x\r\n".to_owned(),
        ] {
            let (status, _) = review
                .listening
                .json("GET", &format!("/api/{path}"), &headers, b"");
            assert_eq!(status, 401, "{path}");
        }
    }
    for path in ["say", "undo", "train"] {
        let (status, _) = review
            .listening
            .json("POST", &format!("/api/{path}"), "", b"{}");
        assert_eq!(status, 401, "{path}");
    }
    let foreign = format!("{}Origin: http://evil.example\r\n", with(&review.token));
    let (status, _) = review.listening.json("POST", "/api/train", &foreign, b"{}");
    assert_eq!(status, 403);
    let word = |part: &str, row: i64, decision: &str, class: Value| json!({ "part": part, "row": row, "decision": decision, "class": class });
    for (word, expected) in [
        (
            word("train", 0, "class", json!("blue")),
            "none of the classes",
        ),
        (word("train", 0, "class", Value::Null), "no class is given"),
        (word("train", 999, "keep", Value::Null), "no such picture"),
        (word("train", -1, "keep", Value::Null), "not understood"),
        (word("validation", 0, "keep", Value::Null), "no such store"),
        (word("../head", 0, "keep", Value::Null), "not understood"),
        (json!([]), "not understood"),
        (
            json!({ "part": "train", "row": 0, "decision": "keep", "file": "/etc/passwd" }),
            "not understood",
        ),
    ] {
        let (status, said) = review.answer("POST", "say", &word);
        assert!((400..500).contains(&status), "{word}");
        assert!(
            said["error"].as_str().unwrap().contains(expected),
            "{word}: {said}"
        );
    }
    for path in [
        "picture/train/99",
        "picture/train/..%2F..%2Fhead",
        "queue/x",
        "nothing",
    ] {
        let headers = with(&review.token);
        let (status, ..) = review
            .listening
            .request("GET", &format!("/api/{path}"), &headers, b"");
        assert!((400..500).contains(&status), "{path}");
    }
    let large = vec![b' '; 100_000];
    let (status, _) = review
        .listening
        .json("POST", "/api/say", &with(&review.token), &large);
    assert_eq!(status, 413);
    assert!(!place.path().join("relabel.csv").exists());

    let (status, head, picture) =
        review
            .listening
            .request("GET", "/api/picture/train/0", &with(&review.token), b"");
    assert!(status == 200 && head.contains("image/jpeg"), "{head}");
    assert_eq!(image::load_from_memory(&picture).unwrap().width(), 8);
    let near = review.get("neighbours/train/0");
    let near: Vec<_> = near["neighbours"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["label"].clone())
        .collect();
    assert_eq!(near.len(), 6);
    assert!(
        near.iter()
            .filter(|label| **label == json!("green"))
            .count()
            >= 4,
        "{near:?}"
    );
    // A file that is another one now is not shown.
    place.save("train/green/0.png", &quarters([9, 9, 9]));
    let (status, said) = review.answer("GET", "picture/train/0?large=true", &Value::Null);
    assert_eq!(
        (status, &said["error"]),
        (404, &json!("changed since its code was taken"))
    );
    let second = fail(&place, &["review", "head", "--port", "0"]);
    assert!(second.contains("another review writes"), "{second}");
}

#[test]
fn labels_that_judge_change_on_purpose_only_and_pictures_without_labels_are_given_some() {
    let Some(place) = noisy() else { return };
    for i in 0..4 {
        place.save(
            &format!("validation/green/{i}.png"),
            &quarters([9, 190 - 9 * i, 9]),
        );
        place.save(
            &format!("validation/red/{i}.png"),
            &quarters([190 - 9 * i, 9, 9]),
        );
        place.save(&format!("new/{i}.png"), &quarters([90 + i, 90 - i, 60 * i]));
    }
    extract(&place, &["validation"], "judging");
    extract_list(
        &place,
        "new/0.png\nnew/1.png\nnew/2.png\nnew/3.png\n",
        "open",
    );
    let words = [
        "train-head",
        "--train",
        "codes",
        "--validation",
        "judging",
        "--out",
        "head",
        "--overwrite",
        "--head",
        "logistic",
    ];
    run(&place, &words);
    let review = Review::start(place.path(), &["--unlabelled", "open", "--next", "3"]);
    let judging = review.queue("validation");
    assert_eq!(judging.len(), 8);
    let mut word = json!({ "part": "validation", "row": 0, "decision": "aside" });
    let (status, said) = review.answer("POST", "say", &word);
    assert!(status == 422 && said["error"].as_str().unwrap().contains("on purpose"));
    word["on_purpose"] = json!(true);
    review.post("say", &word);

    let open = review.queue("unlabelled");
    assert_eq!(open.len(), 3);
    assert!(
        open.iter()
            .all(|item| item["label"].is_null() && item["why"] == "unsure")
    );
    let random = review.get("queue/unlabelled?order=random")["items"].clone();
    let hashes = |items: &Value| -> Vec<String> {
        let items = items.as_array().unwrap().iter();
        items
            .map(|item| item["blake3"].as_str().unwrap().to_owned())
            .collect()
    };
    let images = lines(&place.path().join("open/images.csv"));
    let mut all: Vec<_> = images.iter().map(|line| line[5].to_owned()).collect();
    all.sort();
    assert_eq!(hashes(&random), all[..3]);
    let row = open[0]["row"].clone();
    let (status, said) = review.answer(
        "POST",
        "say",
        &json!({ "part": "unlabelled", "row": row, "decision": "keep" }),
    );
    assert!(status == 422 && said["error"].as_str().unwrap().contains("no label"));
    let given = json!({ "part": "unlabelled", "row": row, "decision": "class", "class": "red" });
    let state = review.post("say", &given);
    assert_eq!(
        state["since"],
        json!({ "changed": 0, "set_aside": 0, "added": 1 })
    );
    let state = review.train();
    let round = &state["job"]["rounds"][0];
    assert_eq!((&round["added"], &round["judged"]), (&json!(1), &json!(22)));
    assert_eq!(round["validation"]["labels_changed"], 1);
    let [before, after] =
        ["before", "after"].map(|side| round["validation"][side][0]["pictures"].clone());
    assert_eq!((before, after), (json!(8), json!(7)));
    assert!(
        review
            .queue("unlabelled")
            .iter()
            .all(|item| item["row"] != row)
    );
}

#[test]
fn a_corrected_tree_has_every_picture_in_the_folder_of_its_class() {
    let Some(place) = noisy() else { return };
    place.save("train/green/wrong-1.png", &quarters([0, 200, 99]));
    fs::rename(
        place.path().join("train/green/wrong-1.png"),
        place.path().join("train/green/x.png"),
    )
    .unwrap();
    let review = Review::start(place.path(), &[]);
    let queue = review.queue("train");
    let item = |path: &str| queue.iter().find(|item| item["path"] == path).unwrap();
    review.say(item("red/wrong-1.png"), "class", Some("green"));
    review.say(item("red/wrong-2.png"), "aside", None);
    review.say(item("green/3.png"), "class", Some("red"));
    drop(review);
    let said = run(&place, &["review", "head", "--apply", "corrected"]);
    assert!(
        said.contains("21 pictures, 2 of them under another class than before; 1 set aside"),
        "{said}"
    );
    let bytes = |path: &str| fs::read(place.path().join(path)).ok();
    for (to, from) in [
        ("green/wrong-1.png", "red/wrong-1.png"),
        ("red/3-2.png", "red/3.png"),
        ("red/3.png", "green/3.png"),
        ("green/4.png", "green/4.png"),
    ] {
        let to = bytes(&format!("corrected/train/{to}")).unwrap_or_else(|| panic!("{to}"));
        assert!(to == bytes(&format!("train/{from}")).unwrap(), "{from}");
    }
    assert!(bytes("corrected/train/red/wrong-2.png").is_none());
    assert_eq!(
        lines(&place.path().join("corrected/pictures.csv")).len(),
        21
    );
    // The pictures stay where they were.
    assert!(bytes("train/red/wrong-2.png").is_some());

    let there = fail(&place, &["review", "head", "--apply", "corrected"]);
    assert!(
        there.contains("corrected exists already") && there.contains("choose another --apply"),
        "{there}"
    );
    fs::remove_file(place.path().join("train/red/5.png")).unwrap();
    let missing = fail(&place, &["review", "head", "--apply", "second", "--link"]);
    assert!(
        missing.contains("red/5.png") && missing.contains("not there any more"),
        "{missing}"
    );
    assert!(!place.path().join("second").exists());
}

#[test]
fn a_review_of_what_is_not_there_says_which_option_helps() {
    let Some(place) = noisy() else { return };
    assert!(fail(&place, &["review", "nothing"]).contains("nothing"));
    fs::rename(place.path().join("codes"), place.path().join("moved")).unwrap();
    let said = fail(&place, &["review", "head", "--port", "0"]);
    assert!(said.contains("--train names another place"), "{said}");
    let said = fail(
        &place,
        &[
            "review",
            "head",
            "--train",
            "moved",
            "--validation",
            "moved",
        ],
    );
    assert!(said.contains("judged in folds"), "{said}");
    let said = fail(
        &place,
        &[
            "review",
            "head",
            "--train",
            "moved",
            "--unlabelled",
            "moved",
        ],
    );
    assert!(said.contains("without classes"), "{said}");
    place.write("relabel.csv", b"no table");
    let said = fail(
        &place,
        &[
            "review",
            "head",
            "--train",
            "moved",
            "--relabel",
            "no/relabel.csv",
        ],
    );
    assert!(said.contains("there is no folder no"), "{said}");
    let review = Review::start(place.path(), &["--train", "moved", "--relabel", "mine.csv"]);
    assert_eq!(review.queue("train").len(), 22);
    drop(review);
}
