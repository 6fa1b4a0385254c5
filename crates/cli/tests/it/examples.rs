//! The example that classifies pictures, with a head that the program trained on the tiny trunk.
//!
//! cargo builds the example where it builds the whole workspace.

use crate::support;

use support::place::{Place, quarters};

#[test]
fn classify_pictures_names_the_class_of_each_picture() {
    let Some(place) = Place::new() else { return };
    let colors: [(&str, [u8; 3]); 2] = [("red", [250, 0, 0]), ("green", [0, 250, 0])];
    for (class, color) in colors {
        for i in 0..10 {
            let color = color.map(|level| level.saturating_sub(i));
            place.save(&format!("train/{class}/{i}.png"), &quarters(color));
        }
        place.save(&format!("new/{class}.png"), &quarters(color));
    }
    place.write("new/bad.jpg", b"no picture");
    let mut extract = support::cnn_codes();
    extract.current_dir(place.path());
    extract.args([
        "extract-features",
        "train",
        "--out",
        "codes",
        "--card",
        "tiny.toml",
    ]);
    extract.assert().success();
    let mut train = support::cnn_codes();
    train.current_dir(place.path());
    train.args([
        "train-head",
        "--train",
        "codes",
        "--folds",
        "2",
        "--out",
        "head",
    ]);
    train.args(["--head", "logistic"]).assert().success();

    let library = support::models_with_onnxruntime()
        .unwrap()
        .join("onnxruntime");
    let mut command = support::example("classify_pictures");
    command
        .current_dir(place.path())
        .env("ORT_DYLIB_PATH", library);
    let printed = support::stdout(command.args(["head", "tiny.toml", "new"]));
    let lines: Vec<_> = printed.lines().collect();
    assert_eq!(lines.len(), 3);
    assert!(
        lines[0].starts_with("new/bad.jpg: this is not a picture"),
        "{printed}"
    );
    assert!(lines[1].starts_with("new/green.png: green ("), "{printed}");
    assert!(lines[2].starts_with("new/red.png: red ("), "{printed}");
}
