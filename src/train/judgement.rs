//! Heads evaluated by their logits on pictures that they were not trained on.

use std::time::Duration;

use ndarray::{Array2, Axis};

use super::cross_validation::never_learned;
use super::result::{Calibration, HeadResult, Tuning};
use crate::evaluate::{
    Abstentions, Correctness, Design, EvaluateError, Evaluation, Spread, Temperature,
    fit_temperature, is_right,
};
use crate::head::{HeadKind, probabilities};

/// The pictures that heads are evaluated on: those of a validation store, or those of the training
/// store, by heads that were trained outside each picture's fold.
pub(super) struct Judges<'a> {
    /// Class of each picture (N).
    pub(super) labels: &'a [usize],
    /// Their groups, and their folds if there are any.
    pub(super) design: Design<'a>,
}

/// A head from training, not yet evaluated.
pub(super) struct Unjudged {
    pub(super) kind: HeadKind,
    pub(super) seed: Option<u64>,
    /// Logits (N, K) on the evaluated pictures: of the head of each seed, the kept one first, or
    /// for each dealing of folds.
    pub(super) logits: Vec<Array2<f32>>,
    pub(super) temperature: Option<Temperature>,
    /// How confident an answer must be, from out-of-fold probabilities of the training samples.
    pub(super) abstentions: Abstentions,
    pub(super) tuning: Option<Tuning>,
    pub(super) training_time: Duration,
    pub(super) remark: String,
}

impl Judges<'_> {
    /// Evaluates a head.
    pub(super) fn judge(&self, head: Unjudged) -> Result<HeadResult, EvaluateError> {
        // Only the first run is shown picture by picture.
        let design = self.design.first();
        let judge = |given: &Array2<f32>| Evaluation::new(given.view(), self.labels, &design);
        let bare = probabilities(head.logits[0].clone(), 1.0);
        let (probabilities, calibration) = match head.temperature {
            None => (bare, None),
            Some(temperature) => {
                let before = judge(&bare)?.metrics;
                let calibration = Calibration {
                    temperature: temperature.value,
                    temperature_95: Some(temperature.range_95),
                    log_loss_before: before.log_loss,
                    calibration_error_before: before.calibration.error,
                    brier_score_before: Some(before.brier_score),
                };
                let calibrated = self.calibrated(&head.logits[0], temperature.value)?;
                (calibrated, Some(calibration))
            }
        };
        let right = self.right(&head.logits)?;
        Ok(HeadResult {
            kind: head.kind,
            name: head.kind.name(),
            seed: head.seed,
            by_fold: self.by_fold(&right),
            by_seed: self.by_seed(&right),
            right: right.shares(),
            runs: Some(right),
            evaluation: judge(&probabilities)?,
            probabilities,
            calibration,
            abstentions: head.abstentions,
            tuning: head.tuning,
            training_time: head.training_time,
            remark: head.remark,
        })
    }

    /// Probabilities at the head's temperature, which was fitted on other pictures. In folds, each
    /// fold uses a temperature fitted to the logits of the other folds.
    fn calibrated(
        &self,
        logits: &Array2<f32>,
        temperature: f64,
    ) -> Result<Array2<f32>, EvaluateError> {
        let Some(folds) = self.design.dealings.first() else {
            return Ok(probabilities(logits.clone(), temperature as f32));
        };
        let unknown = never_learned(self.labels, folds);
        let mut calibrated = Array2::zeros(logits.raw_dim());
        for fold in 0..=folds.iter().copied().max().unwrap_or(0) {
            let (inside, mut outside): (Vec<_>, Vec<_>) =
                (0..folds.len()).partition(|&row| folds[row] == fold);
            outside.retain(|&row| !unknown[row]);
            let labels: Vec<_> = outside.iter().map(|&row| self.labels[row]).collect();
            let outside = logits.select(Axis(0), &outside);
            let temperature = match fit_temperature(outside.view(), &labels, None) {
                Err(EvaluateError::Empty) => 1.0,
                fitted => fitted?.value,
            };
            let inside_logits = logits.select(Axis(0), &inside);
            let rows = probabilities(inside_logits, temperature as f32);
            for (&row, probabilities) in inside.iter().zip(rows.rows()) {
                calibrated.row_mut(row).assign(&probabilities);
            }
        }
        Ok(calibrated)
    }

    /// Which pictures each run classified correctly. A temperature changes no prediction.
    fn right(&self, logits: &[Array2<f32>]) -> Result<Correctness, EvaluateError> {
        let runs = logits.iter().map(|logits| {
            let probabilities = probabilities(logits.clone(), 1.0);
            is_right(probabilities.view(), self.labels)
        });
        Correctness::new(runs.collect::<Result<_, _>>()?)
    }

    /// Accuracy in each fold, one dealing after the other.
    fn by_fold(&self, right: &Correctness) -> Option<Spread> {
        let dealings = self.design.dealings.iter().zip(right.runs());
        let accuracies = dealings.flat_map(|(folds, right)| {
            let n_folds = folds.iter().max().map_or(0, |last| last + 1);
            let mut of_fold = vec![(0.0, 0.0); n_folds];
            for (&fold, &right) in folds.iter().zip(right) {
                of_fold[fold].0 += f64::from(u8::from(right));
                of_fold[fold].1 += 1.0;
            }
            of_fold.into_iter().map(|(right, all)| right / all)
        });
        Spread::of(accuracies.collect())
    }

    /// Errors in each run, if there are several.
    fn by_seed(&self, right: &Correctness) -> Option<Spread> {
        if right.runs().len() < 2 {
            return None;
        }
        let wrong = |run: &Vec<bool>| run.iter().filter(|&&right| !right).count() as f64;
        Spread::of(right.runs().iter().map(wrong).collect())
    }
}
