//! Runs that are killed, stopped and repeated: what is done stays done, byte for byte.
//!
//! `CNN_CODES_TEST_KILLS` sets how often the kill test kills (10 unless told).

#![cfg(unix)]

use crate::long_job::{
    N_INPUTS, assert_same_files, end, files, long_job, n_lines, signal, start, wait_for_lines,
};
use crate::support;

use std::fs;
use std::process::{Command, Stdio};

use cnn_codes::codes::{Store, StoreError};
use image::{Rgb, RgbImage};
use predicates::prelude::*;
use support::place::{Extract, Place};
use support::wait_for;

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
    assert_eq!(end(start(&place, "whole", &[])).1, Some(0));
    let expected = files(&place.path().join("whole"));

    let (mut kills, mut resumed, mut runs) = (0, 0, 0);
    let mut random = 1_u64;
    while kills < n_kills {
        runs += 1;
        // Knuth's MMIX generator, whose upper bits become a share of what is left of the job.
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let share = (random >> 40) as f64 / f64::from(1 << 24);
        let draft = place.path().join("store.partial");
        let n_before = n_lines(&draft);
        // The job, a checkpoint for every second picture, and the end, at which the journal goes.
        let n_left = (1 + N_INPUTS.div_ceil(2) + 1).saturating_sub(n_before);
        let n = n_before + (share * n_left as f64) as usize;
        let mut child = start(&place, "store", &[]);
        wait_for("neither a checkpoint nor an end", || {
            n_lines(&draft) >= n || child.try_wait().unwrap().is_some()
        });
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
    for (name, expected) in [("-INT", 130), ("-TERM", 143), ("-HUP", 129)] {
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
fn a_run_whose_hangup_is_ignored_as_nohup_does_goes_on() {
    let Some(place) = long_job() else { return };
    let models = support::models_with_onnxruntime().unwrap();
    let child = Command::new("sh")
        .current_dir(place.path())
        .env("CNN_CODES_MODELS", models)
        .args(["-c", "trap '' HUP; exec \"$@\"", "sh"])
        .arg(assert_cmd::cargo::cargo_bin!("cnn-codes"))
        .args(["extract-features", "pictures", "--out", "store"])
        .args(["--card", "tiny.toml", "--batch-size", "2"])
        .args(["--checkpoint-every", "0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for_lines(&place.path().join("store.partial"), 3);
    signal(&child, "-HUP");
    let (said, code) = end(child);
    assert_eq!(code, Some(0), "{said}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_run_that_cannot_stop_as_a_picture_does_not_open_ends_by_itself_and_keeps_what_it_has() {
    use std::os::fd::AsRawFd;
    let Some(place) = long_job() else { return };
    // Whoever opens a file on which another holds a lease waits until that gives it up, or for 45 s.
    let picture = place.path().join("pictures/zwei Wörter/0200.png");
    let picture = fs::File::options().write(true).open(picture).unwrap();
    // SAFETY: neither call takes a pointer. The signal tells of one who waits, and would end the test.
    let is_leased = unsafe {
        libc::signal(libc::SIGIO, libc::SIG_IGN);
        libc::fcntl(picture.as_raw_fd(), libc::F_SETLEASE, libc::F_WRLCK) == 0
    };
    if !is_leased {
        support::skip!("the file system of the temporary folder gives no leases");
        return;
    }
    let child = start(&place, "store", &[]);
    let draft = place.path().join("store.partial");
    wait_for("nobody opened the picture", || {
        // SAFETY: the call takes no pointer.
        unsafe { libc::fcntl(picture.as_raw_fd(), libc::F_GETLEASE) != libc::F_WRLCK }
    });
    wait_for_lines(&draft, 20);
    signal(&child, "-TERM");
    let (said, code) = end(child);
    assert_eq!(code, Some(143), "{said}");
    assert!(said.contains("ended 10 s after a signal"), "{said}");
    assert!(n_lines(&draft) >= 20);
    drop(picture);
    let (said, code) = end(start(&place, "store", &[]));
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("going on after"), "{said}");
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
    assert!(said.contains("names, order, labels or groups"), "{said}");

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

#[test]
fn a_journal_that_counts_more_than_there_is_makes_no_store() {
    let Some(place) = long_job() else { return };
    stopped(&place, "-INT");
    let path = place.path().join("store.partial/journal.jsonl");
    let journal = fs::read_to_string(&path).unwrap();
    let last = journal.lines().last().unwrap();
    let checkpoint: serde_json::Value = serde_json::from_str(last).unwrap();
    let n_done = format!("\"n_done\":{},", checkpoint["n_done"]);
    let all = format!("\"n_done\":{},", N_INPUTS);
    assert!(last.contains(&n_done));
    let raised = journal.replace(last, &last.replace(&n_done, &all));
    fs::write(&path, &raised).unwrap();
    let (said, code) = end(start(&place, "store", &[]));
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("store.partial/journal.jsonl cannot be used: line "),
        "{said}"
    );
    assert!(said.contains("--restart"), "{said}");
    assert_eq!(fs::read_to_string(&path).unwrap(), raised, "it is kept");
    // As it was, it is gone on with.
    fs::write(&path, journal).unwrap();
    assert_eq!(end(start(&place, "store", &[])).1, Some(0));
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

/// Runs the long job under a limit of the shell.
#[cfg(target_os = "linux")]
fn limited(place: &Place, limit: &str, out: &str, more: &str) -> std::process::Output {
    let command = format!(
        "ulimit {limit}; exec '{}' extract-features pictures --out {out} --card tiny.toml {more}",
        assert_cmd::cargo::cargo_bin!("cnn-codes").display(),
    );
    Command::new("bash")
        .current_dir(place.path())
        .env(
            "CNN_CODES_MODELS",
            support::models_with_onnxruntime().unwrap(),
        )
        .args(["-c", &command])
        .output()
        .unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn too_many_threads_for_the_open_files_lose_no_picture() {
    let Some(place) = long_job() else { return };
    assert_eq!(end(start(&place, "whole", &[])).1, Some(0));
    let output = limited(&place, "-n 16", "store", "--threads 2 --batch-size 2");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // Either all are read, or it is told and tried again.
    if output.status.code() != Some(0) {
        assert!(said.contains("open files"), "{said}");
        assert!(!place.path().join("store").exists());
    }
    assert_eq!(end(start(&place, "store", &[])).1, Some(0));
    assert_same_files(
        &place.path().join("store"),
        &files(&place.path().join("whole")),
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_picture_that_ended_a_run_for_want_of_memory_is_listed_by_the_next() {
    let Some(place) = Place::new() else { return };
    // What the job takes without the picture.
    let enough = (3..30).map(|n| n * 150_000).find(|kib| {
        let output = limited(
            &place,
            &format!("-v {kib}"),
            "store",
            "--threads 1 --restart --overwrite",
        );
        output.status.success()
    });
    let limit = format!("-v {}", enough.unwrap() + 50_000);
    // 25 million pixels of 16-bit RGBA: 275 MB.
    let huge = image::ImageBuffer::from_pixel(5000, 5000, image::Rgba([0_u16; 4]));
    let huge = image::DynamicImage::ImageRgba16(huge);
    huge.save(place.path().join("pictures/zwei Wörter/huge.png"))
        .unwrap();
    let extract = |more: &str| limited(&place, &limit, "new", &format!("--threads 1 {more}"));
    let killed = extract("");
    assert_eq!(killed.status.code(), None, "{killed:?}");
    let listed = extract("");
    assert!(listed.status.success(), "{listed:?}");
    let failures = fs::read_to_string(place.path().join("new/failures.csv")).unwrap();
    assert!(failures.contains("huge.png"), "{failures}");
    assert!(
        failures.contains("an earlier run ended while it decoded this picture"),
        "{failures}"
    );
    assert_eq!(
        Store::open(&place.path().join("new"))
            .unwrap()
            .pictures()
            .len(),
        2
    );
    assert!(!place.path().join("new/in-hand.jsonl").exists());
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
