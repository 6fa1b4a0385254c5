//! The MLP's gradients, its determinism, and data and options that would break it.

use std::fmt;
use std::sync::Mutex;

use crate::head::mlp::{
    BatchOrder, Dense, Ended, LossOptions, Mlp, MlpOptions, Monitored, TrainedMlp,
};
use crate::head::optimizer::OptimizerOptions;
use crate::head::{ClassWeights, Epoch, HeadError, Samples, probabilities};
use crate::progress::{Progress, Watch};
use ndarray::{Array1, Array2, array};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

fn rng(seed: u64) -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(seed)
}

/// Codes (N, D) in which class k has feature k raised, and labels 0, 1, ..., K - 1, 0, ...
fn made_up(n: usize, d: usize, n_classes: usize) -> (Array2<f32>, Vec<usize>) {
    let mut rng = rng(3);
    let codes = Array2::from_shape_fn((n, d), |(i, j)| {
        let raised = if j % n_classes == i % n_classes {
            0.6
        } else {
            0.0
        };
        (rng.r#gen::<f32>() + raised - 0.5).max(0.0)
    });
    (codes, (0..n).map(|i| i % n_classes).collect())
}

fn fit<'a, 's>(
    samples: &Samples,
    validation: Option<&'a Samples<'s>>,
    options: &MlpOptions,
) -> Result<TrainedMlp, HeadError> {
    let monitored = Monitored {
        validation,
        ..Monitored::default()
    };
    Mlp::fit(samples, &monitored, options, &())
}

/// Mean loss of training in f64, written once more and as plainly as possible.
fn plain_loss(
    layers: &[(Array2<f64>, Array1<f64>)],
    samples: &Samples,
    options: &LossOptions,
) -> f64 {
    let counts = samples.class_counts();
    let n_classes = counts.len() as f64;
    let mut total = 0.0;
    let mut code = vec![0.0; samples.n_features()];
    for (row, &label) in samples.labels().iter().enumerate() {
        samples.codes().read(row, 0..code.len(), &mut code).unwrap();
        let mut values: Array1<f64> = code.iter().copied().map(f64::from).collect();
        for (index, (weights, bias)) in layers.iter().enumerate() {
            values = values.dot(weights) + bias;
            if index + 1 < layers.len() {
                values.mapv_inplace(|z| z.max(0.0));
            }
        }
        let losses = values.mapv(f64::exp).sum().ln() - &values;
        let smoothing = options.label_smoothing;
        let loss = (1.0 - smoothing) * losses[label] + smoothing * losses.mean().unwrap();
        total += loss
            * match options.class_weights {
                ClassWeights::None => 1.0,
                ClassWeights::Balanced => samples.len() as f64 / n_classes / counts[label] as f64,
            };
    }
    total / samples.len() as f64
}

/// Compares every gradient with central differences of [`plain_loss`].
///
/// A step of 1e-5 in f64 leaves an error of about 1e-10, so that what is left is the rounding of
/// f32: sums of up to 12 * 40 terms below 1, each rounded to 6e-8.
fn check_gradients(sizes: &[usize], options: &LossOptions) {
    const STEP: f64 = 1e-5;
    let n_classes = sizes[sizes.len() - 1];
    let (codes, mut labels) = made_up(12, sizes[0], n_classes);
    // One more of the first class and one less of the last, so that balanced weights differ.
    labels[n_classes - 1] = 0;
    let samples = Samples::new(codes.view(), &labels, n_classes).unwrap();
    let mut mlp = Mlp::glorot_uniform(sizes, &mut rng(5))
        .unwrap()
        .layers()
        .to_vec();
    for layer in &mut mlp {
        layer.bias.mapv_inplace(|_| 0.05);
    }
    let mlp = Mlp::from_weights(mlp).unwrap();
    let wide = |layer: &Dense| (layer.weights.mapv(f64::from), layer.bias.mapv(f64::from));
    let layers: Vec<_> = mlp.layers().iter().map(wide).collect();

    let (loss, gradients) = mlp.loss_and_gradient(&samples, options).unwrap();
    assert!((loss - plain_loss(&layers, &samples, options)).abs() < 1e-6);
    let check = |name: String, ours: f32, loss_at: &dyn Fn(f64) -> f64| {
        let expected = (loss_at(STEP) - loss_at(-STEP)) / (2.0 * STEP);
        let error = (f64::from(ours) - expected).abs();
        assert!(error < 2e-6, "{sizes:?} {name}: {ours} and {expected}");
    };
    for (index, gradient) in gradients.iter().enumerate() {
        for (at, &ours) in gradient.weights.indexed_iter() {
            check(format!("layer {index} weight {at:?}"), ours, &|step| {
                let mut layers = layers.clone();
                layers[index].0[at] += step;
                plain_loss(&layers, &samples, options)
            });
        }
        for (at, &ours) in gradient.bias.indexed_iter() {
            check(format!("layer {index} bias {at}"), ours, &|step| {
                let mut layers = layers.clone();
                layers[index].1[at] += step;
                plain_loss(&layers, &samples, options)
            });
        }
    }
}

#[test]
fn gradients_are_those_of_finite_differences() {
    for class_weights in [ClassWeights::None, ClassWeights::Balanced] {
        for label_smoothing in [0.0, 0.2] {
            let options = LossOptions {
                label_smoothing,
                class_weights,
            };
            check_gradients(&[6, 3], &options);
            check_gradients(&[6, 5, 3], &options);
            check_gradients(&[7, 6, 5, 2], &options);
        }
    }
}

#[test]
fn layers_wider_than_a_block_have_the_same_gradients() {
    // 1,100 inputs are three blocks of the forward sum; 100 x 200 weights two of the gradient.
    let (codes, labels) = made_up(12, 1100, 2);
    let samples = Samples::new(codes.view(), &labels, 2).unwrap();
    let mlp = Mlp::glorot_uniform(&[1100, 200, 2], &mut rng(5)).unwrap();
    let wide = |layer: &Dense| (layer.weights.mapv(f64::from), layer.bias.mapv(f64::from));
    let layers: Vec<_> = mlp.layers().iter().map(wide).collect();
    let options = LossOptions::default();
    let (loss, gradients) = mlp.loss_and_gradient(&samples, &options).unwrap();
    assert!((loss - plain_loss(&layers, &samples, &options)).abs() < 1e-5);
    let mut rng = rng(8);
    for _ in 0..20 {
        let at = (rng.gen_range(0..1100), rng.gen_range(0..200));
        let loss_at = |step: f64| {
            let mut layers = layers.clone();
            layers[0].0[at] += step;
            plain_loss(&layers, &samples, &options)
        };
        let expected = (loss_at(1e-5) - loss_at(-1e-5)) / 2e-5;
        let ours = f64::from(gradients[0].weights[at]);
        assert!(
            (ours - expected).abs() < 2e-6,
            "{at:?}: {ours} and {expected}"
        );
    }
}

#[test]
fn glorot_uniform_has_its_limit_and_variance() {
    let mlp = Mlp::glorot_uniform(&[300, 100, 3], &mut rng(1)).unwrap();
    let weights = &mlp.layers()[0].weights;
    let limit = (6.0f32 / 400.0).sqrt();
    assert!(weights.iter().all(|weight| weight.abs() <= limit));
    let variance = weights
        .iter()
        .map(|&weight| f64::from(weight).powi(2))
        .sum::<f64>()
        / 3e4;
    // A uniform distribution's variance is limit^2 / 3; the mean of 30,000 squares is good to 0.5%.
    assert!((variance / (2.0 / 400.0) - 1.0).abs() < 0.02, "{variance}");
    assert_eq!(mlp.layers()[0].bias, Array1::<f32>::zeros(100));
}

fn small_options(seed: u64) -> MlpOptions {
    MlpOptions {
        hidden: vec![40],
        epochs: 6,
        batch_size: 7,
        optimizer: OptimizerOptions {
            learning_rate: 2e-3,
            ..OptimizerOptions::default()
        },
        seed,
        ..MlpOptions::default()
    }
}

#[test]
fn one_seed_gives_the_same_bytes_on_one_thread_and_on_many() {
    let (codes, labels) = made_up(60, 1500, 3);
    let samples = Samples::new(codes.view(), &labels, 3).unwrap();
    let on = |threads: usize, seed: u64| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| fit(&samples, Some(&samples), &small_options(seed)).unwrap())
    };
    let one = on(1, 11);
    assert_eq!(one, on(1, 11));
    for threads in [2, 5] {
        assert_eq!(one, on(threads, 11), "{threads} threads");
    }
    assert_ne!(one.mlp, on(1, 12).mlp);
}

#[test]
fn codes_in_another_layout_train_to_the_same_bytes() {
    let (codes, labels) = made_up(30, 700, 3);
    let by_column = codes.t().as_standard_layout().into_owned();
    let [one, other] = [codes.view(), by_column.t()].map(|codes| {
        let samples = Samples::new(codes, &labels, 3).unwrap();
        fit(&samples, Some(&samples), &small_options(6)).unwrap()
    });
    assert_eq!(one, other);
}

#[test]
fn dropout_does_not_change_the_initial_weights() {
    // A learning rate of next to nothing leaves weights as they began.
    let (codes, labels) = made_up(21, 30, 3);
    let samples = Samples::new(codes.view(), &labels, 3).unwrap();
    let initial = |dropout| {
        let mut options = MlpOptions {
            dropout,
            epochs: 1,
            ..small_options(4)
        };
        options.optimizer.learning_rate = 1e-30;
        let trained = fit(&samples, None, &options).unwrap();
        trained.mlp.layers()[0].weights.clone()
    };
    assert_eq!(initial(0.0), initial(0.7));
}

/// How far a training was, and what was told of it, each time.
#[derive(Default)]
struct Seen(Mutex<Vec<(Progress, String)>>);

impl Watch for Seen {
    fn progress(&self, progress: Progress, detail: &dyn fmt::Display) {
        self.0.lock().unwrap().push((progress, detail.to_string()));
    }
}

#[test]
fn training_learns_and_reports_every_epoch() {
    let (codes, labels) = made_up(60, 90, 3);
    let samples = Samples::new(codes.view(), &labels, 3).unwrap();
    let options = MlpOptions {
        epochs: 30,
        ..small_options(0)
    };
    let monitored = Monitored {
        validation: Some(&samples),
        ..Monitored::default()
    };
    let seen = Seen::default();
    let trained = Mlp::fit(&samples, &monitored, &options, &seen).unwrap();
    let Seen(told) = seen;
    let seen = &trained.history;
    let told = told.into_inner().unwrap();
    assert_eq!(told.len(), seen.len());
    for (epoch, (progress, detail)) in seen.iter().zip(told) {
        assert_eq!((progress.done, progress.total), (epoch.epoch, 30));
        assert_eq!(detail, epoch.to_string());
    }
    assert_eq!(trained.ended, Ended::Completed);
    assert_eq!((trained.kept_epoch, trained.unfinished_steps), (30, 0));
    assert_eq!(
        seen.iter().map(|epoch| epoch.epoch).collect::<Vec<_>>(),
        (1..=30).collect::<Vec<_>>()
    );
    let last = seen[29];
    assert!(last.loss < 0.5 * seen[0].loss, "{last:?}");
    assert_eq!(last.val_accuracy, Some(1.0));
    let probabilities = probabilities(trained.mlp.logits(samples.codes()).unwrap(), 1.0);
    assert!(
        probabilities
            .rows()
            .into_iter()
            .all(|row| (row.sum() - 1.0).abs() < 1e-6)
    );
    let (loss, accuracy) = trained.mlp.evaluate(&samples).unwrap();
    assert_eq!(
        (Some(loss), Some(accuracy)),
        (last.val_loss, last.val_accuracy)
    );
}

#[test]
fn the_losses_of_an_epoch_are_weighted_by_batch_size() {
    // Batches of 7, 7 and 1 with a learning rate of next to nothing, and no dropout: the epoch's
    // loss is then the plain mean over all samples, in whatever order.
    let (codes, labels) = made_up(15, 30, 3);
    let samples = Samples::new(codes.view(), &labels, 3).unwrap();
    let mut options = MlpOptions {
        dropout: 0.0,
        epochs: 2,
        ..small_options(4)
    };
    options.optimizer.learning_rate = 1e-30;
    let trained = fit(&samples, Some(&samples), &options).unwrap();
    for Epoch {
        loss,
        accuracy,
        val_loss,
        val_accuracy,
        ..
    } in trained.history
    {
        assert!((loss - val_loss.unwrap()).abs() < 1e-6);
        assert!((accuracy - val_accuracy.unwrap()).abs() < 1e-12);
    }
}

#[test]
fn smoothing_and_class_weights_are_not_in_what_is_measured() {
    // With a learning rate of next to nothing the weights are those of the start in every run.
    let (codes, mut labels) = made_up(15, 30, 3);
    labels[2] = 0;
    let samples = Samples::new(codes.view(), &labels, 3).unwrap();
    let first_epoch = |loss: LossOptions| {
        let mut options = MlpOptions {
            dropout: 0.0,
            epochs: 1,
            loss,
            ..small_options(4)
        };
        options.optimizer.learning_rate = 1e-30;
        let monitored = Monitored {
            held_out: Some(&samples),
            validation: Some(&samples),
        };
        let trained = Mlp::fit(&samples, &monitored, &options, &()).unwrap();
        trained.history[0]
    };
    let plain = first_epoch(LossOptions::default());
    let other = first_epoch(LossOptions {
        label_smoothing: 0.3,
        class_weights: ClassWeights::Balanced,
    });
    assert!((plain.loss - other.loss).abs() > 1e-3);
    assert_eq!(plain.val_loss, other.val_loss);
    assert_eq!(plain.held_out_loss, plain.val_loss);
    assert_eq!(plain.held_out_accuracy, plain.val_accuracy);
}

#[test]
fn no_hidden_layer_and_several_both_train() {
    let (codes, labels) = made_up(60, 90, 3);
    let samples = Samples::new(codes.view(), &labels, 3).unwrap();
    for hidden in [vec![], vec![32, 16]] {
        let options = MlpOptions {
            epochs: 40,
            dropout: 0.2,
            order: BatchOrder::AsStored,
            hidden,
            ..small_options(0)
        };
        let trained = fit(&samples, None, &options).unwrap();
        assert_eq!(trained.mlp.layers().len(), options.hidden.len() + 1);
        let (_, accuracy) = trained.mlp.evaluate(&samples).unwrap();
        assert_eq!(accuracy, 1.0, "{:?}", options.hidden);
    }
}

#[test]
fn a_loss_that_overflows_stops_with_what_to_do() {
    let (codes, labels) = made_up(30, 20, 3);
    let codes = codes * 1e20;
    let samples = Samples::new(codes.view(), &labels, 3).unwrap();
    let mut options = small_options(0);
    options.optimizer.learning_rate = 1e20;
    let error = fit(&samples, Some(&samples), &options).unwrap_err();
    assert!(matches!(error, HeadError::Diverged { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("Lower the learning rate (it is 100000000000000000000)"),
        "{text}"
    );
    assert!(text.contains("scale the codes"), "{text}");
}

#[test]
fn samples_that_are_wrong_are_refused_by_row() {
    let codes = array![[0.0, 1.0], [2.0, f32::NAN], [f32::INFINITY, 0.0]];
    let new = |labels: &[usize], k| {
        Samples::new(codes.view(), labels, k)
            .map(|_| ())
            .unwrap_err()
    };
    assert_eq!(new(&[0, 1, 0], 2), HeadError::NotFinite { row: 1 });
    assert_eq!(
        new(&[0, 2, 0], 2),
        HeadError::UnknownLabel {
            row: 1,
            label: 2,
            n_classes: 2
        }
    );
    assert_eq!(
        new(&[0, 1], 2),
        HeadError::CountMismatch {
            codes: 3,
            labels: 2
        }
    );
    let none = Array2::zeros((0, 4));
    let error = Samples::new(none.view(), &[], 2).unwrap_err();
    assert_eq!(
        error,
        HeadError::Empty {
            samples: 0,
            features: 4
        }
    );
}

#[test]
fn stores_that_do_not_belong_together_are_refused() {
    let (codes, labels) = made_up(9, 4, 3);
    let train = Samples::new(codes.view(), &labels, 3).unwrap();
    let options = small_options(0);
    let one_class = Samples::new(codes.view(), &[2; 9], 3).unwrap();
    let error = fit(&one_class, None, &options).unwrap_err();
    assert_eq!(
        error,
        HeadError::OneClass {
            samples: 9,
            class: 2
        }
    );
    let more_classes = Samples::new(codes.view(), &labels, 4).unwrap();
    let error = fit(&train, Some(&more_classes), &options).unwrap_err();
    assert_eq!(
        error,
        HeadError::ClassMismatch {
            expected: 3,
            actual: 4
        }
    );
    let (longer, _) = made_up(9, 5, 3);
    let longer = Samples::new(longer.view(), &labels, 3).unwrap();
    let error = fit(&train, Some(&longer), &options).unwrap_err();
    assert_eq!(
        error,
        HeadError::FeatureMismatch {
            expected: 4,
            actual: 5
        }
    );
    let trained = fit(&train, None, &options).unwrap();
    assert!(trained.mlp.logits(longer.codes()).is_err());
}

#[test]
fn few_samples_of_many_classes_train_soundly() {
    let (codes, labels) = made_up(4, 10, 4);
    let samples = Samples::new(codes.view(), &labels, 9).unwrap();
    let trained = fit(&samples, Some(&samples), &small_options(0)).unwrap();
    assert_eq!(trained.mlp.n_classes(), 9);
    assert!(trained.history.iter().all(|epoch| epoch.loss.is_finite()));
}

#[test]
fn options_outside_their_range_are_named() {
    let message = |options: MlpOptions| options.validate().unwrap_err().to_string();
    let good = MlpOptions::default();
    good.validate().unwrap();
    let bad = message(MlpOptions {
        dropout: 1.0,
        ..good.clone()
    });
    assert_eq!(bad, "dropout is 1, and has to be at least 0 and below 1");
    let bad = message(MlpOptions {
        hidden: vec![8, 0],
        ..good.clone()
    });
    assert_eq!(
        bad,
        "number of hidden units is 0, and has to be from 1 to 65536"
    );
    let bad = message(MlpOptions {
        epochs: 0,
        ..good.clone()
    });
    assert!(bad.starts_with("number of epochs"), "{bad}");
    let bad = message(MlpOptions {
        patience: Some(0),
        ..good.clone()
    });
    assert!(bad.starts_with("patience is 0"), "{bad}");
    let mut smoothed = good.clone();
    smoothed.loss.label_smoothing = 1.0;
    let bad = message(smoothed);
    assert!(bad.starts_with("label smoothing is 1,"), "{bad}");
    let bad = message(MlpOptions {
        batch_size: 0,
        ..good
    });
    assert!(bad.starts_with("batch size"), "{bad}");
}

#[test]
fn layers_that_do_not_fit_are_refused() {
    let dense = |n_in, n_out, n_bias| Dense {
        weights: Array2::zeros((n_in, n_out)),
        bias: Array1::zeros(n_bias),
    };
    let message = |layers| Mlp::from_weights(layers).unwrap_err().to_string();
    assert!(message(vec![]).contains("there is none"));
    assert!(message(vec![dense(3, 2, 1)]).contains("layer 0 has weights (3, 2) and bias (1)"));
    let bad = message(vec![dense(3, 2, 2), dense(4, 2, 2)]);
    assert!(
        bad.contains("layer 0 gives 2 values and the next takes 4"),
        "{bad}"
    );
    let mut broken = dense(3, 2, 2);
    broken.bias[1] = f32::NAN;
    assert!(message(vec![broken]).contains("layer 0 holds NaN"));
    assert!(Mlp::glorot_uniform(&[3], &mut rng(0)).is_err());
}
