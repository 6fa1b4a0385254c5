//! `cnn-codes check` end to end.

mod support;

use std::fs;
use std::path::Path;

use image::{Rgb, RgbImage, imageops};
use serde_json::Value;

/// Soft blobs that no other seed has, on 96 x 72 pixels.
fn scene(seed: u32) -> RgbImage {
    let mut bytes = [0; 48];
    blake3::Hasher::new()
        .update(&seed.to_le_bytes())
        .finalize_xof()
        .fill(&mut bytes);
    let unit = |n: u32| f64::from(bytes[n as usize]) / 255.0;
    RgbImage::from_fn(96, 72, |x, y| {
        let (x, y) = (f64::from(x) / 96.0, f64::from(y) / 72.0);
        let mut level = 90.0;
        for blob in 0..12 {
            let (dx, dy) = (x - unit(4 * blob), y - unit(4 * blob + 1));
            let width = 0.004 + 0.02 * unit(4 * blob + 2);
            level += 160.0 * (unit(4 * blob + 3) - 0.4) * (-(dx * dx + dy * dy) / width).exp();
        }
        let byte = level.clamp(0.0, 255.0) as u8;
        Rgb([byte, byte / 2, 255 - byte])
    })
}

fn save(folder: &Path, name: &str, picture: &RgbImage) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    picture.save(path).unwrap();
}

/// Two classes of ten pictures each, in `folder/train`.
fn sound(folder: &Path) {
    for seed in 0..10 {
        save(folder, &format!("train/a/{seed}.png"), &scene(seed));
        save(folder, &format!("train/b/{seed}.png"), &scene(100 + seed));
    }
}

fn check(folder: &Path, arguments: &[&str]) -> (Value, Option<i32>) {
    let output = support::cnn_codes()
        .current_dir(folder)
        .arg("check")
        .args(arguments)
        .args(["--format", "json"])
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    let json = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{stderr}"));
    (json, output.status.code())
}

/// The paths of each group of copies, with its kinds.
fn groups(found: &Value) -> Vec<(Vec<String>, Vec<String>)> {
    let texts = |list: &Value, key: Option<&str>| -> Vec<String> {
        let list = list.as_array().unwrap().iter();
        list.map(|item| {
            key.map_or(item, |key| &item[key])
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect()
    };
    let groups = found["duplicates"].as_array().unwrap().iter();
    groups
        .map(|group| {
            (
                texts(&group["pictures"], Some("path")),
                texts(&group["kinds"], None),
            )
        })
        .collect()
}

fn of_kind(found: &Value, kind: &str) -> Vec<String> {
    let findings = found["findings"].as_array().unwrap().iter();
    findings
        .filter(|finding| finding["kind"] == kind)
        .map(|finding| finding["path"].as_str().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn nothing_is_found_in_sound_pictures() {
    let folder = tempfile::tempdir().unwrap();
    sound(folder.path());
    let (found, code) = check(folder.path(), &["train", "--strict"]);
    assert_eq!(found["counts"], serde_json::json!({}));
    assert_eq!(found["inputs"][0]["classes"][1]["color_modes"]["rgb"], 10);
    assert_eq!(code, Some(0));
}

#[test]
fn what_is_wrong_with_single_pictures_is_named() {
    let folder = tempfile::tempdir().unwrap();
    sound(folder.path());
    let train = folder.path().join("train");
    let whole = fs::read(train.join("a/1.png")).unwrap();
    fs::write(train.join("a/cut.png"), &whole[..whole.len() / 2]).unwrap();
    fs::write(train.join("a/page.jpg"), "<html>gone</html>").unwrap();
    save(
        &train,
        "b/small.png",
        &imageops::thumbnail(&scene(50), 20, 40),
    );
    save(
        &train,
        "b/strip.png",
        &imageops::resize(&scene(51), 300, 60, imageops::Triangle),
    );
    save(
        &train,
        "b/blank.png",
        &RgbImage::from_pixel(64, 64, Rgb([250; 3])),
    );
    save(
        &train,
        "b/blank too.png",
        &RgbImage::from_pixel(70, 64, Rgb([250, 250, 249])),
    );
    let (found, code) = check(folder.path(), &["train"]);
    assert_eq!(of_kind(&found, "broken"), ["a/cut.png", "a/page.jpg"]);
    assert_eq!(of_kind(&found, "tiny"), ["b/small.png"]);
    assert_eq!(of_kind(&found, "extreme_aspect"), ["b/strip.png"]);
    assert_eq!(of_kind(&found, "blank"), ["b/blank too.png", "b/blank.png"]);
    assert!(groups(&found).is_empty(), "blank pictures are no copies");
    assert_eq!(code, Some(0));
    for (strict, code) in [
        ("--strict", 1),
        ("--strict=blank,leakage", 1),
        ("--strict=leakage", 0),
    ] {
        assert_eq!(
            check(folder.path(), &["train", strict]).1,
            Some(code),
            "{strict}"
        );
    }
}

#[test]
fn copies_are_found_in_a_class_in_two_classes_and_in_two_inputs() {
    let folder = tempfile::tempdir().unwrap();
    sound(folder.path());
    let path = folder.path();
    fs::copy(path.join("train/a/1.png"), path.join("train/a/1 again.png")).unwrap();
    save(
        path,
        "train/b/2 mirrored.png",
        &imageops::flip_horizontal(&scene(2)),
    );
    let cropped = imageops::crop_imm(&scene(103), 3, 2, 90, 68).to_image();
    let larger = imageops::resize(&cropped, 180, 136, imageops::CatmullRom);
    save(path, "validation/b/3 cropped.png", &larger);
    save(path, "validation/a/new.png", &scene(200));
    let (found, _) = check(path, &["train", "validation"]);
    let expected = [
        (["b/3.png", "b/3 cropped.png"], "leakage"),
        (["a/2.png", "b/2 mirrored.png"], "contradiction"),
        (["a/1 again.png", "a/1.png"], "duplicate"),
    ];
    let expected: Vec<_> = expected
        .map(|(paths, kind)| (paths.map(str::to_owned).to_vec(), vec![kind.to_owned()]))
        .to_vec();
    assert_eq!(groups(&found), expected);
    assert_eq!(found["inputs"][1]["leaked"], 1);
    let of_last = &found["duplicates"][2]["pictures"][1];
    assert_eq!(
        (&of_last["same_bytes"], &of_last["like"]),
        (&true.into(), &0.into())
    );
    assert_eq!(found["duplicates"][1]["pictures"][1]["mirrored"], true);
}

#[test]
fn any_number_of_threads_finds_the_same() {
    let folder = tempfile::tempdir().unwrap();
    sound(folder.path());
    for seed in 0..10 {
        let turned = imageops::blur(&scene(seed), 0.8);
        save(folder.path(), &format!("train/b/copy {seed}.png"), &turned);
    }
    let (one, _) = check(folder.path(), &["train", "--threads", "1"]);
    let (many, _) = check(folder.path(), &["train", "--threads", "7"]);
    assert_eq!(groups(&one).len(), 10);
    assert_eq!(one, many);
}

#[test]
fn the_page_stands_by_itself_and_escapes_names() {
    let folder = tempfile::tempdir().unwrap();
    sound(folder.path());
    let name = "train/a/<b>&\"1\".png";
    if fs::copy(
        folder.path().join("train/a/1.png"),
        folder.path().join(name),
    )
    .is_err()
    {
        return; // a file system that has no such names
    }
    check(folder.path(), &["train", "--html", "page.html"]);
    let page = fs::read_to_string(folder.path().join("page.html")).unwrap();
    assert!(page.contains("&lt;b&gt;&amp;&quot;1&quot;.png") && !page.contains("<b>&"));
    assert_eq!(page.matches("src=\"data:image/png;base64,").count(), 2);
    assert!(!page.contains("http"));
}

#[test]
fn an_input_given_twice_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    sound(folder.path());
    support::cnn_codes()
        .current_dir(folder.path())
        .args(["check", "train", "train"])
        .assert()
        .code(1)
        .stderr(predicates::str::contains("train is given twice"));
}
