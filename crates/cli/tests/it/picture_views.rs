//! Several views of each picture: extracted, trained on, predicted from.

use crate::support;

use std::fs;

use assert_cmd::Command;
use cnn_codes::codes::Store;
use cnn_codes::picture::Views;
use image::{Rgb, RgbImage, imageops};
use serde_json::Value;
use support::place::Place;

/// A picture whose left and right differ, and whose upper half tells the class.
fn picture(class: usize, seed: u32) -> RgbImage {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    RgbImage::from_fn(16, 16, |x, y| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        let noise = (state >> 8) % 120;
        let told = if y < 8 { 40 * class as u32 } else { 0 };
        Rgb([(noise + told) as u8, (noise + 4 * x) as u8, noise as u8])
    })
}

/// A folder with 30 pictures of each of two classes to train on, 10 to judge, and the tiny trunk.
fn place() -> Option<Place> {
    let place = Place::new()?;
    for (part, n) in [("train", 30), ("validation", 10)] {
        for (class, name) in ["dark", "light"].iter().enumerate() {
            for i in 0..n {
                let seed = 1 + i + 1000 * class as u32 + if part == "train" { 0 } else { 500 };
                place.save(&format!("{part}/{name}/{i}.png"), &picture(class, seed));
            }
        }
    }
    Some(place)
}

fn command(place: &Place, words: &str) -> Command {
    let mut command = support::cnn_codes();
    command.current_dir(place.path()).args(words.split(' '));
    command
}

fn run(place: &Place, words: &str) -> String {
    let done = command(place, words).assert().success();
    String::from_utf8(done.get_output().stdout.clone()).unwrap()
}

fn refused(place: &Place, words: &str) -> String {
    let done = command(place, words).assert().failure();
    String::from_utf8(done.get_output().stderr.clone()).unwrap()
}

fn extract(place: &Place, part: &str, out: &str, more: &str) -> Store {
    let words = format!("extract-features {part} --out {out} --card tiny.toml{more}");
    run(place, &words);
    Store::open(&place.path().join(out)).unwrap()
}

fn code(store: &Store, row: usize, view: usize) -> [f32; 12] {
    let mut code = [0.0; 12];
    store.read_view(row, view, 0..12, &mut code).unwrap();
    code
}

#[test]
fn the_code_of_a_mirrored_view_is_that_of_a_mirrored_picture() {
    let Some(place) = place() else { return };
    let with = extract(&place, "train", "with", " --views flip");
    assert_eq!(with.views(), Views::Flip);
    for (row, own) in with.pictures().iter().enumerate() {
        let from = place.path().join("train").join(&*own.path);
        let mirrored = imageops::flip_horizontal(&image::open(&from).unwrap().to_rgb8());
        place.save(&format!("mirrored/{}", own.path), &mirrored);
        assert_eq!(&*with.pictures()[row].path, &*own.path);
    }
    let alone = extract(&place, "train", "alone", "");
    let mirrored = extract(&place, "mirrored", "mirrored-store", "");
    for row in 0..with.pictures().len() {
        assert_eq!(code(&with, row, 0), code(&alone, row, 0));
        // To a level: the resampler may round the other way.
        let pairs = code(&with, row, 1).into_iter().zip(code(&mirrored, row, 0));
        for (one, other) in pairs {
            assert!((one - other).abs() <= 1.0, "{row}: {one} {other}");
        }
        assert_ne!(code(&with, row, 1), code(&with, row, 0));
    }
    // The short form, and the same job again.
    let short = extract(&place, "train", "short", " --flip");
    for name in ["codes.npy", "images.csv", "store.json"] {
        let bytes = |store: &Store| fs::read(store.dir().join(name)).unwrap();
        assert!(bytes(&short) == bytes(&with), "{name}");
    }
    let again = command(
        &place,
        "extract-features train --out with --card tiny.toml --views flip",
    )
    .assert()
    .success();
    let said = String::from_utf8(again.get_output().stdout.clone()).unwrap();
    assert!(said.contains("60 codes of 2x2x2x3"), "{said}");
    assert!(said.contains("complete already"), "{said}");
    let other = refused(&place, "extract-features train --out with --card tiny.toml");
    assert!(other.contains("--overwrite"), "{other}");
}

#[test]
fn codes_of_other_views_are_not_reused_and_equal_pictures_are_computed_once() {
    let Some(place) = place() else { return };
    fs::copy(
        place.path().join("train/dark/3.png"),
        place.path().join("train/dark/copy.png"),
    )
    .unwrap();
    let all = extract(&place, "train", "all", " --views flips+crops:5 --pool avg");
    assert_eq!(all.manifest().shape(), [61, 5, 3]);
    let said = refused(
        &place,
        "extract-features train --out other --card tiny.toml --pool avg --reuse all",
    );
    assert!(
        said.contains("the views differ: flips+crops:5 and none"),
        "{said}"
    );
    let words = "extract-features train --out again --card tiny.toml --pool avg --views flips+crops:5 --reuse all --format json";
    let told: Value = serde_json::from_str(&run(&place, words)).unwrap();
    let again = Store::open(&place.path().join("again")).unwrap();
    assert_eq!(told["computed"], 0, "{told:#}");
    for name in ["codes.npy", "images.csv"] {
        let bytes = |store: &Store| fs::read(store.dir().join(name)).unwrap();
        assert!(bytes(&again) == bytes(&all), "{name}");
    }
    for shard in 0..2 {
        let words = format!(
            "extract-features train --out parts --card tiny.toml --pool avg --views flips+crops:5 --shard {shard}/2"
        );
        run(&place, &words);
    }
    let parts = Store::open(&place.path().join("parts")).unwrap();
    let (mut one, mut other) = (Vec::new(), Vec::new());
    for row in 0..61 {
        parts.read_code_bytes(row, &mut one).unwrap();
        all.read_code_bytes(row, &mut other).unwrap();
        assert!(one == other && one.len() == 5 * 3 * 4, "{row}");
    }
    for wrong in ["flips+crops:2", "flips+crops:33", "mirror"] {
        let said = refused(
            &place,
            &format!("extract-features train --out x --card tiny.toml --views {wrong}"),
        );
        assert!(
            said.contains("choose from: none, flip, flips+crops:N"),
            "{said}"
        );
    }
}

#[test]
fn a_head_judges_by_its_views_in_training_and_ever_after() {
    let Some(place) = place() else { return };
    extract(&place, "train", "train-store", " --views flips+crops:3");
    extract(
        &place,
        "validation",
        "validation-store",
        " --views flips+crops:3",
    );
    let words = "train-head --train train-store --validation validation-store --out head --hidden 8 --learning-rate 0.001 --repeats 2";
    let printed = run(&place, words);
    assert!(
        printed.contains("views flips+crops:3, against the same heads on the pictures alone:"),
        "{printed}"
    );
    assert!(printed.contains("20 validation pictures"), "{printed}");
    let metrics = fs::read(place.path().join("head/metrics.json")).unwrap();
    let metrics: Value = serde_json::from_slice(&metrics).unwrap();
    let heads = metrics["views"]["heads"].as_array().unwrap();
    assert_eq!(heads.len(), 2);
    for head in heads {
        let n = |name: &str| head[name].as_i64().unwrap();
        assert_eq!(
            n("errors_without") - n("wrong_to_right") + n("right_to_wrong"),
            n("errors_with")
        );
    }
    let head = fs::read_to_string(place.path().join("head/head.json")).unwrap();
    assert!(head.contains(r#""views": "flips+crops:3""#), "{head}");
    let report = run(&place, "report head");
    assert!(report.contains("report.html"), "{report}");
    let page = fs::read_to_string(place.path().join("head/report.html")).unwrap();
    assert!(page.contains("What the views brought"));
    // From the pictures, from their codes, and in the report: the same probabilities.
    let probabilities = |input: &str, more: &str| -> Vec<f64> {
        let words = format!(
            "predict head {input} --head logistic --card tiny.toml --format json --top-k 1{more}"
        );
        let told: Value = serde_json::from_str(&run(&place, &words)).unwrap();
        let pictures = told["pictures"].as_array().unwrap().iter();
        pictures
            .map(|picture| picture["predictions"][0]["probability"].as_f64().unwrap())
            .collect()
    };
    let of_pictures = probabilities("validation", "");
    let of_store = probabilities("validation-store", "");
    assert_eq!(of_pictures.len(), 20);
    assert_eq!(of_pictures, of_store);
    let alone = probabilities("validation", " --views none");
    assert_ne!(alone, of_pictures);
    assert_eq!(alone, probabilities("validation-store", " --views none"));
    extract(&place, "validation", "validation-alone", "");
    assert_eq!(alone, probabilities("validation-alone", ""));
    let said = refused(
        &place,
        "predict head validation-alone --card tiny.toml --views flips+crops:3",
    );
    assert!(
        said.contains("holds codes of the views none, and --views asks for flips+crops:3"),
        "{said}"
    );
    // Judged again, on codes with and without views.
    for store in ["validation-store", "validation-alone"] {
        let judged = run(&place, &format!("evaluate head {store}"));
        assert!(
            judged.contains(&format!("20 pictures of {store}; the heads learned from "))
                && !judged.contains("views flips"),
            "{judged}"
        );
    }
    // An exported file judges a picture alone, and says so; by its views where that is asked for.
    let exported = command(
        &place,
        "export head --out one.onnx --head logistic --card tiny.toml",
    )
    .assert()
    .success();
    let said = String::from_utf8(exported.get_output().stderr.clone()).unwrap();
    assert!(
        said.contains("HEAD was judged by the mean over the views flips+crops:3"),
        "{said}"
    );
    let exported = |more: &str| -> Vec<f64> {
        let words = format!("predict --model one.onnx validation --format json --top-k 1{more}");
        let told: Value = serde_json::from_str(&run(&place, &words)).unwrap();
        let pictures = told["pictures"].as_array().unwrap().iter();
        pictures
            .map(|picture| picture["predictions"][0]["probability"].as_f64().unwrap())
            .collect()
    };
    for (expected, actual) in [
        (&alone, exported("")),
        (&of_pictures, exported(" --views flips+crops:3")),
    ] {
        for (one, other) in expected.iter().zip(&actual) {
            assert!((one - other).abs() < 1e-4, "{one} {other}");
        }
    }
}

#[test]
fn in_folds_no_view_of_a_picture_judges_what_was_trained_on_another() {
    let Some(place) = place() else { return };
    // Pictures of noise with labels that mean nothing, whose five views are much alike. A head that had seen one
    // view of each would know the label of the others.
    for class in ["a", "b"] {
        for i in 0..30_u32 {
            let seed = 7 * i + u32::from(class == "b") * 10_000 + 3;
            place.save(&format!("noise/{class}/{i}.png"), &picture(0, seed));
        }
    }
    extract(&place, "noise", "noise-store", " --views flips+crops:5");
    run(
        &place,
        "train-head --train noise-store --folds 5 --out head --head logistic --l2 0.001",
    );
    let metrics = fs::read(place.path().join("head/metrics.json")).unwrap();
    let metrics: Value = serde_json::from_slice(&metrics).unwrap();
    assert_eq!(metrics["judged_pictures"], 60);
    let accuracy = metrics["heads"]["logistic"]["top1_accuracy"]
        .as_f64()
        .unwrap();
    // Five deviations of 60 coins above a half.
    assert!(accuracy < 0.5 + 5.0 * (0.25f64 / 60.0).sqrt(), "{accuracy}");
}
