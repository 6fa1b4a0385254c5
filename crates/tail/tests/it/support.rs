//! What the tests share: files of the checkout, numbers, ONNX Runtime.

use std::path::PathBuf;

use cnn_codes_tail::{Gradients, Optimizer, OptimizerOptions, Tail};
use ort_winograd::OnnxModel;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// A file of the checkout.
pub fn checkout(path: &str) -> PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
}

/// A trunk that `cnn-codes fetch` has put into the checkout's models folder; `None`, with a message, where it
/// has not.
pub fn trunk(file: &str) -> Option<OnnxModel> {
    let path = checkout("models").join(file);
    if !path.exists() {
        crate::skip!("no {} (run `cnn-codes fetch`)", path.display());
        return None;
    }
    Some(OnnxModel::read(&path).unwrap())
}

/// Numbers from -1 to 1.
pub fn numbers(n: usize, seed: u64) -> Vec<f32> {
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
    (0..n).map(|_| rng.gen_range(-1.0..1.0)).collect()
}

/// Changes each weight a little, as a step of training does.
pub fn tune(tail: &mut Tail, seed: u64) {
    let tensors = tail.tensors().iter().zip(seed..);
    let gradients = Gradients {
        tensors: tensors
            .map(|(tensor, seed)| {
                let size = tensor
                    .values()
                    .iter()
                    .fold(0.0_f32, |size, w| size.max(w.abs()));
                let numbers = numbers(tensor.values().len(), seed);
                numbers.into_iter().map(|number| number * size).collect()
            })
            .collect(),
        input: None,
    };
    let rates = tail.layer_rates(0.2, 1.0);
    let mut optimizer = Optimizer::new(tail, OptimizerOptions::default());
    optimizer.step(tail, &gradients, &rates).unwrap();
}

/// Each number within `tolerance`, in units of the largest one.
pub fn assert_near(what: &str, values: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(values.len(), expected.len(), "{what}");
    let size = expected
        .iter()
        .fold(0.0_f32, |size, value| size.max(value.abs()));
    assert!(size > 0.0, "{what}: nothing but zeros");
    for (value, expected) in values.iter().zip(expected) {
        let off = (value - expected).abs();
        assert!(
            off <= tolerance * size,
            "{what}: {value} for {expected}, of {size}"
        );
    }
}
