//! An exported VGG16 classifier in Python's onnxruntime, on pictures of ../shared/datasets/produce;
//! skipped where those, the trunk or the Python are absent.

use crate::support;

use std::fs;
use std::path::{Path, PathBuf};

use cnn_codes::codes::Store;
use cnn_codes::head::mlp::Mlp;
use cnn_codes::head::saved::SavedHead;
use cnn_codes::head::{Head, probabilities};
use cnn_codes::picture::{self, Decoding, Filter, Fit, Layout, Preparation, Recipe, Resize};
use ndarray::{Array2, Array4};
use ndarray_npy::{read_npy, write_npy};

const SIDE: usize = 224;
const PER_CLASS: usize = 10;
/// Sums in another order through 13 convolutions; 2e-7 was measured.
const SAME: f32 = 1e-5;

const RUN: &str = "
import sys, numpy, onnx, onnxruntime
model, pixels, probabilities = sys.argv[1:]
onnx.checker.check_model(model, full_check=True)
session = onnxruntime.InferenceSession(model, providers=['CPUExecutionProvider'])
numpy.save(probabilities, session.run(['probabilities'], {'pixels': numpy.load(pixels)})[0])
";

/// Copies ten pictures of each of two classes, and returns their files in order.
fn copy_pictures(produce: &Path, to: &Path) -> Vec<PathBuf> {
    let mut copies = Vec::new();
    for class in ["pumpkin", "tomato"] {
        let entries = fs::read_dir(produce.join("validation").join(class)).unwrap();
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        fs::create_dir_all(to.join(class)).unwrap();
        for file in &files[..PER_CLASS] {
            let copy = to.join(class).join(file.file_name().unwrap());
            fs::copy(file, &copy).unwrap();
            copies.push(copy);
        }
    }
    copies
}

/// The pictures as the exported file wants them: fitted, and nothing else done to them.
fn pixels(files: &[PathBuf]) -> Array4<u8> {
    let side = SIDE as u32;
    let preparation = Preparation {
        resize: Resize {
            width: side,
            height: side,
            fit: Fit::Stretch,
            filter: Filter::Bilinear,
            decoding: Decoding::Full,
        },
        recipe: Recipe::None,
        layout: Layout::ChannelsLast,
        views: cnn_codes::picture::Views::None,
    };
    let mut levels = Vec::new();
    let mut tensor = vec![0.0; preparation.tensor_len()];
    for file in files {
        let picture = picture::decode(&fs::read(file).unwrap()).unwrap();
        preparation.prepare(&picture, &mut tensor);
        levels.extend(tensor.iter().map(|&level| level as u8));
    }
    Array4::from_shape_vec((files.len(), SIDE, SIDE, 3), levels).unwrap()
}

fn run(folder: &Path, arguments: &[&str]) {
    let mut command = support::cnn_codes();
    let command = command.current_dir(folder).args(arguments);
    command.assert().success();
}

#[test]
fn twenty_pictures_get_the_same_probabilities_in_python() {
    let (Some(produce), Some(python), Some(_), Some(_)) = (
        support::shared(Path::new("datasets/produce")),
        support::python(),
        support::models_with_onnxruntime(),
        support::vgg16(),
    ) else {
        return;
    };
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let files = copy_pictures(&produce, &folder.join("pictures"));
    write_npy(folder.join("pixels.npy"), &pixels(&files)).unwrap();
    for (recipe, pool) in [("caffe", "none"), ("rescale", "avg")] {
        let options = ["--recipe", recipe, "--pool", pool, "--overwrite"];
        let extract = ["extract-features", "pictures", "--out", "codes"];
        run(folder, &[&extract[..], &options[..]].concat());
        let train = ["train-head", "--train", "codes", "--folds", "2"];
        let train = [
            &train[..],
            &["--head", "mlp", "--out", "head", "--epochs", "3"],
            &["--overwrite"],
        ]
        .concat();
        run(folder, &train);
        run(
            folder,
            &["export", "head", "--out", "whole.onnx", "--overwrite"],
        );

        let head = SavedHead::load(&folder.join("head")).unwrap();
        let mlp = head.get::<Mlp>().unwrap();
        let codes = Store::open(&folder.join("codes"))
            .unwrap()
            .read_codes()
            .unwrap();
        let scaled = head.scaling.apply(codes.view()).unwrap();
        let logits = mlp.model.logits(&scaled.view().into()).unwrap();
        let expected = probabilities(logits, mlp.temperature as f32);

        let paths = ["whole.onnx", "pixels.npy", "actual.npy"].map(|name| folder.join(name));
        support::run_python(&python, RUN, &paths.each_ref().map(PathBuf::as_path));
        let actual: Array2<f32> = read_npy(&paths[2]).unwrap();
        assert_eq!(actual.dim(), (2 * PER_CLASS, 2));
        let differences = (&actual - &expected).mapv(f32::abs);
        let largest = differences.fold(0.0_f32, |largest, &value| largest.max(value));
        println!("{recipe}, {pool}: {largest:.1e}");
        assert!(largest < SAME, "{recipe}, {pool}: {largest:e}");
    }
}
