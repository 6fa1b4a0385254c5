//! Temperature scaling, which calibrates probabilities.

use ndarray::{ArrayView1, ArrayView2};

use super::{Design, EvaluateError, Z_95, check_labels};

/// The largest temperature; the smallest is 1 / 10,000. Logits of unscaled codes are in the
/// hundreds.
const LARGEST: f64 = 1e4;

/// Number of temperatures on the first grid, evenly spaced in their logarithms.
const GRID: usize = 81;

/// Steps of the golden-section search around the best of them: enough for a relative 1e-8.
const STEPS: usize = 40;

/// Half the distance, in ln T, over which the curvature of the cost is measured.
const NEAR: f64 = 1e-3;

/// A fitted temperature, and its uncertainty.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Temperature {
    /// The divisor of the logits, 1e-4 to 1e4.
    pub value: f64,
    /// Its 95% interval, within the same bounds.
    pub range_95: (f64, f64),
}

impl Temperature {
    /// Whether the fit ended at a bound, where the temperature means nothing.
    #[must_use]
    pub fn is_at_bound(&self) -> bool {
        self.value.ln().abs() > LARGEST.ln() - grid_step()
    }
}

/// Finds the temperature T for which softmax(logits / T) fits the labels best.
///
/// It must be fitted on logits of samples that the head was not trained on; otherwise it makes the
/// head overconfident. Dividing by T changes no prediction (C. Guo and others, "On calibration of
/// modern neural networks", 2017, section 4.2).
///
/// The cost is the sum of the samples' log losses and (ln T)^2 / 2, a prior: most heads need a T
/// near 1. The prior only matters if the samples say little. If all of them are classified
/// correctly, for instance, the loss decreases as T goes to 0.
///
/// The interval is that of a method-of-moments estimate of ln T: the sum of squared slopes over the
/// square of the curvature (P. Huber, "The behavior of maximum likelihood estimates under
/// nonstandard conditions", 1967). Slopes of a group's samples are added before they are squared.
///
/// Logits are (N, K), labels (N) below K, groups (N) numbers from 0 on. The result is from 1e-4 to 1e4.
///
/// # Errors
/// [`EvaluateError::CountMismatch`], [`EvaluateError::Empty`], [`EvaluateError::UnknownLabel`], or
/// [`EvaluateError::NotANumber`] for logits that are not finite.
pub fn fit_temperature(
    logits: ArrayView2<f32>,
    labels: &[usize],
    groups: Option<&[usize]>,
) -> Result<Temperature, EvaluateError> {
    check_labels(logits.dim(), labels)?;
    let design = Design {
        groups,
        dealings: &[],
    };
    design.check(labels.len(), 1)?;
    let mut rows = logits.rows().into_iter();
    if let Some(row) = rows.position(|row| row.iter().any(|logit| !logit.is_finite())) {
        return Err(EvaluateError::NotANumber { row });
    }
    let losses = |log_temperature: f64| {
        let inverse = (-log_temperature).exp();
        let rows = logits.rows().into_iter().zip(labels);
        rows.map(move |(row, &label)| log_loss(row, label, inverse))
    };
    let cost = |log_temperature: f64| {
        losses(log_temperature).sum::<f64>() + 0.5 * log_temperature * log_temperature
    };
    let place = |index: usize| index as f64 * grid_step() - LARGEST.ln();
    let costs: Vec<_> = (0..GRID).map(|index| cost(place(index))).collect();
    let best = (0..GRID).fold(0, |best, index| {
        if costs[index] < costs[best] {
            index
        } else {
            best
        }
    });
    let low = place(best.saturating_sub(1));
    let high = place((best + 1).min(GRID - 1));
    let optimum = golden_section(low, high, cost);
    let slopes: Vec<f64> = (losses(optimum + NEAR).zip(losses(optimum - NEAR)))
        .map(|(after, before)| (after - before) / (2.0 * NEAR))
        .collect();
    let curvature =
        (cost(optimum + NEAR) - 2.0 * cost(optimum) + cost(optimum - NEAR)) / (NEAR * NEAR);
    let squares: f64 = match design.group_sums(&slopes, 0.0) {
        Some(sums) => sums.iter().map(|sum| sum * sum).sum(),
        None => slopes.iter().map(|slope| slope * slope).sum(),
    };
    let half = Z_95 * squares.sqrt() / curvature.max(f64::MIN_POSITIVE);
    let bounded = |log: f64| log.clamp(-LARGEST.ln(), LARGEST.ln()).exp();
    Ok(Temperature {
        value: optimum.exp(),
        range_95: (bounded(optimum - half), bounded(optimum + half)),
    })
}

/// The distance between grid temperatures, in logarithms.
fn grid_step() -> f64 {
    2.0 * LARGEST.ln() / (GRID - 1) as f64
}

/// The log loss of softmax(inverse * logits).
fn log_loss(logits: ArrayView1<f32>, label: usize, inverse: f64) -> f64 {
    let max = logits.fold(f64::NEG_INFINITY, |max, &logit| max.max(f64::from(logit)));
    let sum: f64 = logits
        .iter()
        .map(|&logit| (inverse * (f64::from(logit) - max)).exp())
        .sum();
    sum.ln() - inverse * (f64::from(logits[label]) - max)
}

/// The position of the minimum of a function with one minimum between `low` and `high` (J. Kiefer,
/// "Sequential minimax search for a maximum", 1953).
fn golden_section(mut low: f64, mut high: f64, cost: impl Fn(f64) -> f64) -> f64 {
    let ratio = 0.5 * (5f64.sqrt() - 1.0);
    for _ in 0..STEPS {
        let width = ratio * (high - low);
        if cost(high - width) < cost(low + width) {
            high = low + width;
        } else {
            low = high - width;
        }
    }
    0.5 * (low + high)
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
        let temperature = fit_temperature(logits.view(), &labels, None).unwrap().value;
        assert!((temperature - 2.5).abs() < 0.1, "{temperature}");
    }

    #[test]
    fn two_classes_by_hand() {
        // Logits +-1, 8 of 10 right in each class. The cost's slope in u = ln T is zero: with
        // b = 1 / T and p the probability of what is predicted, u - 20 * 2 b (p - 0.8) = 0.
        let logits = Array2::from_shape_fn((20, 2), |(row, class)| {
            let predicted = usize::from((row % 10 < 8) == (row < 10));
            if class == predicted { 1.0 } else { -1.0 }
        });
        let labels: Vec<_> = (0..20).map(|row| usize::from(row < 10)).collect();
        let temperature = fit_temperature(logits.view(), &labels, None).unwrap().value;
        let inverse = 1.0 / temperature;
        let p = 1.0 / (1.0 + (-2.0 * inverse).exp());
        let slope = temperature.ln() - 20.0 * 2.0 * inverse * (p - 0.8);
        assert!(slope.abs() < 1e-5, "{temperature}: {slope}");
        // Without (ln T)^2 / 2 it were 2 / ln 4.
        assert!(temperature > 1.2 && temperature < 2.0 / 4f64.ln());
    }

    #[test]
    fn a_head_without_mistakes_is_not_made_certain() {
        let logits = Array2::from_shape_fn(
            (30, 3),
            |(row, class)| {
                if row % 3 == class { 4.0 } else { 0.0 }
            },
        );
        let labels: Vec<_> = (0..30).map(|row| row % 3).collect();
        let temperature = fit_temperature(logits.view(), &labels, None).unwrap().value;
        // The slope again, where each sample's loss is ln(1 + 2 e^(-4 b)).
        let inverse = 1.0 / temperature;
        let others = 2.0 * (-4.0 * inverse).exp();
        let slope = temperature.ln() + 30.0 * 4.0 * inverse * others / (1.0 + others);
        assert!(slope.abs() < 1e-5, "{temperature}: {slope}");
        assert!(temperature > 0.4 && temperature < 1.0);
    }

    #[test]
    fn mistakes_that_are_made_with_certainty_are_worth_any_temperature() {
        // 9 of 10 right with logits of 500, so ln 9 = 500 / T, but for the little that T costs.
        let logits = Array2::from_shape_fn((1000, 2), |(row, class)| {
            let predicted = usize::from(row % 10 == 0);
            if class == predicted { 500.0 } else { 0.0 }
        });
        let temperature = fit_temperature(logits.view(), &vec![0; 1000], None)
            .unwrap()
            .value;
        let ratio = temperature / (500.0 / 9f64.ln());
        assert!(ratio > 0.95 && ratio < 1.0, "{temperature}");
    }

    #[test]
    fn what_cannot_be_fitted_is_refused() {
        let logits = array![[0.0, f32::NAN]];
        assert_eq!(
            fit_temperature(logits.view(), &[1], None),
            Err(EvaluateError::NotANumber { row: 0 })
        );
        assert!(fit_temperature(logits.view(), &[2], None).is_err());
        assert!(fit_temperature(logits.view(), &[], None).is_err());
        assert_eq!(
            fit_temperature(Array2::zeros((0, 2)).view(), &[], None),
            Err(EvaluateError::Empty)
        );
    }

    #[test]
    fn its_range_is_that_of_other_samples() {
        // T of 200 draws of 300 samples each: as far apart as the range of one of them says.
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(2);
        let mut draw = || {
            let logits = Array2::from_shape_simple_fn((300, 3), || rng.gen_range(-6.0..6.0f32));
            let labels: Vec<_> = (logits.rows().into_iter())
                .map(|row| {
                    let weights: Vec<_> = row.iter().map(|z| f64::from(z / 2.0).exp()).collect();
                    let mut left = rng.gen_range(0.0..weights.iter().sum());
                    let class = weights.iter().position(|weight| {
                        left -= weight;
                        left < 0.0
                    });
                    class.unwrap_or(2)
                })
                .collect();
            fit_temperature(logits.view(), &labels, None).unwrap()
        };
        let fits: Vec<_> = (0..200).map(|_| draw()).collect();
        let holds = |fit: &&Temperature| fit.range_95.0 < 2.0 && 2.0 < fit.range_95.1;
        let n_holding = fits.iter().filter(holds).count();
        assert!((180..=199).contains(&n_holding), "{n_holding}");
        assert!(fits.iter().all(|fit| !fit.is_at_bound()));
    }

    #[test]
    fn copies_in_one_group_say_it_once() {
        let logits = array![[2.0, 0.0], [0.0, 1.0], [1.0, 0.0], [3.0, 0.0], [0.0, 2.0]];
        let labels = [0, 1, 1, 0, 1];
        let twice = ndarray::concatenate![ndarray::Axis(0), logits, logits];
        let groups: Vec<_> = (0..5).chain(0..5).collect();
        let width = |groups| {
            let fit = fit_temperature(twice.view(), &labels.repeat(2), groups).unwrap();
            (fit.range_95.1 / fit.range_95.0).ln()
        };
        // Slopes are doubled in place of being twice as many.
        let ratio = width(Some(&groups[..])) / width(None);
        assert!((ratio - 2f64.sqrt()).abs() < 1e-6, "{ratio}");
    }
}
