//! Codes against Keras' own, in ../shared/fixtures/vgg16_keras; skipped where that is absent.

use crate::support;

use std::fs;
use std::path::{Path, PathBuf};

use cnn_codes::model::{Device, Library, ModelCard, Runtime, Trunk, TrunkOptions};
use cnn_codes::picture::{
    self, Decoding, Filter, Fit, Layout, Preparation, Recipe, Resize, RgbImage,
};
use ndarray::Array4;
use ndarray_npy::read_npy;

/// ONNX Runtime and Keras sum in another order: 5e-7 was measured, and 1e-5 leaves room for
/// other processors.
const SAME_PIXELS: f64 = 1e-5;
/// jpeg-decoder and Pillow's libjpeg-turbo decode a twelfth of the bytes differently, by 4 levels
/// at the most: 2.3e-3 (`rescale`) and 8.0e-3 (`caffe`) were measured. The feature `turbojpeg` has
/// Pillow's pixels.
const SAME_FILES: f64 = 1e-2;

const SIDE: u32 = 224;

fn shared(name: &str) -> Option<PathBuf> {
    support::shared(Path::new("fixtures/vgg16_keras").join(name))
}

fn trunk() -> Option<Trunk> {
    let card = ModelCard::vgg16();
    let model = support::vgg16()?;
    let models = support::models_with_onnxruntime()?;
    let runtime = Runtime::load(&Library::find(None, &models).unwrap()).unwrap();
    let options = TrunkOptions::default()
        .with_device(Device::Cpu)
        .with_threads(2);
    Some(Trunk::load(&runtime, card, &model, options).unwrap())
}

fn expected_codes(recipe: Recipe) -> Vec<f32> {
    let path = shared(&format!("codes_{recipe}.npy")).unwrap();
    let codes: Array4<f32> = read_npy(path).unwrap();
    codes.into_raw_vec_and_offset().0
}

fn codes_of(trunk: &mut Trunk, recipe: Recipe, pictures: &[RgbImage]) -> Vec<f32> {
    let preparation = Preparation {
        resize: Resize {
            width: SIDE,
            height: SIDE,
            fit: Fit::Stretch,
            filter: Filter::Bilinear,
            decoding: Decoding::Full,
        },
        recipe,
        layout: Layout::ChannelsLast,
        views: cnn_codes::picture::Views::None,
    };
    let len = preparation.tensor_len();
    let mut tensor = vec![0.0; pictures.len() * len];
    for (picture, tensor) in pictures.iter().zip(tensor.chunks_mut(len)) {
        preparation.prepare(picture, tensor);
    }
    let mut codes = Vec::new();
    trunk.run(&tensor, &mut codes).unwrap();
    codes
}

/// The Frobenius norm of the difference over that of what is expected.
fn relative_difference(actual: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(actual.len(), expected.len());
    let square = |value: f64| value * value;
    let difference = actual.iter().zip(expected);
    let difference = difference.map(|(&a, &e)| square(f64::from(a) - f64::from(e)));
    let norm = expected.iter().map(|&e| square(f64::from(e)));
    (difference.sum::<f64>() / norm.sum::<f64>()).sqrt()
}

#[test]
fn codes_of_keras_pixels_are_keras_codes() {
    let (Some(pixels), Some(mut trunk)) = (shared("pixels_u8.npy"), trunk()) else {
        return;
    };
    let pixels: Array4<u8> = read_npy(pixels).unwrap();
    let pictures: Vec<RgbImage> = pixels
        .outer_iter()
        .map(|picture| RgbImage::from_raw(SIDE, SIDE, picture.iter().copied().collect()).unwrap())
        .collect();
    assert_eq!(pictures.len(), 6);
    for recipe in [Recipe::Caffe, Recipe::Rescale] {
        let expected = expected_codes(recipe);
        let difference = relative_difference(&codes_of(&mut trunk, recipe, &pictures), &expected);
        println!("{recipe}, same pixels: {difference:.2e}");
        assert!(difference < SAME_PIXELS, "{recipe}: {difference:e}");
    }
}

#[test]
fn codes_of_the_jpeg_files_are_near_keras_codes() {
    let (Some(list), Some(mut trunk)) = (shared("images.txt"), trunk()) else {
        return;
    };
    let produce = support::shared(Path::new("datasets/produce")).unwrap();
    let pictures: Vec<RgbImage> = fs::read_to_string(list)
        .unwrap()
        .lines()
        .map(|path| picture::decode(&fs::read(produce.join(path)).unwrap()).unwrap())
        .collect();
    assert_eq!(pictures.len(), 6);
    for recipe in [Recipe::Caffe, Recipe::Rescale] {
        let expected = expected_codes(recipe);
        let difference = relative_difference(&codes_of(&mut trunk, recipe, &pictures), &expected);
        println!(
            "{recipe}, same files: {difference:.2e} ({})",
            picture::DECODER
        );
        assert!(difference < SAME_FILES, "{recipe}: {difference:e}");
    }
}
