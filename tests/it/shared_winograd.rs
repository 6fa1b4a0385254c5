//! VGG16's codes of 150 pictures by both kinds of kernels; skipped where ../shared is absent.

use crate::support;

use std::path::Path;

use cnn_codes::dataset;
use cnn_codes::model::{Device, Kernels, Library, ModelCard, Runtime, Trunk, TrunkOptions};
use cnn_codes::picture::{self, Decoding, Filter, Fit, Preparation, Recipe, Resize};

/// 1.5e-6 was measured; another order of sums in ONNX Runtime may change that, and what heads
/// learn is a hundred times coarser than this.
const TOLERANCE: f64 = 1e-4;

#[test]
fn codes_of_150_pictures_are_those_of_onnx_runtime() {
    let Some(pictures) = support::shared(Path::new("datasets/produce/validation")) else {
        return;
    };
    let (Some(model), Some(models)) = (support::vgg16(), support::models_with_onnxruntime()) else {
        return;
    };
    let runtime = Runtime::load(&Library::find(None, &models).unwrap()).unwrap();
    let [mut bare, mut winograd] = [Kernels::OnnxRuntime, Kernels::Winograd].map(|kernels| {
        let options = TrunkOptions::default()
            .with_device(Device::Cpu)
            .with_threads(2)
            .with_kernels(kernels);
        Trunk::load(&runtime, ModelCard::vgg16(), &model, options).unwrap()
    });
    let dataset = dataset::find(&pictures).unwrap();
    assert_eq!(dataset.len(), 150);
    for recipe in [Recipe::Caffe, Recipe::Rescale] {
        let preparation = preparation(recipe);
        let len = preparation.tensor_len();
        let (mut difference, mut norm) = (0.0, 0.0);
        let (mut expected, mut codes) = (Vec::new(), Vec::new());
        for batch in dataset.listed.chunks(25) {
            let mut tensor = vec![0.0; batch.len() * len];
            for (picture, tensor) in batch.iter().zip(tensor.chunks_mut(len)) {
                let bytes = dataset.read(picture).unwrap();
                preparation.prepare(&picture::decode(&bytes).unwrap(), tensor);
            }
            bare.run(&tensor, &mut expected).unwrap();
            winograd.run(&tensor, &mut codes).unwrap();
            for (&code, &expected) in codes.iter().zip(&expected) {
                difference += (f64::from(code) - f64::from(expected)).powi(2);
                norm += f64::from(expected).powi(2);
            }
        }
        let relative = (difference / norm).sqrt();
        println!("{recipe}: {relative:.2e}");
        assert!(relative < TOLERANCE, "{recipe}: {relative:.2e}");
    }
}

fn preparation(recipe: Recipe) -> Preparation {
    let input = ModelCard::vgg16().input;
    Preparation {
        resize: Resize {
            width: input.width,
            height: input.height,
            fit: Fit::Stretch,
            filter: Filter::Bilinear,
            decoding: Decoding::Full,
        },
        recipe,
        layout: input.layout,
        views: cnn_codes::picture::Views::None,
    }
}
