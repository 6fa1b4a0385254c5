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
