//! Stores in parts: their rows are those of one run, and parts of different jobs are no store.

#![cfg(unix)]

use crate::long_job::{end, long_job, start, wait_for_lines};
use crate::support;

use std::fs;

use cnn_codes::codes::Store;
use image::RgbImage;
use support::place::{Extract, Place};

#[test]
fn shards_in_any_order_give_the_rows_of_one_run() {
    let Some(place) = long_job() else { return };
    assert_eq!(end(start(&place, "whole", &[])).1, Some(0));
    let shard = |shard: &str| start(&place, "store", &["--shard", shard]);

    assert_eq!(end(shard("3/4")).1, Some(0));
    let open = || Store::open(&place.path().join("store"));
    let missing = open().unwrap_err().to_string();
    assert!(missing.contains("3 of its 4 parts are missing or unfinished: 0/4, 1/4, 2/4"));

    let (mut killed, other) = (shard("2/4"), shard("0/4"));
    wait_for_lines(&place.path().join("store/part-00002-of-00004.partial"), 3);
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert_eq!(end(other).1, Some(0));
    assert_eq!(end(shard("1/4")).1, Some(0));
    let missing = open().unwrap_err().to_string();
    assert!(
        missing.contains("1 of its 4 parts is missing or unfinished: 2/4"),
        "{missing}"
    );
    let (said, code) = end(shard("2/4"));
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("going on after"), "{said}");

    let (whole, parts) = (
        Store::open(&place.path().join("whole")).unwrap(),
        open().unwrap(),
    );
    assert_eq!(parts.pictures(), whole.pictures());
    assert_eq!(parts.labels(), whole.labels());
    assert_eq!(parts.read_codes().unwrap(), whole.read_codes().unwrap());
    assert_eq!(parts.manifest(), whole.manifest());
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for row in [0, 99, 100, 101, 250, 401] {
        parts.read_code_bytes(row, &mut a).unwrap();
        whole.read_code_bytes(row, &mut b).unwrap();
        assert_eq!(a, b, "row {row}");
    }
    let lines = |name: &str| {
        let text = fs::read_to_string(place.path().join(name).join("failures.csv")).unwrap();
        text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>()
    };
    let of_parts: Vec<_> = (0..4)
        .flat_map(|i| lines(&format!("store/part-{i:05}-of-00004")))
        .collect();
    assert_eq!(of_parts, lines("whole"));
}

#[test]
fn parts_that_do_not_belong_together_are_no_store() {
    let Some(place) = Place::new() else { return };
    let part = |shard: &str, more: &[&str]| {
        place
            .extract()
            .args(["--shard", shard])
            .args(more)
            .assert()
            .success();
    };
    let reason = || {
        Store::open(&place.path().join("store"))
            .unwrap_err()
            .to_string()
    };
    part("0/2", &[]);
    part("1/2", &["--recipe", "rescale"]);
    assert!(
        reason().contains("the recipe differs: none and rescale"),
        "{}",
        reason()
    );
    part("1/2", &["--overwrite"]);
    assert!(Store::open(&place.path().join("store")).is_ok());
    place.save("pictures/zwei Wörter/more.png", &RgbImage::new(8, 8));
    part("1/2", &["--overwrite"]);
    assert!(reason().contains("their pictures differ"), "{}", reason());
    part("0/3", &[]);
    assert!(
        reason().contains("it holds parts of 2 and of 3"),
        "{}",
        reason()
    );
}
