//! `cnn-codes extract-features` from the outside, on a trunk whose codes are known by hand.

use crate::support;

use std::fs;
use std::path::PathBuf;

use assert_cmd::Command;
use cnn_codes::codes::Dtype;
use predicates::prelude::*;
use support::place::{Extract, Place, quarters};
use support::tiny_trunk;

#[test]
fn codes_labels_and_tables_are_what_a_hand_computes() {
    let Some(place) = Place::new() else { return };
    place
        .extract()
        .assert()
        .success()
        .stdout(predicate::str::contains(
            "2 codes of 2x2x3 (f32, CPUExecutionProvider)",
        ))
        .stdout(predicate::str::contains("     1  zwei Wörter\n"));
    let store = place.store();
    // By code points, as Python sorts: "z" is before "Ä".
    assert_eq!(
        store.manifest().store.classes,
        ["zwei Wörter", "Äpfel & Birnen"]
    );
    let rows: Vec<_> = store
        .pictures()
        .iter()
        .map(|row| (row.label, &*row.path))
        .collect();
    assert_eq!(
        rows,
        [
            (Some(0), "zwei Wörter/sub/2.png"),
            (Some(1), "Äpfel & Birnen/1.png")
        ]
    );
    let codes = store.read_codes().unwrap();
    // The weights are 1, 2 and -1; three quarters are black.
    assert_eq!(codes.row(0).to_vec()[..4], [200.0, 200.0, 0.0, 0.0]);
    assert_eq!(codes.row(1).to_vec()[..4], [10.0, 40.0, -30.0, 0.0]);
    assert_eq!(codes.iter().skip(3).take(9).sum::<f32>(), 0.0);
    let file = fs::read(place.path().join("pictures/Äpfel & Birnen/1.png")).unwrap();
    assert_eq!(store.pictures()[1].blake3, blake3::hash(&file));
}

#[test]
fn options_reach_the_codes_and_the_manifest() {
    let Some(place) = Place::new() else { return };
    place
        .extract()
        .args([
            "--pool", "avg", "--dtype", "f16", "--recipe", "rescale", "--resize", "pad",
        ])
        .args([
            "--filter",
            "lanczos",
            "--batch-size",
            "1",
            "--threads",
            "1",
            "--device",
            "cpu",
        ])
        .assert()
        .success();
    let store = place.store();
    let manifest = &store.manifest().store;
    assert_eq!(
        (manifest.dtype, store.manifest().shape()),
        (Dtype::F16, vec![2, 3])
    );
    let root = place.path().join("pictures");
    assert_eq!(manifest.root.as_deref(), root.to_str());
    let codes = &manifest.codes;
    assert_eq!(
        (
            codes.recipe.to_string().as_str(),
            codes.pool.to_string().as_str()
        ),
        ("rescale", "avg")
    );
    assert_eq!(
        (
            codes.resize.fit.to_string().as_str(),
            codes.resize.filter.name()
        ),
        ("pad", "lanczos")
    );
    // A quarter of 200 / 255 and of 2 * 100 / 255, to half precision.
    let row = store.read_codes().unwrap().row(0).to_vec();
    for (actual, expected) in row.iter().zip([50.0 / 255.0, 50.0 / 255.0, 0.0]) {
        assert!((actual - expected).abs() < 1e-4, "{row:?}");
    }
}

#[test]
fn a_cards_fit_and_filter_are_taken_where_no_others_are_asked_for() {
    let Some(place) = Place::new() else { return };
    let card = fs::read_to_string(place.path().join("tiny.toml")).unwrap();
    let card = card.replace("format = 1", "format = 2");
    let with_fit = card.replace(
        "[input]",
        "[input]\nfit = \"crop:10\"\nfilter = \"bicubic\"",
    );
    place.write("cropped.toml", with_fit.as_bytes());
    let codes_with = |arguments: &[&str]| {
        let mut command = place.extract_with_card("cropped.toml");
        command
            .args(arguments)
            .arg("--overwrite")
            .assert()
            .success();
        let store = place.store();
        let resize = store.manifest().store.codes.resize;
        (resize.fit.to_string(), resize.filter.name())
    };
    assert_eq!(codes_with(&[]), ("crop:10".to_owned(), "bicubic"));
    assert_eq!(
        codes_with(&["--resize", "crop:9", "--filter", "nearest"]),
        ("crop:9".to_owned(), "nearest")
    );
    assert_eq!(codes_with(&["--resize", "stretch"]).0, "stretch");
    for (side, code, said) in [
        (
            "crop:7",
            1,
            "--resize is crop:7; 8 x 8 pixels are cut out, so the shorter side must be 8 at least",
        ),
        ("crop:", 2, "after crop: comes the number of pixels"),
        ("corp", 2, "choose from: stretch, crop, pad), or crop:N"),
    ] {
        let mut command = place.extract_with_card("cropped.toml");
        command
            .args(["--resize", side, "--overwrite"])
            .assert()
            .code(code)
            .stderr(predicate::str::contains(said));
    }
}

#[test]
fn large_jpegs_are_decoded_at_a_smaller_size_where_that_is_asked_for_and_it_is_said() {
    let Some(place) = Place::new() else { return };
    // Of 224 x 224 pixels, for a trunk that takes 8 x 8.
    let jpeg = fs::read(support::root().join("data/validation/birds/owl.jpg")).unwrap();
    let (width, height) = image::load_from_memory(&jpeg)
        .unwrap()
        .into_rgb8()
        .dimensions();
    place.write("pictures/zwei Wörter/photo.jpg", &jpeg);
    let codes = |decode: &str| {
        let mut extract = place.extract();
        extract
            .args(["--overwrite", "--decode", decode])
            .assert()
            .success();
        let store = place.store();
        let photo = store
            .pictures()
            .iter()
            .position(|row| row.path.ends_with("photo.jpg"));
        let row = &store.pictures()[photo.unwrap()];
        assert_eq!((row.width, row.height), (width, height));
        (
            store.read_codes().unwrap().row(photo.unwrap()).to_vec(),
            store,
        )
    };
    let said = |text: &str| {
        let json = fs::read_to_string(place.path().join("store/store.json")).unwrap();
        assert_eq!(
            json.contains("\"decoding\": \"scaled\""),
            text == "scaled",
            "{json}"
        );
    };
    let (full, _) = codes("full");
    said("full");
    fs::rename(place.path().join("store"), place.path().join("whole")).unwrap();
    let (scaled, _) = codes("scaled");
    said("scaled");
    assert_ne!(scaled, full);
    let near = |(a, b): (&f32, &f32)| (a - b).abs() <= 4.0;
    assert!(scaled.iter().zip(&full).all(near), "{scaled:?} {full:?}");
    let mut train = support::cnn_codes();
    train.current_dir(place.path()).args([
        "train-head",
        "--train",
        "store",
        "--validation",
        "whole",
    ]);
    train
        .args(["--out", "head"])
        .assert()
        .code(1)
        .stderr(predicate::str::contains(
            "8x8 stretch bilinear, large JPEGs decoded at a smaller size and 8x8 stretch bilinear",
        ));
}

#[test]
fn rows_do_not_depend_on_threads_or_batch_size() {
    let Some(place) = Place::new() else { return };
    for i in 0..9 {
        let level = 20 * i + 5;
        place.save(
            &format!("pictures/zwei Wörter/{i}.png"),
            &quarters([level, level / 2, 255]),
        );
    }
    let bytes_with = |threads: &str, batch_size: &str| {
        place
            .extract()
            .args([
                "--overwrite",
                "--threads",
                threads,
                "--batch-size",
                batch_size,
            ])
            .assert()
            .success();
        [
            "codes.npy",
            "labels.npy",
            "images.csv",
            "failures.csv",
            "store.json",
        ]
        .map(|name| fs::read(place.path().join("store").join(name)).unwrap())
    };
    let one = bytes_with("1", "20");
    assert_eq!(place.store().labels().unwrap().len(), 11);
    assert!(one == bytes_with("8", "3"));
}

#[test]
fn a_channels_first_trunk_gives_channels_last_codes() {
    let Some(place) = Place::new() else { return };
    place.extract().assert().success();
    let last = place.store().read_codes().unwrap();
    tiny_trunk::write_with(place.path(), "channels_first", [3, 2, 2]);
    place.extract().arg("--overwrite").assert().success();
    assert_eq!(place.store().manifest().shape(), [2, 2, 2, 3]);
    assert_eq!(place.store().read_codes().unwrap(), last);
}

#[test]
fn pictures_that_cannot_be_read_are_listed_and_the_rest_goes_on() {
    let Some(place) = Place::new() else { return };
    place.write("pictures/zwei Wörter/empty.jpg", b"");
    place.write(
        "pictures/zwei Wörter/page.png",
        b"<!DOCTYPE html><p>not found",
    );
    place.write("pictures/zwei Wörter/notes.txt", b"not a picture");
    place
        .extract()
        .assert()
        .success()
        .stdout(predicate::str::contains(
            "could not be used: 2 (store/failures.csv)",
        ))
        .stdout(predicate::str::contains(
            "passed over, not pictures by their endings: 1 .txt",
        ));
    place
        .extract()
        .arg("--dry-run")
        .assert()
        .success()
        .stdout(predicate::str::contains(
            "passed over, not pictures by their endings: 1 .txt\n",
        ));
    let failures = fs::read_to_string(place.path().join("store/failures.csv")).unwrap();
    let lines: Vec<_> = failures.lines().collect();
    assert_eq!(lines.len(), 3, "{failures}");
    assert!(lines[1].starts_with("zwei Wörter/empty.jpg,"), "{failures}");
    assert!(lines[2].starts_with("zwei Wörter/page.png,"), "{failures}");
    assert_eq!(place.store().labels().unwrap(), [0, 1]);

    place
        .extract()
        .args(["--overwrite", "--strict"])
        .assert()
        .code(1)
        .stderr(predicate::str::contains("error: zwei Wörter/empty.jpg: "));
    assert_eq!(
        place.store().labels().unwrap(),
        [0, 1],
        "the old store is whole"
    );
}

#[test]
fn when_no_picture_can_be_used_there_is_no_store() {
    let Some(place) = Place::new() else { return };
    fs::remove_dir_all(place.path().join("pictures")).unwrap();
    place.write("pictures/a/1.jpg", b"x");
    place.write("pictures/b/2.jpg", b"x");
    place
        .extract()
        .assert()
        .code(1)
        .stderr(predicate::str::contains(
            "none of the 2 pictures could be used",
        ));
    assert_eq!(place.names(), ["pictures", "tiny.onnx", "tiny.toml"]);
}

#[cfg(unix)]
#[test]
fn fifos_and_folders_named_as_pictures_do_no_harm() {
    let Some(place) = Place::new() else { return };
    let fifo = place.path().join("pictures/zwei Wörter/pipe.jpg");
    let made = std::process::Command::new("mkfifo")
        .arg(&fifo)
        .status()
        .unwrap();
    assert!(made.success());
    fs::create_dir(place.path().join("pictures/zwei Wörter/folder.jpg")).unwrap();
    place
        .extract()
        .timeout(std::time::Duration::from_secs(60))
        .assert()
        .success()
        .stdout(predicate::str::contains("pipe.jpg: not a regular file"));
}

#[test]
fn a_store_that_is_there_is_kept_unless_it_may_be_replaced() {
    let Some(place) = Place::new() else { return };
    place.extract().assert().success();
    let before = fs::read(place.path().join("store/codes.npy")).unwrap();
    place
        .extract()
        .args(["--recipe", "caffe"])
        .assert()
        .code(1)
        .stderr(predicate::str::ends_with(
            "error: store exists already; give --overwrite to replace it, or another --out\n",
        ));
    assert_eq!(
        fs::read(place.path().join("store/codes.npy")).unwrap(),
        before
    );
    place
        .extract()
        .args(["--recipe", "caffe", "--overwrite"])
        .assert()
        .success();
    assert_ne!(
        fs::read(place.path().join("store/codes.npy")).unwrap(),
        before
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_fills_up_is_an_error_and_the_old_store_stays() {
    let Some(place) = Place::new() else { return };
    place.extract().assert().success();
    for i in 0..200 {
        place.save(
            &format!("pictures/zwei Wörter/{i}.png"),
            &quarters([i, 1, 2]),
        );
    }
    // Files may not grow beyond 8 KiB: writing fails as it does on a full disk.
    let binary = assert_cmd::cargo::cargo_bin!("cnn-codes");
    let models = support::models_with_onnxruntime().unwrap();
    let limited = format!(
        "trap '' XFSZ; ulimit -f 8; exec '{}' extract-features --models '{}' pictures --out store --card tiny.toml --overwrite",
        binary.display(),
        models.display()
    );
    Command::new("bash")
        .current_dir(place.path())
        .args(["-c", &limited])
        .assert()
        .code(1)
        .stderr(predicate::str::contains(
            "error: cannot write store.partial/",
        ))
        .stderr(predicate::str::contains("File too large"));
    assert_eq!(place.store().labels().unwrap(), [0, 1]);
    assert_eq!(
        place.names(),
        ["pictures", "store", "tiny.onnx", "tiny.toml"]
    );
}

/// What the command says on stderr when it fails with exit code 1 and leaves no store.
fn message(place: &Place, mut command: Command) -> String {
    let output = command.assert().code(1).get_output().clone();
    assert!(!place.path().join("store").exists());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn files_that_do_not_fit_are_refused_by_name() {
    let Some(place) = Place::new() else { return };
    let with = |arguments: &[&str]| {
        let mut command = place.extract();
        command.args(arguments);
        command
    };
    place.write("text.onnx", b"this is no ONNX file");
    let said = message(&place, with(&["--model", "text.onnx"]));
    assert!(said.contains("text.onnx"), "{said}");

    let card = fs::read_to_string(place.path().join("tiny.toml")).unwrap();
    place.write(
        "wide.toml",
        card.replace("width = 8", "width = 16").as_bytes(),
    );
    let said = message(&place, place.extract_with_card("wide.toml"));
    assert!(
        said.contains("wide.toml") && said.contains("tiny.onnx"),
        "{said}"
    );
    assert!(said.contains("16") && said.contains('8'), "{said}");

    place.write(
        "other.toml",
        card.replace("\"means\"", "\"no such output\"").as_bytes(),
    );
    let said = message(&place, place.extract_with_card("other.toml"));
    assert!(
        said.contains("no such output") && said.contains("means"),
        "{said}"
    );

    place.write("typo.toml", card.replace("recipe =", "recipy =").as_bytes());
    let said = message(&place, place.extract_with_card("typo.toml"));
    assert!(said.contains("recipy"), "{said}");

    let said = message(&place, with(&["--model", "missing.onnx"]));
    assert!(said.contains("there is no trunk at missing.onnx"), "{said}");

    let said = message(&place, with(&["--device", "cuda"]));
    assert!(said.contains("CUDA cannot be used: "), "{said}");
    assert!(said.contains("fetch onnxruntime --cuda"), "{said}");
}

#[test]
fn a_missing_library_is_an_error_with_the_places_and_the_way_out() {
    let Some(place) = Place::new() else { return };
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("cnn-codes"));
    command
        .current_dir(place.path())
        .env_remove("ORT_DYLIB_PATH")
        .env_remove("CNN_CODES_MODELS")
        .args(["extract-features", "pictures", "--out", "store"])
        .args(["--card", "tiny.toml", "--models", "models"])
        .assert()
        .code(1)
        .stderr(predicate::str::contains("--onnxruntime (not set)"))
        .stderr(predicate::str::contains("ORT_DYLIB_PATH (not set)"))
        .stderr(predicate::str::contains(
            "models folder (models/onnxruntime)",
        ))
        .stderr(predicate::str::contains("cnn-codes fetch onnxruntime"));
}

#[test]
fn wrong_usage_exits_with_2() {
    let mut command = support::cnn_codes();
    let wrong = ["extract-features", "x", "--out", "y", "--recipe", "cafe"];
    command
        .args(wrong)
        .assert()
        .code(2)
        .stderr(predicate::str::contains("caffe, rescale, torch, tf, none"));
}

#[test]
fn the_summary_can_be_read_by_a_program() {
    let Some(place) = Place::new() else { return };
    place.write("pictures/zwei Wörter/empty.jpg", b"");
    let output = place
        .extract()
        .args(["--format", "json"])
        .assert()
        .success()
        .get_output()
        .clone();
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["pictures"], 2);
    assert_eq!(summary["shape"], serde_json::json!([2, 2, 2, 3]));
    assert_eq!(summary["failures"]["total"], 1);
    assert_eq!(summary["failures"]["by_kind"]["empty"], 1);
    assert_eq!(
        summary["failures"]["first"][0]["path"],
        "zwei Wörter/empty.jpg"
    );
    assert_eq!(summary["computed"], 2);
    assert_eq!(summary["provider"], "CPUExecutionProvider");
}

#[test]
fn a_closed_pipe_is_no_error() {
    let Some(place) = Place::new() else { return };
    let binary = assert_cmd::cargo::cargo_bin!("cnn-codes");
    let models: PathBuf = support::models_with_onnxruntime().unwrap();
    let piped = format!(
        "set -o pipefail; '{}' extract-features --models '{}' pictures --out store --card tiny.toml | true",
        binary.display(),
        models.display()
    );
    Command::new("bash")
        .current_dir(place.path())
        .args(["-c", &piped])
        .assert()
        .success()
        .stderr(predicate::str::contains("panicked").not());
    assert_eq!(place.store().labels().unwrap(), [0, 1]);
}

/// failures.csv without its header.
fn failures(place: &Place) -> Vec<String> {
    let table = fs::read_to_string(place.path().join("store/failures.csv")).unwrap();
    table.lines().skip(1).map(str::to_owned).collect()
}

#[test]
fn a_code_that_is_not_finite_is_a_failure_and_so_is_that_of_a_copy() {
    let Some(place) = Place::new() else { return };
    // Twice the largest float32 is infinite; pictures without red have codes of 0 there.
    tiny_trunk::write_weights(place.path(), [f32::MAX, 1.0, 1.0]);
    for (name, color) in [
        ("3", [0, 7, 7]),
        ("4", [9, 9, 9]),
        ("5", [9, 9, 9]),
        ("6", [0, 7, 7]),
    ] {
        place.save(
            &format!("pictures/Äpfel & Birnen/{name}.png"),
            &quarters(color),
        );
    }
    let extract = |batch_size: &str, more: &[&str]| {
        let mut command = place.extract();
        command.args(["--batch-size", batch_size]).args(more);
        command.assert().success()
    };
    let finite = ["Äpfel & Birnen/3.png", "Äpfel & Birnen/6.png"];
    for batch_size in ["1", "20"] {
        extract(batch_size, &["--overwrite"]).stdout(predicate::str::contains("4  not finite"));
        let said = failures(&place);
        assert_eq!(said.len(), 4);
        assert!(
            said.iter()
                .all(|line| line.ends_with("its code holds NaN or infinity"))
        );
        let store = place.store();
        let rows: Vec<_> = store.pictures().iter().map(|row| &*row.path).collect();
        assert_eq!(rows, finite);
        // The copy's code is that of the picture before it, whatever failed between them.
        assert_eq!(
            store.read_codes().unwrap().row(0),
            store.read_codes().unwrap().row(1)
        );
        assert_eq!(
            store.read_codes().unwrap().row(0).to_vec()[..3],
            [0.0, 7.0, 7.0]
        );
    }
    let strict = place
        .extract()
        .args(["--overwrite", "--strict"])
        .assert()
        .code(1);
    strict.stderr(predicate::str::contains("its code holds NaN or infinity"));
}

#[test]
fn a_code_that_f16_cannot_hold_is_a_failure_with_the_way_out() {
    let Some(place) = Place::new() else { return };
    tiny_trunk::write_weights(place.path(), [1000.0, 1.0, 1.0]);
    // A red of 200 makes 200,000; of 10 it makes 10,000, which 16 bits hold.
    let extract = place.extract().args(["--dtype", "f16"]).assert().success();
    extract.stdout(predicate::str::contains(
        "65504; extract with --dtype f32\n",
    ));
    let said = failures(&place);
    assert!(
        said[0].starts_with("zwei Wörter/sub/2.png,") && said[0].contains("beyond those of f16")
    );
    assert_eq!(place.store().read_codes().unwrap().row(0)[0], 10_000.0);
    place.extract().arg("--overwrite").assert().success();
    assert_eq!(place.store().read_codes().unwrap().row(0)[0], 200_000.0);
}

#[test]
fn codes_that_are_not_finite_are_not_copied_from_another_store() {
    let Some(place) = Place::new() else { return };
    place.extract().assert().success();
    let codes = place.path().join("store/codes.npy");
    let mut bytes = fs::read(&codes).unwrap();
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&codes, bytes).unwrap();
    fs::rename(place.path().join("store"), place.path().join("old")).unwrap();
    place.extract().args(["--reuse", "old"]).assert().success();
    let said = failures(&place);
    assert!(
        said[0].starts_with("Äpfel & Birnen/1.png,") && said[0].contains("NaN"),
        "{said:?}"
    );
    assert_eq!(place.store().pictures().len(), 1);
}

#[test]
fn a_trunk_that_gives_one_code_for_all_pictures_is_an_error() {
    let Some(place) = Place::new() else { return };
    tiny_trunk::write_weights(place.path(), [0.0; 3]);
    place.save("pictures/zwei Wörter/3.png", &quarters([3, 3, 3]));
    // Two of these four are equal: three different pictures are too few to say so.
    place.save("pictures/zwei Wörter/4.png", &quarters([3, 3, 3]));
    place.extract().assert().success();
    place.save("pictures/zwei Wörter/5.png", &quarters([5, 5, 5]));
    for pool in ["none", "avg"] {
        place
            .extract()
            .args(["--overwrite", "--pool", pool])
            .assert()
            .code(1)
            .stderr(predicate::str::contains(
                "the same code for 4 different pictures",
            ))
            .stderr(predicate::str::contains("--kernels onnxruntime"));
    }
}

#[test]
fn pictures_of_more_pixels_than_asked_for_are_refused_with_the_option() {
    let Some(place) = Place::new() else { return };
    place.save("pictures/zwei Wörter/wide.png", &image::RgbImage::new(9, 8));
    let extract = |more: &[&str]| {
        let mut command = place.extract();
        command.args(more);
        command
    };
    let refused = "9 x 8 pixels are too many: up to 64 are read";
    let first = extract(&["--max-pixels", "64"]).assert().success();
    first.stdout(predicate::str::contains(format!(
        "{refused} (--max-pixels)\n"
    )));
    let said = failures(&place);
    assert_eq!(said.len(), 1);
    assert!(said[0].ends_with(refused), "{said:?}");
    let again = extract(&["--max-pixels", "64"]).assert().success();
    again.stdout(predicate::str::contains("complete already"));
    // With another limit it is another job.
    let other = extract(&[]).assert().code(1);
    other.stderr(predicate::str::contains("store exists already"));
    let dry = extract(&["--max-pixels", "64", "--dry-run"])
        .assert()
        .success();
    dry.stdout(predicate::str::contains("2 pictures can be used"));
    extract(&["--max-pixels", "1.5M"]).assert().code(2);
}
