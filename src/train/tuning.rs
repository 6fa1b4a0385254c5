//! The choice of settings by cross-validation on the training store.
//!
//! Both heads are chosen by the same rule: the smallest log loss of out-of-fold predictions, the
//! settings that were given winning where they are as good. The loss and not the accuracy, because
//! some hundred pictures give most settings the same number of errors.

use ndarray::Array2;

use super::cross_validation::Folds;
use super::error::FitError;
use super::progress::Progress;
use super::result::{Trial, Tuning};
use crate::evaluate::Evaluation;
use crate::head::logistic::LogisticOptions;
use crate::head::mlp::MlpOptions;
use crate::head::{HeadError, Samples, probabilities};

/// Learning rates that are tried, as multiples of the one that was given.
const RATE_FACTORS: [f64; 3] = [1.0, 0.25, 4.0];

/// Rates of dropout that are tried besides the one that was given.
const DROPOUTS: [f32; 3] = [0.0, 0.25, 0.5];

/// L2 strengths that are tried besides the one that was given: powers of ten from 1e-4 to 1e5.
const STRENGTH_EXPONENTS: std::ops::RangeInclusive<i32> = -4..=5;

/// Settings that were chosen for one head, with the logits (N, K) that they were chosen by.
pub(super) struct Tuned<T> {
    pub(super) options: T,
    pub(super) tuning: Tuning,
    pub(super) logits: Array2<f32>,
}

/// Chooses learning rate and dropout of the MLP.
pub(super) fn tune_mlp(
    folds: &Folds,
    samples: &Samples,
    given: &MlpOptions,
    share: f64,
    progress: &dyn Progress,
) -> Result<Tuned<MlpOptions>, FitError> {
    let candidates = mlp_candidates(given);
    progress.stage("tuning the MLP", candidates.len() * folds.len());
    let logits = folds.mlp_logits(&candidates, share, progress)?;
    let setting = |options: &MlpOptions| {
        let rate = options.optimizer.learning_rate;
        format!("learning rate {rate}, dropout {}", options.dropout)
    };
    choose(candidates, logits, samples, setting)
}

/// Chooses the L2 strength of the logistic regression.
pub(super) fn tune_logistic(
    folds: &Folds,
    samples: &Samples,
    given: &LogisticOptions,
    progress: &dyn Progress,
) -> Result<Tuned<LogisticOptions>, FitError> {
    let powers = STRENGTH_EXPONENTS.map(|exponent| 10_f64.powi(exponent));
    let others = powers.filter(|&l2| l2 != given.l2);
    let strengths: Vec<_> = std::iter::once(given.l2).chain(others).collect();
    progress.stage(
        "tuning the logistic regression",
        strengths.len() * folds.len(),
    );
    let logits = folds.logistic_logits(&strengths, given, progress)?;
    let logits = logits.into_iter().map(Ok).collect();
    choose(strengths, logits, samples, |l2| format!("L2 strength {l2}")).map(|chosen| Tuned {
        options: LogisticOptions {
            l2: chosen.options,
            ..*given
        },
        tuning: chosen.tuning,
        logits: chosen.logits,
    })
}

/// The settings that are tried, those that were given first.
fn mlp_candidates(given: &MlpOptions) -> Vec<MlpOptions> {
    let others = DROPOUTS.into_iter().filter(|&rate| rate != given.dropout);
    let dropouts: Vec<_> = match given.hidden.as_slice() {
        [] => vec![given.dropout],
        _ => std::iter::once(given.dropout).chain(others).collect(),
    };
    let candidate = |factor: f64, dropout| {
        let mut options = given.clone();
        options.optimizer.learning_rate *= factor;
        options.dropout = dropout;
        options
    };
    RATE_FACTORS
        .iter()
        .flat_map(|&factor| {
            dropouts
                .iter()
                .map(move |&dropout| candidate(factor, dropout))
        })
        .collect()
}

/// Takes the candidate with the smallest log loss, the first of equals.
fn choose<T>(
    mut candidates: Vec<T>,
    mut logits: Vec<Result<Array2<f32>, HeadError>>,
    samples: &Samples,
    setting: impl Fn(&T) -> String,
) -> Result<Tuned<T>, FitError> {
    let mut trials = Vec::new();
    for (candidate, logits) in candidates.iter().zip(&logits) {
        let judged = match logits {
            Ok(logits) => Some(Evaluation::new(
                probabilities(logits.clone(), 1.0).view(),
                samples.labels(),
            )?),
            Err(_) => None,
        };
        trials.push(Trial {
            setting: setting(candidate),
            log_loss: judged.as_ref().map(|judged| judged.metrics.log_loss),
            errors: judged.map(|judged| judged.errors),
        });
    }
    let loss = |index: usize| trials[index].log_loss.unwrap_or(f64::INFINITY);
    let chosen = (0..trials.len()).fold(0, |best, index| {
        if loss(index) < loss(best) {
            index
        } else {
            best
        }
    });
    Ok(Tuned {
        options: candidates.swap_remove(chosen),
        logits: logits.swap_remove(chosen)?,
        tuning: Tuning { trials, chosen },
    })
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn the_smallest_loss_wins_and_the_first_of_equals() {
        let codes = array![[0.0], [1.0]];
        let samples = Samples::new(codes.view(), &[0, 1], 2).unwrap();
        let sure = array![[3.0, 0.0], [0.0, 3.0]];
        let unsure = array![[1.0, 0.0], [0.0, 1.0]];
        let diverged = Err(HeadError::Unlabelled);
        let logits = vec![Ok(unsure), diverged, Ok(sure.clone()), Ok(sure)];
        let chosen = choose(vec!["a", "b", "c", "d"], logits, &samples, |name| {
            (*name).to_owned()
        });
        let chosen = chosen.ok().unwrap();
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

    #[test]
    fn what_was_given_is_tried_first_and_nothing_twice() {
        let given = MlpOptions::default();
        let candidates = mlp_candidates(&given);
        assert_eq!((candidates.len(), &candidates[0]), (9, &given));
        let mut settings: Vec<_> = candidates
            .iter()
            .map(|options| {
                (
                    options.optimizer.learning_rate.to_bits(),
                    options.dropout.to_bits(),
                )
            })
            .collect();
        settings.sort_unstable();
        settings.dedup();
        assert_eq!(settings.len(), 9);
        let none = MlpOptions {
            hidden: Vec::new(),
            ..given
        };
        assert_eq!(mlp_candidates(&none).len(), 3, "nothing to drop");
    }
}
