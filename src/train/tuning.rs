//! The choice of settings by cross-validation on the training store.
//!
//! All heads use the same rule: the smallest log loss of out-of-fold predictions. It is averaged
//! over seeds if there are random numbers, and taken at each setting's own temperature if the head
//! is calibrated. It is the loss and not the accuracy, because on a few hundred pictures most
//! settings have the same number of errors. The given settings are only replaced by settings that
//! are better by more than one standard error of the difference: less is noise.

use ndarray::{Array2, Axis};

use super::cross_validation::Logits;
use super::error::FitError;
use super::result::{Trial, Tuning};
use crate::evaluate::{Design, fit_temperature, is_right, log_losses};
use crate::head::probabilities;

/// Number of seeds for each setting of a head with random numbers.
pub(super) const TUNING_SEEDS: u64 = 3;

/// Tried settings.
pub(super) struct Candidate<T> {
    pub(super) options: T,
    /// The settings, in words.
    pub(super) setting: String,
    /// Out-of-fold logits (N, K), one array per seed.
    pub(super) logits: Vec<Logits>,
}

/// The chosen settings of one head, with the logits (N, K) of their first seed.
pub(super) struct Tuned<T> {
    pub(super) options: T,
    pub(super) tuning: Tuning,
    pub(super) logits: Array2<f32>,
}

/// The data that settings are compared on.
pub(super) struct TuningJudge<'a> {
    /// Class of each sample (N).
    pub(super) labels: &'a [usize],
    /// Group of each sample, if there are groups.
    pub(super) groups: Option<&'a [usize]>,
    /// Whether no head could know a sample's class; such samples are ignored.
    pub(super) unknown: Vec<bool>,
    /// Whether the head is calibrated, so that losses are taken at each setting's own temperature.
    pub(super) calibrates: bool,
}

/// The results of one setting.
struct Judged {
    /// Log loss of each counted sample, the mean over the seeds.
    losses: Vec<f64>,
    /// Number of errors, the mean over the seeds.
    errors: f64,
}

impl TuningJudge<'_> {
    /// Chooses the candidate with the smallest log loss among those that beat the first, which was
    /// given, by more than a standard error; or the first.
    pub(super) fn choose<T>(&self, mut tried: Vec<Candidate<T>>) -> Result<Tuned<T>, FitError> {
        let judged = tried.iter().map(|candidate| self.judge(&candidate.logits));
        let judged: Vec<_> = judged.collect::<Result<_, _>>()?;
        let given = judged[0].as_ref();
        let mut trials = Vec::new();
        for (candidate, judged) in tried.iter().zip(&judged) {
            let against_given = judged.as_ref().zip(given);
            trials.push(Trial {
                setting: candidate.setting.clone(),
                log_loss: judged.as_ref().map(|judged| mean(&judged.losses)),
                errors: judged.as_ref().map(|judged| judged.errors),
                standard_error: against_given.map(|(judged, given)| self.error(judged, given)),
            });
        }
        let chosen = best(&trials);
        let Candidate {
            options,
            mut logits,
            ..
        } = tried.swap_remove(chosen);
        Ok(Tuned {
            options,
            logits: logits.swap_remove(0)?,
            tuning: Tuning {
                n_seeds: logits.len() + 1,
                trials,
                chosen,
                at_end: None,
            },
        })
    }

    /// Evaluates one setting; `None` if a seed's training diverged.
    fn judge(&self, logits: &[Logits]) -> Result<Option<Judged>, FitError> {
        let rows: Vec<_> = (0..self.labels.len())
            .filter(|&row| !self.unknown[row])
            .collect();
        let labels: Vec<_> = rows.iter().map(|&row| self.labels[row]).collect();
        let (mut losses, mut errors) = (vec![0.0; rows.len()], 0);
        for logits in logits {
            let Ok(logits) = logits else { return Ok(None) };
            let counted = logits.select(Axis(0), &rows);
            let temperature = match self.calibrates && !rows.is_empty() {
                true => fit_temperature(counted.view(), &labels, None)?.value,
                false => 1.0,
            };
            let given = probabilities(counted, temperature as f32);
            for (sum, loss) in losses.iter_mut().zip(log_losses(given.view(), &labels)) {
                *sum += loss;
            }
            let right = is_right(probabilities(logits.clone(), 1.0).view(), self.labels)?;
            errors += right.iter().filter(|&&right| !right).count();
        }
        let n_seeds = logits.len() as f64;
        losses.iter_mut().for_each(|sum| *sum /= n_seeds);
        Ok(Some(Judged {
            losses,
            errors: errors as f64 / n_seeds,
        }))
    }

    /// Standard error of the difference between two mean losses on the same samples.
    fn error(&self, judged: &Judged, given: &Judged) -> f64 {
        let pairs = judged.losses.iter().zip(&given.losses);
        let differences: Vec<f64> = pairs.map(|(judged, given)| judged - given).collect();
        let counted = |groups: &[usize]| -> Vec<usize> {
            let rows = groups.iter().zip(&self.unknown);
            rows.filter(|(_, unknown)| !**unknown)
                .map(|(&group, _)| group)
                .collect()
        };
        let groups = self.groups.map(counted);
        let design = Design {
            groups: groups.as_deref(),
            dealings: &[],
        };
        design.standard_error(&differences)
    }
}

/// The trial with the smallest loss among those that beat the first by more than a standard error.
fn best(trials: &[Trial]) -> usize {
    let loss = |index: usize| trials[index].log_loss.unwrap_or(f64::INFINITY);
    let is_better = |index: usize| {
        let noise = trials[index].standard_error.unwrap_or(0.0);
        loss(index) + noise < loss(0)
    };
    (1..trials.len()).fold(0, |best, index| {
        if is_better(index) && loss(index) < loss(best) {
            index
        } else {
            best
        }
    })
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;
    use crate::head::Diverged;

    const JUDGE: TuningJudge = TuningJudge {
        labels: &[0, 1],
        groups: None,
        unknown: Vec::new(),
        calibrates: false,
    };

    fn candidate(setting: &'static str, logits: Vec<Logits>) -> Candidate<&'static str> {
        Candidate {
            options: setting,
            setting: setting.to_owned(),
            logits,
        }
    }

    fn diverged() -> Logits {
        Err(Diverged {
            epoch: 1,
            what: "the loss",
            learning_rate: 1.0,
            largest_code: 1.0,
        })
    }

    #[test]
    fn the_smallest_loss_wins_and_the_first_of_equals() {
        let judge = TuningJudge {
            unknown: vec![false; 2],
            ..JUDGE
        };
        let sure = || Ok(array![[3.0, 0.0], [0.0, 3.0]]);
        let tried = vec![
            candidate("a", vec![Ok(array![[1.0, 0.0], [0.0, 1.0]])]),
            candidate("b", vec![diverged()]),
            candidate("c", vec![sure()]),
            candidate("d", vec![sure()]),
        ];
        let chosen = judge.choose(tried).ok().unwrap();
        assert_eq!((chosen.options, chosen.tuning.chosen), ("c", 2));
        let losses: Vec<_> = chosen
            .tuning
            .trials
            .iter()
            .map(|trial| trial.log_loss)
            .collect();
        // ln(1 + e^-1) and ln(1 + e^-3).
        assert!((losses[0].unwrap() - 0.313_262).abs() < 1e-6 && losses[1].is_none());
        assert!((losses[2].unwrap() - 0.048_587).abs() < 1e-6);
    }

    /// Logits of four samples of class 0 against class 1, by how much class 0 is ahead.
    fn ahead(by: [f32; 4]) -> Logits {
        Ok(Array2::from_shape_fn((4, 2), |(row, class)| {
            if class == 0 { by[row] } else { 0.0 }
        }))
    }

    fn judge_of_four(groups: Option<&[usize]>) -> TuningJudge<'_> {
        TuningJudge {
            labels: &[0; 4],
            groups,
            unknown: vec![false; 4],
            calibrates: false,
        }
    }

    #[test]
    fn the_given_settings_are_kept_where_the_difference_is_noise() {
        // Better on average, by one picture of four.
        let tried = |last| {
            let given = candidate("given", vec![ahead([1.0, 1.0, 1.0, -4.0])]);
            vec![
                given,
                candidate("other", vec![ahead([0.5, 0.5, 0.5, last])]),
            ]
        };
        let chosen = judge_of_four(None).choose(tried(-3.0)).ok().unwrap();
        assert_eq!(chosen.tuning.chosen, 0);
        let trials = &chosen.tuning.trials;
        assert!(trials[1].log_loss < trials[0].log_loss);
        // Differences by hand: 3 times ln(1 + e^-0.5) - ln(1 + e^-1), and ln(1 + e^3) - ln(1 + e^4).
        let (up, down) = (0.160_815, -0.969_563);
        let mean: f64 = (3.0 * up + down) / 4.0;
        let squares: f64 = 3.0 * (up - mean).powi(2) + (down - mean).powi(2);
        let error = (squares / 3.0 / 4.0).sqrt();
        assert!((trials[1].standard_error.unwrap() - error).abs() < 1e-5);
        // Four groups of one are no groups.
        let alone = judge_of_four(Some(&[0, 1, 2, 3]))
            .choose(tried(-3.0))
            .ok()
            .unwrap();
        assert!((alone.tuning.trials[1].standard_error.unwrap() - error).abs() < 1e-5);
    }

    #[test]
    fn seeds_are_averaged_and_pictures_of_unknown_classes_do_not_count() {
        let judge = TuningJudge {
            unknown: vec![false, false, false, true],
            ..judge_of_four(None)
        };
        let lucky = vec![
            ahead([9.0, 9.0, 9.0, -99.0]),
            ahead([-1.0, -1.0, -1.0, -99.0]),
        ];
        let steady = vec![ahead([1.0; 4]), ahead([1.0; 4])];
        let tried = vec![candidate("lucky", lucky), candidate("steady", steady)];
        let chosen = judge.choose(tried).ok().unwrap();
        assert_eq!((chosen.options, chosen.tuning.n_seeds), ("steady", 2));
        let trials = &chosen.tuning.trials;
        // (ln(1 + e^-9) + ln(1 + e)) / 2.
        assert!((trials[0].log_loss.unwrap() - 0.656_693).abs() < 1e-5);
        assert_eq!(trials[0].errors, Some(2.5));
    }
}
