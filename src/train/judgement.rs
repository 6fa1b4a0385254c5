//! Heads judged by their logits on pictures that they were not trained on.

use std::time::Duration;

use ndarray::{Array2, Axis};

use super::result::{Calibration, HeadResult, Tuning};
use crate::evaluate::{EvaluateError, Evaluation, Spread, fit_temperature};
use crate::head::{HeadKind, probabilities};

/// The pictures that heads are judged on: of a validation store, or of the training store, each by
/// heads that were trained outside of its fold.
pub(super) struct Judges<'a> {
    /// Class of each (N).
    pub(super) labels: &'a [usize],
    /// Fold of each (N), if there are any.
    pub(super) folds: Option<&'a [usize]>,
}

/// A head as it comes from training.
pub(super) struct Unjudged {
    pub(super) kind: HeadKind,
    /// Logits (N, K) on the judged pictures, by each seed's network, the kept one's first.
    pub(super) logits: Vec<Array2<f32>>,
    pub(super) temperature: Option<f64>,
    pub(super) tuning: Option<Tuning>,
    pub(super) training_time: Duration,
    pub(super) remark: String,
}

impl Judges<'_> {
    /// Judges a head.
    pub(super) fn judge(&self, head: Unjudged) -> Result<HeadResult, EvaluateError> {
        let bare = probabilities(head.logits[0].clone(), 1.0);
        let (probabilities, calibration) = match head.temperature {
            None => (bare, None),
            Some(temperature) => {
                let before = Evaluation::new(bare.view(), self.labels)?.metrics;
                let calibration = Calibration {
                    temperature,
                    log_loss_before: before.log_loss,
                    calibration_error_before: before.calibration_error,
                };
                let calibrated = self.calibrated(&head.logits[0], temperature)?;
                (calibrated, Some(calibration))
            }
        };
        let evaluation = Evaluation::new(probabilities.view(), self.labels)?;
        Ok(HeadResult {
            name: head.kind.name(),
            by_fold: self.by_fold(&evaluation),
            by_seed: self.by_seed(&head.logits)?,
            evaluation,
            probabilities,
            calibration,
            tuning: head.tuning,
            training_time: head.training_time,
            remark: head.remark,
        })
    }

    /// Probabilities at the head's temperature, which was fitted elsewhere. In folds, where it was
    /// fitted to these very logits, each fold takes the temperature of the others.
    fn calibrated(
        &self,
        logits: &Array2<f32>,
        temperature: f64,
    ) -> Result<Array2<f32>, EvaluateError> {
        let Some(folds) = self.folds else {
            return Ok(probabilities(logits.clone(), temperature as f32));
        };
        let mut calibrated = Array2::zeros(logits.raw_dim());
        for fold in 0..=folds.iter().copied().max().unwrap_or(0) {
            let (inside, outside): (Vec<_>, Vec<_>) =
                (0..folds.len()).partition(|&row| folds[row] == fold);
            let labels: Vec<_> = outside.iter().map(|&row| self.labels[row]).collect();
            let temperature = fit_temperature(logits.select(Axis(0), &outside).view(), &labels)?;
            let inside_logits = logits.select(Axis(0), &inside);
            let rows = probabilities(inside_logits, temperature as f32);
            for (&row, probabilities) in inside.iter().zip(rows.rows()) {
                calibrated.row_mut(row).assign(&probabilities);
            }
        }
        Ok(calibrated)
    }

    /// Accuracy in each fold.
    fn by_fold(&self, evaluation: &Evaluation) -> Option<Spread> {
        let folds = self.folds?;
        let correct = evaluation.correct();
        let n_folds = folds.iter().max()? + 1;
        let (mut right, mut all) = (vec![0.0; n_folds], vec![0.0; n_folds]);
        for (&fold, correct) in folds.iter().zip(correct) {
            right[fold] += f64::from(u8::from(correct));
            all[fold] += 1.0;
        }
        Spread::of(
            right
                .iter()
                .zip(&all)
                .map(|(right, all)| right / all)
                .collect(),
        )
    }

    /// Errors with each seed, where there are several.
    fn by_seed(&self, logits: &[Array2<f32>]) -> Result<Option<Spread>, EvaluateError> {
        if logits.len() < 2 {
            return Ok(None);
        }
        let errors = logits.iter().map(|logits| {
            let probabilities = probabilities(logits.clone(), 1.0);
            Ok(Evaluation::new(probabilities.view(), self.labels)?.errors as f64)
        });
        Ok(Spread::of(errors.collect::<Result<_, EvaluateError>>()?))
    }
}
