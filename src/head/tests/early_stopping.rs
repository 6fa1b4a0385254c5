//! Which epoch's weights a training of the MLP leaves, and when it ends.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::head::Epoch;
use crate::head::mlp::{Ended, Keep, Mlp, MlpOptions, Monitored, TrainedMlp};
use crate::head::optimizer::{OptimizerKind, OptimizerOptions, Schedule};
use crate::head::{HeadError, Samples};
use crate::progress::Watch;
use ndarray::{Array2, s};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// Codes and labels that have little to do with each other, so that the loss on those held out
/// falls and rises.
struct Codes {
    codes: Array2<f32>,
    labels: Vec<usize>,
}

impl Codes {
    const N_TRAIN: usize = 24;

    fn new(seed: u64) -> Self {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let labels: Vec<_> = (0..40).map(|row| row % 3).collect();
        let codes = Array2::from_shape_fn((40, 12), |(row, feature)| {
            let raised = if feature == labels[row] { 0.7 } else { 0.0 };
            rng.gen_range(-1.0..1.0) + raised
        });
        Self { codes, labels }
    }

    fn train(&self) -> Samples<'_> {
        let codes = self.codes.slice(s![..Self::N_TRAIN, ..]);
        Samples::new(codes, &self.labels[..Self::N_TRAIN], 3).unwrap()
    }

    fn held_out(&self) -> Samples<'_> {
        let codes = self.codes.slice(s![Self::N_TRAIN.., ..]);
        Samples::new(codes, &self.labels[Self::N_TRAIN..], 3).unwrap()
    }
}

/// Five steps in an epoch.
fn options(seed: u64) -> MlpOptions {
    MlpOptions {
        hidden: vec![16],
        epochs: 25,
        batch_size: 5,
        optimizer: OptimizerOptions {
            learning_rate: 2e-2,
            ..OptimizerOptions::of(OptimizerKind::Adam)
        },
        seed,
        ..MlpOptions::default()
    }
}

fn fit(codes: &Codes, options: &MlpOptions, watch: &dyn Watch) -> TrainedMlp {
    let held_out = codes.held_out();
    let monitored = Monitored {
        held_out: Some(&held_out),
        validation: None,
    };
    Mlp::fit(&codes.train(), &monitored, options, watch).unwrap()
}

/// What Keras' rule gives for a whole history: the best epoch, and the epoch that patience ends
/// with.
fn by_definition(losses: &[f64], patience: usize) -> (usize, usize) {
    let (mut best, mut wait) = (0, 0);
    for (index, loss) in losses.iter().enumerate() {
        if index == 0 || *loss < losses[best] {
            (best, wait) = (index, 0);
        } else {
            wait += 1;
        }
        if wait >= patience {
            return (best + 1, index + 1);
        }
    }
    (best + 1, losses.len())
}

fn held_out_losses(history: &[Epoch]) -> Vec<f64> {
    let loss = |epoch: &Epoch| epoch.held_out_loss.unwrap();
    history.iter().map(loss).collect()
}

#[test]
fn the_kept_epoch_and_the_end_follow_from_the_losses() {
    let (mut stopped, mut earlier_than_last) = (0, 0);
    for seed in 0..6 {
        let codes = Codes::new(seed);
        let full = fit(&codes, &options(seed), &());
        assert_eq!((full.ended, full.kept_epoch), (Ended::Completed, 25));
        for patience in [1, 3, 25] {
            for keep in [Keep::Last, Keep::Best] {
                let options = MlpOptions {
                    patience: Some(patience),
                    keep,
                    ..options(seed)
                };
                let trained = fit(&codes, &options, &());
                let (best, end) = by_definition(&held_out_losses(&full.history), patience);
                assert_eq!(trained.history, full.history[..end]);
                let kept = if keep == Keep::Best { best } else { end };
                assert_eq!((trained.kept_epoch, trained.unfinished_steps), (kept, 0));
                let ended = match end {
                    25 => Ended::Completed,
                    _ => Ended::StoppedEarly,
                };
                assert_eq!(trained.ended, ended);
                stopped += usize::from(end < 25);
                earlier_than_last += usize::from(kept < end);
            }
        }
    }
    // Otherwise nothing was tested.
    assert!(
        stopped > 10 && earlier_than_last > 10,
        "{stopped} {earlier_than_last}"
    );
}

#[test]
fn the_kept_weights_are_those_of_a_training_with_so_many_epochs() {
    for seed in 0..4 {
        let codes = Codes::new(seed);
        let best = MlpOptions {
            keep: Keep::Best,
            ..options(seed)
        };
        let trained = fit(&codes, &best, &());
        assert_eq!(
            (trained.ended, trained.history.len()),
            (Ended::Completed, 25)
        );
        let (expected, _) = by_definition(&held_out_losses(&trained.history), usize::MAX);
        assert_eq!(trained.kept_epoch, expected);
        let short = MlpOptions {
            epochs: trained.kept_epoch,
            ..options(seed)
        };
        assert_eq!(fit(&codes, &short, &()).mlp, trained.mlp);
        let (loss, _) = trained.mlp.evaluate(&codes.held_out()).unwrap();
        let kept = trained.history[trained.kept_epoch - 1];
        assert_eq!(kept.held_out_loss, Some(loss));
    }
}

#[test]
fn validation_samples_choose_nothing() {
    let codes = Codes::new(1);
    let (held_out, validation) = (codes.held_out(), codes.train());
    let fit = |validation| {
        let monitored = Monitored {
            held_out: Some(&held_out),
            validation,
        };
        let options = MlpOptions {
            keep: Keep::Best,
            patience: Some(4),
            ..options(1)
        };
        Mlp::fit(&codes.train(), &monitored, &options, &()).unwrap()
    };
    let (without, with) = (fit(None), fit(Some(&validation)));
    assert_eq!(
        (&without.mlp, without.kept_epoch, without.ended),
        (&with.mlp, with.kept_epoch, with.ended)
    );
}

#[test]
fn what_needs_held_out_samples_says_so() {
    let codes = Codes::new(0);
    let validation = codes.held_out();
    let monitored = Monitored {
        held_out: None,
        validation: Some(&validation),
    };
    let message = |options: MlpOptions| {
        let error = Mlp::fit(&codes.train(), &monitored, &options, &()).unwrap_err();
        assert!(matches!(error, HeadError::InvalidOption { .. }), "{error}");
        error.to_string()
    };
    let advice = "hold a part of the training samples out";
    let best = message(MlpOptions {
        keep: Keep::Best,
        ..options(0)
    });
    assert!(best.starts_with("keep is best") && best.ends_with(advice));
    let patient = message(MlpOptions {
        patience: Some(3),
        ..options(0)
    });
    assert!(patient.starts_with("patience is 3") && patient.ends_with(advice));
}

/// Stops a training after so many steps.
struct StopAfter(AtomicUsize);

impl StopAfter {
    fn steps(steps: usize) -> Self {
        Self(AtomicUsize::new(steps))
    }
}

impl Watch for StopAfter {
    fn is_stopped(&self) -> bool {
        let one_less = |steps: usize| steps.checked_sub(1);
        let steps = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less);
        steps.is_err()
    }
}

#[test]
fn a_stop_is_heard_before_every_step() {
    let codes = Codes::new(2);
    let full = fit(&codes, &options(2), &());
    for steps in [0, 1, 4, 5, 6, 12, 124] {
        let stopped = fit(&codes, &options(2), &StopAfter::steps(steps));
        assert_eq!(stopped.ended, Ended::Interrupted);
        assert_eq!(stopped.history, full.history[..steps / 5]);
        assert_eq!(
            (stopped.kept_epoch, stopped.unfinished_steps),
            (steps / 5, steps % 5)
        );
    }
    let late = fit(&codes, &options(2), &StopAfter::steps(125));
    assert_eq!(late, full);
}

#[test]
fn an_interrupted_training_has_the_best_epoch_or_what_it_learned() {
    let codes = Codes::new(3);
    let best = MlpOptions {
        keep: Keep::Best,
        ..options(3)
    };
    // In the middle of epoch 13.
    let stopped = fit(&codes, &best, &StopAfter::steps(62));
    let (expected, _) = by_definition(&held_out_losses(&stopped.history), usize::MAX);
    assert_eq!(
        (stopped.kept_epoch, stopped.unfinished_steps),
        (expected, 0)
    );
    let (loss, _) = stopped.mlp.evaluate(&codes.held_out()).unwrap();
    assert_eq!(stopped.history[expected - 1].held_out_loss, Some(loss));
    // Nothing was measured yet: the weights as they are, whatever is to be kept.
    let early = fit(&codes, &best, &StopAfter::steps(2));
    assert_eq!((early.kept_epoch, early.unfinished_steps), (0, 2));
    let last = fit(&codes, &options(3), &StopAfter::steps(2));
    assert_eq!(early.mlp, last.mlp);
    let one_more = fit(&codes, &options(3), &StopAfter::steps(3));
    assert_ne!(early.mlp, one_more.mlp);
}

#[test]
fn an_epoch_has_the_rate_of_its_last_step() {
    let codes = Codes::new(0);
    let rates = |schedule| {
        let mut options = MlpOptions {
            epochs: 3,
            ..options(0)
        };
        options.optimizer.schedule = schedule;
        let history = fit(&codes, &options, &()).history;
        history.iter().map(|e| e.learning_rate).collect::<Vec<_>>()
    };
    assert_eq!(rates(Schedule::Constant), [2e-2; 3]);
    // Steps 4, 9 and 14 of 15, which are 48, 108 and 168 degrees.
    let expected = [48.0f64, 108.0, 168.0].map(|angle| 1e-2 * (1.0 + angle.to_radians().cos()));
    for (rate, expected) in rates(Schedule::Cosine).into_iter().zip(expected) {
        assert!((rate - expected).abs() < 1e-15, "{rate} and {expected}");
    }
    let halved = Schedule::Step {
        factor: 0.5,
        every: 1,
    };
    assert_eq!(rates(halved), [2e-2, 1e-2, 5e-3]);
}
