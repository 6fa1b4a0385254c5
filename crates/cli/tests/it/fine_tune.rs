//! `fine-tune`, and what takes a head with tuned layers.

use crate::support;

use std::fs;
use std::path::Path;
use std::process::Stdio;

use cnn_codes::model::OnnxModel;
use ort_winograd::onnx::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorType,
    ValueInfoProto, float32_tensor,
};
use serde_json::Value;
use support::place::Place;

const SIDE: u32 = 8;

/// A trunk of two convolutions with ReLU: `middle` (4 channels) and `end` (3 channels, channels last).
fn write_trunk(folder: &Path) {
    let weights = |n: usize, seed: u32, size: f32| -> Vec<f32> {
        let mut state = seed;
        let next = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            size * ((state >> 8) as f32 / (1 << 23) as f32 - 1.0)
        };
        (0..n).map(next).collect()
    };
    let conv = |inputs: &[&str], output: &str| {
        NodeProto::new("Conv", inputs, output).with(AttributeProto::ints("pads", &[1; 4]))
    };
    let transpose = |input: &str, output: &str, perm: &[i64]| {
        NodeProto::new("Transpose", &[input], output).with(AttributeProto::ints("perm", perm))
    };
    let side = u64::from(SIDE);
    let graph = GraphProto {
        name: Some("two".to_owned()),
        node: vec![
            transpose("input", "first", &[0, 3, 1, 2]),
            conv(&["first", "w1"], "c1"),
            NodeProto::new("Relu", &["c1"], "middle"),
            conv(&["middle", "w2", "b2"], "c2"),
            NodeProto::new("Relu", &["c2"], "r2"),
            transpose("r2", "end", &[0, 2, 3, 1]),
        ],
        initializer: vec![
            float32_tensor("w1", &[4, 3, 3, 3], &weights(108, 1, 0.002)),
            float32_tensor("w2", &[3, 4, 3, 3], &weights(108, 2, 0.4)),
            float32_tensor("b2", &[3], &[0.1; 3]),
        ],
        input: vec![ValueInfoProto::new(
            "input",
            &TensorType::float32_batch(&[side, side, 3]),
        )],
        output: vec![ValueInfoProto::new(
            "end",
            &TensorType::float32_batch(&[side, side, 3]),
        )],
        ..GraphProto::default()
    };
    let proto = ModelProto {
        ir_version: Some(7),
        opset_import: vec![OperatorSetIdProto::new("", 13)],
        graph: Some(graph),
        ..ModelProto::default()
    };
    let model = OnnxModel::from_proto(proto, Path::new("two.onnx")).unwrap();
    fs::write(folder.join("two.onnx"), model.to_bytes()).unwrap();
    let card = format!(
        "format = 1\nname = \"two\"\nfile = \"two.onnx\"\nlicence = \"CC0-1.0\"\nattribution = \"none\"\n\
         sources = [\"made by a test\"]\n\n[input]\nname = \"input\"\nwidth = {SIDE}\nheight = {SIDE}\n\
         layout = \"channels_last\"\nrecipe = \"none\"\n\n[output]\nname = \"end\"\nshape = [{SIDE}, {SIDE}, 3]\n\
         layout = \"channels_last\"\n"
    );
    fs::write(folder.join("two.toml"), card).unwrap();
}

/// Noise with stripes, along columns in one class and along rows in the other.
fn stripes(along_columns: bool, seed: u32) -> image::RgbImage {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    image::RgbImage::from_fn(SIDE, SIDE, |x, y| {
        let stripe = if along_columns { x % 2 } else { y % 2 };
        image::Rgb([(); 3].map(|()| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            (60 + 100 * stripe + (state >> 8) % 80) as u8
        }))
    })
}

fn command(place: &Place, words: &[&str]) -> assert_cmd::Command {
    let mut command = support::cnn_codes();
    command.current_dir(place.path()).args(words);
    command
}

/// Runs the program; what it printed.
fn run(place: &Place, words: &[&str]) -> String {
    let done = command(place, words).assert().success();
    String::from_utf8(done.get_output().stdout.clone()).unwrap()
}

/// Pictures, stores of both layers and a head.
fn place() -> Option<Place> {
    let place = Place::new()?;
    write_trunk(place.path());
    for (part, n) in [("train", 40), ("validation", 30)] {
        for i in 0..n {
            let seed = i + if part == "train" { 0 } else { 1000 };
            place.save(
                &format!("{part}/columns/{i}.png"),
                &stripes(true, 2 * seed + 1),
            );
            place.save(&format!("{part}/rows/{i}.png"), &stripes(false, 2 * seed));
        }
        let store = format!("{part}-middle");
        run(
            &place,
            &[
                "extract-features",
                part,
                "--out",
                &store,
                "--card",
                "two.toml",
                "--output",
                "middle",
            ],
        );
        let store = format!("{part}-end");
        run(
            &place,
            &[
                "extract-features",
                part,
                "--out",
                &store,
                "--card",
                "two.toml",
            ],
        );
    }
    let words = [
        "train-head",
        "--train",
        "train-end",
        "--validation",
        "validation-end",
        "--out",
        "head",
        "--pool",
        "avg",
        "--hidden",
        "6",
        "--learning-rate",
        "0.01",
    ];
    run(&place, &words);
    Some(place)
}

const TUNE: [&str; 19] = [
    "fine-tune",
    "--train",
    "train-middle",
    "--validation",
    "validation-middle",
    "--from",
    "head",
    "--out",
    "tuned",
    "--card",
    "two.toml",
    "--rates",
    "0.01,0.03",
    "--epochs",
    "10",
    "--seed",
    "1",
    "--head",
    "logistic",
];

#[test]
fn a_head_with_tuned_layers_says_the_same_of_pictures_of_codes_and_in_one_onnx() {
    let Some(place) = place() else { return };
    let printed = run(&place, &[&TUNE[..], &["--format", "json"]].concat());
    let told: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(told["tuned"], true, "{told:#}");
    let validation = &told["validation"];
    let errors = |name: &str| validation[name].as_u64().unwrap();
    assert!(
        errors("tuned_errors") <= errors("frozen_errors"),
        "{told:#}"
    );
    assert_eq!(told["choice"]["tried"][1]["setting"]["rate"], 0.03);
    assert!(!place.path().join("tuned.tuning").exists());
    // The same probabilities: those of the report, of the pictures, and of the layer's codes.
    let predictions = fs::read(place.path().join("tuned/predictions.csv")).unwrap();
    let mut predictions = csv::Reader::from_reader(predictions.as_slice());
    let reported: Vec<(String, f32)> = predictions
        .records()
        .map(|row| row.unwrap())
        .map(|row| (row[1].to_owned(), row[row.len() - 1].parse().unwrap()))
        .collect();
    assert_eq!(reported.len(), 60);
    for input in ["validation", "validation-middle"] {
        let words = [
            "predict", "tuned", input, "--card", "two.toml", "--format", "json",
        ];
        let printed: Value = serde_json::from_str(&run(&place, &words)).unwrap();
        let pictures = printed["pictures"].as_array().unwrap();
        assert_eq!(pictures.len(), 60);
        for picture in pictures {
            let path = picture["path"].as_str().unwrap();
            let (_, expected) = reported
                .iter()
                .find(|(own, _)| path.ends_with(own.as_str()))
                .unwrap();
            let of_rows = picture["predictions"].as_array().unwrap();
            let of_rows = of_rows
                .iter()
                .find(|class| class["class"] == "rows")
                .unwrap();
            let actual = of_rows["probability"].as_f64().unwrap() as f32;
            assert!(
                (actual - expected).abs() < 1e-5,
                "{path}: {actual} {expected}"
            );
        }
    }
    let evaluated = run(
        &place,
        &[
            "evaluate",
            "tuned",
            "validation-middle",
            "--card",
            "two.toml",
            "--format",
            "json",
        ],
    );
    let evaluated: Value = serde_json::from_str(&evaluated).unwrap();
    assert_eq!(
        evaluated["heads"]["logistic"]["errors"],
        validation["tuned_errors"]
    );
    run(&place, &["report", "tuned"]);
    let exported = run(
        &place,
        &[
            "export",
            "tuned",
            "--out",
            "tuned.onnx",
            "--card",
            "two.toml",
            "--check",
            "validation",
            "--format",
            "json",
        ],
    );
    let exported: Value = serde_json::from_str(&exported).unwrap();
    assert!(
        exported["drift"]["largest"].as_f64().unwrap() < 1e-5,
        "{exported:#}"
    );

    // Its own out-of-fold probabilities tell how large a set must be.
    let sets = [
        "predict",
        "tuned",
        "validation",
        "--card",
        "two.toml",
        "--sets",
        "0.9",
        "--outliers",
        "0.1",
    ];
    run(&place, &sets);

    // An MLP has a history, which was that of the frozen one.
    let mut mlp = TUNE.to_vec();
    (mlp[8], mlp[18]) = ("tuned-mlp", "mlp");
    run(&place, &mlp);
    run(&place, &["report", "tuned-mlp"]);
    run(
        &place,
        &["predict", "tuned-mlp", "validation", "--card", "two.toml"],
    );

    // Codes of the published trunk's end are other ones.
    let refused = command(
        &place,
        &["predict", "tuned", "validation-end", "--card", "two.toml"],
    );
    let mut refused = refused;
    let refused = refused.assert().code(1);
    let said = String::from_utf8_lossy(&refused.get_output().stderr).into_owned();
    assert!(said.contains("the trunk differs"), "{said}");
}

#[test]
fn a_run_that_is_killed_goes_on_to_the_same_bytes() {
    let Some(place) = place() else { return };
    run(&place, &TUNE);
    let bytes = |head: &str| {
        [
            "logistic.safetensors",
            "tail.safetensors",
            "tuning.json",
            "predictions.csv",
            "head.json",
        ]
        .map(|file| fs::read(place.path().join(head).join(file)).unwrap())
    };
    let mut again = TUNE.to_vec();
    again[8] = "again";
    let mut n_killed = 0;
    for milliseconds in [150, 250, 350, 500] {
        let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin!("cnn-codes"));
        command
            .current_dir(place.path())
            .env("CNN_CODES_MODELS", support::models())
            .args(&again);
        let mut process = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(milliseconds));
        n_killed += usize::from(process.try_wait().unwrap().is_none());
        let _ = process.kill();
        process.wait().unwrap();
        if place.path().join("again").exists() {
            break;
        }
    }
    assert!(n_killed > 0);
    if !place.path().join("again").exists() {
        run(&place, &again);
    }
    assert!(bytes("tuned") == bytes("again"));
    assert!(!place.path().join("again.tuning").exists());
}

#[test]
fn what_cannot_be_tuned_is_told_before_anything_is_done() {
    let Some(place) = place() else { return };
    let fail = |changes: &[(usize, &str)]| {
        let mut words = TUNE.to_vec();
        for &(place, word) in changes {
            words[place] = word;
        }
        let done = command(&place, &words).assert().code(1);
        assert!(
            !place.path().join("tuned").exists() && !place.path().join("tuned.tuning").exists()
        );
        String::from_utf8(done.get_output().stderr.clone()).unwrap()
    };
    let said = fail(&[(2, "train-end"), (4, "validation-end")]);
    assert!(
        said.contains("there are no weights to tune") || said.contains("end"),
        "{said}"
    );
    let said = fail(&[(4, "validation-end")]);
    assert!(said.contains("do not belong together"), "{said}");
    let said = fail(&[(6, "train-end")]);
    assert!(said.contains("is not a head"), "{said}");
    let said = fail(&[(12, "0")]);
    assert!(said.contains("learning rate is 0"), "{said}");
    let mut extract = command(
        &place,
        &[
            "extract-features",
            "train",
            "--out",
            "x",
            "--card",
            "two.toml",
            "--output",
            "nothing",
        ],
    );
    let said = extract.assert().code(1);
    let said = String::from_utf8_lossy(&said.get_output().stderr).into_owned();
    assert!(said.contains("nothing"), "{said}");
}

#[test]
fn the_whole_network_is_tuned_from_its_pixels() {
    let Some(place) = place() else { return };
    for part in ["train", "validation"] {
        let store = format!("{part}-input");
        let words = [
            "extract-features",
            part,
            "--out",
            &store,
            "--card",
            "two.toml",
            "--output",
            "input",
        ];
        run(&place, &words);
    }
    let codes = fs::read(place.path().join("validation-input/codes.npy")).unwrap();
    let pixels = image::open(place.path().join("validation/columns/0.png"))
        .unwrap()
        .to_rgb8();
    // Recipe none: the levels themselves, row by row, after the header.
    let header = 10 + usize::from(u16::from_le_bytes([codes[8], codes[9]]));
    let (numbers, _) = codes[header..].as_chunks::<4>();
    let first = numbers.iter().map(|&bytes| f32::from_le_bytes(bytes));
    assert!(
        first
            .take(192)
            .eq(pixels.as_raw().iter().map(|&level| f32::from(level)))
    );

    let mut words = TUNE.to_vec();
    (words[2], words[4]) = ("train-input", "validation-input");
    // The first layer's weights are small, as pixels are up to 255.
    words[12] = "0.0001,0.0003";
    let told: Value =
        serde_json::from_str(&run(&place, &[&words[..], &["--format", "json"]].concat())).unwrap();
    assert_eq!(told["tuned"], true, "{told:#}");
    let tail: Value =
        serde_json::from_slice(&fs::read(place.path().join("tuned/tail.json")).unwrap()).unwrap();
    assert_eq!(
        (&tail["from"], &tail["to"]),
        (&"input".into(), &"end".into())
    );
    let probabilities = |input: &str| -> Vec<f64> {
        let words = [
            "predict", "tuned", input, "--card", "two.toml", "--format", "json",
        ];
        let printed: Value = serde_json::from_str(&run(&place, &words)).unwrap();
        let pictures = printed["pictures"].as_array().unwrap().iter();
        let first = |picture: &Value| {
            let classes = picture["predictions"].as_array().unwrap();
            let rows = classes
                .iter()
                .find(|class| class["class"] == "rows")
                .unwrap();
            rows["probability"].as_f64().unwrap()
        };
        pictures.map(first).collect()
    };
    let (by_pictures, by_codes) = (
        probabilities("validation"),
        probabilities("validation-input"),
    );
    assert_eq!(by_pictures.len(), 60);
    let mut pairs = by_pictures.iter().zip(&by_codes);
    assert!(pairs.all(|(a, b)| (a - b).abs() < 1e-5));
}
