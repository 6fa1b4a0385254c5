//! The programs in `examples/`, run on made-up codes and on the tiny trunk.

mod support;

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use cnn_codes::codes::{Code, Dtype, PictureRow, Pool, StoreDescription, StoreWriter};
use cnn_codes::files::Existing;
use support::place::{Place, quarters};

/// An example, which cargo builds beside the tests.
fn example(name: &str) -> Command {
    let test = std::env::current_exe().unwrap();
    let built = test.ancestors().nth(2).unwrap().join("examples");
    let program = built
        .join(name)
        .with_extension(std::env::consts::EXE_EXTENSION);
    assert!(program.exists(), "{} is not built", program.display());
    Command::new(program)
}

fn stdout(command: &mut Command) -> String {
    let output = command.assert().success().get_output().clone();
    String::from_utf8(output.stdout).unwrap()
}

/// Writes a store of (label, first value of the code).
fn write_store(dir: &Path, description: StoreDescription, rows: &[(usize, f32)]) {
    let code_len = description.codes.code_len();
    let mut writer = StoreWriter::create(dir, Existing::Keep, description).unwrap();
    for (row, &(label, first)) in rows.iter().enumerate() {
        let mut code = vec![0.5; code_len];
        code[0] = first;
        let picture = PictureRow {
            path: format!("{row}.jpg").into(),
            label: Some(label),
            width: 1,
            height: 1,
            blake3: blake3::hash(&[0]),
        };
        writer.append(&picture, Code::Values(&code)).unwrap();
    }
    writer.finish().unwrap();
}

#[test]
fn train_on_codes_tells_how_often_the_heads_are_right_and_where_they_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| -> PathBuf { folder.path().join(name) };
    let description = || support::description(Dtype::F32, Pool::None);
    let train: Vec<_> = (0..100)
        .map(|row| (row % 2, 20.0 * (row % 2) as f32))
        .collect();
    write_store(&at("train"), description(), &train);
    // The last picture has the code of the other class.
    let validation = [(0, 0.0), (1, 20.0), (0, 0.0), (1, 0.0)];
    write_store(&at("validation"), description(), &validation);
    let mut command = example("train_on_codes");
    let printed = stdout(command.args([at("train"), at("validation"), at("head")]));
    assert!(printed.contains("logistic: 75.0% right\n"), "{printed}");
    assert!(
        printed.contains("\n3.jpg: b c, taken for a by "),
        "{printed}"
    );
    assert!(at("head/head.json").exists());
}

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
        "--validation",
        "codes",
        "--out",
        "head",
    ]);
    train.args(["--head", "logistic"]).assert().success();

    let library = support::models_with_onnxruntime()
        .unwrap()
        .join("onnxruntime");
    let mut command = example("classify_pictures");
    command
        .current_dir(place.path())
        .env("ORT_DYLIB_PATH", library);
    let printed = stdout(command.args(["head", "tiny.toml", "new"]));
    let lines: Vec<_> = printed.lines().collect();
    assert_eq!(lines.len(), 3);
    assert!(
        lines[0].starts_with("new/bad.jpg: this is not a picture"),
        "{printed}"
    );
    assert!(lines[1].starts_with("new/green.png: green ("), "{printed}");
    assert!(lines[2].starts_with("new/red.png: red ("), "{printed}");
}

#[test]
fn the_readme_shows_the_front_pages_example() {
    let between = |text: &str, opening: &str| -> Vec<String> {
        let lines = text.lines().skip_while(|line| *line != opening).skip(1);
        let code = lines.take_while(|line| !line.ends_with("```"));
        code.map(str::to_owned).collect()
    };
    let readme = between(include_str!("../README.md"), "```rust");
    // rustdoc hides lines that begin with a # of their own.
    let mut front_page = between(include_str!("../src/lib.rs"), "//! ```no_run");
    front_page.retain(|line| !line.starts_with("//! # "));
    let front_page: Vec<_> = front_page
        .iter()
        .map(|line| {
            line.trim_start_matches("//!")
                .strip_prefix(' ')
                .unwrap_or("")
        })
        .collect();
    assert_eq!(readme, front_page);
    let n_lines = readme.iter().filter(|line| !line.is_empty()).count();
    assert!(n_lines <= 25, "{n_lines} lines");
}
