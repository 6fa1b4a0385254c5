//! Trainings in folds of the training store, and the choice between them.

use std::fmt;

use ndarray::{Array2, Axis};
use serde::Serialize;

use super::TuneError;
use super::checkpoint::Checkpoint;
use super::frozen::Frozen;
use super::network::Network;
use super::options::{Setting, TuneOptions, as_written};
use super::run::{Data, Run};
use crate::evaluate::{Design, log_losses};
use crate::head::probabilities;
use crate::head::splits::{hold_out, stratified_folds};
use crate::progress::{Progress, Watch};

/// The most bytes of codes for training heads in the folds; if there are more pictures, some are
/// drawn.
const MOST_BYTES: usize = 512 << 20;

/// A setting, with the epoch and the mixture that gave its best results out of fold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Tried {
    /// The setting.
    pub setting: Setting,
    /// Epochs of training.
    pub epochs: usize,
    /// Share of the tuned weights; the rest are the published ones.
    #[serde(serialize_with = "as_written")]
    pub mixture: f32,
    /// Mean log loss out of fold; infinite if training diverged.
    pub log_loss: f64,
    /// Errors out of fold.
    pub errors: usize,
    /// Standard error of the difference between its log loss and that of the frozen heads.
    pub standard_error: f64,
}

/// What was tried in the folds, and what was chosen.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Choice {
    /// Pictures in the folds.
    pub pictures: usize,
    /// Number of folds.
    pub folds: usize,
    /// Mean log loss of the frozen heads out of fold.
    pub frozen_log_loss: f64,
    /// Errors of the frozen heads out of fold.
    pub frozen_errors: usize,
    /// Each setting with its best epoch and mixture.
    pub tried: Vec<Tried>,
    /// Index of the chosen setting; `None` for the frozen head.
    pub taken: Option<usize>,
    /// The chosen setting, with its mixture, after each epoch.
    #[serde(skip)]
    of_epochs: Vec<AtEpoch>,
}

/// The chosen setting after some epoch.
#[derive(Clone, Debug, PartialEq)]
struct AtEpoch {
    tried: Tried,
    /// Its logits of pictures that it was not trained on.
    out_of_fold: OutOfFold,
}

/// Logits of pictures from tails and heads that were not trained on them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct OutOfFold {
    /// The pictures' rows (N).
    pub(super) rows: Vec<usize>,
    /// (N, K).
    pub(super) logits: Array2<f32>,
}

impl Choice {
    /// The chosen setting; `None` for the frozen head.
    #[must_use]
    pub fn chosen(&self) -> Option<&Tried> {
        self.taken.map(|taken| &self.tried[taken])
    }

    /// The chosen setting's logits of pictures that it was not trained on.
    pub(super) fn out_of_fold(&self) -> Option<&OutOfFold> {
        let at = self.of_epochs.get(self.chosen()?.epochs - 1);
        at.map(|at| &at.out_of_fold)
    }

    /// The choice if training on all pictures was stopped after this many epochs: the chosen
    /// setting, if after these epochs it beats the frozen heads by more than a standard error, else
    /// the frozen head.
    pub(super) fn stopped_after(mut self, epochs: usize) -> Self {
        let at = epochs
            .checked_sub(1)
            .and_then(|last| self.of_epochs.get(last));
        match (self.taken, at) {
            (Some(taken), Some(at)) if at.tried.beats(self.frozen_log_loss) => {
                self.tried[taken] = at.tried;
            }
            _ => self.taken = None,
        }
        self
    }
}

impl Tried {
    /// Whether it beats frozen heads with this log loss by more than a standard error.
    fn beats(&self, frozen_log_loss: f64) -> bool {
        self.log_loss + self.standard_error < frozen_log_loss
    }
}

/// The pictures of a fold, and their logits.
struct Fold {
    inside: Vec<usize>,
    /// Logits (inside, K) of the frozen head.
    frozen: Array2<f32>,
    /// For each setting, epoch and mixture: logits (inside, K).
    tuned: Vec<Vec<Vec<Array2<f32>>>>,
}

/// Reports one training among several.
struct Part<'a> {
    watch: &'a dyn Watch,
    before: usize,
    total: usize,
}

impl Watch for Part<'_> {
    fn progress(&self, progress: Progress, detail: &dyn fmt::Display) {
        let progress = Progress {
            done: self.before + progress.done,
            total: self.total,
            ..Progress::default()
        };
        self.watch.progress(progress, detail);
    }

    fn is_stopped(&self) -> bool {
        self.watch.is_stopped()
    }
}

/// Tries all settings in the folds.
pub(super) fn choose(
    data: &Data,
    frozen: &Frozen,
    options: &TuneOptions,
    checkpoint: &Checkpoint,
    watch: &dyn Watch,
) -> Result<Choice, TuneError> {
    let rows = drawn(data, frozen, options)?;
    let labels: Vec<_> = rows.iter().map(|&row| data.labels[row]).collect();
    let groups = data.groups.as_ref();
    let groups: Option<Vec<_>> = groups.map(|groups| rows.iter().map(|&row| groups[row]).collect());
    let of_row = stratified_folds(&labels, groups.as_deref(), options.folds, options.seed)?;
    watch.stage("the frozen trunk's codes", 0);
    let codes = frozen.codes(data, &rows)?;
    let settings = options.settings();
    let total = options.folds * settings.len() * options.epochs;
    watch.stage("tuning in folds: epoch", total);
    let mut folds = Vec::new();
    for fold in 0..options.folds {
        let (inside, outside): (Vec<_>, Vec<_>) =
            (0..rows.len()).partition(|&place| of_row[place] == fold);
        let of = |places: &[usize], all: &[usize]| -> Vec<usize> {
            places.iter().map(|&place| all[place]).collect()
        };
        let head = frozen.trained_on(
            &codes.select(Axis(0), &outside),
            &of(&outside, &labels),
            &Part {
                watch: &(),
                before: 0,
                total: 0,
            },
        )?;
        let of_fold = OfFold {
            data,
            frozen,
            options,
            checkpoint,
            head: &head,
            inside: of(&inside, &rows),
            outside: of(&outside, &rows),
        };
        let mut tuned = Vec::new();
        for (number, &setting) in settings.iter().enumerate() {
            let before = (fold * settings.len() + number) * options.epochs;
            let part = Part {
                watch,
                before,
                total,
            };
            tuned.push(of_fold.tune(&format!("fold-{fold}-{number}"), setting, &part)?);
        }
        folds.push(Fold {
            frozen: data.logits(frozen.tail, &head, &of_fold.inside)?,
            inside,
            tuned,
        });
    }
    let judge = Judge {
        rows: &rows,
        labels: &labels,
        groups: groups.as_deref(),
        folds: &folds,
    };
    Ok(judge.choice(&settings, options))
}

/// All pictures, or as many as fit into memory with their codes.
fn drawn(data: &Data, frozen: &Frozen, options: &TuneOptions) -> Result<Vec<usize>, TuneError> {
    let n = data.labels.len();
    let most = MOST_BYTES / (4 * frozen.n_features() * data.n_views());
    if n <= most {
        return Ok((0..n).collect());
    }
    let share = most as f64 / n as f64;
    let (_, drawn) = hold_out(data.labels, data.groups.as_deref(), share, options.seed)?;
    Ok(drawn)
}

/// The trainings outside one fold.
struct OfFold<'a> {
    data: &'a Data<'a>,
    frozen: &'a Frozen<'a>,
    options: &'a TuneOptions,
    checkpoint: &'a Checkpoint,
    /// The frozen head that was trained outside the fold.
    head: &'a Network,
    inside: Vec<usize>,
    outside: Vec<usize>,
}

impl OfFold<'_> {
    /// Logits (inside, K) after each epoch, for each mixture; NaN if training diverged.
    fn tune(
        &self,
        name: &str,
        setting: Setting,
        watch: &dyn Watch,
    ) -> Result<Vec<Vec<Array2<f32>>>, TuneError> {
        let of_epoch = self.options.mixtures.len() * self.inside.len() * self.data.n_classes;
        let wanted = of_epoch * self.options.epochs;
        let mut logits = self.checkpoint.logits(name)?.unwrap_or_default();
        if logits.len() != wanted {
            let tail = self.frozen.tail;
            let mut run = Run::new(
                self.data,
                tail.clone(),
                self.head.clone(),
                setting,
                self.options,
                &self.outside,
            );
            // Logits are saved before the weights, so there may be more of them.
            self.checkpoint.restore(name, &mut run)?;
            logits.truncate(run.epoch * of_epoch);
            let done = run.go_on(self.checkpoint, name, self.options.epochs, watch, |run| {
                for &mixture in &self.options.mixtures {
                    let (tail, network) = run.mixed(tail, self.head, mixture)?;
                    let of_mixture = self.data.logits(&tail, &network, &self.inside)?;
                    logits.extend(of_mixture.iter());
                }
                self.checkpoint.keep_logits(name, &logits)
            });
            match done {
                Err(TuneError::Diverged { .. }) => {
                    logits.resize(wanted, f32::NAN);
                    self.checkpoint.keep_logits(name, &logits)?;
                }
                done => done?,
            }
            self.checkpoint.forget(name);
        }
        let shape = (self.inside.len(), self.data.n_classes);
        let of_mixture = |logits: &[f32]| {
            Array2::from_shape_vec(shape, logits.to_vec()).expect("K logits a row")
        };
        let epochs = logits.chunks_exact(of_epoch);
        Ok(epochs
            .map(|epoch| {
                epoch
                    .chunks_exact(shape.0 * shape.1)
                    .map(of_mixture)
                    .collect()
            })
            .collect())
    }
}

/// What logits are evaluated with.
struct Judge<'a> {
    /// Rows of the store (N).
    rows: &'a [usize],
    labels: &'a [usize],
    groups: Option<&'a [usize]>,
    folds: &'a [Fold],
}

impl Judge<'_> {
    fn choice(&self, settings: &[Setting], options: &TuneOptions) -> Choice {
        let (frozen, frozen_errors) = self.losses(|fold| &fold.frozen);
        let at = |number: usize, epoch: usize, place: usize| {
            let (losses, errors) = self.losses(|fold| &fold.tuned[number][epoch][place]);
            let log_loss = match mean(&losses) {
                loss if loss.is_nan() => f64::INFINITY,
                loss => loss,
            };
            let pairs = losses.iter().zip(&frozen);
            let differences: Vec<_> = pairs.map(|(a, b)| a - b).collect();
            let design = Design {
                groups: self.groups,
                dealings: &[],
            };
            Tried {
                setting: settings[number],
                epochs: epoch + 1,
                mixture: options.mixtures[place],
                log_loss,
                errors,
                standard_error: design.standard_error(&differences),
            }
        };
        let best = |number: usize| {
            let epochs = 0..options.epochs;
            let all = epochs
                .flat_map(|epoch| (0..options.mixtures.len()).map(move |place| (epoch, place)));
            // Of equal ones, the first.
            let tried = all.map(|(epoch, place)| at(number, epoch, place));
            tried
                .min_by(|a, b| a.log_loss.total_cmp(&b.log_loss))
                .expect("an epoch and a mixture at least")
        };
        let tried: Vec<_> = (0..settings.len()).map(best).collect();
        let frozen_log_loss = mean(&frozen);
        let places = (0..tried.len()).filter(|&place| tried[place].beats(frozen_log_loss));
        let taken = places.min_by(|&a, &b| tried[a].log_loss.total_cmp(&tried[b].log_loss));
        let of_epochs = taken.map(|taken| {
            let is_taken = |mixture: &f32| *mixture == tried[taken].mixture;
            let place = options.mixtures.iter().position(is_taken).unwrap_or(0);
            let of_epoch = |epoch| AtEpoch {
                tried: at(taken, epoch, place),
                out_of_fold: self.gathered(|fold| &fold.tuned[taken][epoch][place]),
            };
            (0..tried[taken].epochs).map(of_epoch).collect()
        });
        Choice {
            pictures: self.labels.len(),
            folds: self.folds.len(),
            frozen_log_loss,
            frozen_errors,
            of_epochs: of_epochs.unwrap_or_default(),
            tried,
            taken,
        }
    }

    /// The logits of all folds, in the order of the rows.
    fn gathered<'f>(&'f self, logits: impl Fn(&'f Fold) -> &'f Array2<f32>) -> OutOfFold {
        let n_classes = logits(&self.folds[0]).ncols();
        let mut all = Array2::zeros((self.rows.len(), n_classes));
        for fold in self.folds {
            for (&place, logits) in fold.inside.iter().zip(logits(fold).rows()) {
                all.row_mut(place).assign(&logits);
            }
        }
        OutOfFold {
            rows: self.rows.to_vec(),
            logits: all,
        }
    }

    /// The log loss of each picture, and the number of errors.
    fn losses<'f>(&'f self, logits: impl Fn(&'f Fold) -> &'f Array2<f32>) -> (Vec<f64>, usize) {
        let (mut all, mut errors) = (vec![0.0; self.labels.len()], 0);
        for fold in self.folds {
            let logits = logits(fold);
            let labels: Vec<_> = fold
                .inside
                .iter()
                .map(|&place| self.labels[place])
                .collect();
            for (logits, &label) in logits.rows().into_iter().zip(&labels) {
                let is_right = logits.iter().all(|&other| other <= logits[label]);
                errors += usize::from(!is_right);
            }
            let probabilities = probabilities(logits.clone(), 1.0);
            let losses = log_losses(probabilities.view(), &labels);
            for (&place, loss) in fold.inside.iter().zip(losses) {
                all[place] = loss;
            }
        }
        (all, errors)
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    /// Four pictures in two folds; `sure` is how sure the tuned heads are of what is right.
    fn choice(sure: [f32; 2], options: &TuneOptions) -> Choice {
        let fold = |inside: Vec<usize>| Fold {
            inside,
            frozen: array![[0.6, 0.0], [0.0, 0.5]],
            tuned: vec![vec![
                sure.map(|sure| array![[sure, 0.0], [0.0, sure]]).to_vec(),
            ]],
        };
        let folds = [fold(vec![0, 1]), fold(vec![2, 3])];
        let judge = Judge {
            rows: &[0, 1, 2, 3],
            labels: &[0, 1, 0, 1],
            groups: None,
            folds: &folds,
        };
        judge.choice(&options.settings(), options)
    }

    #[test]
    fn the_frozen_head_stays_unless_it_is_beaten_by_more_than_noise() {
        let mut options = TuneOptions::default();
        (options.rates, options.epochs) = (vec![1e-3], 1);
        let better = choice([2.0, 1.0], &options);
        let chosen = better.chosen().unwrap();
        assert_eq!((chosen.epochs, chosen.mixture, chosen.errors), (1, 0.5, 0));
        // -ln of 1 / (1 + e^-2).
        assert!(
            (chosen.log_loss - 0.126_928).abs() < 1e-5,
            "{}",
            chosen.log_loss
        );
        assert_eq!(choice([0.4, 0.3], &options).chosen(), None);
        // Better by less than a standard error of (0.05, -0.05).
        assert_eq!(choice([0.55, 0.54], &options).chosen(), None);
        let diverged = choice([f32::NAN, f32::NAN], &options);
        assert_eq!(
            (diverged.taken, diverged.tried[0].log_loss),
            (None, f64::INFINITY)
        );
    }
}
