//! `cnn-codes split` end to end.

use crate::support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use assert_cmd::assert::Assert;
use support::split::{files, images, names, picture, table};

fn split(folder: &Path, out: &str, arguments: &[&str]) -> Assert {
    support::cnn_codes()
        .current_dir(folder)
        .args(["split", "images", "--out", out])
        .args(arguments)
        .assert()
}

#[test]
fn every_picture_is_in_one_part_with_its_bytes() {
    let folder = tempfile::tempdir().unwrap();
    images(folder.path());
    let options = [
        "--train",
        "0.7",
        "--validation",
        "0.2",
        "--test",
        "0.1",
        "--seed",
        "3",
    ];
    split(folder.path(), "out", &options).success();
    let mut placed = files(&folder.path().join("out"));
    placed.remove("split.csv").unwrap();
    let originals = files(&folder.path().join("images"));
    let table = table(&folder.path().join("out"));
    assert_eq!(table.len(), originals.len());
    let expected: BTreeMap<_, _> = originals
        .into_iter()
        .map(|(path, bytes)| (format!("{}/{path}", table[&path]), bytes))
        .collect();
    assert!(placed == expected);
    let n = |prefix: &str| {
        placed
            .keys()
            .filter(|path| path.starts_with(prefix))
            .count()
    };
    let counts = [
        "train/a/",
        "train/b/",
        "validation/a/",
        "validation/b/",
        "test/a/",
        "test/b/",
    ];
    assert_eq!(counts.map(n), [14, 7, 4, 2, 2, 1]);
}

#[test]
fn a_seed_decides_what_goes_where() {
    let folder = tempfile::tempdir().unwrap();
    images(folder.path());
    for (out, seed) in [("one", "1"), ("same", "1"), ("other", "2")] {
        split(folder.path(), out, &["--seed", seed, "--ignore-duplicates"]).success();
    }
    let files = |out: &str| files(&folder.path().join(out));
    assert!(files("one") == files("same"));
    assert!(files("one") != files("other"));
}

#[test]
fn copies_and_pictures_of_one_plant_stay_together() {
    let folder = tempfile::tempdir().unwrap();
    images(folder.path());
    for number in 0..20 {
        let path = folder.path().join(format!("images/a/copy of {number}.bmp"));
        picture(number).save(path).unwrap();
    }
    for seed in ["1", "2", "3"] {
        let out = format!("out{seed}");
        split(folder.path(), &out, &["--seed", seed, "--train", "0.5"]).success();
        let parts = table(&folder.path().join(&out));
        for number in 0..20 {
            let sub = if number % 2 == 0 { "sub/" } else { "" };
            let (original, copy) = (
                format!("a/{sub}{number}.png"),
                format!("a/copy of {number}.bmp"),
            );
            assert_eq!(parts[&original], parts[&copy], "{number}");
        }
    }
    // Numbers that end in the same digit are of one plant here, whatever their class.
    let options = [
        "--group-by",
        "([0-9])\\.[a-z]+$",
        "--train",
        "0.5",
        "--ignore-duplicates",
    ];
    split(folder.path(), "plants", &options).success();
    let parts = table(&folder.path().join("plants"));
    for digit in 0..10 {
        let of_plant = |path: &String| {
            path.rsplit_once('.')
                .unwrap()
                .0
                .ends_with(&digit.to_string())
        };
        let parts: BTreeSet<_> = parts
            .iter()
            .filter(|(p, _)| of_plant(p))
            .map(|(_, p)| p)
            .collect();
        assert_eq!(parts.len(), 1, "{digit}");
    }
}

#[cfg(unix)]
#[test]
fn links_are_the_pictures_themselves() {
    use std::os::unix::fs::MetadataExt;

    let folder = tempfile::tempdir().unwrap();
    images(folder.path());
    split(folder.path(), "out", &["--link"]).success();
    let number = |path: &Path| fs::metadata(path).unwrap().ino();
    for (path, part) in table(&folder.path().join("out")) {
        let placed = folder.path().join("out").join(part).join(&path);
        assert_eq!(
            number(&placed),
            number(&folder.path().join("images").join(path))
        );
    }
}

#[test]
fn what_is_there_is_neither_mixed_nor_touched() {
    let folder = tempfile::tempdir().unwrap();
    images(folder.path());
    fs::create_dir(folder.path().join("out")).unwrap();
    fs::write(folder.path().join("out/dear.txt"), "dear").unwrap();
    split(folder.path(), "out", &[])
        .code(1)
        .stderr(predicates::str::contains(
            "out exists already, and is left as it is; choose another --out",
        ));
    assert_eq!(names(&folder.path().join("out")).len(), 1);
    split(folder.path(), "images/a/out", &[])
        .code(1)
        .stderr(predicates::str::contains("lies in images"));
    assert_eq!(
        names(folder.path()),
        ["images", "out"].map(str::to_owned).into()
    );
}

#[test]
fn the_finished_split_of_a_killed_run_is_set_aside_and_told_of() {
    let folder = tempfile::tempdir().unwrap();
    images(folder.path());
    let draft = folder.path().join("out.partial");
    fs::create_dir(&draft).unwrap();
    fs::write(draft.join("split.csv"), "dear").unwrap();
    fs::write(draft.join(".lock"), "").unwrap();
    split(folder.path(), "out", &["--ignore-duplicates"])
        .success()
        .stderr(predicates::str::contains(
            "an earlier run was killed before its finished split was moved into place: it is kept in ",
        ));
    let kept = fs::read_to_string(folder.path().join("out.kept/split.csv"));
    assert_eq!(kept.unwrap(), "dear");
}

#[test]
fn a_class_that_is_too_small_is_named_and_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    images(folder.path());
    fs::create_dir(folder.path().join("images/rare")).unwrap();
    picture(200)
        .save(folder.path().join("images/rare/1.png"))
        .unwrap();
    split(folder.path(), "out", &[])
        .code(1)
        .stderr(predicates::str::contains("'rare' (1 picture)"));
    assert_eq!(names(folder.path()), ["images".to_owned()].into());
}

#[cfg(unix)]
#[test]
fn a_picture_that_cannot_be_copied_leaves_nothing_half() {
    let folder = tempfile::tempdir().unwrap();
    images(folder.path());
    // A folder that is called like a picture is searched, but a socket is taken for one.
    let socket = folder.path().join("images/b/x.png");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    split(folder.path(), "out", &[])
        .code(1)
        .stderr(predicates::str::contains(
            "it is not a regular file; nothing was left behind",
        ));
    assert_eq!(names(folder.path()), ["images".to_owned()].into());
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_nothing_half() {
    let folder = tempfile::tempdir().unwrap();
    images(folder.path());
    let large = fs::File::create(folder.path().join("images/b/large.png")).unwrap();
    large.set_len(64 << 10).unwrap();
    // Files may not grow beyond 32 KiB: writing fails as it does on a full disk.
    let limited = format!(
        "trap '' XFSZ; ulimit -f 32; exec '{}' split images --out out --ignore-duplicates",
        assert_cmd::cargo::cargo_bin!("cnn-codes").display(),
    );
    let split = |command: &str| {
        let mut bash = assert_cmd::Command::new("bash");
        bash.current_dir(folder.path())
            .args(["-c", command])
            .assert()
    };
    split(&limited)
        .code(1)
        .stderr(predicates::str::contains(
            "error: cannot copy images/b/large.png to out",
        ))
        .stderr(predicates::str::contains("File too large"))
        .stderr(predicates::str::contains("nothing was left behind"));
    assert_eq!(names(folder.path()), ["images".to_owned()].into());
    // A link takes no room.
    split(&format!("{limited} --link")).success();
    assert_eq!(table(&folder.path().join("out")).len(), 31);
}

#[test]
fn shares_beyond_one_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    images(folder.path());
    split(
        folder.path(),
        "out",
        &["--train", "0.8", "--validation", "0.3"],
    )
    .code(1)
    .stderr(predicates::str::contains("are no split"));
}

#[cfg(unix)]
#[test]
fn an_out_that_cannot_be_is_refused_before_any_picture_is_decoded() {
    let folder = tempfile::tempdir().unwrap();
    images(folder.path());
    // It would be named as broken.
    fs::write(folder.path().join("images/a/broken.png"), "no picture").unwrap();
    std::os::unix::fs::symlink("nowhere", folder.path().join("out")).unwrap();
    split(folder.path(), "out", &[]).code(1).stderr(
        "error: out is a link to nowhere, which is not there; make that folder, remove the link, \
         or choose another --out\n",
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_stdout_is_named_and_the_split_is_there() {
    let folder = tempfile::tempdir().unwrap();
    images(folder.path());
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output = std::process::Command::new(assert_cmd::cargo::cargo_bin!("cnn-codes"))
        .current_dir(folder.path())
        .args(["split", "images", "--out", "out"])
        .stdout(full)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    let expected = "error: cannot write to stdout: No space left on device (os error 28); the work \
                    is done: split: out";
    assert!(said.contains(expected), "{said}");
    assert!(folder.path().join("out/split.csv").is_file());
}
