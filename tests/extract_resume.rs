//! Runs that are killed, stopped, repeated and split: what is done stays done, byte for byte.
//!
//! `CNN_CODES_TEST_KILLS` sets how often the kill test kills (10 unless told).

#![cfg(unix)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use cnn_codes::codes::{Store, StoreError};
use image::{Rgb, RgbImage};
use predicates::prelude::*;
use support::place::Place;

/// Pictures of the job that is long enough to be stopped: it syncs after every second one.
const N_PICTURES: usize = 400;

/// A job whose pictures all differ, some of them unusable, and one equal to another.
fn long_job() -> Option<Place> {
    let place = Place::new()?;
    for i in 0..N_PICTURES {
        let [low, high, _, _] = u32::try_from(i).unwrap().to_le_bytes();
        let picture = RgbImage::from_fn(8, 8, |x, y| Rgb([low, high, (8 * x + y) as u8]));
        place.save(&format!("pictures/zwei Wörter/{i:04}.png"), &picture);
    }
    for i in (0..N_PICTURES).step_by(50) {
        place.write(
            &format!("pictures/zwei Wörter/{i:04}.bad.png"),
            b"no picture",
        );
    }
    let first = fs::read(place.path().join("pictures/zwei Wörter/0000.png")).unwrap();
    place.write("pictures/zwei Wörter/0333.copy.png", &first);
    Some(place)
}

/// Starts the long job into `out`, with a checkpoint after every batch of 2.
fn start(place: &Place, out: &str, more: &[&str]) -> Child {
    let models = support::models_with_onnxruntime().unwrap();
    Command::new(assert_cmd::cargo::cargo_bin!("cnn-codes"))
        .current_dir(place.path())
        .env_remove("ORT_DYLIB_PATH")
        .env("CNN_CODES_MODELS", models)
        .args(["extract-features", "pictures", "--out", out])
        .args(["--card", "tiny.toml", "--threads", "2"])
        .args(["--batch-size", "2", "--checkpoint-every", "0"])
        .args(more)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Every file of a folder, with its bytes.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read(path).unwrap())
        })
        .collect()
}

fn assert_same_files(folder: &Path, expected: &BTreeMap<String, Vec<u8>>) {
    let actual = files(folder);
    let names: Vec<_> = actual.keys().collect();
    assert_eq!(names, expected.keys().collect::<Vec<_>>());
    for (name, bytes) in &actual {
        assert!(*bytes == expected[name], "{name} differs");
    }
}

/// Lines of the journal in `draft`: the job and its checkpoints.
fn n_lines(draft: &Path) -> usize {
    let journal = fs::read_to_string(draft.join("journal.jsonl"));
    journal.unwrap_or_default().lines().count()
}

/// Waits until the journal in `draft` has `n` lines.
fn wait_for_lines(draft: &Path, n: usize) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while n_lines(draft) < n {
        assert!(Instant::now() < deadline, "no checkpoint");
        thread::sleep(Duration::from_millis(2));
    }
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill")
        .args([name, &child.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
}

/// What a run that has ended said on stderr, and its exit code.
fn end(child: Child) -> (String, Option<i32>) {
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    (said, output.status.code())
}

/// A run that a signal stopped after a few batches, into `store`.
fn stopped(place: &Place, name: &str) -> (String, Option<i32>) {
    let draft = place.path().join("store.partial");
    let n_before = n_lines(&draft);
    let child = start(place, "store", &[]);
    wait_for_lines(&draft, n_before + 3);
    signal(&child, name);
    end(child)
}

#[test]
fn a_run_killed_again_and_again_leaves_the_bytes_of_one_that_was_not() {
    let Some(place) = long_job() else { return };
    let n_kills = std::env::var("CNN_CODES_TEST_KILLS");
    let n_kills = n_kills.map_or(10, |n| n.parse().unwrap());
    let start_of_whole = Instant::now();
    assert_eq!(end(start(&place, "whole", &[])).1, Some(0));
    let time_of_whole = start_of_whole.elapsed();
    let expected = files(&place.path().join("whole"));

    let (mut kills, mut resumed, mut runs) = (0, 0, 0);
    let mut random = 1_u64;
    while kills < n_kills {
        runs += 1;
        // Knuth's MMIX generator, whose upper bits become a share of the time of a whole run.
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let mut child = start(&place, "store", &[]);
        thread::sleep(time_of_whole.mul_f64((random >> 40) as f64 / f64::from(1 << 24)));
        let is_running = child.try_wait().unwrap().is_none();
        child.kill().unwrap();
        let (said, _) = end(child);
        kills += usize::from(is_running);
        resumed += usize::from(said.contains("going on after"));
        let store = place.path().join("store");
        if store.exists() {
            // It was done before the kill came, or the kill came after it was published.
            assert_same_files(&store, &expected);
            fs::remove_dir_all(&store).unwrap();
        } else {
            let draft = Store::open(&place.path().join("store.partial"));
            let is_whole = place.path().join("store.partial/store.json").exists();
            assert!(is_whole || matches!(draft, Err(StoreError::NotAStore { .. })));
        }
    }
    eprintln!("{kills} kills in {runs} runs, {resumed} of which went on from a checkpoint");
    assert!(resumed > 0, "every kill came too early to test anything");
    let (said, code) = end(start(&place, "store", &[]));
    assert_eq!(code, Some(0), "{said}");
    assert_same_files(&place.path().join("store"), &expected);
    assert!(!place.path().join("store.partial").exists());
}

#[test]
fn a_signal_stops_a_run_in_good_order_and_the_same_command_goes_on() {
    let Some(place) = long_job() else { return };
    assert_eq!(end(start(&place, "whole", &[])).1, Some(0));
    for (name, expected) in [("-INT", 130), ("-TERM", 143)] {
        let (said, code) = stopped(&place, name);
        assert_eq!(code, Some(expected), "{said}");
        assert!(said.contains("kept in store.partial: the same command goes on from there"));
        assert!(!place.path().join("store").exists());
    }
    let (said, code) = end(start(&place, "store", &[]));
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("going on after"), "{said}");
    assert_same_files(
        &place.path().join("store"),
        &files(&place.path().join("whole")),
    );
}

#[test]
fn a_stopped_run_is_not_gone_on_with_as_another_job() {
    let Some(place) = long_job() else { return };
    stopped(&place, "-INT");
    let before = files(&place.path().join("store.partial"));
    let refused = |more: &[&str]| {
        let (said, code) = end(start(&place, "store", more));
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("--restart"), "{said}");
        assert_same_files(&place.path().join("store.partial"), &before);
        said
    };
    for (option, value, difference) in [
        (
            "--recipe",
            "caffe",
            "the recipe differs: none then, caffe now",
        ),
        ("--pool", "avg", "the pooling differs: none then, avg now"),
        (
            "--resize",
            "crop",
            "the resizing differs: 8x8 stretch bilinear then, 8x8 crop",
        ),
        ("--dtype", "f16", "the dtype differs: f32 then, f16 now"),
    ] {
        let said = refused(&[option, value]);
        assert!(said.contains(difference), "{said}");
    }
    place.write("pictures/zwei Wörter/new.png", b"");
    let said = refused(&[]);
    assert!(
        said.contains("the pictures differ: 411 then, 412 now"),
        "{said}"
    );
    fs::remove_file(place.path().join("pictures/zwei Wörter/new.png")).unwrap();
    fs::rename(
        place.path().join("pictures/zwei Wörter/0007.png"),
        place.path().join("pictures/zwei Wörter/0007b.png"),
    )
    .unwrap();
    let said = refused(&[]);
    assert!(said.contains("names, order or labels"), "{said}");

    let (said, code) = end(start(&place, "store", &["--restart"]));
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("going on"), "{said}");
}

#[test]
fn an_unfinished_store_that_was_cut_is_refused_and_kept() {
    let Some(place) = long_job() else { return };
    stopped(&place, "-INT");
    // The last to be opened first, so that each in its turn is the one at fault.
    for name in ["failures.csv", "images.csv", "labels.npy", "codes.npy"] {
        let path = place.path().join("store.partial").join(name);
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(5).unwrap();
        let (said, code) = end(start(&place, "store", &[]));
        assert_eq!(code, Some(1));
        let expected = format!("store.partial/{name} cannot be used: it has 5 bytes");
        assert!(said.contains(&expected), "{said}");
        assert!(said.contains("--restart"), "{said}");
        assert!(path.exists());
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_run_that_filled_the_disk_goes_on_once_there_is_room() {
    let Some(place) = long_job() else { return };
    assert_eq!(end(start(&place, "whole", &[])).1, Some(0));
    // Files may not grow beyond 8 KiB: writing fails as it does on a full disk.
    let limited = format!(
        "trap '' XFSZ; ulimit -f 8; exec '{}' extract-features pictures --out store \
         --card tiny.toml --threads 2 --batch-size 2 --checkpoint-every 0",
        assert_cmd::cargo::cargo_bin!("cnn-codes").display(),
    );
    let models = support::models_with_onnxruntime().unwrap();
    assert_cmd::Command::new("bash")
        .current_dir(place.path())
        .env("CNN_CODES_MODELS", models)
        .args(["-c", &limited])
        .assert()
        .code(1)
        .stderr(predicate::str::contains(
            "error: cannot write store.partial/",
        ))
        .stderr(predicate::str::contains("File too large"))
        .stderr(predicate::str::contains(
            "the same command goes on from there",
        ));
    let (said, code) = end(start(&place, "store", &[]));
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("going on after"), "{said}");
    assert_same_files(
        &place.path().join("store"),
        &files(&place.path().join("whole")),
    );
}

#[test]
fn a_second_process_is_refused_until_the_first_is_gone() {
    let Some(place) = long_job() else { return };
    let mut first = start(&place, "store", &[]);
    wait_for_lines(&place.path().join("store.partial"), 2);
    // It must not end before the second has been refused.
    signal(&first, "-STOP");
    let (said, code) = end(start(&place, "store", &[]));
    assert_eq!(code, Some(1));
    assert!(
        said.contains("another process is writing store.partial"),
        "{said}"
    );
    first.kill().unwrap();
    first.wait().unwrap();
    assert_eq!(end(start(&place, "store", &[])).1, Some(0));
}

#[test]
fn a_store_that_the_same_job_completed_is_left_alone_and_no_error() {
    let Some(place) = Place::new() else { return };
    place.extract().assert().success();
    let before = files(&place.path().join("store"));
    let modified = |name| {
        fs::metadata(place.path().join("store").join(name))
            .unwrap()
            .modified()
    };
    let then = modified("codes.npy").unwrap();
    place
        .extract()
        .assert()
        .success()
        .stdout(predicate::str::contains("complete already"));
    assert_same_files(&place.path().join("store"), &before);
    assert_eq!(modified("codes.npy").unwrap(), then);
}

#[test]
fn shards_in_any_order_give_the_rows_of_one_run() {
    let Some(place) = long_job() else { return };
    assert_eq!(end(start(&place, "whole", &[])).1, Some(0));
    let shard = |shard: &str| start(&place, "store", &["--shard", shard]);

    assert_eq!(end(shard("3/4")).1, Some(0));
    let open = || Store::open(&place.path().join("store"));
    let missing = open().unwrap_err().to_string();
    assert!(missing.contains("3 of its 4 parts are missing or unfinished: 0/4, 1/4, 2/4;"));

    let (mut killed, other) = (shard("2/4"), shard("0/4"));
    wait_for_lines(&place.path().join("store/part-00002-of-00004.partial"), 3);
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert_eq!(end(other).1, Some(0));
    assert_eq!(end(shard("1/4")).1, Some(0));
    let missing = open().unwrap_err().to_string();
    assert!(
        missing.contains("1 of its 4 parts are missing or unfinished: 2/4;"),
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
    assert_eq!(parts.read_codes(), whole.read_codes());
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

/// The summary that a run prints for programs.
fn summary(command: &mut assert_cmd::Command) -> serde_json::Value {
    let output = command.args(["--format", "json"]).assert().success();
    serde_json::from_slice(&output.get_output().stdout).unwrap()
}

#[test]
fn codes_of_known_pictures_are_copied_and_equal_pictures_computed_once() {
    let Some(place) = Place::new() else { return };
    let old = summary(&mut place.extract());
    assert_eq!([&old["computed"], &old["repeated"]], [2, 0]);
    fs::rename(place.path().join("store"), place.path().join("old")).unwrap();

    let bytes = fs::read(place.path().join("pictures/zwei Wörter/sub/2.png")).unwrap();
    place.write("pictures/Äpfel & Birnen/same.png", &bytes);
    place.save(
        "pictures/zwei Wörter/3.png",
        &RgbImage::from_pixel(8, 8, Rgb([9, 8, 7])),
    );
    let whole = summary(&mut place.extract());
    assert_eq!([&whole["computed"], &whole["repeated"]], [3, 1]);
    let expected = files(&place.path().join("store"));

    for batch_size in ["1", "20"] {
        let mut command = place.extract();
        command.args(["--overwrite", "--reuse", "old", "--batch-size", batch_size]);
        let grown = summary(&mut command);
        assert_eq!([&grown["computed"], &grown["pictures"]], [1, 4]);
        assert_same_files(&place.path().join("store"), &expected);
    }
    place
        .extract()
        .args(["--overwrite", "--reuse", "old", "--recipe", "caffe"])
        .assert()
        .code(1)
        .stderr(predicate::str::contains(
            "the codes of old cannot be reused: the recipe differs: none and caffe",
        ));
    assert_same_files(&place.path().join("store"), &expected);
}

#[test]
fn a_dry_run_tells_what_cannot_be_used_and_leaves_nothing() {
    let Some(place) = Place::new() else { return };
    place.write("pictures/zwei Wörter/empty.jpg", b"");
    let before = place.names();
    let output = support::cnn_codes()
        .current_dir(place.path())
        .args([
            "extract-features",
            "pictures",
            "--card",
            "tiny.toml",
            "--dry-run",
        ])
        .args(["--format", "json"])
        .assert()
        .success();
    let seen: serde_json::Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    assert_eq!([&seen["usable"], &seen["failures"]["total"]], [2, 1]);
    assert_eq!(place.names(), before);
}

#[test]
fn a_folder_that_appears_during_a_run_stays_and_the_finished_store_takes_its_place_later() {
    let Some(place) = long_job() else { return };
    assert_eq!(end(start(&place, "whole", &[])).1, Some(0));
    for more in [&[][..], &["--overwrite"]] {
        let child = start(&place, "store", more);
        wait_for_lines(&place.path().join("store.partial"), 3);
        signal(&child, "-STOP");
        let store = place.path().join("store");
        assert!(!store.exists(), "it ended too early to test anything");
        place.write("store/thesis.txt", b"dear");
        signal(&child, "-CONT");
        let (said, code) = end(child);
        assert_eq!(code, Some(1), "{said}");
        let expected = "error: store was put there by something else in the meantime, and was \
                        left as it is; the finished store is kept in store.partial: once that is \
                        mended, the same command puts it in its place\n";
        assert!(said.ends_with(expected), "{said}");
        assert_eq!(
            files(&store),
            [("thesis.txt".to_owned(), b"dear".to_vec())].into()
        );

        fs::remove_dir_all(&store).unwrap();
        let (said, code) = end(start(&place, "store", more));
        assert_eq!(code, Some(0), "{said}");
        assert_same_files(&store, &files(&place.path().join("whole")));
        assert!(!place.path().join("store.partial").exists());
        fs::remove_dir_all(&store).unwrap();
    }
}

#[test]
fn a_link_in_the_place_of_a_file_of_the_draft_is_not_written_through() {
    let Some(place) = long_job() else { return };
    stopped(&place, "-INT");
    place.write("thesis.txt", b"dear");
    for name in [
        "failures.csv",
        "images.csv",
        "labels.npy",
        "codes.npy",
        "journal.jsonl",
        ".lock",
    ] {
        let path = place.path().join("store.partial").join(name);
        let aside = place.path().join("aside");
        fs::rename(&path, &aside).unwrap();
        std::os::unix::fs::symlink("../thesis.txt", &path).unwrap();
        let (said, code) = end(start(&place, "store", &[]));
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("it is a link; remove it"), "{said}");
        assert_eq!(fs::read(place.path().join("thesis.txt")).unwrap(), b"dear");
        fs::remove_file(&path).unwrap();
        fs::rename(&aside, &path).unwrap();
    }
    assert_eq!(end(start(&place, "store", &[])).1, Some(0));
}
