//! The choice of settings by cross-validation on the training store.
//!
//! All heads are chosen by the same rule: the smallest log loss of out-of-fold predictions, the
//! settings that were given winning where they are as good. The loss and not the accuracy, because
//! some hundred pictures give most settings the same number of errors.

use ndarray::Array2;

use super::cross_validation::Logits;
use super::error::FitError;
use super::result::{Trial, Tuning};
use crate::evaluate::Evaluation;
use crate::head::probabilities;

/// Settings that were chosen for one head, with the logits (N, K) that they were chosen by.
pub(super) struct Tuned<T> {
    pub(super) options: T,
    pub(super) tuning: Tuning,
    pub(super) logits: Array2<f32>,
}

/// Takes the candidate with the smallest log loss by its out-of-fold logits, the first of equals.
pub(super) fn choose<T>(
    mut candidates: Vec<T>,
    mut logits: Vec<Logits>,
    labels: &[usize],
    setting: impl Fn(&T) -> String,
) -> Result<Tuned<T>, FitError> {
    let mut trials = Vec::new();
    for (candidate, logits) in candidates.iter().zip(&logits) {
        let judged = match logits {
            Ok(logits) => Some(Evaluation::new(
                probabilities(logits.clone(), 1.0).view(),
                labels,
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
    use crate::head::Diverged;

    #[test]
    fn the_smallest_loss_wins_and_the_first_of_equals() {
        let sure = array![[3.0, 0.0], [0.0, 3.0]];
        let unsure = array![[1.0, 0.0], [0.0, 1.0]];
        let diverged = Err(Diverged {
            epoch: 1,
            what: "the loss",
            learning_rate: 1.0,
            largest_code: 1.0,
        });
        let logits = vec![Ok(unsure), diverged, Ok(sure.clone()), Ok(sure)];
        let chosen = choose(vec!["a", "b", "c", "d"], logits, &[0, 1], |name| {
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
}
