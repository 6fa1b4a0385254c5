//! `cnn-codes export` from the outside: what Python's onnxruntime makes of the files, on the tiny
//! trunk and heads made up here.

use crate::support;

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use cnn_codes::codes::{CodesIdentity, Pool, Store};
use cnn_codes::export::{ExportOptions, Target, export_head};
use cnn_codes::head::logistic::{Logistic, LogisticOptions};
use cnn_codes::head::mlp::{Dense, Mlp, MlpOptions};
use cnn_codes::head::nearest_centroid::{NearestCentroid, NearestCentroidOptions};
use cnn_codes::head::saved::{Evidence, Saved, SavedHead};
use cnn_codes::head::scaling::Scaling;
use cnn_codes::head::{Convergence, Head, HeadKind, OneHead, Samples};
use cnn_codes::model::{ModelCard, OnnxModel};
use cnn_codes::picture::Recipe;
use cnn_codes_files::Existing;
use image::{Rgb, RgbImage};
use ndarray::{Array, Array1, Array2, Array4, ArrayView2};
use ndarray_npy::{read_npy, write_npy};
use predicates::prelude::*;
use support::place::{Extract, Place};

/// Side of the tiny trunk's input.
const SIDE: u32 = 8;
const N_PICTURES: u32 = 20;
/// Sums in another order, and a softmax in float32 in place of float64.
const SAME: f32 = 1e-5;

/// Checks a model, runs it on an array, and writes what it gives.
const RUN: &str = "
import sys, numpy, onnx, onnxruntime
model, given, probabilities, label_index = sys.argv[1:]
onnx.checker.check_model(model, full_check=True)
session = onnxruntime.InferenceSession(model, providers=['CPUExecutionProvider'])
(name,) = [it.name for it in session.get_inputs()]
outputs = session.run(['probabilities', 'label_index'], {name: numpy.load(given)})
assert outputs[0].dtype == numpy.float32 and outputs[1].dtype == numpy.int64
numpy.save(probabilities, outputs[0])
numpy.save(label_index, outputs[1])
";

/// Python with onnx and onnxruntime; without it the test is skipped.
fn python() -> Option<PathBuf> {
    let python = support::python()?;
    let usable = std::process::Command::new(&python)
        .args(["-c", "import numpy, onnx, onnxruntime"])
        .output();
    if usable.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    support::skip!("{} has no onnx or onnxruntime", python.display());
    None
}

/// Twenty pictures of the trunk's own size, so that no resampling stands between the two sides.
fn pictures() -> Vec<RgbImage> {
    // The pictures differ in their mean colours, which is all that some poolings leave.
    let level = |mean: u32, place: u32| (mean % 200 + place) as u8;
    (0..N_PICTURES)
        .map(|i| {
            RgbImage::from_fn(SIDE, SIDE, |x, y| {
                Rgb([
                    level(i * 61, x * 7),
                    level(i * 117, y * 6),
                    level(i * 97, x * y),
                ])
            })
        })
        .collect()
}

/// Numbers from -1 to 1 without a pattern that an exchanged axis would leave alone.
fn numbers(shape: (usize, usize), seed: usize) -> Array2<f32> {
    Array::from_shape_fn(shape, |(row, column)| {
        ((row * 37 + column * 101 + seed * 53) as f32 * 0.618).sin()
    })
}

fn vector(len: usize, seed: usize) -> Array1<f32> {
    numbers((1, len), seed).row(0).to_owned()
}

/// A head with two models, whose logits are a few units apart.
fn head(codes: CodesIdentity, scaling: Scaling, largest_code: f32) -> SavedHead {
    let (n_features, n_classes, hidden) = (codes.code_len(), 3, [16, 8]);
    let sizes = [n_features, hidden[0], hidden[1], n_classes];
    let layers = sizes.windows(2).enumerate().map(|(index, pair)| Dense {
        weights: numbers((pair[0], pair[1]), index) / if index == 0 { largest_code } else { 1.0 },
        bias: vector(pair[1], 7 + index),
    });
    let logistic = Logistic::from_weights(
        numbers((n_features, n_classes), 3) / largest_code,
        vector(n_classes, 11),
    );
    let mut mlp = MlpOptions::default();
    mlp.hidden = hidden.to_vec();
    SavedHead {
        recommended: None,
        evidence: Evidence::default(),
        codes,
        views: cnn_codes::picture::Views::None,
        classes: ["a", "b \"c\"", "ü"].map(str::to_owned).to_vec(),
        scaling,
        heads: vec![
            OneHead::Mlp(Saved {
                model: Mlp::from_weights(layers.collect()).unwrap(),
                options: mlp,
                convergence: None,
                temperature: 0.5,
            }),
            OneHead::Logistic(Saved {
                model: logistic.unwrap(),
                options: LogisticOptions::default(),
                convergence: Some(Convergence {
                    converged: true,
                    stopped: false,
                    evaluations: 0,
                    objective: 0.0,
                    gradient_norm: 0.0,
                    starts: 1,
                    explanation: "made up".to_owned(),
                }),
                temperature: 1.0,
            }),
        ],
    }
}

/// The nearest centroid of codes, which belong to the three classes in turns.
fn nearest_centroid(scaling: &Scaling, codes: ArrayView2<f32>) -> OneHead {
    let codes = scaling.apply(codes).unwrap();
    let labels: Vec<_> = (0..codes.nrows()).map(|row| row % 3).collect();
    let samples = Samples::new(codes.view(), &labels, 3).unwrap();
    let options = NearestCentroidOptions::default();
    let fit = NearestCentroid::fit(&samples, None, &options, &()).unwrap();
    OneHead::NearestCentroid(Saved {
        model: fit.model,
        options,
        convergence: None,
        temperature: 0.25,
    })
}

fn of_formula(formula: &str) -> Recipe {
    formula.parse().unwrap()
}

/// Extracts the twenty pictures, with a recipe and a pooling.
fn store_of(place: &Place, recipe: Recipe, pool: Pool) -> Store {
    let folder = place.path().join("pictures");
    fs::remove_dir_all(&folder).unwrap();
    for (index, picture) in pictures().iter().enumerate() {
        place.save(&format!("pictures/one/{index:02}.png"), picture);
    }
    place.save(
        "pictures/two/none.png",
        &support::place::quarters([1, 2, 3]),
    );
    let mut extract = place.extract();
    extract.args([
        "--recipe",
        &recipe.to_string(),
        "--pool",
        pool.name(),
        "--overwrite",
    ]);
    extract.assert().success();
    place.store()
}

fn export(place: &Place, out: &str) -> Command {
    let mut command = support::cnn_codes();
    command.current_dir(place.path());
    command.args(["export", "head", "--card", "tiny.toml", "--out", out]);
    command
}

fn export_head_only(place: &Place, out: &str) -> Command {
    let mut command = support::cnn_codes();
    command.current_dir(place.path());
    command.args(["export", "head", "--head-only", "--out", out]);
    command
}

/// Probabilities of codes by the library: the path that the file is held against.
fn expected(head: &SavedHead, kind: &str, codes: ArrayView2<f32>) -> Array2<f32> {
    let scaled = head.scaling.apply(codes).unwrap();
    let head = head.of_kind(kind.parse().unwrap()).unwrap();
    let logits = head.logits(&scaled.view().into()).unwrap();
    cnn_codes::head::probabilities(logits, head.temperature() as f32)
}

/// What Python's onnxruntime gives, after it found the label to be that of the largest.
fn run_in_python(python: &Path, model: &Path, given: &Path) -> Array2<f32> {
    let outputs = tempfile::tempdir().unwrap();
    let (probabilities, labels) = (outputs.path().join("p.npy"), outputs.path().join("l.npy"));
    support::run_python(python, RUN, &[model, given, &probabilities, &labels]);
    let probabilities: Array2<f32> = read_npy(probabilities).unwrap();
    let labels: Array1<i64> = read_npy(labels).unwrap();
    for (row, label) in probabilities.rows().into_iter().zip(labels) {
        let label = usize::try_from(label).unwrap();
        assert!(row.iter().all(|&p| p <= row[label]), "{row} {label}");
        assert!((row.sum() - 1.0).abs() < SAME, "{row}");
    }
    probabilities
}

fn largest_difference(a: &Array2<f32>, b: &Array2<f32>) -> f32 {
    assert_eq!(a.dim(), b.dim());
    (a - b)
        .iter()
        .fold(0.0, |largest, difference| difference.abs().max(largest))
}

fn largest_code(codes: &Array2<f32>) -> f32 {
    codes
        .iter()
        .fold(0.0, |largest, code| code.abs().max(largest))
}

/// By how much the probability of a class varies over the pictures, at the most.
fn largest_spread(probabilities: &Array2<f32>) -> f32 {
    let spreads = probabilities.columns().into_iter().map(|class| {
        let lowest = class.fold(1.0_f32, |lowest, &p| p.min(lowest));
        class.fold(0.0_f32, |highest, &p| p.max(highest)) - lowest
    });
    spreads.fold(0.0, f32::max)
}

fn write_pixels(path: &Path) {
    let levels = pictures()
        .into_iter()
        .flat_map(RgbImage::into_raw)
        .collect();
    let side = SIDE as usize;
    let pixels = Array4::from_shape_vec((N_PICTURES as usize, side, side, 3), levels).unwrap();
    write_npy(path, &pixels).unwrap();
}

#[test]
fn pythons_onnxruntime_gives_the_librarys_probabilities() {
    let (Some(python), Some(place)) = (python(), Place::new()) else {
        return;
    };
    let pixels = place.path().join("pixels.npy");
    write_pixels(&pixels);
    for (recipe, pool, scaling) in [
        (Recipe::Caffe, Pool::None, "standard"),
        (Recipe::Rescale, Pool::Avg, "l2"),
        (Recipe::Torch, Pool::Max, "max"),
        (Recipe::Tf, Pool::None, "none"),
        (Recipe::None, Pool::Avg, "standard"),
        (of_formula("(rgb - 127) / 128"), Pool::None, "none"),
        (
            of_formula("(bgr - [104, 117, 124]) / [57, 58, 59]"),
            Pool::Avg,
            "l2",
        ),
    ] {
        let store = store_of(&place, recipe, pool);
        let codes = store.read_codes().unwrap();
        let n_features = codes.ncols();
        let largest = largest_code(&codes);
        let positive = |seed| (vector(n_features, seed).mapv(f32::abs) + 0.1) * largest;
        let scaling = match scaling {
            "standard" => Scaling::Standard {
                mean: vector(n_features, 2) * largest,
                deviation: positive(5),
            },
            "max" => Scaling::Max {
                largest: positive(6),
            },
            "l2" => Scaling::L2,
            _ => Scaling::None,
        };
        // What the largest value is that the first layer sees: a few units of logits come of it.
        let largest = match scaling {
            Scaling::None => largest,
            Scaling::L2 => 0.1,
            Scaling::Standard { .. } | Scaling::Max { .. } => 1.0,
        };
        let mut head = head(store.manifest().store.codes.clone(), scaling, largest);
        let third = nearest_centroid(&head.scaling, codes.view());
        head.heads.push(third);
        let folder = place.path().join("head");
        head.save(&folder, Existing::Replace).unwrap();
        for kind in ["mlp", "logistic", "nearest-centroid"] {
            let expected = expected(&head, kind, codes.view());
            let expected = expected
                .slice(ndarray::s![..N_PICTURES as usize, ..])
                .to_owned();
            let spread = largest_spread(&expected);
            assert!(spread > 0.05, "the pictures are told apart: {spread}");
            export(&place, "whole.onnx")
                .args(["--head", kind, "--overwrite"])
                .assert()
                .success();
            let actual = run_in_python(&python, &place.path().join("whole.onnx"), &pixels);
            let difference = largest_difference(&actual, &expected);
            println!("{recipe} {pool} {kind}: {difference:e}");
            assert!(difference < SAME, "{recipe} {pool} {kind}: {difference:e}");

            export_head_only(&place, "alone.onnx")
                .args(["--head", kind, "--overwrite"])
                .assert()
                .success();
            let codes = place.path().join("store/codes.npy");
            let actual = run_in_python(&python, &place.path().join("alone.onnx"), &codes);
            let actual = actual
                .slice(ndarray::s![..N_PICTURES as usize, ..])
                .to_owned();
            let difference = largest_difference(&actual, &expected);
            assert!(
                difference < SAME,
                "alone, {recipe} {pool} {kind}: {difference:e}"
            );
        }
    }
}

/// The tiny trunk, a head on its codes, and the folder of twenty pictures.
fn place_with_head() -> Option<(Place, SavedHead)> {
    let place = Place::new()?;
    let store = store_of(&place, Recipe::Caffe, Pool::None);
    let largest = largest_code(&store.read_codes().unwrap());
    let head = head(store.manifest().store.codes.clone(), Scaling::None, largest);
    head.save(&place.path().join("head"), Existing::Keep)
        .unwrap();
    Some((place, head))
}

#[test]
fn float16_is_near_and_the_drift_is_printed() {
    let (Some(python), Some((place, head))) = (python(), place_with_head()) else {
        return;
    };
    export(&place, "half.onnx")
        .args(["--fp16", "--check", "pictures"])
        .assert()
        .success()
        .stdout(predicate::str::is_match(r"drift: .* of 21 predictions change \(pictures of pictures, CPUExecutionProvider\)").unwrap())
        .stdout(predicate::str::contains("float16 ends at 65504"));
    export(&place, "madeup.onnx")
        .arg("--fp16")
        .assert()
        .success()
        .stdout(predicate::str::contains(
            "of 16 predictions change (made-up pictures",
        ));
    let pixels = place.path().join("pixels.npy");
    write_pixels(&pixels);
    let actual = run_in_python(&python, &place.path().join("half.onnx"), &pixels);
    let codes = place.store().read_codes().unwrap();
    let expected = expected(
        &head,
        "mlp",
        codes.slice(ndarray::s![..N_PICTURES as usize, ..]),
    );
    let difference = largest_difference(&actual, &expected);
    // float16 rounds to 2^-11 of a value, and logits of a few units pass five layers of it.
    assert!(difference > 0.0 && difference < 2e-2, "{difference:e}");

    // Every weight of trunk and layers is float16 but the last bias.
    let model = OnnxModel::read(&place.path().join("half.onnx")).unwrap();
    let floats = model
        .graph()
        .initializer
        .iter()
        .filter(|it| it.data_type() == 1);
    let floats: Vec<_> = floats.map(|it| it.name()).collect();
    assert_eq!(
        floats,
        ["recipe/mean", "head/mlp.2.bias", "head/temperature"]
    );
}

#[test]
fn values_beyond_float16_are_refused_and_nothing_is_written() {
    let Some((place, mut head)) = place_with_head() else {
        return;
    };
    // Codes reach some 300, so that the product passes 65,504 while every weight is below it.
    let OneHead::Mlp(mlp) = &mut head.heads[0] else {
        panic!("the MLP is the first")
    };
    let mut layers = mlp.model.layers().to_vec();
    layers[0].weights.fill(1000.0);
    mlp.model = Mlp::from_weights(layers).unwrap();
    head.save(&place.path().join("head"), Existing::Replace)
        .unwrap();
    export(&place, "half.onnx")
        .args(["--fp16", "--check", "pictures"])
        .assert()
        .code(1)
        .stderr(predicate::str::contains("'head/mlp.0/product' reaches "));
    let names = place.names();
    assert!(
        !names
            .iter()
            .any(|name| name.starts_with("half") || name.contains("partial")),
        "{names:?}"
    );
    export(&place, "whole.onnx").assert().success();
}

#[test]
fn the_file_is_a_trunk_whose_codes_are_the_probabilities() {
    let Some((place, head)) = place_with_head() else {
        return;
    };
    let codes = place.store().read_codes().unwrap();
    export(&place, "whole.onnx").assert().success();
    let card = ModelCard::load(&place.path().join("whole.toml")).unwrap();
    assert_eq!(card.classifier.unwrap().classes, head.classes);
    let mut extract = place.extract_with_card("whole.toml");
    extract.arg("--overwrite").assert().success();
    let difference = largest_difference(
        &place.store().read_codes().unwrap(),
        &expected(&head, "mlp", codes.view()),
    );
    assert!(difference < SAME, "{difference:e}");
    // The recipe is inside: another one on top is refused.
    let mut extract = place.extract_with_card("whole.toml");
    extract
        .args(["--overwrite", "--recipe", "rescale"])
        .assert()
        .code(1)
        .stderr(predicate::str::contains("leave --recipe out"));
}

#[test]
fn a_trunk_with_channels_first_and_with_the_names_of_the_export_is_extended_as_well() {
    let Some(place) = Place::new() else {
        return;
    };
    let (model, card) = support::tiny_trunk::write_with(place.path(), "channels_first", [3, 2, 2]);
    let mut trunk = OnnxModel::read(&model).unwrap();
    trunk.rename("input", "pixels").unwrap();
    trunk.rename("means", "probabilities").unwrap();
    trunk.rename("pooled", "head/flat").unwrap();
    fs::write(&model, trunk.to_bytes()).unwrap();
    let text = fs::read_to_string(&card).unwrap();
    let text = text.replace("\"input\"", "\"pixels\"");
    fs::write(&card, text.replace("\"means\"", "\"probabilities\"")).unwrap();

    for pool in [Pool::None, Pool::Max] {
        let store = {
            let mut extract = place.extract();
            extract.args(["--pool", pool.name(), "--overwrite"]);
            extract.assert().success();
            place.store()
        };
        let codes = store.read_codes().unwrap();
        let largest = largest_code(&codes);
        let head = head(store.manifest().store.codes.clone(), Scaling::None, largest);
        let folder = place.path().join("head");
        head.save(&folder, Existing::Replace).unwrap();
        export(&place, "whole.onnx")
            .arg("--overwrite")
            .assert()
            .success();
        let mut extract = place.extract_with_card("whole.toml");
        extract.arg("--overwrite").assert().success();
        let actual = place.store().read_codes().unwrap();
        let difference = largest_difference(&actual, &expected(&head, "mlp", codes.view()));
        assert!(difference < SAME, "{pool}: {difference:e}");
    }
}

#[test]
fn the_metadata_tells_all_that_a_caller_needs() {
    let Some((place, _)) = place_with_head() else {
        return;
    };
    export(&place, "whole.onnx").assert().success();
    let model = OnnxModel::read(&place.path().join("whole.onnx")).unwrap();
    let classes: Vec<String> = serde_json::from_str(model.metadata("classes").unwrap()).unwrap();
    assert_eq!(classes, ["a", "b \"c\"", "ü"]);
    for (key, value) in [
        ("recipe", "caffe"),
        ("head", "mlp"),
        ("head_format", "2"),
        (
            "created_by",
            concat!("cnn-codes ", env!("CARGO_PKG_VERSION")),
        ),
        ("licence", "CC0-1.0"),
        ("attribution", "none"),
        ("sources", "[\"made by a test\"]"),
        ("precision", "float32"),
        ("temperature", "0.5"),
        (
            "resize",
            r#"{"width":8,"height":8,"fit":"stretch","filter":"bilinear"}"#,
        ),
    ] {
        assert_eq!(model.metadata(key), Some(value), "{key}");
    }
    let types: Vec<_> = (model.inputs().into_iter().chain(model.outputs()))
        .map(|(name, declared)| format!("{name} {declared}"))
        .collect();
    assert_eq!(
        types,
        [
            "pixels uint8 [N, 8, 8, 3]",
            "probabilities float32 [N, 3]",
            "label_index int64 [N]"
        ]
    );
}

#[test]
fn the_same_head_gives_the_same_bytes_and_replaces_only_an_export() {
    let Some((place, _)) = place_with_head() else {
        return;
    };
    let read = |name: &str| fs::read(place.path().join(name)).unwrap();
    export(&place, "one.onnx").assert().success();
    export(&place, "two.onnx").assert().success();
    assert!(read("one.onnx") == read("two.onnx"));

    export(&place, "one.onnx")
        .assert()
        .code(1)
        .stderr(predicate::str::contains(
            "one.onnx exists already; give --overwrite",
        ));
    export(&place, "one.onnx")
        .arg("--overwrite")
        .assert()
        .success();

    let trunk = read("tiny.onnx");
    export(&place, "tiny.onnx")
        .arg("--overwrite")
        .assert()
        .code(1)
        .stderr(predicate::str::contains(
            "was not written by `cnn-codes export`",
        ));
    assert!(read("tiny.onnx") == trunk);
    // A card of the user's own is as safe as a model.
    fs::copy(
        place.path().join("tiny.toml"),
        place.path().join("mine.toml"),
    )
    .unwrap();
    export(&place, "mine.onnx")
        .arg("--overwrite")
        .assert()
        .code(1)
        .stderr(predicate::str::contains(
            "mine.toml exists and was not written",
        ));
    export(&place, "head.bin")
        .assert()
        .code(1)
        .stderr(predicate::str::contains("does not end in .onnx"));
    let names = place.names();
    assert!(
        !names.iter().any(|name| name.contains("partial")),
        "{names:?}"
    );
}

#[test]
fn another_trunk_or_a_missing_head_is_refused() {
    let Some((place, mut head)) = place_with_head() else {
        return;
    };
    head.heads.retain(|head| head.kind() != HeadKind::Logistic);
    let again = || place.path().join("head");
    head.save(&again(), Existing::Replace).unwrap();
    export(&place, "x.onnx")
        .args(["--head", "logistic"])
        .assert()
        .code(1)
        .stderr(predicate::str::contains(
            "holds no logistic; give --head mlp",
        ));
    head.codes.trunk.tensors_sha256 = "0".repeat(64);
    head.codes.trunk.graph_sha256 = Some("1".repeat(64));
    head.save(&again(), Existing::Replace).unwrap();
    export(&place, "x.onnx")
        .assert()
        .code(1)
        .stderr(predicate::str::contains(
            "tiny.onnx is not the trunk 'tiny'",
        ))
        .stderr(predicate::str::contains(
            "the trunk differs: tiny (parameters ",
        ));
    assert!(!place.names().iter().any(|name| name.starts_with("x.")));
}

#[test]
fn what_killed_exports_left_is_swept_and_a_model_without_its_card_is_told() {
    let Some((place, mut head)) = place_with_head() else {
        return;
    };
    export(&place, "x.onnx").assert().success();
    let old = fs::read(place.path().join("x.onnx")).unwrap();
    place.write(".cnn-codes-aB3xYz.partial", b"half a model");
    head.heads.retain(|head| head.kind() != HeadKind::Mlp);
    head.save(&place.path().join("head"), Existing::Replace)
        .unwrap();
    let again = || {
        export(&place, "x.onnx")
            .arg("--overwrite")
            .assert()
            .success()
    };
    again();
    assert!(!place.names().iter().any(|name| name.contains("partial")));

    // Killed when the card had its name already, and the model not yet.
    fs::write(place.path().join("x.onnx"), old).unwrap();
    let predict = || {
        let mut command = support::cnn_codes();
        command.current_dir(place.path());
        command
            .args(["predict", "--model", "x.onnx", "pictures"])
            .assert()
    };
    predict()
        .code(1)
        .stderr(predicate::str::contains("fetch or export the file again"));
    again();
    predict().success();
}

#[test]
fn a_file_that_appears_during_an_export_is_not_replaced() {
    let Some((place, head)) = place_with_head() else {
        return;
    };
    let exported = export_head(&head, ExportOptions::of(HeadKind::Logistic)).unwrap();
    let path = place.path().join("x.onnx");
    for existing in [Existing::Keep, Existing::Replace] {
        let target = Target::new(&path, false, existing).unwrap();
        fs::write(&path, "dear").unwrap();
        target.write(&exported).unwrap_err();
        assert_eq!(fs::read(&path).unwrap(), b"dear");
        fs::remove_file(&path).unwrap();
    }
    assert!(!place.names().iter().any(|name| name.contains("partial")));
}
