//! Trunks: whose kernels run them, and what they are given.

#[path = "../../crates/ort-winograd/tests/it/mixed.rs"]
#[allow(dead_code, reason = "the tests of ort-winograd use more of it")]
mod mixed;

use crate::support;

use std::path::{Path, PathBuf};

use cnn_codes::model::{
    Device, Kernels, Library, ModelCard, Runtime, Trunk, TrunkError, TrunkOptions,
};
use mixed::{HEIGHT, N_OUT, WIDTH, network, pictures};

fn write_card(folder: &Path) -> PathBuf {
    let path = folder.join("mixed.toml");
    let text = format!(
        "format = 1\nname = \"mixed\"\nfile = \"mixed.onnx\"\nlicence = \"CC0-1.0\"\n\
         attribution = \"none\"\nsources = [\"made by a test\"]\n\n\
         [input]\nname = \"input\"\nwidth = {WIDTH}\nheight = {HEIGHT}\n\
         layout = \"channels_last\"\nrecipe = \"none\"\n\n\
         [output]\nname = \"codes\"\nshape = [5, 6, {N_OUT}]\nlayout = \"channels_last\"\n"
    );
    std::fs::write(&path, text).unwrap();
    path
}

/// The mixed network as a trunk; `None` where there is no ONNX Runtime.
fn load(options: TrunkOptions) -> Option<Result<Trunk, TrunkError>> {
    let models = support::models_with_onnxruntime()?;
    let runtime = Runtime::load(&Library::find(None, &models).unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("mixed.onnx");
    std::fs::write(&model, network().to_bytes()).unwrap();
    let card = ModelCard::load(&write_card(folder.path())).unwrap();
    Some(Trunk::load(&runtime, card, &model, options))
}

fn on_cpu(kernels: Kernels, threads: usize) -> TrunkOptions {
    TrunkOptions::default()
        .with_device(Device::Cpu)
        .with_threads(threads)
        .with_kernels(kernels)
}

/// Codes of `pixels` in one call for each of `batches`.
fn codes(kernels: Kernels, threads: usize, pixels: &[f32], batches: &[usize]) -> Option<Vec<f32>> {
    let mut trunk = load(on_cpu(kernels, threads))?.unwrap();
    assert_eq!(trunk.kernels(), kernels);
    let (mut all, mut some, mut pixels) = (Vec::new(), Vec::new(), pixels);
    for &n in batches {
        let first = pixels.split_off(..n * HEIGHT * WIDTH * 3).unwrap();
        trunk.run(first, &mut some).unwrap();
        assert_eq!(some.len(), n * 5 * 6 * N_OUT);
        all.extend_from_slice(&some);
    }
    Some(all)
}

#[test]
fn codes_are_those_of_onnx_runtime_for_any_batch_and_number_of_threads() {
    let pixels = pictures(9);
    let Some(expected) = codes(Kernels::OnnxRuntime, 1, &pixels, &[9]) else {
        return;
    };
    let winograd = codes(Kernels::Winograd, 1, &pixels, &[9]).unwrap();
    let size = expected
        .iter()
        .fold(0.0_f32, |size, code| size.max(code.abs()));
    assert!(size > 0.1);
    // Both round in float32, by 6e-8, some hundred times over.
    for (code, expected) in winograd.iter().zip(&expected) {
        assert!(
            (code - expected).abs() < 1e-5 * size,
            "{code} for {expected}"
        );
    }
    assert_eq!(
        codes(Kernels::Winograd, 3, &pixels, &[9]),
        Some(winograd.clone())
    );
    assert_eq!(
        codes(Kernels::Winograd, 2, &pixels, &[1, 1, 2, 5]),
        Some(winograd)
    );
}

#[test]
fn pixels_that_are_no_whole_number_of_pictures_are_refused() {
    let Some(trunk) = load(on_cpu(Kernels::OnnxRuntime, 1)) else {
        return;
    };
    let mut trunk = trunk.unwrap();
    let len = HEIGHT * WIDTH * 3;
    let pixels = pictures(2);
    let mut codes = vec![7.0];
    for wrong in [0, 1, len - 1, len + 1, 2 * len - 1] {
        let error = trunk.run(&pixels[..wrong], &mut codes).unwrap_err();
        assert!(
            matches!(error, TrunkError::PixelCount { actual, per_picture }
                if (actual, per_picture) == (wrong, len)),
            "{error}"
        );
        assert!(
            codes.is_empty(),
            "codes of before are not taken for new ones"
        );
    }
    trunk.run(&pixels, &mut codes).unwrap();
    assert_eq!(codes.len(), 2 * 5 * 6 * N_OUT);
}

#[test]
fn kernels_of_the_cpu_are_refused_for_cuda() {
    let options = on_cpu(Kernels::Winograd, 1).with_device(Device::Cuda);
    let Some(trunk) = load(options) else { return };
    let error = trunk.unwrap_err();
    assert!(matches!(error, TrunkError::Kernels { .. }), "{error}");
}
