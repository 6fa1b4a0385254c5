//! Chooses and trains heads, and computes the logits for their evaluation.

use std::time::Instant;

use ndarray::{Array2, Axis};

use super::cross_validation::{Folds, fit_seeds, never_learned};
use super::error::FitError;
use super::judgement::Unjudged;
use super::options::TrainOptions;
use super::progress::{Epochs, Stage};
use super::result::{FailedHead, LearningCurve, Tuning};
use super::scaled::{ScaledSamples, scale};
use super::tuning::{Candidate, TUNING_SEEDS, TuningJudge};
use crate::evaluate::{Abstentions, Temperature, abstentions, fit_temperature, log_losses};
use crate::head::nearest_centroid::NearestCentroidOptions;
use crate::head::saved::{Evidence, OutOfFoldScores, Saved};
use crate::head::{
    Epoch, Head, HeadError, HeadKind, HeadOptions, HeadVisitor, OneHead, Samples,
    negative_log_probabilities, probabilities,
};
use crate::progress::Watch;
use crate::quiet;

/// One call of [`train`](super::train).
pub(super) struct Training<'a, 's> {
    /// The unscaled training samples.
    pub(super) samples: &'a Samples<'s>,
    pub(super) options: &'a TrainOptions,
    pub(super) watch: &'a dyn Watch,
}

/// Heads trained on all samples, not yet evaluated.
#[derive(Default)]
pub(super) struct Unsaved {
    pub(super) heads: Vec<OneHead>,
    /// The MLP's learning curve.
    pub(super) history: Vec<Epoch>,
    pub(super) unjudged: Vec<Unjudged>,
    /// Log loss of each head on the training samples, out of fold, if it is known.
    pub(super) log_losses: Vec<(HeadKind, f64)>,
    /// The baseline, which is not kept.
    pub(super) floor: Option<Unjudged>,
    /// The fold of each evaluated sample in each dealing; empty for a validation store.
    pub(super) dealings: Vec<Vec<usize>>,
    /// Accuracy by the number of training pictures, if it was requested.
    pub(super) learning_curve: Option<LearningCurve>,
    /// Heads that could not be trained.
    pub(super) failed: Vec<FailedHead>,
    /// The heads' out-of-fold scores, and the directions of the training codes.
    pub(super) evidence: Evidence,
}

/// One head trained on all samples, not yet evaluated.
struct UnsavedHead {
    head: OneHead,
    history: Vec<Epoch>,
    unjudged: Unjudged,
    dealings: Vec<Vec<usize>>,
    /// Log loss of the training samples with the final settings, each by a head that was not
    /// trained on it, if it is known.
    log_loss: Option<f64>,
    /// Its score for each of these samples, if they are known.
    scores: Option<OutOfFoldScores>,
}

/// How one head's settings were chosen.
struct Choice<H: Head> {
    options: H::Options,
    tuning: Option<Tuning>,
    /// Out-of-fold logits (N, K) with the chosen settings, if they are known.
    logits: Option<Array2<f32>>,
}

/// Logits (N, K) of all samples by heads that were not trained on them, for each dealing of folds.
struct OutOfFold {
    logits: Vec<Array2<f32>>,
    /// Folds of the samples (N).
    dealings: Vec<Vec<usize>>,
}

/// What a head is evaluated on.
enum Judging<'v, 's> {
    Validation(&'v Samples<'s>),
    Folds(OutOfFold),
}

/// A head of any kind, to be trained.
struct TrainOne<'a, 't, 's> {
    training: &'a Training<'t, 's>,
    /// The training samples, scaled.
    train: &'a Samples<'s>,
    validation: Option<&'a Samples<'s>>,
}

impl HeadVisitor for TrainOne<'_, '_, '_> {
    type Output = Result<UnsavedHead, FitError>;

    /// If a dependency panics, the head fails.
    fn visit<H: Head>(self, options: &H::Options) -> Self::Output
    where
        OneHead: From<Saved<H>>,
    {
        let trained = || {
            self.training
                .train_one::<H>(options, self.train, self.validation)
        };
        quiet::catch(trained).unwrap_or_else(|message| Err(HeadError::Panicked { message }.into()))
    }
}

impl<'s> Training<'_, 's> {
    pub(super) fn scale(&self) -> Result<ScaledSamples<'s>, FitError> {
        Ok(scale(self.samples, self.options.scaling)?)
    }

    /// Heads trained on `train`, the scaled samples. They are evaluated on `validation`; without
    /// it, by other heads of their kind that are trained outside each fold.
    ///
    /// The heads are trained one after the other, so that if one fails, the others are kept.
    pub(super) fn train(
        &self,
        train: &Samples<'s>,
        validation: Option<&Samples<'s>>,
    ) -> Result<Unsaved, FitError> {
        let mut unsaved = Unsaved::default();
        let mut first_error = None;
        for options in &self.options.heads {
            let is_first = unsaved.unjudged.is_empty();
            if !is_first && self.watch.is_stopped() {
                break;
            }
            match options.visit(self.one(train, validation)) {
                Ok(one) => {
                    unsaved.heads.push(one.head);
                    unsaved.history.extend(one.history);
                    unsaved.unjudged.push(one.unjudged);
                    unsaved.dealings = one.dealings;
                    let loss = one.log_loss.map(|loss| (options.kind(), loss));
                    unsaved.log_losses.extend(loss);
                    let scores = one.scores.map(|scores| (options.kind(), scores));
                    unsaved.evidence.out_of_fold.extend(scores);
                }
                Err(FitError::Stopped(_)) if !is_first => break,
                Err(error) if error.spares_others() => {
                    unsaved.failed.push(FailedHead {
                        name: options.kind().to_string(),
                        reason: error.to_string(),
                    });
                    first_error.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        if let (Some(error), true) = (first_error, unsaved.unjudged.is_empty()) {
            return Err(error);
        }
        unsaved.floor = self.floor(train, validation)?;
        Ok(unsaved)
    }

    /// The nearest centroid as a baseline, evaluated like the heads and not kept, unless it is one
    /// of them. `None` if it fails, or if training is stopped.
    fn floor(
        &self,
        train: &Samples<'s>,
        validation: Option<&Samples<'s>>,
    ) -> Result<Option<Unjudged>, FitError> {
        let mut kinds = self.options.heads.iter().map(HeadOptions::kind);
        if kinds.any(|kind| kind == HeadKind::NearestCentroid) || self.watch.is_stopped() {
            return Ok(None);
        }
        let options = HeadOptions::NearestCentroid(NearestCentroidOptions::default());
        match options.visit(self.one(train, validation)) {
            Ok(one) => Ok(Some(one.unjudged)),
            Err(FitError::Stopped(_)) => Ok(None),
            Err(error) if error.spares_others() => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn one<'a>(
        &'a self,
        train: &'a Samples<'s>,
        validation: Option<&'a Samples<'s>>,
    ) -> TrainOne<'a, 'a, 's> {
        TrainOne {
            training: self,
            train,
            validation,
        }
    }

    /// Chooses the settings of one head, trains it with all threads, and computes the logits for
    /// its evaluation.
    fn train_one<H: Head>(
        &self,
        given: &H::Options,
        train: &Samples<'s>,
        validation: Option<&Samples<'s>>,
    ) -> Result<UnsavedHead, FitError>
    where
        OneHead: From<Saved<H>>,
    {
        let judging = match validation {
            Some(validation) => Judging::Validation(validation),
            None => Judging::Folds(self.out_of_fold::<H>(given)?),
        };
        // In folds and without tuning, the first dealing has these settings.
        let calibrates = self.options.calibrate && (validation.is_some() || self.options.tune);
        let choice = self.choose::<H>(given, self.samples, calibrates)?;
        self.watch
            .stage(&format!("{} the {}", H::FITTING, H::TITLE), 1);
        let (epochs, steps) = (Epochs(self.watch), Stage::untold(self.watch, 1));
        let watch: &dyn Watch = if H::HAS_EPOCHS { &epochs } else { &steps };
        let start = Instant::now();
        let fit = H::fit(train, validation, &choice.options, watch)?;
        let training_time = start.elapsed();
        let (logits, dealings) = match judging {
            Judging::Folds(judged) => (judged.logits, judged.dealings),
            Judging::Validation(validation) => {
                let mut logits = vec![fit.model.logits_of(validation)?];
                logits.extend(self.other_seeds::<H>(train, validation, &choice.options)?);
                (logits, Vec::new())
            }
        };
        let first_dealing = || logits.first().filter(|_| !dealings.is_empty()).cloned();
        let out_of_fold = choice.logits.or_else(first_dealing);
        let known = out_of_fold.as_ref().map(|logits| self.known(logits));
        let known = known.transpose()?.flatten();
        let temperature = self.temperature(known.as_ref())?;
        let divisor = temperature.map_or(1.0, |fitted| fitted.value);
        let log_loss = known.as_ref().map(|known| known.log_loss(divisor));
        let scores = known.as_ref().map(|known| known.scores(divisor));
        let abstentions = known.map(|known| known.abstentions(divisor));
        let abstentions = abstentions.transpose()?.unwrap_or_default();
        let seed = H::seed(&choice.options);
        Ok(UnsavedHead {
            head: OneHead::from(Saved {
                model: fit.model,
                options: choice.options,
                convergence: fit.convergence,
                temperature: divisor,
            }),
            history: fit.history,
            unjudged: Unjudged {
                kind: H::KIND,
                seed,
                logits,
                temperature,
                abstentions,
                tuning: choice.tuning,
                training_time,
                remark: fit.remark,
            },
            dealings,
            log_loss,
            scores,
        })
    }

    /// Chooses the settings on `samples`, by cross-validation if it was requested and there is a
    /// choice; `wants_logits` also requests the out-of-fold logits.
    fn choose<H: Head>(
        &self,
        given: &H::Options,
        samples: &Samples,
        wants_logits: bool,
    ) -> Result<Choice<H>, FitError> {
        let mut candidates = match self.options.tune {
            true => H::candidates(given),
            false => vec![given.clone()],
        };
        let tunes = candidates.len() > 1;
        if !tunes && !wants_logits {
            return Ok(Choice {
                options: given.clone(),
                tuning: None,
                logits: None,
            });
        }
        let folds = self.folds(samples)?;
        if !tunes {
            let stage = self.stage::<H>("calibrating", folds.len());
            let mut logits = folds.logits::<H>(&candidates, &stage)?;
            return Ok(Choice {
                options: candidates.swap_remove(0),
                tuning: None,
                logits: Some(logits.swap_remove(0)?),
            });
        }
        let seeds = |options: &H::Options| {
            let others = (1..TUNING_SEEDS).map_while(|more| H::reseeded(options, more));
            std::iter::once(options.clone()).chain(others).collect()
        };
        let settings: Vec<Vec<_>> = candidates.iter().map(seeds).collect();
        let n_seeds = settings[0].len();
        let stage = self.stage::<H>("tuning", candidates.len() * n_seeds * folds.len());
        let logits = folds.logits::<H>(&settings.concat(), &stage)?;
        let mut logits = logits.into_iter();
        let tried = candidates.into_iter().map(|options| Candidate {
            setting: H::setting(&options),
            options,
            logits: logits.by_ref().take(n_seeds).collect(),
        });
        let judging = TuningJudge {
            labels: samples.labels(),
            groups: samples.groups(),
            unknown: never_learned(samples.labels(), &folds.of_row),
            calibrates: self.options.calibrate,
        };
        let chosen = judging.choose(tried.collect())?;
        let tuning = Tuning {
            at_end: H::at_end(&chosen.options, given),
            ..chosen.tuning
        };
        Ok(Choice {
            options: chosen.options,
            tuning: Some(tuning),
            logits: Some(chosen.logits),
        })
    }

    /// Logits of every sample from heads that were trained, and tuned if requested, outside its
    /// fold; for each dealing with its own seed.
    fn out_of_fold<H: Head>(&self, given: &H::Options) -> Result<OutOfFold, FitError> {
        let n_runs = self.options.repeats;
        let (mut logits, mut dealings) = (Vec::new(), Vec::new());
        for more in 0..n_runs as u64 {
            let folds = self.dealing(self.samples, more)?;
            let given = H::reseeded(given, more).unwrap_or_else(|| given.clone());
            let settings = |fold| {
                if !self.options.tune {
                    return Ok(vec![given.clone()]);
                }
                let (_, outside) = folds.split(fold);
                let outside = self.samples.select(&outside);
                Ok(vec![self.choose::<H>(&given, &outside, false)?.options])
            };
            let settings = (0..folds.len()).map(settings);
            let settings: Vec<_> = settings.collect::<Result<_, FitError>>()?;
            let stage = self.stage::<H>("judging", folds.len());
            let mut of_folds = folds.logits_by_fold::<H>(&settings, &stage)?;
            logits.push(of_folds.swap_remove(0)?);
            dealings.push(folds.of_row);
        }
        Ok(OutOfFold { logits, dealings })
    }

    /// The folds of `samples`, the same for every head.
    fn folds<'a>(&self, samples: &Samples<'a>) -> Result<Folds<'a>, FitError> {
        self.dealing(samples, 0)
    }

    /// Folds dealt with the seed increased by `more`.
    fn dealing<'a>(&self, samples: &Samples<'a>, more: u64) -> Result<Folds<'a>, FitError> {
        let TrainOptions {
            folds,
            scaling,
            seed,
            ..
        } = *self.options;
        Ok(Folds::new(
            samples,
            folds,
            scaling,
            seed.wrapping_add(more),
        )?)
    }

    /// The options of every seed: the given one, and those after it.
    fn seeds<H: Head>(&self, options: &H::Options) -> Vec<H::Options> {
        let others = 1..self.options.repeats as u64;
        let others = others.map_while(|more| H::reseeded(options, more));
        std::iter::once(options.clone()).chain(others).collect()
    }

    /// Logits on `validation` of the networks of the other seeds; none if training is stopped,
    /// because the final network is finished.
    fn other_seeds<H: Head>(
        &self,
        train: &Samples,
        validation: &Samples,
        options: &H::Options,
    ) -> Result<Vec<Array2<f32>>, FitError> {
        let others = &self.seeds::<H>(options)[1..];
        if others.is_empty() {
            return Ok(Vec::new());
        }
        let stage = Stage::begin(self.watch, "training with other seeds", others.len());
        match fit_seeds::<H>(train, validation, others, &stage) {
            Err(FitError::Stopped(_)) => Ok(Vec::new()),
            logits => logits,
        }
    }

    /// Begins a stage with this many fits, such as "tuning the MLP".
    fn stage<H: Head>(&self, purpose: &str, fits: usize) -> Stage<'_> {
        Stage::begin(self.watch, &format!("{purpose} the {}", H::TITLE), fits)
    }

    /// The temperature that fits the out-of-fold logits, if calibration was requested and any
    /// picture is informative.
    fn temperature(
        &self,
        known: Option<&OutOfFoldLogits>,
    ) -> Result<Option<Temperature>, FitError> {
        match known.filter(|_| self.options.calibrate) {
            Some(known) => {
                let groups = known.samples.groups();
                let fitted = fit_temperature(known.logits.view(), known.samples.labels(), groups)?;
                Ok(Some(fitted))
            }
            None => Ok(None),
        }
    }

    /// Out-of-fold logits of the training samples whose class some head could know; `None` if there
    /// are none. No temperature helps the other samples.
    fn known(&self, logits: &Array2<f32>) -> Result<Option<OutOfFoldLogits<'s>>, FitError> {
        let labels = self.samples.labels();
        let unknown = never_learned(labels, &self.folds(self.samples)?.of_row);
        let rows: Vec<_> = (0..labels.len()).filter(|&row| !unknown[row]).collect();
        Ok((!rows.is_empty()).then(|| OutOfFoldLogits {
            samples: self.samples.select(&rows),
            logits: logits.select(Axis(0), &rows),
        }))
    }
}

/// Logits (N, K) of some training samples, each by a head that was not trained on it.
struct OutOfFoldLogits<'s> {
    samples: Samples<'s>,
    logits: Array2<f32>,
}

impl OutOfFoldLogits<'_> {
    /// How confident an answer must be.
    fn abstentions(&self, temperature: f64) -> Result<Abstentions, FitError> {
        let probabilities = probabilities(self.logits.clone(), temperature as f32);
        Ok(abstentions(probabilities.view(), self.samples.labels())?)
    }

    /// The head's score for each picture.
    fn scores(&self, temperature: f64) -> OutOfFoldScores {
        let of_classes = negative_log_probabilities(self.logits.clone(), temperature as f32);
        let labels = self.samples.labels();
        let of_row = labels.iter().zip(of_classes.rows());
        OutOfFoldScores {
            scores: of_row.map(|(&label, scores)| scores[label]).collect(),
            group_sizes: self.samples.group_sizes().into(),
        }
    }

    fn log_loss(&self, temperature: f64) -> f64 {
        let probabilities = probabilities(self.logits.clone(), temperature as f32);
        let losses = log_losses(probabilities.view(), self.samples.labels());
        losses.sum::<f64>() / self.samples.len() as f64
    }
}
