//! Pictures and folders that cannot be read for a reason that is not their own: the run says so, keeps
//! what it has, and tries them again.

#![cfg(unix)]

use crate::long_job::{assert_same_files, end, files, long_job, signal, start, wait_for_lines};
use crate::support;

use std::fs;

use image::{Rgb, RgbImage};
use predicates::prelude::*;
use support::place::{Extract, Place};

/// A job of 40 pictures that a list names; each tenth lies in a folder of its own.
fn listed_job() -> Option<(Place, String)> {
    let place = Place::new()?;
    let mut list = String::new();
    for i in 0..40_u8 {
        let folder = if i % 10 == 3 {
            format!("own/{i:02}")
        } else {
            "all".to_owned()
        };
        let name = format!("{folder}/{i:02}.png");
        place.save(
            &name,
            &RgbImage::from_fn(8, 8, |x, y| Rgb([i, 9, (8 * x + y) as u8])),
        );
        list += &format!("{name}\n");
    }
    Some((place, list))
}

/// Extracts a list, and tells the exit code and what was said.
fn extract_list(place: &Place, list: &str, out: &str, more: &[&str]) -> (Option<i32>, String) {
    let mut command = support::cnn_codes();
    command.current_dir(place.path());
    command.args(["extract-features", "-", "--out", out, "--card", "tiny.toml"]);
    command
        .args(["--batch-size", "4", "--checkpoint-every", "0"])
        .args(more);
    let output = command.write_stdin(list).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

fn rename(place: &Place, from: &str, to: &str) {
    fs::rename(place.path().join(from), place.path().join(to)).unwrap();
}

#[test]
fn a_disk_that_goes_away_ends_the_run_and_the_same_command_goes_on_once_it_is_back() {
    let Some((place, list)) = listed_job() else {
        return;
    };
    assert_eq!(extract_list(&place, &list, "whole", &[]).0, Some(0));
    rename(&place, "all", "elsewhere");
    let (code, said) = extract_list(&place, &list, "store", &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("the last ones in a row") && said.contains("all/00.png"),
        "{said}"
    );
    assert!(!place.path().join("store").exists());
    // As a disk leaves its mount point behind.
    fs::create_dir(place.path().join("all")).unwrap();
    assert_eq!(extract_list(&place, &list, "store", &[]).0, Some(1));
    fs::remove_dir(place.path().join("all")).unwrap();
    rename(&place, "elsewhere", "all");
    let (code, said) = extract_list(&place, &list, "store", &[]);
    assert_eq!(code, Some(0), "{said}");
    let expected = files(&place.path().join("whole"));
    assert_same_files(&place.path().join("store"), &expected);
}

#[test]
fn a_class_folder_that_goes_away_in_mid_run_ends_it_and_the_same_command_goes_on_later() {
    let Some(place) = long_job() else { return };
    assert_eq!(end(start(&place, "whole", &[])).1, Some(0));
    let child = start(&place, "store", &[]);
    wait_for_lines(&place.path().join("store.partial"), 3);
    signal(&child, "-STOP");
    let store = place.path().join("store");
    assert!(!store.exists(), "it ended too early to test anything");
    rename(&place, "pictures/zwei Wörter", "elsewhere");
    signal(&child, "-CONT");
    let (said, code) = end(child);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("the last ones in a row"), "{said}");
    assert!(!store.exists());
    rename(&place, "elsewhere", "pictures/zwei Wörter");
    let (said, code) = end(start(&place, "store", &[]));
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("going on after"), "{said}");
    assert_same_files(&store, &files(&place.path().join("whole")));
}

/// Puts a folder below a class whose path is longer than the system takes, so that nobody, not even
/// root, can list it.
#[cfg(target_os = "linux")]
fn hide_a_folder(place: &Place) {
    let mut deep = place.path().join("pictures/zwei Wörter");
    while deep.as_os_str().len() < 3800 {
        deep.push("d".repeat(100));
    }
    fs::create_dir_all(&deep).unwrap();
    place.save(
        &format!("tail/{0}/{0}/hidden.png", "e".repeat(200)),
        &RgbImage::new(8, 8),
    );
    fs::rename(place.path().join("tail"), deep.join("tail")).unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_cannot_be_listed_is_an_error_unless_that_is_accepted() {
    let Some(place) = Place::new() else { return };
    hide_a_folder(&place);
    let reason = "the folder cannot be read: File name too long";
    place
        .extract()
        .assert()
        .code(1)
        .stderr(predicate::str::contains("error: zwei Wörter/ddd"))
        .stderr(predicate::str::contains(reason))
        .stderr(predicate::str::contains("--accept-unreadable"));
    assert!(!place.path().join("store").exists());
    place.extract().arg("--dry-run").assert().code(1);
    place
        .extract()
        .arg("--accept-unreadable")
        .assert()
        .success()
        .stdout(predicate::str::contains(reason));
    assert_eq!(place.store().pictures().len(), 2);
}

#[test]
fn single_pictures_that_cannot_be_read_are_tried_again_and_no_others_are_computed() {
    let Some((place, list)) = listed_job() else {
        return;
    };
    assert_eq!(extract_list(&place, &list, "whole", &[]).0, Some(0));
    rename(&place, "own/03", "03");
    rename(&place, "own/23", "23");
    let (code, said) = extract_list(&place, &list, "store", &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("2 pictures could not be read"), "{said}");
    assert!(said.contains("own/03/03.png: cannot be read now"), "{said}");
    assert!(
        said.contains("38 of 40 pictures are done and kept in store.partial"),
        "{said}"
    );
    rename(&place, "23", "own/23");
    let (code, said) = extract_list(&place, &list, "store", &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("1 picture could not be read"), "{said}");
    assert!(said.contains("39 of 40 pictures are done"), "{said}");
    rename(&place, "03", "own/03");
    let (code, said) = extract_list(&place, &list, "store", &[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("codes: 1 computed, 39 pictures done by an earlier run"),
        "{said}"
    );
    let expected = files(&place.path().join("whole"));
    assert_same_files(&place.path().join("store"), &expected);
}

#[test]
fn what_cannot_be_read_can_be_accepted_and_is_listed_then() {
    let Some((place, list)) = listed_job() else {
        return;
    };
    rename(&place, "own/13", "13");
    assert_eq!(extract_list(&place, &list, "store", &[]).0, Some(1));
    let (code, said) = extract_list(&place, &list, "store", &["--dry-run"]);
    assert_eq!(code, Some(1));
    assert!(
        said.contains("because their disk or the system failed: 1"),
        "{said}"
    );
    let (code, said) = extract_list(&place, &list, "store", &["--accept-unreadable"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("1  out of reach"), "{said}");
    assert_eq!(place.store().pictures().len(), 39);
}

#[test]
fn a_file_that_a_list_names_and_that_is_not_in_its_folder_is_its_own_fault() {
    let Some((place, list)) = listed_job() else {
        return;
    };
    let list = format!("{list}all/typo.png\n");
    let (code, said) = extract_list(&place, &list, "store", &[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("1  missing") && said.contains("all/typo.png"),
        "{said}"
    );
}
