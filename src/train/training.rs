//! Heads chosen, trained, and given the logits by which they are judged.

use std::time::Instant;

use ndarray::Array2;

use super::cross_validation::{Folds, fit_seeds};
use super::error::FitError;
use super::judgement::Unjudged;
use super::options::TrainOptions;
use super::progress::{Epochs, Stage};
use super::result::{FailedHead, Tuning};
use super::scaled::{ScaledSamples, scale};
use super::tuning::choose;
use crate::evaluate::fit_temperature;
use crate::head::nearest_centroid::NearestCentroidOptions;
use crate::head::saved::Saved;
use crate::head::{Epoch, Head, HeadError, HeadKind, HeadOptions, HeadVisitor, OneHead, Samples};
use crate::progress::Watch;
use crate::quiet;

/// One call of [`train`](super::train).
pub(super) struct Training<'a, 's> {
    /// The training samples as they are stored.
    pub(super) samples: &'a Samples<'s>,
    pub(super) options: &'a TrainOptions,
    pub(super) watch: &'a dyn Watch,
}

/// Heads trained on all samples, not judged yet.
#[derive(Default)]
pub(super) struct Unsaved {
    pub(super) heads: Vec<OneHead>,
    /// The MLP's learning curve.
    pub(super) history: Vec<Epoch>,
    pub(super) unjudged: Vec<Unjudged>,
    /// The head that the others are held against, which is not kept.
    pub(super) floor: Option<Unjudged>,
    /// The fold of each judged sample, where they are judged in folds.
    pub(super) folds: Option<Vec<usize>>,
    /// Heads that could not be trained.
    pub(super) failed: Vec<FailedHead>,
}

/// One head trained on all samples, not judged yet.
struct UnsavedHead {
    head: OneHead,
    history: Vec<Epoch>,
    unjudged: Unjudged,
    folds: Option<Vec<usize>>,
}

/// How one head's settings were chosen.
struct Choice<H: Head> {
    options: H::Options,
    tuning: Option<Tuning>,
    /// Out-of-fold logits (N, K) with the chosen settings, where they are known.
    logits: Option<Array2<f32>>,
}

/// Logits (N, K) of all samples by heads that were not trained on them.
struct OutOfFold {
    /// One for each seed.
    logits: Vec<Array2<f32>>,
    folds: Vec<usize>,
}

/// What a head is judged on.
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

    /// A dependency that panics makes the head fail.
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

    /// Heads trained on `train`, these samples scaled, to be judged on `validation`, or without one
    /// by others of their kind that are trained outside of each fold.
    ///
    /// One head after the other, each from beginning to end: where one fails, the others are kept.
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
                    unsaved.folds = unsaved.folds.or(one.folds);
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

    /// The nearest centroid, judged as the heads are and not kept, unless it is one of them. Where it
    /// fails, or training is stopped, there is none.
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

    /// Chooses the settings of one head, trains it with all threads, and takes the logits by which it
    /// is judged.
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
        let calibrate_on_choice = self.options.calibrate && validation.is_some();
        let choice = self.choose::<H>(given, self.samples, calibrate_on_choice)?;
        self.watch
            .stage(&format!("{} the {}", H::FITTING, H::TITLE), 1);
        let (epochs, steps) = (Epochs(self.watch), Stage::untold(self.watch, 1));
        let watch: &dyn Watch = if H::HAS_EPOCHS { &epochs } else { &steps };
        let start = Instant::now();
        let fit = H::fit(train, validation, &choice.options, watch)?;
        let training_time = start.elapsed();
        let (logits, out_of_fold, folds) = match judging {
            Judging::Folds(judged) => {
                let first = judged.logits.first().cloned();
                (judged.logits, first, Some(judged.folds))
            }
            Judging::Validation(validation) => {
                let mut logits = vec![H::logits(&fit.model, validation.codes())?];
                logits.extend(self.other_seeds::<H>(train, validation, &choice.options)?);
                (logits, choice.logits, None)
            }
        };
        let temperature = self.temperature(out_of_fold.as_ref())?;
        Ok(UnsavedHead {
            head: OneHead::from(Saved {
                model: fit.model,
                options: choice.options,
                convergence: fit.convergence,
                temperature: temperature.unwrap_or(1.0),
            }),
            history: fit.history,
            unjudged: Unjudged {
                kind: H::KIND,
                logits,
                temperature,
                tuning: choice.tuning,
                training_time,
                remark: fit.remark,
            },
            folds,
        })
    }

    /// Chooses the settings on `samples`, by cross-validation if that is asked for and there is a
    /// choice; `wants_logits` asks for the out-of-fold logits as well.
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
        let purpose = if tunes { "tuning" } else { "calibrating" };
        let stage = self.stage::<H>(purpose, candidates.len() * folds.len());
        let mut logits = folds.logits::<H>(&candidates, &stage)?;
        if !tunes {
            return Ok(Choice {
                options: candidates.swap_remove(0),
                tuning: None,
                logits: Some(logits.swap_remove(0)?),
            });
        }
        let chosen = choose(candidates, logits, samples.labels(), H::setting)?;
        Ok(Choice {
            options: chosen.options,
            tuning: Some(chosen.tuning),
            logits: Some(chosen.logits),
        })
    }

    /// Logits of every sample by heads that were trained, and tuned if need be, outside of its fold.
    fn out_of_fold<H: Head>(&self, given: &H::Options) -> Result<OutOfFold, FitError> {
        let n_folds = self.options.folds;
        let folds = self.folds(self.samples)?;
        let chosen = |fold| {
            let (_, outside) = folds.split(fold);
            let outside = self.samples.select(&outside);
            Ok(self.choose::<H>(given, &outside, false)?.options)
        };
        let choices: Vec<_> = match self.options.tune {
            true => (0..n_folds).map(chosen).collect::<Result<_, FitError>>()?,
            false => vec![given.clone(); n_folds],
        };
        let by_fold: Vec<_> = (choices.iter())
            .map(|options| self.seeds::<H>(options))
            .collect();
        let n_fits = by_fold.iter().map(Vec::len).sum();
        let stage = self.stage::<H>("judging", n_fits);
        let logits = folds.logits_by_fold::<H>(&by_fold, &stage)?;
        Ok(OutOfFold {
            logits: logits.into_iter().collect::<Result<_, _>>()?,
            folds: folds.of_row,
        })
    }

    /// The folds of `samples`, the same for every head.
    fn folds<'a>(&self, samples: &Samples<'a>) -> Result<Folds<'a>, FitError> {
        let TrainOptions {
            folds,
            scaling,
            seed,
            ..
        } = *self.options;
        Ok(Folds::new(samples, folds, scaling, seed)?)
    }

    /// The options of every seed: those given, and those with the seeds after theirs.
    fn seeds<H: Head>(&self, options: &H::Options) -> Vec<H::Options> {
        let others = 1..self.options.repeats as u64;
        let others = others.map_while(|more| H::reseeded(options, more));
        std::iter::once(options.clone()).chain(others).collect()
    }

    /// Logits on `validation` of networks of the other seeds; none if that is stopped, as the one
    /// that is kept is there already.
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

    /// Begins a stage of so many fits, such as "tuning the MLP".
    fn stage<H: Head>(&self, purpose: &str, fits: usize) -> Stage<'_> {
        Stage::begin(self.watch, &format!("{purpose} the {}", H::TITLE), fits)
    }

    /// The temperature that fits out-of-fold logits, if calibration is asked for.
    fn temperature(&self, logits: Option<&Array2<f32>>) -> Result<Option<f64>, FitError> {
        let logits = logits.filter(|_| self.options.calibrate);
        let fit = |logits: &Array2<f32>| fit_temperature(logits.view(), self.samples.labels());
        Ok(logits.map(fit).transpose()?)
    }
}
