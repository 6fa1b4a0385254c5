//! What a number of pictures can show, before anything is measured on them.

use statrs::distribution::{Binomial, ContinuousCDF, Discrete, Normal};

use super::difference::tells_apart;

/// Assumed share of pictures that only the worse head classifies correctly: heads on the same codes
/// rarely disagree.
pub const OTHER_WAY: f64 = 0.01;

/// The required probability of detecting a difference.
pub const POWER: f64 = 0.8;

/// From this number on, the normal approximation replaces the sum over all outcomes. They differ by
/// less than one part in ten.
const MANY: f64 = 3000.0;

/// Differences are searched to a tenth of a point.
const STEP: f64 = 0.001;

/// The smallest difference in accuracy, in steps of a tenth of a point, that `n` pictures show with
/// a probability of [`POWER`]; `None` if they are too few for any difference.
///
/// Only the worse head is right on [`OTHER_WAY`] of the pictures; only the better one on that share
/// plus the difference. The probability covers all outcomes for which
/// [`Difference`](super::Difference) would say that one head is better. `n` need not be a whole
/// number: pictures in groups or folds are worth fewer than their number.
#[must_use]
pub fn smallest_difference(n: f64) -> Option<f64> {
    let largest = ((1.0 - 2.0 * OTHER_WAY) / STEP) as usize;
    let shows = |steps: usize| power(n, steps as f64 * STEP) >= POWER;
    if !shows(largest) {
        return None;
    }
    Some(first(1, largest, shows) as f64 * STEP)
}

/// How many pictures are needed to detect a difference with a probability of [`POWER`], as defined
/// by [`smallest_difference`], to three digits. `difference` is above 0, at most 0.9.
#[must_use]
pub fn pictures_to_tell(difference: f64) -> usize {
    let shows = |n: usize| power(n as f64, difference) >= POWER;
    let mut high = 8;
    while !shows(high) {
        high *= 2;
    }
    let n = first(high / 2, high, shows);
    let unit = 10_usize.pow((n.ilog10()).saturating_sub(1));
    n.next_multiple_of(unit)
}

/// The first of `low..=high` for which `holds` is true; it must be true for the last. The result is
/// approximate if `holds` alternates, as probabilities by whole numbers of pictures do.
fn first(mut low: usize, mut high: usize, holds: impl Fn(usize) -> bool) -> usize {
    while low < high {
        let middle = low.midpoint(high);
        if holds(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

/// Probability that `n` pictures show this difference.
fn power(n: f64, difference: f64) -> f64 {
    if n < 1.0 {
        return 0.0;
    }
    if n > MANY {
        return approximate_power(n, difference);
    }
    let n = n.floor() as u64;
    let either = difference + 2.0 * OTHER_WAY;
    let (Ok(disagreements), share) = (Binomial::new(either, n), (difference + OTHER_WAY) / either)
    else {
        return 0.0;
    };
    let deviation = (n as f64 * either * (1.0 - either)).sqrt();
    let around = |sign: f64| n as f64 * either + sign * 8.0 * deviation;
    let range = around(-1.0).max(0.0) as u64..=(around(1.0).ceil() as u64).min(n);
    let chances = range.map(|m| {
        let of_better = |k: u64| Binomial::new(share, m).map_or(0.0, |split| split.pmf(k));
        // Beyond an even split, more pictures for the better head only make it clearer.
        let from = first_split(m, n);
        let seen: f64 = (from..=m).map(of_better).sum();
        disagreements.pmf(m) * seen
    });
    chances.sum()
}

/// The smallest part of `m` disagreements on `n` pictures that shows which head is better; m + 1 if
/// none does.
fn first_split(m: u64, n: u64) -> u64 {
    let tells = |k: usize| k > m as usize || tells_apart(k, m as usize - k, n as usize);
    first(m as usize / 2 + 1, m as usize + 1, tells) as u64
}

/// R. Connor, "Sample size for testing differences in proportions for the paired-sample design",
/// Biometrics 43, 1987, solved for the power.
fn approximate_power(n: f64, difference: f64) -> f64 {
    let either = difference + 2.0 * OTHER_WAY;
    let missed = difference * n.sqrt() - super::Z_95 * either.sqrt();
    Normal::standard().cdf(missed / (either - difference * difference).sqrt())
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_xoshiro::Xoshiro256PlusPlus;

    use super::*;

    #[test]
    fn the_chance_is_that_of_a_simulation() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(8);
        for (n, difference) in [(33, 0.25), (150, 0.07), (500, 0.03)] {
            let draws = 4000;
            let seen = (0..draws).filter(|_| {
                let (mut a, mut b) = (0, 0);
                for _ in 0..n {
                    let u = rng.r#gen::<f64>();
                    a += usize::from(u < difference + OTHER_WAY);
                    b += usize::from(u > 1.0 - OTHER_WAY);
                }
                a > b && tells_apart(a, b, n)
            });
            let simulated = seen.count() as f64 / f64::from(draws);
            let computed = power(n as f64, difference);
            // Three deviations of a share of 4,000.
            assert!(
                (simulated - computed).abs() < 0.02,
                "{n}: {simulated}, {computed}"
            );
        }
    }

    #[test]
    fn more_pictures_show_smaller_differences() {
        let shown = [33.0, 150.0, 500.0, 1000.0].map(|n| smallest_difference(n).unwrap());
        assert!(shown.is_sorted_by(|more, less| more > less), "{shown:?}");
        assert_eq!(smallest_difference(3.0), None);
        assert_eq!(smallest_difference(0.0), None);
        let needed = [0.01, 0.02, 0.05, 0.25].map(pictures_to_tell);
        assert!(needed.is_sorted_by(|more, less| more > less), "{needed:?}");
        // Both searches meet.
        let again = smallest_difference(needed[1] as f64).unwrap();
        assert!((again - 0.02).abs() < 0.002, "{again}");
    }

    #[test]
    fn the_approximation_meets_the_sum() {
        let (sum, approximate) = (power(3000.0, 0.01), approximate_power(3000.0, 0.01));
        assert!((sum - approximate).abs() < 0.08, "{sum}, {approximate}");
    }
}
