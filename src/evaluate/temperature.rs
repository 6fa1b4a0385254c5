//! Temperature scaling: probabilities that are as often right as they say.

use ndarray::{ArrayView2, Zip};

use super::{EvaluateError, check_labels};

/// Temperatures that are looked at: 1 / 100 to 100.
const LARGEST: f64 = 100.0;

/// Halvings of the interval: enough for a relative 1e-12.
const HALVINGS: usize = 50;

/// Finds the temperature T for which softmax(logits / T) fits labels best.
///
/// It has to be fitted on logits of samples that the head was not trained on, or it makes the head
/// surer of itself than it should be. Dividing by T changes no prediction (C. Guo and others, "On
/// calibration of modern neural networks", 2017, section 4.2).
///
/// The log loss is taken against J. Platt's targets, which keep T from 0 where nearly all samples
/// are classified right: (n + 1) / (n + K) for the class of a sample and 1 / (n + K) for the others,
/// n being the class' samples ("Probabilistic outputs for support vector machines", 1999, with
/// Laplace's rule for K classes). It is convex in 1 / T, and T is found by halving.
///
/// Logits are (N, K), labels (N) below K. The result is from 1 / 100 to 100.
///
/// # Errors
/// [`EvaluateError::CountMismatch`], [`EvaluateError::Empty`], [`EvaluateError::UnknownLabel`], or
/// [`EvaluateError::NotANumber`] for logits that are not finite.
pub fn fit_temperature(logits: ArrayView2<f32>, labels: &[usize]) -> Result<f64, EvaluateError> {
    check_labels(logits.dim(), labels)?;
    let mut rows = logits.rows().into_iter();
    if let Some(row) = rows.position(|row| row.iter().any(|logit| !logit.is_finite())) {
        return Err(EvaluateError::NotANumber { row });
    }
    let n_classes = logits.ncols();
    let mut counts = vec![0.0; n_classes];
    for &label in labels {
        counts[label] += 1.0;
    }
    let slope = |inverse: f64| -> f64 {
        Zip::from(logits.rows())
            .and(&ndarray::ArrayView1::from(labels))
            .fold(0.0, |sum, logits, &label| {
                let rest = 1.0 / (counts[label] + n_classes as f64);
                let targets = |class| {
                    if class == label {
                        rest * (counts[label] + 1.0)
                    } else {
                        rest
                    }
                };
                sum + mean_logit(logits, inverse) - target_logit(logits, targets)
            })
    };
    // The slope rises with 1 / T: it is negative where the probabilities should be sharper.
    let (mut low, mut high) = (-LARGEST.ln(), LARGEST.ln());
    for _ in 0..HALVINGS {
        let middle = 0.5 * (low + high);
        if slope(middle.exp()) < 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    Ok((-0.5 * (low + high)).exp())
}

/// The mean of logits under softmax(inverse * logits).
fn mean_logit(logits: ndarray::ArrayView1<f32>, inverse: f64) -> f64 {
    let max = logits.fold(f64::NEG_INFINITY, |max, &logit| max.max(f64::from(logit)));
    let (mut weights, mut weighted) = (0.0, 0.0);
    for &logit in logits {
        let weight = (inverse * (f64::from(logit) - max)).exp();
        weights += weight;
        weighted += weight * f64::from(logit);
    }
    weighted / weights
}

fn target_logit(logits: ndarray::ArrayView1<f32>, targets: impl Fn(usize) -> f64) -> f64 {
    let logits = logits.iter().enumerate();
    logits
        .map(|(class, &logit)| targets(class) * f64::from(logit))
        .sum()
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};
    use rand::{Rng, SeedableRng};
    use rand_xoshiro::Xoshiro256PlusPlus;

    use super::*;

    #[test]
    fn logits_of_known_temperature() {
        // Labels drawn from softmax(logits / 2.5); the deviation of 1 / T from 20,000 samples is
        // about a hundredth of it.
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        let logits = Array2::from_shape_simple_fn((20_000, 3), || rng.gen_range(-8.0..8.0f32));
        let labels: Vec<_> = logits
            .rows()
            .into_iter()
            .map(|row| {
                let weights: Vec<_> = row.iter().map(|z| f64::from(z / 2.5).exp()).collect();
                let mut left = rng.gen_range(0.0..weights.iter().sum());
                weights.iter().position(|weight| {
                    left -= weight;
                    left < 0.0
                })
            })
            .map(|class| class.unwrap_or(2))
            .collect();
        let temperature = fit_temperature(logits.view(), &labels).unwrap();
        assert!((temperature - 2.5).abs() < 0.1, "{temperature}");
    }

    #[test]
    fn two_classes_by_hand() {
        // Logits +-1 for all samples, 8 of 10 right in each class. The best p of the right sign is
        // the mean target for it: (8 * 11 / 12 + 2 * 1 / 12) / 10 = 0.75, so 2 / T = ln 3.
        let logits = Array2::from_shape_fn((20, 2), |(row, class)| {
            let predicted = usize::from((row % 10 < 8) == (row < 10));
            if class == predicted { 1.0 } else { -1.0 }
        });
        let labels: Vec<_> = (0..20).map(|row| usize::from(row < 10)).collect();
        let temperature = fit_temperature(logits.view(), &labels).unwrap();
        assert!(
            (temperature - 2.0 / 3f64.ln()).abs() < 1e-6,
            "{temperature}"
        );
    }

    #[test]
    fn a_head_without_mistakes_is_not_made_certain() {
        let logits = Array2::from_shape_fn(
            (30, 3),
            |(row, class)| if row % 3 == class { 4.0 } else { 0.0 },
        );
        let labels: Vec<_> = (0..30).map(|row| row % 3).collect();
        let temperature = fit_temperature(logits.view(), &labels).unwrap();
        // The target is 11 / 13: e^(4 / T) / (e^(4 / T) + 2) = 11 / 13, so 4 / T = ln 11.
        assert!(
            (temperature - 4.0 / 11f64.ln()).abs() < 1e-6,
            "{temperature}"
        );
    }

    #[test]
    fn what_cannot_be_fitted_is_refused() {
        let logits = array![[0.0, f32::NAN]];
        assert_eq!(
            fit_temperature(logits.view(), &[1]),
            Err(EvaluateError::NotANumber { row: 0 })
        );
        assert!(fit_temperature(logits.view(), &[2]).is_err());
        assert!(fit_temperature(logits.view(), &[]).is_err());
        assert_eq!(
            fit_temperature(Array2::zeros((0, 2)).view(), &[]),
            Err(EvaluateError::Empty)
        );
    }
}
