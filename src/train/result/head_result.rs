//! The results of one head.

use std::time::Duration;

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use crate::evaluate::{Abstentions, Correctness, Evaluation, Spread};
use crate::head::HeadKind;

/// The results of one head on the evaluated pictures.
#[derive(Clone, Debug)]
pub struct HeadResult {
    /// The kind of head.
    pub kind: HeadKind,
    /// The name of its kind, such as `mlp`.
    pub name: &'static str,
    /// The seed of the kept head; `None` if it uses no random numbers.
    pub seed: Option<u64>,
    /// Accuracy, confusion, mistakes: of the kept head, or in the first dealing of folds.
    pub evaluation: Evaluation,
    /// Share of seeds, or of dealings, with which each picture was classified correctly (N), 0 to
    /// 1.
    pub right: Vec<f64>,
    /// The same, run by run; `None` if it was read from a HEAD.
    pub(in crate::train) runs: Option<Correctness>,
    /// Probabilities (N, K) for the evaluated pictures; each row sums to 1.
    pub probabilities: Array2<f32>,
    /// Accuracy in each fold, 0 to 1, one dealing after the other, if the head is evaluated in
    /// folds.
    pub by_fold: Option<Spread>,
    /// Number of errors with each seed, or in each dealing of folds, if there are several; the
    /// first is that of `evaluation`.
    pub by_seed: Option<Spread>,
    /// How the settings were chosen, if they were tuned.
    pub tuning: Option<Tuning>,
    /// The calibration of the probabilities, if there was one.
    pub calibration: Option<Calibration>,
    /// How confident an answer must be so that few are wrong, by out-of-fold probabilities of the
    /// training store; empty if there are none, or no confidence is enough.
    pub abstentions: Abstentions,
    /// The time from the codes to the kept head.
    pub training_time: Duration,
    /// A remark about the training: how it converged.
    pub remark: String,
}

/// A choice among settings by cross-validation on the training store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tuning {
    /// The settings that were tried, starting with the given ones.
    pub trials: Vec<Trial>,
    /// Index of the chosen settings: those with the smallest loss among the settings that beat the
    /// given ones by more than a standard error, or the given ones.
    pub chosen: usize,
    /// Number of seeds that each setting was tried with; older versions used one.
    #[serde(default = "one")]
    pub n_seeds: usize,
    /// If the chosen settings are at an end of the tried range: which end, in words. The best may
    /// lie beyond.
    #[serde(default)]
    pub at_end: Option<String>,
}

fn one() -> usize {
    1
}

/// Tried settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// The settings, in words.
    pub setting: String,
    /// Log loss of the out-of-fold predictions, the mean over the seeds; `None` if training
    /// diverged.
    pub log_loss: Option<f64>,
    /// Errors among the out-of-fold predictions, the mean over the seeds; `None` if training
    /// diverged.
    pub errors: Option<f64>,
    /// Standard error of the difference in log loss from the given settings, picture by picture;
    /// `None` if one of them diverged.
    #[serde(default)]
    pub standard_error: Option<f64>,
}

/// The effect of temperature scaling.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// The divisor of the head's logits, fitted to out-of-fold logits of the training store.
    pub temperature: f64,
    /// 95% interval of the temperature; `None` in older HEADs.
    #[serde(default)]
    pub temperature_95: Option<(f64, f64)>,
    /// Log loss on the evaluated pictures before calibration.
    pub log_loss_before: f64,
    /// Brier score on the evaluated pictures before calibration, 0 to 2; `None` in older HEADs.
    #[serde(default)]
    pub brier_score_before: Option<f64>,
    /// Expected calibration error on the evaluated pictures before calibration, 0 to 1.
    pub calibration_error_before: f64,
}

impl HeadResult {
    /// Its name in a sentence, such as `MLP`.
    #[must_use]
    pub fn title(&self) -> &'static str {
        self.kind.title()
    }

    /// Sentences on how the head was chosen and how certain its results are, one per line.
    pub(super) fn remarks(&self) -> String {
        let mut text = format!("{}: {}\n", self.name, self.remark);
        let mut line = |sentence: String| text += &format!("  {sentence}\n");
        if let Some(tuning) = &self.tuning {
            line(tuning.sentence());
        }
        if let Some(calibration) = &self.calibration {
            line(calibration.sentence());
        }
        for told in &self.abstentions.told {
            line(format!(
                "out of fold, answers of {:.1}% confidence and more are wrong in at most {}%: {} of {} pictures answered, {} wrong",
                // Rounded up, so that the threshold is sufficient.
                (1000.0 * told.min_confidence).ceil() / 10.0,
                100.0 * told.wanted_errors,
                told.answered,
                told.n,
                told.wrong
            ));
        }
        if let Some(folds) = &self.by_fold {
            line(format!(
                "in {} folds: accuracy {:.1}% on average, from {:.1}% to {:.1}%",
                folds.values.len(),
                100.0 * folds.mean,
                100.0 * folds.min(),
                100.0 * folds.max()
            ));
        }
        if let Some(runs) = &self.by_seed {
            let what = match self.by_fold {
                None => "seeds",
                Some(_) => "dealings of folds",
            };
            line(format!(
                "with {} {what}: {:.1} errors of {} on average, standard deviation {:.1} ({} to {}); the first one's are shown",
                runs.values.len(),
                runs.mean,
                self.evaluation.n,
                runs.standard_deviation,
                runs.min(),
                runs.max()
            ));
        }
        text
    }
}

impl Tuning {
    /// What was tried and chosen, in a sentence without its full stop.
    #[must_use]
    pub fn sentence(&self) -> String {
        let (given, chosen) = (&self.trials[0], &self.trials[self.chosen]);
        let loss = |trial: &Trial| {
            trial
                .log_loss
                .map_or("none, it diverged".to_owned(), |loss| format!("{loss:.4}"))
        };
        let seeds = match self.n_seeds {
            1 => String::new(),
            n => format!(" with {n} seeds each"),
        };
        let what = format!(
            "tuned on the training store, {} settings tried{seeds}: {}, log loss {}",
            self.trials.len(),
            chosen.setting,
            loss(chosen)
        );
        let end = self.at_end.as_ref();
        let end = end.map_or(String::new(), |end| {
            format!("; it is {end}, and the best may lie beyond")
        });
        if self.chosen > 0 {
            let noise = noise(chosen);
            return format!(
                "{what} ({} with {}{noise}){end}",
                loss(given),
                given.setting
            );
        }
        let best = self
            .trials
            .iter()
            .filter(|trial| trial.log_loss < given.log_loss);
        let best = best.filter_map(|trial| Some((trial.log_loss?, trial)));
        match best.min_by(|a, b| a.0.total_cmp(&b.0)) {
            None => format!("{what}; those are the settings that were given{end}"),
            Some((best, trial)) => format!(
                "{what}; those are the settings that were given, as {} with {best:.4} is not better by more than noise{}{end}",
                trial.setting,
                noise(trial)
            ),
        }
    }
}

/// The standard error of the difference from the given settings, if it is known.
fn noise(trial: &Trial) -> String {
    trial.standard_error.map_or(String::new(), |error| {
        format!(", standard error of the difference {error:.4}")
    })
}

impl Calibration {
    /// The temperature and its effect, in a sentence without its full stop.
    #[must_use]
    pub fn sentence(&self) -> String {
        let range = self.temperature_95.map_or(String::new(), |(low, high)| {
            format!(" (95% from {} to {})", short(low), short(high))
        });
        let brier = self.brier_score_before;
        let brier = brier.map_or(String::new(), |score| format!(", Brier score {score:.4}"));
        format!(
            "calibrated with temperature {:.3}{range}; without it log loss {:.4}{brier}, expected calibration error {:.4}",
            self.temperature, self.log_loss_before, self.calibration_error_before
        )
    }
}

/// The number with three digits.
fn short(number: f64) -> String {
    match number {
        100.0.. => format!("{number:.0}"),
        10.0.. => format!("{number:.1}"),
        1.0.. => format!("{number:.2}"),
        _ => format!("{number:.3}"),
    }
}
