//! The MLP's losses and weights against a training run of Keras (../shared/fixtures/mlp_keras).

use test_support as support;

use std::path::PathBuf;

use crate::head::Samples;
use crate::head::mlp::{BatchOrder, Dense, Mlp, MlpOptions, Trainer};
use crate::head::optimizer::{OptimizerOptions, UpdateRule};
use ndarray::{Array1, Array2, ArrayBase, Axis, Data, Dimension};
use ndarray_npy::{ReadableElement, read_npy};
use serde::Deserialize;

/// A file of Keras' run.
fn fixture(name: &str) -> PathBuf {
    let folder = support::root().join("../shared/fixtures/mlp_keras");
    folder.join(name)
}

#[derive(Deserialize)]
struct Config {
    hidden: usize,
    classes: usize,
    epochs: usize,
    batch_size: usize,
    learning_rate: f64,
    rho: f64,
    epsilon: f64,
    dropout: f32,
}

fn matrix(name: &str) -> Array2<f32> {
    read_npy(fixture(name)).unwrap()
}

fn vector<T: ReadableElement>(name: &str) -> Array1<T> {
    read_npy(fixture(name)).unwrap()
}

fn assert_close<S, D>(name: &str, ours: &ArrayBase<S, D>, keras: &ArrayBase<S, D>)
where
    S: Data<Elem = f32>,
    D: Dimension,
{
    assert_eq!(ours.shape(), keras.shape(), "{name}");
    let pairs = ours.iter().zip(keras);
    let worst = pairs
        .map(|(ours, keras)| (ours - keras).abs())
        .fold(0.0, f32::max);
    println!("{name}: largest difference {worst:.1e}");
    assert!(worst <= 1e-4, "{name} differs by {worst}");
}

#[test]
fn losses_and_final_weights_are_those_of_keras() {
    if support::shared("fixtures/mlp_keras").is_none() {
        return;
    }
    let text = std::fs::read_to_string(fixture("config.json")).unwrap();
    let config: Config = serde_json::from_str(&text).unwrap();
    let (x, labels) = (matrix("x.npy"), vector::<i64>("y.npy"));
    let labels: Vec<_> = labels.iter().map(|&label| label as usize).collect();
    let dense = |weights: Array2<f32>| Dense {
        bias: Array1::zeros(weights.ncols()),
        weights,
    };
    let mlp = Mlp::from_weights(vec![dense(matrix("w1.npy")), dense(matrix("w2.npy"))]).unwrap();
    assert_eq!(
        (mlp.layers()[0].bias.len(), mlp.n_classes()),
        (config.hidden, config.classes)
    );
    let options = MlpOptions {
        dropout: config.dropout,
        batch_size: config.batch_size,
        order: BatchOrder::AsStored,
        optimizer: OptimizerOptions {
            rule: UpdateRule::RmsProp {
                rho: config.rho,
                epsilon: config.epsilon,
            },
            learning_rate: config.learning_rate,
            ..OptimizerOptions::default()
        },
        ..MlpOptions::default()
    };

    let samples = Samples::new(x.view(), &labels, config.classes).unwrap();
    let mut trainer = Trainer::new(mlp, &options, &samples).unwrap();
    let mut losses = Vec::new();
    for _ in 0..config.epochs {
        let batches = x.axis_chunks_iter(Axis(0), config.batch_size);
        for (codes, labels) in batches.zip(labels.chunks(config.batch_size)) {
            losses.push(trainer.step(codes, labels).loss);
        }
    }

    let keras: Vec<f64> = match read_npy::<_, Array1<f32>>(fixture("loss_per_step.npy")) {
        Ok(losses) => losses.iter().map(|&loss| f64::from(loss)).collect(),
        Err(_) => vector::<f64>("loss_per_step.npy").to_vec(),
    };
    assert_eq!(losses.len(), keras.len());
    let relative = losses
        .iter()
        .zip(&keras)
        .map(|(ours, keras)| (ours / keras - 1.0).abs());
    let worst = relative.fold(0.0, f64::max);
    println!("losses: largest relative difference {worst:.1e}");
    assert!(worst <= 1e-4, "a loss differs by {worst}");
    let [first, second] = trainer.mlp().layers() else {
        panic!("two layers went in");
    };
    assert_close("w1", &first.weights, &matrix("final_w1.npy"));
    assert_close("b1", &first.bias, &vector("final_b1.npy"));
    assert_close("w2", &second.weights, &matrix("final_w2.npy"));
    assert_close("b2", &second.bias, &vector("final_b2.npy"));
}
