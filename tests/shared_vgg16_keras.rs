//! Codes against Keras' own, in ../shared/fixtures/vgg16_keras; skipped where that is absent.

mod support;

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use cnn_codes::codes::npy::Header;
use cnn_codes::model::{Device, Library, ModelCard, Runtime, Trunk, TrunkOptions};
use cnn_codes::picture::{self, Filter, Fit, Layout, Preparation, Recipe, Resize, RgbImage};

/// ONNX Runtime and Keras sum in another order: 5e-7 was measured, and 1e-5 leaves room for
/// other processors.
const SAME_PIXELS: f64 = 1e-5;
/// zune-jpeg and Pillow's libjpeg-turbo decode a fifth of the bytes differently, by 5 levels at
/// the most: 3.5e-3 was measured.
const SAME_FILES: f64 = 1e-2;

const SIDE: usize = 224;

fn shared(name: &str) -> Option<PathBuf> {
    support::shared(&Path::new("fixtures/vgg16_keras").join(name))
}

fn trunk() -> Option<Trunk> {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let card = ModelCard::vgg16();
    let model = models.join(&card.file);
    if !model.exists() {
        eprintln!("skipped: no {} (run `cnn-codes fetch`)", model.display());
        return None;
    }
    let runtime = Runtime::load(&Library::find(None, &models).unwrap()).unwrap();
    let options = TrunkOptions {
        device: Device::Cpu,
        threads: 2,
    };
    Some(Trunk::load(&runtime, card, &model, options).unwrap())
}

/// The bytes of a .npy file after its header.
fn npy_data(path: &Path) -> Vec<u8> {
    let mut file = File::open(path).unwrap();
    Header::parse(&mut file).unwrap();
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    bytes
}

fn expected_codes(recipe: Recipe) -> Option<Vec<f32>> {
    let bytes = npy_data(&shared(&format!("codes_{recipe}.npy"))?);
    let (values, rest) = bytes.as_chunks::<4>();
    assert!(rest.is_empty());
    Some(
        values
            .iter()
            .map(|&value| f32::from_le_bytes(value))
            .collect(),
    )
}

fn codes_of(trunk: &mut Trunk, recipe: Recipe, pictures: &[RgbImage]) -> Vec<f32> {
    let preparation = Preparation {
        resize: Resize {
            width: SIDE as u32,
            height: SIDE as u32,
            fit: Fit::Stretch,
            filter: Filter::Bilinear,
        },
        recipe,
        layout: Layout::ChannelsLast,
    };
    let len = preparation.tensor_len();
    let mut tensor = vec![0.0; pictures.len() * len];
    for (picture, tensor) in pictures.iter().zip(tensor.chunks_mut(len)) {
        preparation.prepare(picture, tensor);
    }
    let mut codes = Vec::new();
    trunk.run(&tensor, pictures.len(), &mut codes).unwrap();
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
    let pixels = npy_u8(&pixels);
    let pictures: Vec<RgbImage> = pixels
        .chunks_exact(SIDE * SIDE * 3)
        .map(|picture| RgbImage::from_raw(SIDE as u32, SIDE as u32, picture.to_vec()).unwrap())
        .collect();
    assert_eq!(pictures.len(), 6);
    for recipe in [Recipe::Caffe, Recipe::Rescale] {
        let expected = expected_codes(recipe).unwrap();
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
        let expected = expected_codes(recipe).unwrap();
        let difference = relative_difference(&codes_of(&mut trunk, recipe, &pictures), &expected);
        println!(
            "{recipe}, same files: {difference:.2e} ({})",
            picture::DECODER
        );
        assert!(difference < SAME_FILES, "{recipe}: {difference:e}");
    }
}

/// Like [`npy_data`], for the one array of bytes, which a store never holds.
fn npy_u8(path: &Path) -> Vec<u8> {
    let bytes = fs::read(path).unwrap();
    let header = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    bytes[header..].to_vec()
}
