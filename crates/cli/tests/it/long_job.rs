//! An extraction that is long enough to be stopped, and the files that it leaves.

#![cfg(unix)]

use crate::support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use image::{Rgb, RgbImage};
use support::place::Place;
use support::wait_for;

/// Pictures of the job that is long enough to be stopped: it syncs after every second one.
pub const N_PICTURES: usize = 400;
/// With two others, a copy, and a file of no picture for every 50 pictures.
pub const N_INPUTS: usize = N_PICTURES + 2 + 1 + N_PICTURES / 50;

/// A job whose pictures all differ, some of them unusable, and one equal to another.
pub fn long_job() -> Option<Place> {
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
pub fn start(place: &Place, out: &str, more: &[&str]) -> Child {
    let models = support::models_with_onnxruntime().unwrap();
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("cnn-codes"));
    support::with_hangups(&mut command)
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
pub fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read(path).unwrap())
        })
        .collect()
}

pub fn assert_same_files(folder: &Path, expected: &BTreeMap<String, Vec<u8>>) {
    let actual = files(folder);
    let names: Vec<_> = actual.keys().collect();
    assert_eq!(names, expected.keys().collect::<Vec<_>>());
    for (name, bytes) in &actual {
        assert!(*bytes == expected[name], "{name} differs");
    }
}

/// Lines of the journal in `draft`: the job and its checkpoints.
pub fn n_lines(draft: &Path) -> usize {
    let journal = fs::read_to_string(draft.join("journal.jsonl"));
    journal.unwrap_or_default().lines().count()
}

/// Waits until the journal in `draft` has `n` lines.
pub fn wait_for_lines(draft: &Path, n: usize) {
    wait_for("no checkpoint", || n_lines(draft) >= n);
}

pub fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill")
        .args([name, &child.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
}

/// What a run that has ended said on stderr, and its exit code.
pub fn end(child: Child) -> (String, Option<i32>) {
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    (said, output.status.code())
}
