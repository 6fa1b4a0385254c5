//! Ten steps of training against PyTorch: tests/fixtures/make_pytorch_fixtures.py.

use cnn_codes_tail::{
    AdamMeans, Batch, InputGradient, Optimizer, OptimizerOptions, Tail, UpdateRule,
};
use safetensors::SafeTensors;

use crate::networks::Network;

/// Ten steps in float32 beside those in float64, on weights and losses near 1.
const TOLERANCE: f64 = 1e-4;

const N: usize = 5;
const N_CLASSES: usize = 3;

fn fixture() -> Vec<u8> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/pytorch.safetensors"
    );
    std::fs::read(path).unwrap()
}

fn numbers(file: &SafeTensors, name: &str) -> Vec<f32> {
    let data = file.tensor(name).unwrap().data().to_vec();
    let (numbers, _) = data.as_chunks::<4>();
    numbers
        .iter()
        .map(|&bytes| f32::from_le_bytes(bytes))
        .collect()
}

/// The fixture's tail, with its weights at the start.
fn tail(file: &SafeTensors) -> Tail {
    let mut network = Network::new(1);
    network
        .conv("x", "c1", [8, 3, 3, 3], [1; 4])
        .plain("Relu", &["c1"], "r1")
        .pool("MaxPool", ["r1", "p"], [2, 2], [2, 2], [0; 4])
        .conv("p", "c2", [8, 8, 3, 3], [1; 4])
        .plain("Relu", &["c2"], "r2")
        .conv("r2", "c3", [8, 8, 3, 3], [1; 4])
        .plain("Add", &["c3", "p"], "sum")
        .plain("Relu", &["sum"], "y");
    let mut tail = Tail::read(&network.model(), "x", "y").unwrap();
    let names = tail.tensors().iter().map(|tensor| tensor.name().to_owned());
    let names: Vec<_> = names.collect();
    for (name, weights) in names.iter().zip(tail.weights_mut()) {
        weights.copy_from_slice(&numbers(file, &format!("start/{name}")));
    }
    tail
}

/// Mean cross entropy of the softmax of `codes` (N, D) `head` (D, K), and its gradient to the codes.
fn loss(codes: &[f32], head: &[f32], labels: &[f32]) -> (f64, Vec<f32>) {
    let n_codes = codes.len() / N;
    let (mut sum, mut d_codes) = (0.0, Vec::new());
    for (codes, &label) in codes.chunks_exact(n_codes).zip(labels) {
        let mut logits = [0.0_f64; N_CLASSES];
        for (&code, row) in codes.iter().zip(head.chunks_exact(N_CLASSES)) {
            for (logit, &weight) in logits.iter_mut().zip(row) {
                *logit += f64::from(code) * f64::from(weight);
            }
        }
        let total: f64 = logits.iter().map(|logit| logit.exp()).sum();
        let mut d_logits = logits.map(|logit| logit.exp() / total);
        let label = label as usize;
        sum -= d_logits[label].ln();
        d_logits[label] -= 1.0;
        for row in head.chunks_exact(N_CLASSES) {
            let products = d_logits
                .iter()
                .zip(row)
                .map(|(d, &weight)| d * f64::from(weight));
            d_codes.push((products.sum::<f64>() / N as f64) as f32);
        }
    }
    (sum / N as f64, d_codes)
}

/// Trains by `options`, and compares losses and weights with those called `rule`.
fn check(rule: &str, options: OptimizerOptions, rate: f32, max_norm: Option<f32>) {
    let bytes = fixture();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let [x, head, labels] = ["x", "head", "labels"].map(|name| numbers(&file, name));
    let mut tail = tail(&file);
    let rates = tail.layer_rates(rate, 0.5);
    let mut optimizer = Optimizer::new(&tail, options);
    let batch = Batch {
        shape: [N, 8, 10, 3],
        values: &x,
    };
    for expected in numbers(&file, &format!("{rule}/losses")) {
        let (codes, tape) = tail.forward(batch).unwrap();
        let (loss, d_codes) = loss(&codes, &head, &labels);
        assert!(
            (loss - f64::from(expected)).abs() < TOLERANCE,
            "{rule}: {loss} for {expected}"
        );
        let mut gradients = tail
            .backward(&tape, &d_codes, InputGradient::Unwanted)
            .unwrap();
        if let Some(max_norm) = max_norm {
            assert!(gradients.clip(max_norm) > 0.0);
        }
        optimizer.step(&mut tail, &gradients, &rates).unwrap();
    }
    for tensor in tail.tensors() {
        let (start, expected) = ["start", rule]
            .map(|when| numbers(&file, &format!("{when}/{}", tensor.name())))
            .into();
        assert_ne!(start, expected, "{}", tensor.name());
        for (weight, expected) in tensor.values().iter().zip(expected) {
            let off = f64::from((weight - expected).abs());
            assert!(
                off < TOLERANCE,
                "{rule}, {}: {weight} for {expected}",
                tensor.name()
            );
        }
    }
}

#[test]
fn ten_steps_of_sgd_with_momentum_clipped_and_pulled_are_those_of_pytorch() {
    let options = OptimizerOptions {
        rule: UpdateRule::Sgd { momentum: 0.9 },
        pull: 0.1,
        ..OptimizerOptions::default()
    };
    check("sgd", options, 0.1, Some(0.5));
}

#[test]
fn ten_steps_of_adamw_are_those_of_pytorch() {
    let options = OptimizerOptions {
        rule: UpdateRule::AdamW(AdamMeans::default()),
        weight_decay: 0.1,
        ..OptimizerOptions::default()
    };
    check("adamw", options, 0.005, None);
}
