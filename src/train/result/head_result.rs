//! What there is to tell of one head.

use std::time::Duration;

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use crate::evaluate::{Abstentions, Correctness, Evaluation, Spread};
use crate::head::HeadKind;

/// How one head did on the pictures that judge it.
#[derive(Clone, Debug)]
pub struct HeadResult {
    /// Which head it is.
    pub kind: HeadKind,
    /// The name of its kind, such as `mlp`.
    pub name: &'static str,
    /// The seed of the head that is kept; nothing where no random number plays a part.
    pub seed: Option<u64>,
    /// Accuracy, confusion, mistakes: of the head that is kept, or in the first dealing of folds.
    pub evaluation: Evaluation,
    /// Share of seeds, or of dealings, with which each picture was classified right (N), 0 to 1.
    pub right: Vec<f64>,
    /// The same, one by one; nothing where it is read back from HEAD.
    pub(in crate::train) runs: Option<Correctness>,
    /// Probabilities (N, K) for the judged pictures; each row sums to 1.
    pub probabilities: Array2<f32>,
    /// Accuracy in each fold, 0 to 1, dealing after dealing, where the head is judged in folds.
    pub by_fold: Option<Spread>,
    /// Number of errors with each seed, or in each dealing of folds, where there are several; the
    /// first is that of `evaluation`.
    pub by_seed: Option<Spread>,
    /// How the settings were chosen, where they were.
    pub tuning: Option<Tuning>,
    /// What was done about the probabilities, where something was.
    pub calibration: Option<Calibration>,
    /// Which confidence an answer needs so that few are wrong, by out-of-fold probabilities of the
    /// training store; empty where there are none, or no confidence is enough.
    pub abstentions: Abstentions,
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
    /// Which of them was taken: the one with the smallest loss among those that are better than the
    /// given settings by more than a standard error, or the given ones.
    pub chosen: usize,
    /// Seeds that each was tried with; heads of before were tuned with one.
    #[serde(default = "one")]
    pub n_seeds: usize,
    /// At which end of what was tried the chosen settings are, in words; the best may lie beyond.
    #[serde(default)]
    pub at_end: Option<String>,
}

fn one() -> usize {
    1
}

/// Settings that were tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// The settings, in words.
    pub setting: String,
    /// Log loss of the out-of-fold predictions, the mean over the seeds; nothing where training
    /// diverged.
    pub log_loss: Option<f64>,
    /// Errors among the out-of-fold predictions, the mean over the seeds; nothing where training
    /// diverged.
    pub errors: Option<f64>,
    /// Standard error of the difference in log loss to the settings that were given, picture by
    /// picture; nothing where one of them diverged.
    #[serde(default)]
    pub standard_error: Option<f64>,
}

/// What temperature scaling did.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// What the head's logits are divided by, fitted to out-of-fold logits of the training store.
    pub temperature: f64,
    /// 95% interval of the temperature; heads of before have none.
    #[serde(default)]
    pub temperature_95: Option<(f64, f64)>,
    /// Log loss on the judged pictures without it.
    pub log_loss_before: f64,
    /// Brier score on the judged pictures without it, 0 to 2; heads of before have none.
    #[serde(default)]
    pub brier_score_before: Option<f64>,
    /// Expected calibration error on the judged pictures without it, 0 to 1.
    pub calibration_error_before: f64,
}

impl HeadResult {
    /// Its name in a sentence, such as `MLP`.
    #[must_use]
    pub fn title(&self) -> &'static str {
        self.kind.title()
    }

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
        for told in &self.abstentions.told {
            line(format!(
                "out of fold, answers of {:.1}% confidence and more are wrong in at most {}%: {} of {} pictures answered, {} wrong",
                // Rounded up, so that it is kept to.
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
    /// What was tried and what was taken, in a sentence without its full stop.
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

/// The standard error of the difference to the given settings, where it is known.
fn noise(trial: &Trial) -> String {
    trial.standard_error.map_or(String::new(), |error| {
        format!(", standard error of the difference {error:.4}")
    })
}

impl Calibration {
    /// The temperature and what it changed, in a sentence without its full stop.
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

/// Three digits.
fn short(number: f64) -> String {
    match number {
        100.0.. => format!("{number:.0}"),
        10.0.. => format!("{number:.1}"),
        1.0.. => format!("{number:.2}"),
        _ => format!("{number:.3}"),
    }
}
