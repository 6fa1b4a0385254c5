//! The training loop.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use ndarray::{ArrayView2, ArrayViewMut2};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use serde::Serialize;

use super::batches::Batches;
use super::network::Pass;
use super::{Dense, Mlp, MlpOptions};
use crate::head::optimizer::RmsProp;
use crate::head::{HeadError, Samples};

/// What one epoch gave, in Keras' sense.
///
/// `loss` and `accuracy` are means over the epoch's batches as they were trained on: with dropout,
/// and while the weights changed. The validation's are measured after the epoch, without dropout;
/// they can so be the better ones.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Epoch {
    /// Number of the epoch, from 1.
    pub epoch: usize,
    /// Mean training loss.
    pub loss: f64,
    /// Share of training samples that were classified right, 0 to 1.
    pub accuracy: f64,
    /// Mean validation loss, where there is a validation set.
    pub val_loss: Option<f64>,
    /// Share of validation samples that are classified right, where there is a validation set.
    pub val_accuracy: Option<f64>,
}

/// Why training ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All epochs were done.
    Completed,
    /// `on_epoch` broke it off.
    Interrupted,
}

/// A trained network and how it came about.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainedMlp {
    /// The network after the last epoch of the history.
    pub mlp: Mlp,
    /// One entry for each epoch that was finished.
    pub history: Vec<Epoch>,
    /// Why training ended.
    pub ended: Ended,
}

/// What one step gave; both are of the weights before the step, with dropout.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchResult {
    /// Mean loss of the batch.
    pub loss: f64,
    /// How many samples were classified right.
    pub correct: usize,
}

/// How long the parts of all steps so far took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StepTimes {
    /// From the codes to the logits, with dropout.
    pub forward: Duration,
    /// From the logits to the new weights.
    pub update: Duration,
}

/// Streams of random numbers from one seed, 2^128 numbers apart, so that an option that takes more
/// or fewer numbers from one does not change the others.
struct Streams {
    weights: Xoshiro256PlusPlus,
    order: Xoshiro256PlusPlus,
    dropout: Xoshiro256PlusPlus,
}

impl Streams {
    fn new(seed: u64) -> Self {
        let weights = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut order = weights.clone();
        order.jump();
        let mut dropout = order.clone();
        dropout.jump();
        Self {
            weights,
            order,
            dropout,
        }
    }
}

impl Mlp {
    /// Trains a network from Glorot-uniform weights.
    ///
    /// `on_epoch` sees each epoch as it ends, and may break training off. Timing is the caller's.
    ///
    /// # Errors
    /// [`HeadError::InvalidOption`], [`HeadError::OneClass`], [`HeadError::FeatureMismatch`] or
    /// [`HeadError::ClassMismatch`] before any work; [`HeadError::Diverged`] as soon as the loss is
    /// no longer finite, or if a weight is not at the end.
    pub fn fit(
        train: &Samples,
        validation: Option<&Samples>,
        options: &MlpOptions,
        on_epoch: &mut dyn FnMut(&Epoch) -> ControlFlow<()>,
    ) -> Result<TrainedMlp, HeadError> {
        options.validate()?;
        let sizes = options.sizes(train.n_features(), train.n_classes());
        let mut streams = Streams::new(options.seed);
        Self::glorot_uniform(&sizes, &mut streams.weights)?
            .train(train, validation, options, on_epoch)
    }

    /// Trains a network from the weights that it has; `options.hidden` is not looked at.
    ///
    /// # Errors
    /// As [`Mlp::fit`].
    pub fn train(
        self,
        train: &Samples,
        validation: Option<&Samples>,
        options: &MlpOptions,
        on_epoch: &mut dyn FnMut(&Epoch) -> ControlFlow<()>,
    ) -> Result<TrainedMlp, HeadError> {
        train.require_two_classes()?;
        self.check(train)?;
        validation.map_or(Ok(()), |validation| self.check(validation))?;
        let mut trainer = Trainer::new(self, options)?;
        let mut batches = Batches::new(train.clone(), options, Streams::new(options.seed).order);
        let mut history = Vec::with_capacity(options.epochs);
        let mut ended = Ended::Completed;
        for epoch in 1..=options.epochs {
            let result = run_epoch(&mut trainer, &mut batches, epoch, validation)?;
            if !result.loss.is_finite() {
                return Err(diverged(epoch, "the loss", train, options));
            }
            history.push(result);
            if on_epoch(&result).is_break() && epoch < options.epochs {
                ended = Ended::Interrupted;
                break;
            }
        }
        let mlp = trainer.into_mlp();
        if !mlp.is_finite() {
            return Err(diverged(history.len(), "a weight", train, options));
        }
        Ok(TrainedMlp {
            mlp,
            history,
            ended,
        })
    }
}

fn diverged(epoch: usize, what: &'static str, train: &Samples, options: &MlpOptions) -> HeadError {
    HeadError::Diverged {
        epoch,
        what,
        learning_rate: options.optimizer.learning_rate,
        largest_code: train.largest_code(),
    }
}

/// Trains on every sample once, then measures; stops at a loss that is not finite.
fn run_epoch(
    trainer: &mut Trainer,
    batches: &mut Batches,
    epoch: usize,
    validation: Option<&Samples>,
) -> Result<Epoch, HeadError> {
    batches.reorder();
    let (mut loss, mut correct, mut seen) = (0.0, 0, 0);
    while let Some((codes, labels)) = batches.next(seen) {
        let result = trainer.step(codes, labels);
        seen += labels.len();
        loss += result.loss * labels.len() as f64;
        correct += result.correct;
        if !loss.is_finite() {
            break;
        }
    }
    let measured = match validation {
        Some(validation) if loss.is_finite() => Some(trainer.mlp.evaluate(validation)?),
        _ => None,
    };
    Ok(Epoch {
        epoch,
        loss: loss / seen as f64,
        accuracy: correct as f64 / seen as f64,
        val_loss: measured.map(|(loss, _)| loss),
        val_accuracy: measured.map(|(_, accuracy)| accuracy),
    })
}

/// A network in training, step by step: [`Mlp::fit`] is a loop around it.
#[derive(Debug)]
pub struct Trainer {
    mlp: Mlp,
    rule: RmsProp,
    /// The rule's number for each parameter.
    state: Vec<Dense>,
    pass: Pass,
    batch_size: usize,
    dropout: f32,
    dropout_rng: Xoshiro256PlusPlus,
    times: StepTimes,
}

impl Trainer {
    /// Prepares `mlp` for steps of at most `options.batch_size` samples.
    ///
    /// # Errors
    /// [`HeadError::InvalidOption`] if an option is outside its range.
    pub fn new(mlp: Mlp, options: &MlpOptions) -> Result<Self, HeadError> {
        options.validate()?;
        let mlp = mlp.aligned();
        Ok(Self {
            rule: RmsProp::new(&options.optimizer),
            state: mlp.layers().iter().map(Dense::zeros_like).collect(),
            pass: Pass::new(&mlp, 0),
            batch_size: 0,
            dropout: options.dropout,
            dropout_rng: Streams::new(options.seed).dropout,
            times: StepTimes::default(),
            mlp,
        })
    }

    /// Trains on one batch: codes (B, D) and labels (B), each below K.
    ///
    /// # Panics
    /// If the shapes are not the network's, which [`Mlp::fit`] has checked before.
    pub fn step(&mut self, codes: ArrayView2<f32>, labels: &[usize]) -> BatchResult {
        assert_eq!(
            codes.dim(),
            (labels.len(), self.mlp.n_features()),
            "shape of a batch"
        );
        if labels.len() > self.batch_size {
            self.batch_size = labels.len();
            self.pass = Pass::new(&self.mlp, self.batch_size);
        }
        let start = Instant::now();
        let (dropout, rng) = (self.dropout, &mut self.dropout_rng);
        self.pass
            .forward(&self.mlp, codes, |hidden| drop_units(hidden, dropout, rng));
        let forward = start.elapsed();
        let (loss, correct) = self.pass.loss(labels);
        self.pass.backward(&self.mlp, labels, 1.0 / (1.0 - dropout));
        self.pass
            .descend(&mut self.mlp, codes, &mut self.state, &self.rule);
        self.times.forward += forward;
        self.times.update += start.elapsed() - forward;
        BatchResult {
            loss: loss / labels.len() as f64,
            correct,
        }
    }

    /// How long the parts of all steps so far took.
    #[must_use]
    pub fn times(&self) -> StepTimes {
        self.times
    }

    /// The network as it is now.
    #[must_use]
    pub fn mlp(&self) -> &Mlp {
        &self.mlp
    }

    /// The network as it is now, without the rule's state.
    #[must_use]
    pub fn into_mlp(self) -> Mlp {
        self.mlp
    }
}

/// Inverted dropout of hidden (B, H): each unit is left out with probability `rate`, and the
/// others are divided by 1 - rate, so that the mean stays and prediction needs no change.
fn drop_units(mut hidden: ArrayViewMut2<f32>, rate: f32, rng: &mut impl Rng) {
    if rate == 0.0 {
        return;
    }
    let scale = 1.0 / (1.0 - rate);
    hidden.mapv_inplace(|value| {
        if rng.r#gen::<f32>() < rate {
            0.0
        } else {
            value * scale
        }
    });
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    #[test]
    fn dropout_keeps_the_mean_and_leaves_out_its_share() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        let mut hidden = Array2::from_elem((400, 250), 3.0);
        drop_units(hidden.view_mut(), 0.2, &mut rng);
        let dropped = hidden.iter().filter(|&&value| value == 0.0).count() as f64 / 1e5;
        // Five standard deviations of a binomial share of 100,000.
        assert!(
            (dropped - 0.2).abs() < 5.0 * (0.2f64 * 0.8 / 1e5).sqrt(),
            "{dropped}"
        );
        assert!(hidden.iter().all(|&value| value == 0.0 || value == 3.75));
        let mean = hidden.iter().map(|&value| f64::from(value)).sum::<f64>() / 1e5;
        assert!((mean - 3.0).abs() < 0.04, "{mean}");
    }

    #[test]
    fn a_unit_that_is_left_out_does_not_learn() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(2);
        let start = Mlp::glorot_uniform(&[6, 64, 2], &mut rng).unwrap();
        let options = MlpOptions::default();
        let codes = Array2::from_elem((1, 6), 0.5);
        let mut trainer = Trainer::new(start.clone(), &options).unwrap();
        trainer.step(codes.view(), &[1]);
        let changed = |unit: usize| {
            let column = |mlp: &Mlp| mlp.layers()[0].weights.column(unit).to_owned();
            column(trainer.mlp()) != column(&start)
        };
        let alive = |unit: usize| start.layers()[0].weights.column(unit).sum() > 0.0;
        let n_alive = (0..64).filter(|&unit| alive(unit)).count();
        let n_changed = (0..64).filter(|&unit| changed(unit)).count();
        assert!((0..64).all(|unit| alive(unit) || !changed(unit)));
        assert!(
            n_changed > 0 && n_changed < n_alive,
            "{n_changed} of {n_alive}"
        );
    }

    #[test]
    fn the_streams_of_a_seed_differ_and_repeat() {
        let first = |seed| {
            let mut streams = Streams::new(seed);
            [
                streams.weights.r#gen::<u64>(),
                streams.order.r#gen(),
                streams.dropout.r#gen(),
            ]
        };
        let [weights, order, dropout] = first(7);
        assert!(weights != order && order != dropout && weights != dropout);
        assert_eq!(first(7), first(7));
        assert_ne!(first(7), first(8));
    }
}
