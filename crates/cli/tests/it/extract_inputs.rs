//! `cnn-codes extract-features` on tables, lists and tar shards, and what comes of their stores.

use crate::support;

use std::fs::{self, File};

use assert_cmd::Command;
use cnn_codes::codes::Store;
use predicates::prelude::*;
use support::place::{Extract, Place, quarters};

/// The command on the tiny trunk, without any input yet.
fn extract(place: &Place, out: &str, arguments: &[&str]) -> Command {
    let mut command = support::cnn_codes();
    command
        .current_dir(place.path())
        .args(["extract-features", "--out", out, "--card", "tiny.toml"])
        .args(arguments);
    command
}

fn open(place: &Place, name: &str) -> Store {
    Store::open(&place.path().join(name)).unwrap()
}

#[test]
fn a_table_gives_the_codes_and_labels_of_the_same_pictures_in_folders() {
    let Some(place) = Place::new() else { return };
    place.extract().assert().success();
    fs::create_dir(place.path().join("tables")).unwrap();
    place.write(
        "tables/pictures.csv",
        "split,label,path\n\
         train,\"Äpfel & Birnen\",../pictures/Äpfel & Birnen/1.png\n\
         train,zwei Wörter,../pictures/zwei Wörter/sub/2.png\n\
         test,zwei Wörter,missing.png\n"
            .as_bytes(),
    );
    let table = ["--csv", "tables/pictures.csv"];
    extract(&place, "other", &table)
        .assert()
        .code(1)
        .stderr(predicate::str::contains(
            "holds the splits 'test', 'train'; choose one with --split NAME",
        ));
    extract(&place, "other", &[table[0], table[1], "--split", "train"])
        .assert()
        .success();
    let (folders, table) = (place.store(), open(&place, "other"));
    assert_eq!(
        table.manifest().store.classes,
        folders.manifest().store.classes
    );
    // By path, "zwei" is first in both.
    assert_eq!(table.labels(), folders.labels());
    assert_eq!(table.read_codes().unwrap(), folders.read_codes().unwrap());
    assert_eq!(
        &*table.pictures()[0].path,
        "../pictures/zwei Wörter/sub/2.png"
    );
}

/// The text of a store's images.csv without its hashes.
fn images(place: &Place, store: &str) -> Vec<String> {
    let text = fs::read_to_string(place.path().join(store).join("images.csv")).unwrap();
    let mut table = csv::Reader::from_reader(text.as_bytes());
    let header = table.headers().unwrap().clone();
    let lines = std::iter::once(header).chain(table.records().map(Result::unwrap));
    let without_hash = |line: csv::StringRecord| {
        let cells = line.iter().enumerate().filter(|(place, _)| *place != 5);
        cells.map(|(_, cell)| cell).collect::<Vec<_>>().join("|")
    };
    lines.map(without_hash).collect()
}

#[test]
fn groups_of_a_pattern_a_table_or_a_column_stand_in_images_csv_and_count() {
    let Some(place) = Place::new() else { return };
    for picture in 0..6 {
        let class = ["a", "b"][picture % 2];
        let level = 40 * picture as u8;
        place.save(
            &format!("many/{class}/p{}_{picture}.png", picture / 4),
            &quarters([level, 9, 9]),
        );
    }
    let rows = |of: [&str; 6]| {
        let mut rows = vec!["row|path|label|width|height|group".to_owned()];
        let paths = ["a/p0_0", "a/p0_2", "a/p1_4", "b/p0_1", "b/p0_3", "b/p1_5"];
        rows.extend((0..6).map(|row| {
            let path = paths[row];
            format!("{row}|{path}.png|{}|8|8|{}", &path[..1], of[row])
        }));
        rows
    };
    let expected = rows(["0", "0", "1", "0", "0", "1"]);
    extract(&place, "by-pattern", &["many", "--group-by", "/p([0-9])"])
        .assert()
        .success();
    assert_eq!(images(&place, "by-pattern"), expected);
    assert!(open(&place, "by-pattern").manifest().store.grouped);

    // As `split` writes it; the pictures are elsewhere.
    let table = "path,label,part,group\na/p0_0.png,a,train,x\nb/p0_1.png,b,train,x\n";
    place.write("split.csv", table.as_bytes());
    let by_table = ["many", "--groups", "split.csv"];
    extract(&place, "by-table", &by_table)
        .assert()
        .success()
        .stderr(predicate::str::contains(
            "the pictures: 4 of 6 pictures are in no group",
        ));
    assert_eq!(images(&place, "by-table"), rows(["x", "", "", "x", "", ""]));

    let line = |row: &String| {
        let cells: Vec<_> = row.split('|').collect();
        format!("many/{},{},{}\n", cells[1], cells[2], cells[5])
    };
    let table: String = expected[1..].iter().map(line).collect();
    place.write("table.csv", format!("path,label,group\n{table}").as_bytes());
    extract(&place, "by-column", &["--csv", "table.csv"])
        .assert()
        .success();
    let of_column = images(&place, "by-column").join("\n").replace("many/", "");
    assert_eq!(of_column, expected.join("\n"));
    // Another grouping is another job.
    let differs = extract(&place, "by-pattern", &["many"]).assert().code(1);
    differs.stderr(predicate::str::contains("by-pattern"));

    let train = |store: &str, more: &[&str], said: &str| {
        let mut command = support::cnn_codes();
        command
            .current_dir(place.path())
            .args(["train-head", "--train", store, "--folds", "2"]);
        command
            .args(["--head", "logistic", "--out", "head", "--overwrite"])
            .args(more);
        let said = predicate::str::contains(said.to_owned());
        command.assert().success().stdout(said);
    };
    train("by-pattern", &[], "6 training pictures in 2 groups");
    train("by-table", &[], "6 training pictures in 5 groups");
    // What is said at training takes the place of what was said before.
    train(
        "by-pattern",
        &["--group-by", "p[0-9]_([0-9])"],
        "6 training pictures, each judged",
    );
    // A store in parts is one.
    for shard in ["0/2", "1/2"] {
        let pattern = ["many", "--group-by", "/p([0-9])", "--shard", shard];
        extract(&place, "parts", &pattern).assert().success();
    }
    train("parts", &[], "6 training pictures in 2 groups");
    // Without groups nothing is told of them.
    extract(&place, "bare", &["many"]).assert().success();
    assert_eq!(images(&place, "bare")[0], "row|path|label|width|height");
}

#[test]
fn a_list_on_stdin_gives_a_store_without_labels_on_which_no_head_is_trained() {
    let Some(place) = Place::new() else { return };
    place.extract().assert().success();
    let list = "pictures/Äpfel & Birnen/1.png\npictures/zwei Wörter/sub/2.png\nnot there.png\n";
    extract(&place, "list", &["-"])
        .write_stdin(list)
        .assert()
        .success()
        .stderr(predicate::str::contains("3 pictures without labels"))
        .stdout(predicate::str::contains(
            "not there.png: cannot be read: No such file",
        ));
    let mut names: Vec<_> = fs::read_dir(place.path().join("list"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        ["codes.npy", "failures.csv", "images.csv", "store.json"]
    );
    let store = open(&place, "list");
    assert_eq!(store.labels(), None);
    assert!(
        store
            .pictures()
            .iter()
            .all(|picture| picture.label.is_none())
    );
    // "z" is before "Ä": the rows are those of the folders.
    assert_eq!(
        store.read_codes().unwrap(),
        place.store().read_codes().unwrap()
    );
    assert_eq!(store.manifest().counts.failures, 1);
    support::cnn_codes()
        .current_dir(place.path())
        .args([
            "train-head",
            "--train",
            "store",
            "--validation",
            "list",
            "--out",
            "head",
        ])
        .assert()
        .code(1)
        .stderr(predicate::str::contains(
            "list: the pictures have no labels",
        ));
}

#[test]
fn tar_shards_are_read_without_unpacking() {
    let Some(place) = Place::new() else { return };
    place.save("c.png", &quarters([7, 8, 9]));
    let picture = |name: &str| fs::read(place.path().join(name)).unwrap();
    let pictures = [
        picture("pictures/Äpfel & Birnen/1.png"),
        picture("pictures/zwei Wörter/sub/2.png"),
        picture("c.png"),
    ];
    let write = |archive: &str, members: &[(&str, &[u8])]| {
        let mut tar = tar::Builder::new(File::create(place.path().join(archive)).unwrap());
        for (name, bytes) in members {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, name, *bytes).unwrap();
        }
        tar.finish().unwrap();
    };
    write(
        "shard-1.tar",
        &[
            ("k/b.png", &pictures[1]),
            ("k/b.json", br#"{"label": "melon"}"#),
        ],
    );
    write(
        "shard-0.tar",
        &[
            ("z.cls", b"apple"),
            ("z.png", &pictures[0]),
            ("a.png", &pictures[2]),
            ("a.cls", b"melon"),
            ("bad.jpg", b"no picture"),
            ("bad.cls", b"melon"),
        ],
    );
    let names_before = place.names();
    extract(&place, "store", &["shard-1.tar", "shard-0.tar"])
        .assert()
        .success()
        .stdout(predicate::str::contains("shard-0.tar/bad.jpg: "));
    let store = open(&place, "store");
    assert_eq!(store.manifest().store.classes, ["apple", "melon"]);
    let rows: Vec<_> = store
        .pictures()
        .iter()
        .map(|picture| (&*picture.path, picture.label.unwrap()))
        .collect();
    // Archives by name, and the members of each in their own order.
    assert_eq!(
        rows,
        [
            ("shard-0.tar/z.png", 0),
            ("shard-0.tar/a.png", 1),
            ("shard-1.tar/k/b.png", 1)
        ]
    );
    let codes = store.read_codes().unwrap();
    for (row, expected) in [[10.0, 40.0, -30.0], [7.0, 16.0, -9.0], [200.0, 200.0, 0.0]]
        .iter()
        .enumerate()
    {
        assert_eq!(codes.row(row).to_vec()[..3], *expected, "row {row}");
    }
    let mut names = place.names();
    names.retain(|name| name != "store");
    assert_eq!(names, names_before);
}

#[test]
fn inputs_that_cannot_be_taken_together_are_refused() {
    let Some(place) = Place::new() else { return };
    let refused = |arguments: &[&str]| {
        let output = extract(&place, "store", arguments).assert().failure();
        let output = output.get_output();
        assert!(!place.path().join("store").exists());
        (
            output.status.code(),
            String::from_utf8(output.stderr.clone()).unwrap(),
        )
    };
    let (code, said) = refused(&["pictures", "pictures/zwei Wörter"]);
    assert_eq!(code, Some(1));
    assert!(
        said.contains("give one folder of classes, or tar shards only"),
        "{said}"
    );
    let (code, said) = refused(&["pictures", "--csv", "x.csv"]);
    assert_eq!(code, Some(2), "{said}");
    let (code, said) = refused(&[]);
    assert_eq!(code, Some(2), "{said}");
    let (code, said) = refused(&["pictures", "--shard", "4/4"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains("shards count from 0, so the last is 3/4"),
        "{said}"
    );
    let (code, said) = refused(&["pictures.tar.gz"]);
    assert_eq!(code, Some(1), "{said}");
}
