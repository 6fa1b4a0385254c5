//! Heads chosen, trained, and given the logits by which they are judged.

use std::time::Instant;

use ndarray::Array2;

use super::cross_validation::{Folds, fit_seeds};
use super::error::FitError;
use super::fit::{ScaledSamples, fit_logistic, fit_mlp, scale, with_seeds};
use super::judgement::Unjudged;
use super::options::{HeadOptions, TrainOptions};
use super::progress::{Epochs, Progress};
use super::result::{FailedHead, Tuning};
use super::tuning::{tune_logistic, tune_mlp};
use crate::evaluate::fit_temperature;
use crate::head::logistic::LogisticOptions;
use crate::head::mlp::{Ended, Epoch, Keep, MlpOptions, TrainedMlp};
use crate::head::saved::{SavedLogistic, SavedMlp};
use crate::head::{HeadError, HeadKind, Samples};
use crate::quiet;

/// One call of [`train`](super::train).
pub(super) struct Training<'a, 's> {
    /// The training samples as they are stored.
    pub(super) samples: &'a Samples<'s>,
    pub(super) options: &'a TrainOptions,
    pub(super) progress: &'a dyn Progress,
}

/// Heads trained on all samples, not judged yet.
#[derive(Default)]
pub(super) struct Unsaved {
    pub(super) mlp: Option<SavedMlp>,
    pub(super) logistic: Option<SavedLogistic>,
    /// The MLP's learning curve.
    pub(super) history: Vec<Epoch>,
    pub(super) unjudged: Vec<Unjudged>,
    /// The fold of each judged sample, where they are judged in folds.
    pub(super) folds: Option<Vec<usize>>,
    /// Heads that could not be trained.
    pub(super) failed: Vec<FailedHead>,
}

/// Settings of both heads, chosen on some samples.
struct Choice {
    heads: HeadOptions,
    mlp: Chosen,
    logistic: Chosen,
}

/// How one head's settings were chosen.
#[derive(Default)]
struct Chosen {
    tuning: Option<Tuning>,
    /// Out-of-fold logits with the chosen settings, where they are known.
    logits: Option<Array2<f32>>,
}

/// Logits (N, K) of all samples by heads that were not trained on them.
struct OutOfFold {
    /// One for each seed.
    mlp: Vec<Array2<f32>>,
    logistic: Option<Array2<f32>>,
    folds: Vec<usize>,
}

/// What the heads are judged on.
enum Judging<'v, 's> {
    Validation(&'v Samples<'s>),
    Folds(OutOfFold),
}

impl Unsaved {
    /// Adds what `other` has; both were judged in the same folds, if in any.
    fn take(&mut self, other: Self) {
        self.mlp = self.mlp.take().or(other.mlp);
        self.logistic = self.logistic.take().or(other.logistic);
        self.history.extend(other.history);
        self.unjudged.extend(other.unjudged);
        self.folds = self.folds.take().or(other.folds);
    }
}

impl<'s> Training<'_, 's> {
    pub(super) fn scale(&self) -> Result<ScaledSamples<'s>, FitError> {
        Ok(scale(self.samples, self.options.heads.scaling)?)
    }

    /// Heads trained on `train`, these samples scaled, to be judged on `validation`, or without one
    /// by others of their kind that are trained outside of each fold.
    ///
    /// One head after the other, each from beginning to end: where one fails, the other is kept.
    pub(super) fn train(
        &self,
        train: &Samples<'s>,
        validation: Option<&Samples<'s>>,
    ) -> Result<Unsaved, FitError> {
        let mut trained = Unsaved::default();
        let mut first_error = None;
        for kind in [HeadKind::Mlp, HeadKind::Logistic] {
            let Some(heads) = self.options.heads.only(kind) else {
                continue;
            };
            let is_first = trained.unjudged.is_empty();
            if !is_first && self.progress.is_stopped() {
                break;
            }
            match self.train_one(&heads, train, validation) {
                Ok(one) => trained.take(one),
                Err(FitError::Stopped) if !is_first => break,
                Err(error) if error.spares_others() => {
                    trained.failed.push(FailedHead {
                        name: kind.to_string(),
                        reason: error.to_string(),
                    });
                    first_error.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        match first_error {
            Some(error) if trained.unjudged.is_empty() => Err(error),
            _ => Ok(trained),
        }
    }

    /// Trains the one head that is among `heads`. A dependency that panics makes it fail.
    fn train_one(
        &self,
        heads: &HeadOptions,
        train: &Samples<'s>,
        validation: Option<&Samples<'s>>,
    ) -> Result<Unsaved, FitError> {
        let chosen_and_trained = || {
            let judging = match validation {
                Some(validation) => Judging::Validation(validation),
                None => Judging::Folds(self.out_of_fold(heads)?),
            };
            let calibrate_on_choice = self.options.calibrate && validation.is_some();
            let Choice {
                heads,
                mlp,
                logistic,
            } = self.choose(heads, self.samples, calibrate_on_choice)?;
            let mut trained = Unsaved::default();
            if let Some(options) = &heads.mlp {
                self.add_mlp(&mut trained, train, options, mlp, &judging)?;
            }
            if let Some(options) = &heads.logistic {
                self.add_logistic(&mut trained, train, options, logistic, &judging)?;
            }
            if let Judging::Folds(OutOfFold { folds, .. }) = judging {
                trained.folds = Some(folds);
            }
            Ok(trained)
        };
        quiet::catch(chosen_and_trained)
            .unwrap_or_else(|message| Err(HeadError::Panicked { message }.into()))
    }

    /// Chooses the settings on `samples`, by cross-validation if that is asked for; `logits` asks
    /// for the out-of-fold logits as well.
    fn choose(
        &self,
        heads: &HeadOptions,
        samples: &Samples,
        logits: bool,
    ) -> Result<Choice, FitError> {
        let mut choice = Choice {
            heads: heads.clone(),
            mlp: Chosen::default(),
            logistic: Chosen::default(),
        };
        if !self.options.tune && !logits {
            return Ok(choice);
        }
        let folds = self.folds(samples)?;
        if let Some(given) = &heads.mlp {
            choice.mlp.logits = Some(if self.options.tune {
                let chosen = tune_mlp(&folds, samples, given, heads.hold_out, self.progress)?;
                choice.mlp.tuning = Some(chosen.tuning);
                choice.heads.mlp = Some(chosen.options);
                chosen.logits
            } else {
                self.progress.stage("calibrating the MLP", folds.len());
                let given = std::slice::from_ref(given);
                folds
                    .mlp_logits(given, heads.hold_out, self.progress)?
                    .swap_remove(0)?
            });
        }
        if let Some(given) = &heads.logistic {
            choice.logistic.logits = Some(if self.options.tune {
                let chosen = tune_logistic(&folds, samples, given, self.progress)?;
                choice.logistic.tuning = Some(chosen.tuning);
                choice.heads.logistic = Some(chosen.options);
                chosen.logits
            } else {
                self.progress
                    .stage("calibrating the logistic regression", folds.len());
                folds
                    .logistic_logits(&[given.l2], given, self.progress)?
                    .swap_remove(0)
            });
        }
        Ok(choice)
    }

    /// Logits of every sample by heads that were trained, and tuned if need be, outside of its fold.
    fn out_of_fold(&self, heads: &HeadOptions) -> Result<OutOfFold, FitError> {
        let n_folds = self.options.folds;
        let folds = self.folds(self.samples)?;
        let choices: Vec<_> = if self.options.tune {
            (0..n_folds)
                .map(|fold| {
                    let (_, outside) = folds.split(fold);
                    let outside = self.samples.select(&outside);
                    Ok(self.choose(heads, &outside, false)?.heads)
                })
                .collect::<Result<_, FitError>>()?
        } else {
            vec![heads.clone(); n_folds]
        };
        let mut logits = OutOfFold {
            mlp: Vec::new(),
            logistic: None,
            folds: folds.of_row.clone(),
        };
        if heads.mlp.is_some() {
            let repeats = self.options.repeats;
            self.progress.stage("judging the MLP", n_folds * repeats);
            let by_fold: Vec<_> = choices
                .iter()
                .filter_map(|heads| Some(with_seeds(heads.mlp.as_ref()?, repeats)))
                .collect();
            logits.mlp = folds
                .mlp_logits_by_fold(&by_fold, heads.hold_out, self.progress)?
                .into_iter()
                .collect::<Result<_, HeadError>>()?;
        }
        if let Some(options) = &heads.logistic {
            self.progress
                .stage("judging the logistic regression", n_folds);
            let by_fold: Vec<_> = choices
                .iter()
                .filter_map(|heads| Some(vec![heads.logistic.as_ref()?.l2]))
                .collect();
            let found = folds.logistic_logits_by_fold(&by_fold, options, self.progress)?;
            logits.logistic = found.into_iter().next();
        }
        Ok(logits)
    }

    /// The folds of `samples`, the same for every head.
    fn folds<'a>(&self, samples: &Samples<'a>) -> Result<Folds<'a>, FitError> {
        let heads = &self.options.heads;
        let n_folds = self.options.folds;
        Ok(Folds::new(
            samples,
            n_folds,
            heads.scaling,
            heads.split_seed(),
        )?)
    }

    /// Trains the MLP that is kept, with all threads and every epoch told.
    fn add_mlp(
        &self,
        trained: &mut Unsaved,
        train: &Samples<'s>,
        options: &MlpOptions,
        chosen: Chosen,
        judging: &Judging<'_, 's>,
    ) -> Result<(), FitError> {
        self.progress.stage("training the MLP", 1);
        let start = Instant::now();
        let share = self.options.heads.hold_out;
        let validation = match judging {
            Judging::Validation(validation) => Some(*validation),
            Judging::Folds(_) => None,
        };
        let watch = &mut Epochs(self.progress);
        let fit = fit_mlp(train, validation, options, share, watch)?;
        if fit.kept_epoch == 0 && fit.unfinished_steps == 0 {
            return Err(FitError::Stopped);
        }
        let training_time = start.elapsed();
        let (logits, out_of_fold) = match judging {
            Judging::Folds(judged) => (judged.mlp.clone(), judged.mlp.first()),
            Judging::Validation(validation) => {
                let mut logits = vec![fit.mlp.logits(validation.codes())?];
                logits.extend(self.other_seeds(train, validation, options)?);
                (logits, chosen.logits.as_ref())
            }
        };
        let temperature = self.temperature(out_of_fold)?;
        trained.unjudged.push(Unjudged {
            name: "mlp",
            logits,
            temperature,
            tuning: chosen.tuning,
            training_time,
            remark: remark(&fit, options),
        });
        trained.history = fit.history;
        trained.mlp = Some(SavedMlp {
            model: fit.mlp,
            options: options.clone(),
            temperature: temperature.unwrap_or(1.0),
        });
        Ok(())
    }

    /// Logits on `validation` of networks of the other seeds; none if that is stopped, as the one
    /// that is kept is there already.
    fn other_seeds(
        &self,
        train: &Samples,
        validation: &Samples,
        options: &MlpOptions,
    ) -> Result<Vec<Array2<f32>>, FitError> {
        let others = &with_seeds(options, self.options.repeats)[1..];
        if others.is_empty() {
            return Ok(Vec::new());
        }
        self.progress
            .stage("training with other seeds", others.len());
        let share = self.options.heads.hold_out;
        match fit_seeds(train, validation, others, share, self.progress) {
            Err(FitError::Stopped) => Ok(Vec::new()),
            logits => logits,
        }
    }

    fn add_logistic(
        &self,
        trained: &mut Unsaved,
        train: &Samples,
        options: &LogisticOptions,
        chosen: Chosen,
        judging: &Judging,
    ) -> Result<(), FitError> {
        self.progress.stage("fitting the logistic regression", 1);
        let start = Instant::now();
        let fit = fit_logistic(train, options, self.progress)?;
        let training_time = start.elapsed();
        let (logits, out_of_fold) = match judging {
            Judging::Folds(judged) => (judged.logistic.clone(), judged.logistic.as_ref()),
            Judging::Validation(validation) => {
                let logits = fit.model.logits(validation.codes())?;
                (Some(logits), chosen.logits.as_ref())
            }
        };
        let temperature = self.temperature(out_of_fold)?;
        trained.unjudged.push(Unjudged {
            name: "logistic",
            logits: logits.into_iter().collect(),
            temperature,
            tuning: chosen.tuning,
            training_time,
            remark: fit.convergence.explanation.clone(),
        });
        trained.logistic = Some(SavedLogistic {
            model: fit.model,
            options: *options,
            convergence: fit.convergence,
            temperature: temperature.unwrap_or(1.0),
        });
        Ok(())
    }

    /// The temperature that fits out-of-fold logits, if calibration is asked for.
    fn temperature(&self, logits: Option<&Array2<f32>>) -> Result<Option<f64>, FitError> {
        let logits = logits.filter(|_| self.options.calibrate);
        let fit = |logits: &Array2<f32>| fit_temperature(logits.view(), self.samples.labels());
        Ok(logits.map(fit).transpose()?)
    }
}

/// How long the MLP was trained, and which epoch's weights it has.
fn remark(fit: &TrainedMlp, options: &MlpOptions) -> String {
    let MlpOptions { epochs, seed, .. } = options;
    let n_done = fit.history.len();
    let trained = match fit.ended {
        Ended::Completed => format!("trained for {n_done} epochs"),
        Ended::StoppedEarly => format!("stopped early after epoch {n_done} of {epochs}"),
        Ended::Interrupted => format!("interrupted after epoch {n_done} of {epochs}"),
    };
    let kept = match (options.keep, fit.unfinished_steps) {
        (Keep::Best, 0) => {
            let best = fit.history.get(fit.kept_epoch.wrapping_sub(1));
            let loss = best.and_then(|epoch| epoch.held_out_loss);
            let loss = loss.map_or(String::new(), |loss| format!(", held-out loss {loss:.4}"));
            format!(
                "the best epoch's weights are kept: epoch {}{loss}",
                fit.kept_epoch
            )
        }
        (_, 0) => format!(
            "the last epoch's weights are kept: epoch {}",
            fit.kept_epoch
        ),
        (_, steps) => format!("the last weights are kept: {steps} steps of the epoch after it"),
    };
    let last = fit.history.last().map_or(String::new(), |epoch| {
        format!("; last training loss {:.4}", epoch.loss)
    });
    format!("{trained}, seed {seed}; {kept}{last}")
}
