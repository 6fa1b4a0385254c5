//! How large the difference between two heads may be.

use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use serde::Serialize;

use super::{EvaluateError, only_one_correct};

/// Resamples: the ends of the interval are then the 250th from both sides.
const RESAMPLES: usize = 10_000;

/// Seed of the resamples, fixed so that a comparison can be repeated.
const SEED: u64 = 0x626f_6f74;

/// The difference in accuracy between two heads on the same samples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct AccuracyDifference {
    /// The first head's accuracy minus the second's, -1 to 1.
    pub difference: f64,
    /// 95% interval of the difference, by the paired bootstrap.
    pub interval_95: (f64, f64),
}

/// Takes the interval of the difference in accuracy by the percentile bootstrap over samples, each
/// with both heads' answers (B. Efron and R. Tibshirani, "An introduction to the bootstrap", 1993,
/// chapter 13).
///
/// Only samples on which exactly one head is right move the difference, so only those are drawn,
/// by the gaps between them: a resample costs as much as there are such samples.
///
/// # Errors
/// [`EvaluateError::CountMismatch`] if the heads were not judged on equally many samples, and
/// [`EvaluateError::Empty`] if there are none.
pub fn accuracy_difference(
    a_correct: &[bool],
    b_correct: &[bool],
) -> Result<AccuracyDifference, EvaluateError> {
    let (only_a, only_b) = only_one_correct(a_correct, b_correct)?;
    let n = a_correct.len();
    if n == 0 {
        return Err(EvaluateError::Empty);
    }
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(SEED);
    let mut differences: Vec<_> = (0..RESAMPLES)
        .map(|_| resample(n, only_a, only_b, &mut rng))
        .collect();
    differences.sort_unstable();
    let tail = RESAMPLES / 40;
    let share = |difference: i64| difference as f64 / n as f64;
    Ok(AccuracyDifference {
        difference: share(only_a as i64 - only_b as i64),
        interval_95: (
            share(differences[tail]),
            share(differences[RESAMPLES - 1 - tail]),
        ),
    })
}

/// In `n` draws with replacement, how many more of the samples that only the first head got right
/// come than of those that only the second did.
fn resample(n: usize, only_a: usize, only_b: usize, rng: &mut impl Rng) -> i64 {
    let uneven = only_a + only_b;
    if uneven == 0 {
        return 0;
    }
    // Zero where every sample is uneven: then ln is minus infinity and every gap is 0.
    let log_even = (1.0 - uneven as f64 / n as f64).ln();
    let mut difference = 0;
    let mut draws = 0;
    loop {
        // 1 - u lies above 0; the gap before the next uneven sample is geometric.
        draws += ((1.0 - rng.r#gen::<f64>()).ln() / log_even) as usize;
        if draws >= n {
            return difference;
        }
        draws += 1;
        difference += if rng.gen_range(0..uneven) < only_a {
            1
        } else {
            -1
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers of two heads: `only_a`, `only_b`, and the rest right by both.
    fn answers(n: usize, only_a: usize, only_b: usize) -> (Vec<bool>, Vec<bool>) {
        let a = (0..n).map(|row| !(only_a..only_a + only_b).contains(&row));
        let b = (0..n).map(|row| row >= only_a);
        (a.collect(), b.collect())
    }

    #[test]
    fn the_interval_is_that_of_the_normal_approximation() {
        // The difference is a mean of n values -1, 0, 1 with variance q - d^2, q the share of
        // uneven samples: d -+ 1.96 sqrt((q - d^2) / n).
        for (n, only_a, only_b) in [(2000, 120, 80), (5000, 500, 900), (400, 40, 40)] {
            let (a, b) = answers(n, only_a, only_b);
            let found = accuracy_difference(&a, &b).unwrap();
            let d = (only_a as f64 - only_b as f64) / n as f64;
            let q = (only_a + only_b) as f64 / n as f64;
            let half = 1.96 * ((q - d * d) / n as f64).sqrt();
            assert!((found.difference - d).abs() < 1e-12);
            // The ends of 10,000 resamples are known to about a fortieth of the deviation.
            let tolerance = 0.1 * half;
            assert!(
                (found.interval_95.0 - (d - half)).abs() < tolerance,
                "{found:?}"
            );
            assert!(
                (found.interval_95.1 - (d + half)).abs() < tolerance,
                "{found:?}"
            );
        }
    }

    #[test]
    fn heads_that_agree_or_never_do() {
        let (a, b) = answers(30, 0, 0);
        let same = accuracy_difference(&a, &b).unwrap();
        assert_eq!((same.difference, same.interval_95), (0.0, (0.0, 0.0)));
        let (a, b) = answers(30, 30, 0);
        let opposite = accuracy_difference(&a, &b).unwrap();
        assert_eq!(
            (opposite.difference, opposite.interval_95),
            (1.0, (1.0, 1.0))
        );
        assert_eq!(accuracy_difference(&[], &[]), Err(EvaluateError::Empty));
        assert!(accuracy_difference(&[true], &[]).is_err());
    }
}
