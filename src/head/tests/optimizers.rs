//! Every optimizer, schedule and loss against trainings of Keras
//! (src/head/tests/fixtures/make_optimizer_fixtures.py).

use crate::head::mlp::{BatchOrder, Dense, LossOptions, Mlp, MlpOptions, Monitored};
use crate::head::optimizer::{OptimizerKind, OptimizerOptions, ScheduleKind};
use crate::head::{ClassWeights, Samples};
use ndarray::{Array1, Array2};
use serde::Deserialize;

const FIXTURE: &str = include_str!("fixtures/optimizers.json");
const N_FEATURES: usize = 7;
const N_CLASSES: usize = 3;

/// Keras computes in f32 as we do, with sums in another order, which 15 steps make 1e-7 of weights
/// and losses of about 1. It also takes Adam's powers of beta in f32, which leaves alpha 1e-5 off in
/// the first steps, and so weights that move by 0.3.
fn tolerance(kind: OptimizerKind) -> f64 {
    match kind {
        OptimizerKind::Adam | OptimizerKind::AdamW => 1e-5,
        OptimizerKind::RmsProp | OptimizerKind::Sgd => 1e-6,
    }
}

#[derive(Deserialize)]
struct Fixture {
    epochs: usize,
    batch_size: usize,
    labels: Vec<usize>,
    codes: Vec<f32>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    options: CaseOptions,
    start: Vec<Layer>,
    losses: Vec<f64>,
    end: Vec<Layer>,
}

#[derive(Deserialize)]
struct CaseOptions {
    hidden: Vec<usize>,
    optimizer: OptimizerOptions,
    loss: LossOptions,
}

#[derive(Deserialize)]
struct Layer {
    weights: Vec<f32>,
    bias: Vec<f32>,
}

impl Layer {
    fn dense(&self) -> Dense {
        let shape = (self.weights.len() / self.bias.len(), self.bias.len());
        Dense {
            weights: Array2::from_shape_vec(shape, self.weights.clone()).unwrap(),
            bias: Array1::from_vec(self.bias.clone()),
        }
    }
}

fn fixture() -> Fixture {
    serde_json::from_str(FIXTURE).unwrap()
}

fn largest_difference<'a>(
    ours: impl IntoIterator<Item = &'a f32>,
    keras: impl IntoIterator<Item = &'a f32>,
) -> f64 {
    ours.into_iter()
        .zip(keras)
        .map(|(ours, keras)| f64::from((ours - keras).abs()))
        .fold(0.0, f64::max)
}

#[test]
fn losses_and_final_weights_are_those_of_keras() {
    let Fixture {
        epochs,
        batch_size,
        labels,
        codes,
        cases,
    } = fixture();
    let codes = Array2::from_shape_vec((labels.len(), N_FEATURES), codes).unwrap();
    let samples = Samples::new(codes.view(), &labels, N_CLASSES).unwrap();
    for (index, case) in cases.into_iter().enumerate() {
        let options = MlpOptions {
            hidden: case.options.hidden,
            dropout: 0.0,
            epochs,
            batch_size,
            optimizer: case.options.optimizer,
            loss: case.options.loss,
            order: BatchOrder::AsStored,
            ..MlpOptions::default()
        };
        let mlp = Mlp::from_weights(case.start.iter().map(Layer::dense).collect()).unwrap();
        let trained = mlp
            .train(&samples, &Monitored::default(), &options, &())
            .unwrap();
        let kind = options.optimizer.rule.kind();
        let (about, tolerance) = (format!("case {index}, {kind}"), tolerance(kind));
        assert_eq!(trained.history.len(), case.losses.len());
        for (epoch, keras) in trained.history.iter().zip(&case.losses) {
            let difference = (epoch.loss - keras).abs();
            assert!(difference < tolerance, "{about}: {epoch:?}, Keras {keras}");
        }
        assert_eq!(trained.mlp.layers().len(), case.end.len());
        for (ours, keras) in trained.mlp.layers().iter().zip(&case.end) {
            let keras = keras.dense();
            assert_eq!(ours.weights.dim(), keras.weights.dim());
            let weights = largest_difference(&ours.weights, &keras.weights);
            let bias = largest_difference(&ours.bias, &keras.bias);
            println!("{about}: weights {weights:.1e}, bias {bias:.1e}");
            assert!(weights < tolerance && bias < tolerance, "{about}");
        }
    }
}

#[test]
fn the_fixture_has_every_choice() {
    let cases = fixture().cases;
    let any = |has: &dyn Fn(&CaseOptions) -> bool| cases.iter().any(|case| has(&case.options));
    for name in OptimizerKind::NAMES {
        assert!(any(&|of| of.optimizer.rule.kind().name() == *name));
    }
    for name in ScheduleKind::NAMES {
        assert!(any(&|of| of.optimizer.schedule.kind().name() == *name));
    }
    for name in ClassWeights::NAMES {
        assert!(any(&|of| of.loss.class_weights.name() == *name));
    }
    for n_states in 0..3 {
        assert!(any(&|of| of.optimizer.rule.n_states() == n_states));
    }
    for n_hidden in 0..3 {
        assert!(any(&|of| of.hidden.len() == n_hidden));
    }
    assert!(any(&|of| of.optimizer.weight_decay > 0.0));
    assert!(any(&|of| of.loss.label_smoothing > 0.0));
}
