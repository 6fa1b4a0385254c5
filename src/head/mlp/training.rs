//! The training loop.

use super::batches::{Batch, Batches};
use super::early_stopping::EarlyStopping;
use super::trainer::{Streams, Trainer};
use super::{Mlp, MlpOptions};
use crate::head::{Diverged, Epoch, HeadError, Samples};
use crate::progress::{Progress, Watch};

/// Samples that are not trained on, but measured after every epoch.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Monitored<'a, 's> {
    /// A held-out part of the training store. Its loss chooses the epoch whose weights are kept,
    /// and may end training early, so measurements on it are slightly too good.
    pub held_out: Option<&'a Samples<'s>>,
    /// Samples whose results are recorded and decide nothing.
    pub validation: Option<&'a Samples<'s>>,
}

/// Why training ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// All epochs were done.
    Completed,
    /// The loss on held-out samples did not improve for as long as patience allows.
    StoppedEarly,
    /// The [`Watch`] stopped it.
    Interrupted,
}

/// A trained network, and facts about its training.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TrainedMlp {
    /// The network with the weights after epoch `kept_epoch` and `unfinished_steps` more.
    pub mlp: Mlp,
    /// One entry per finished epoch.
    pub history: Vec<Epoch>,
    /// Why training ended.
    pub ended: Ended,
    /// The epoch, counted from 1, whose weights these are; 0 if training was interrupted before the
    /// first one was finished.
    pub kept_epoch: usize,
    /// Further steps of an unfinished epoch in these weights: above 0 only if training was
    /// interrupted and no best epoch was kept.
    pub unfinished_steps: usize,
}

impl Mlp {
    /// Trains a network from Glorot-uniform weights.
    ///
    /// `watch` sees each epoch when it ends, with an [`Epoch`] as the detail. It is asked before
    /// every step whether to stop; then the current result is returned. The caller measures time.
    ///
    /// # Errors
    /// [`HeadError::InvalidOption`], [`HeadError::OneClass`], [`HeadError::FeatureMismatch`] or
    /// [`HeadError::ClassMismatch`] before any work; [`HeadError::Diverged`] as soon as the loss is
    /// not finite, or if a weight is not finite at the end.
    pub(crate) fn fit(
        train: &Samples,
        monitored: &Monitored,
        options: &MlpOptions,
        watch: &dyn Watch,
    ) -> Result<TrainedMlp, HeadError> {
        options.validate()?;
        let sizes = options.sizes(train.n_features(), train.n_classes());
        MlpOptions::check_sizes(&sizes)?;
        let mut streams = Streams::new(options.seed);
        Self::glorot_uniform(&sizes, &mut streams.weights)?.train(train, monitored, options, watch)
    }

    /// Trains a network from its current weights; `options.hidden` is ignored.
    ///
    /// # Errors
    /// As [`Mlp::fit`].
    pub(crate) fn train(
        self,
        train: &Samples,
        monitored: &Monitored,
        options: &MlpOptions,
        watch: &dyn Watch,
    ) -> Result<TrainedMlp, HeadError> {
        train.require_two_classes()?;
        for samples in [monitored.held_out, monitored.validation]
            .into_iter()
            .flatten()
        {
            self.check(samples)?;
        }
        if monitored.held_out.is_none() {
            options.require_held_out()?;
        }
        let mut trainer = Trainer::new(self, options, train)?;
        let mut batches = Batches::new(train.clone(), options, &Streams::new(options.seed));
        let mut stopping = EarlyStopping::new(options, trainer.mlp());
        let mut history = Vec::new();
        let (mut ended, mut unfinished_steps) = (Ended::Completed, 0);
        for epoch in 1..=options.epochs {
            let learned = match run_epoch(&mut trainer, &mut batches, watch)? {
                Steps::Finished(learned) => learned,
                Steps::Stopped { steps } => {
                    (ended, unfinished_steps) = (Ended::Interrupted, steps);
                    break;
                }
                Steps::Diverged => return Err(diverged(epoch, "the loss", train, options)),
            };
            let result = measure(epoch, learned, trainer.mlp(), monitored)?;
            history.push(result);
            watch.progress(told(epoch, options), &result);
            if stopping.is_over(epoch, result.held_out_loss, trainer.mlp())
                && epoch < options.epochs
            {
                ended = Ended::StoppedEarly;
                break;
            }
        }
        let (kept_epoch, mlp) = match stopping.into_best() {
            Some(best) => {
                unfinished_steps = 0;
                best
            }
            None => (history.len(), trainer.into_mlp()),
        };
        if !mlp.is_finite() {
            return Err(diverged(history.len(), "a weight", train, options));
        }
        Ok(TrainedMlp {
            mlp,
            history,
            ended,
            kept_epoch,
            unfinished_steps,
        })
    }
}

fn diverged(epoch: usize, what: &'static str, train: &Samples, options: &MlpOptions) -> HeadError {
    HeadError::Diverged(Diverged {
        epoch,
        what,
        learning_rate: options.optimizer.learning_rate,
        largest_code: train.largest_code(),
    })
}

/// The progress of a training after an epoch.
fn told(epoch: usize, options: &MlpOptions) -> Progress {
    Progress {
        done: epoch,
        total: options.epochs,
        ..Progress::default()
    }
}

/// The results of an epoch's steps.
struct Learned {
    learning_rate: f64,
    loss: f64,
    accuracy: f64,
}

/// How a pass over the training samples ended.
enum Steps {
    Finished(Learned),
    /// It was stopped after this many steps.
    Stopped {
        steps: usize,
    },
    /// The loss is not finite.
    Diverged,
}

/// Trains on every sample once.
fn run_epoch(
    trainer: &mut Trainer,
    batches: &mut Batches,
    watch: &dyn Watch,
) -> Result<Steps, HeadError> {
    batches.reorder();
    let (mut loss, mut correct, mut seen, mut steps) = (0.0, 0, 0, 0);
    let mut learning_rate = trainer.learning_rate();
    while let Some(Batch { codes, labels }) = batches.next(seen)? {
        if watch.is_stopped() {
            return Ok(Steps::Stopped { steps });
        }
        learning_rate = trainer.learning_rate();
        let result = trainer.step(codes, labels);
        steps += 1;
        seen += labels.len();
        loss += result.loss * labels.len() as f64;
        correct += result.correct;
        if !loss.is_finite() {
            return Ok(Steps::Diverged);
        }
    }
    Ok(Steps::Finished(Learned {
        learning_rate,
        loss: loss / seen as f64,
        accuracy: correct as f64 / seen as f64,
    }))
}

/// Measures the network after an epoch.
fn measure(
    epoch: usize,
    learned: Learned,
    mlp: &Mlp,
    monitored: &Monitored,
) -> Result<Epoch, HeadError> {
    let evaluate = |samples: Option<&Samples>| samples.map(|s| mlp.evaluate(s)).transpose();
    let held_out = evaluate(monitored.held_out)?;
    let validation = evaluate(monitored.validation)?;
    Ok(Epoch {
        epoch,
        learning_rate: learned.learning_rate,
        loss: learned.loss,
        accuracy: learned.accuracy,
        held_out_loss: held_out.map(|(loss, _)| loss),
        held_out_accuracy: held_out.map(|(_, accuracy)| accuracy),
        val_loss: validation.map(|(loss, _)| loss),
        val_accuracy: validation.map(|(_, accuracy)| accuracy),
    })
}
