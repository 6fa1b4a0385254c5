//! What there is to tell of one head.

use std::time::Duration;

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use crate::evaluate::{Evaluation, Spread};

/// How one head did on the pictures that judge it.
#[derive(Clone, Debug)]
pub struct HeadResult {
    /// The name of its kind, such as `mlp`.
    pub name: &'static str,
    /// Accuracy, confusion, mistakes.
    pub evaluation: Evaluation,
    /// Probabilities (N, K) for the judged pictures; each row sums to 1.
    pub probabilities: Array2<f32>,
    /// Accuracy in each fold, 0 to 1, where the head is judged in folds.
    pub by_fold: Option<Spread>,
    /// Number of errors with each seed, where several were trained; the first is that of
    /// `evaluation`.
    pub by_seed: Option<Spread>,
    /// How the settings were chosen, where they were.
    pub tuning: Option<Tuning>,
    /// What was done about the probabilities, where something was.
    pub calibration: Option<Calibration>,
    /// From the codes to the trained head that is kept.
    pub training_time: Duration,
    /// What must be known about the training: how it converged.
    pub remark: String,
}

/// A choice among settings by cross-validation on the training store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tuning {
    /// What was tried, the settings that were given first.
    pub trials: Vec<Trial>,
    /// Which of them was taken.
    pub chosen: usize,
}

/// Settings that were tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// The settings, in words.
    pub setting: String,
    /// Log loss of the out-of-fold predictions; nothing where training diverged.
    pub log_loss: Option<f64>,
    /// Errors among the out-of-fold predictions; nothing where training diverged.
    pub errors: Option<usize>,
}

/// What temperature scaling did.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// What the head's logits are divided by, fitted to out-of-fold logits of the training store.
    pub temperature: f64,
    /// Log loss on the judged pictures without it.
    pub log_loss_before: f64,
    /// Expected calibration error on the judged pictures without it, 0 to 1.
    pub calibration_error_before: f64,
}

impl HeadResult {
    /// Sentences on how the head was chosen and how sure its result is, a line each.
    pub(super) fn remarks(&self) -> String {
        let mut text = format!("{}: {}\n", self.name, self.remark);
        let mut line = |sentence: String| text += &format!("  {sentence}\n");
        if let Some(tuning) = &self.tuning {
            line(tuning.sentence());
        }
        if let Some(calibration) = &self.calibration {
            line(calibration.sentence());
        }
        if let Some(folds) = &self.by_fold {
            line(format!(
                "in {} folds: accuracy {:.1}% on average, standard deviation {:.1} points ({:.1}% to {:.1}%)",
                folds.values.len(),
                100.0 * folds.mean,
                100.0 * folds.standard_deviation,
                100.0 * folds.min(),
                100.0 * folds.max()
            ));
        }
        if let Some(seeds) = &self.by_seed {
            line(format!(
                "with {} seeds: {:.1} errors of {} on average, standard deviation {:.1} ({} to {}); the first seed's network is kept",
                seeds.values.len(),
                seeds.mean,
                self.evaluation.n,
                seeds.standard_deviation,
                seeds.min(),
                seeds.max()
            ));
        }
        text
    }
}

impl Tuning {
    /// What was tried and what was taken, in a sentence without its full stop.
    #[must_use]
    pub fn sentence(&self) -> String {
        let (given, chosen) = (&self.trials[0], &self.trials[self.chosen]);
        let loss = |trial: &Trial| {
            trial
                .log_loss
                .map_or("none, it diverged".to_owned(), |loss| format!("{loss:.4}"))
        };
        let what = format!(
            "tuned on the training store, {} settings tried: {}, log loss {}",
            self.trials.len(),
            chosen.setting,
            loss(chosen)
        );
        if self.chosen == 0 {
            return format!("{what}; those are the settings that were given");
        }
        format!("{what} ({} with {})", loss(given), given.setting)
    }
}

impl Calibration {
    /// The temperature and what it changed, in a sentence without its full stop.
    #[must_use]
    pub fn sentence(&self) -> String {
        format!(
            "calibrated with temperature {:.3}; without it log loss {:.4}, expected calibration error {:.4}",
            self.temperature, self.log_loss_before, self.calibration_error_before
        )
    }
}
