//! Accuracy, confusion, intervals and paired tests, the same for every head.

mod bootstrap;
mod metrics;
mod spread;
mod temperature;

use ndarray::{Array2, ArrayView1, ArrayView2};
use serde::Serialize;

pub use self::bootstrap::{AccuracyDifference, accuracy_difference};
pub use self::metrics::{CalibrationBin, ClassMetrics, Metrics, calibration_bins};
pub use self::spread::Spread;
pub use self::temperature::fit_temperature;

/// The 97.5th percentile of the standard normal distribution: 95% lie within it on both sides.
const Z_95: f64 = 1.959_963_984_540_054;

/// Why probabilities could not be judged.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum EvaluateError {
    /// There is nothing to judge.
    #[error("there are no predictions to judge")]
    Empty,
    /// Predictions and labels do not belong together.
    #[error("there are {predictions} predictions and {labels} labels")]
    CountMismatch {
        /// Rows of the probabilities.
        predictions: usize,
        /// Number of labels.
        labels: usize,
    },
    /// A label names no class.
    #[error(
        "row {row} has label {label}, and the head knows {n_classes} classes; validate it on a store of the classes it was trained on"
    )]
    UnknownLabel {
        /// The row.
        row: usize,
        /// Its label.
        label: usize,
        /// K.
        n_classes: usize,
    },
    /// A probability is not a number.
    #[error("the probabilities of row {row} hold NaN; the head or that row's code is broken")]
    NotANumber {
        /// The row.
        row: usize,
    },
}

/// How well a head did on N samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// N, at least 1.
    pub n: usize,
    /// How many were classified wrong.
    pub errors: usize,
    /// Share that was classified right, 0 to 1.
    pub top1_accuracy: f64,
    /// 95% interval of the accuracy, by [`wilson_95`].
    pub wilson_95: (f64, f64),
    /// Counts (K, K): `confusion[[truth, predicted]]`.
    pub confusion: Array2<usize>,
    /// The class that each row was taken for (N).
    pub predicted: Vec<usize>,
    /// What was classified wrong, in the order of the rows.
    pub mistakes: Vec<Mistake>,
    /// By class, by rank, and how far the probabilities hold.
    pub metrics: Metrics,
}

/// A sample that was classified wrong.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Mistake {
    /// Row of the sample.
    pub row: usize,
    /// Its class.
    pub label: usize,
    /// The class that the head took it for.
    pub predicted: usize,
    /// The probability that the head gave to that, 0 to 1.
    pub confidence: f32,
}

impl Evaluation {
    /// Judges probabilities (N, K) by labels (N).
    ///
    /// The prediction is the class of the largest probability, the first one of equals.
    ///
    /// # Errors
    /// An [`EvaluateError`] if there are no rows, if counts differ, if a label is not below K, or
    /// if a probability is NaN.
    pub fn new(probabilities: ArrayView2<f32>, labels: &[usize]) -> Result<Self, EvaluateError> {
        let (n, n_classes) = probabilities.dim();
        check_labels((n, n_classes), labels)?;
        let mut confusion = Array2::zeros((n_classes, n_classes));
        let mut mistakes = Vec::new();
        let mut predictions = Vec::with_capacity(n);
        for (row, (given, &label)) in probabilities.rows().into_iter().zip(labels).enumerate() {
            let (predicted, confidence) =
                largest(given).ok_or(EvaluateError::NotANumber { row })?;
            confusion[[label, predicted]] += 1;
            predictions.push(predicted);
            if predicted != label {
                mistakes.push(Mistake {
                    row,
                    label,
                    predicted,
                    confidence,
                });
            }
        }
        let correct = n - mistakes.len();
        Ok(Self {
            n,
            errors: mistakes.len(),
            top1_accuracy: correct as f64 / n as f64,
            wilson_95: wilson_95(correct, n),
            metrics: Metrics::new(probabilities, labels, &predictions, &confusion),
            confusion,
            predicted: predictions,
            mistakes,
        })
    }

    /// Whether each row was classified right (N), for `mcnemar_exact`.
    #[must_use]
    pub fn correct(&self) -> Vec<bool> {
        let mut correct = vec![true; self.n];
        for mistake in &self.mistakes {
            correct[mistake.row] = false;
        }
        correct
    }
}

/// Checks labels against predictions (N, K): as many, at least one, all below K.
fn check_labels((n, n_classes): (usize, usize), labels: &[usize]) -> Result<(), EvaluateError> {
    if n != labels.len() {
        return Err(EvaluateError::CountMismatch {
            predictions: n,
            labels: labels.len(),
        });
    }
    if n == 0 {
        return Err(EvaluateError::Empty);
    }
    match labels.iter().position(|&label| label >= n_classes) {
        Some(row) => Err(EvaluateError::UnknownLabel {
            row,
            label: labels[row],
            n_classes,
        }),
        None => Ok(()),
    }
}

/// How many samples only the first and only the second of two heads classified right.
fn only_one_correct(
    a_correct: &[bool],
    b_correct: &[bool],
) -> Result<(usize, usize), EvaluateError> {
    if a_correct.len() != b_correct.len() {
        return Err(EvaluateError::CountMismatch {
            predictions: a_correct.len(),
            labels: b_correct.len(),
        });
    }
    let pairs = || a_correct.iter().zip(b_correct);
    let only_a = pairs().filter(|&(&a, &b)| a && !b).count();
    let only_b = pairs().filter(|&(&a, &b)| b && !a).count();
    Ok((only_a, only_b))
}

/// Index and value of the first largest probability; `None` if there is none, or a NaN.
fn largest(probabilities: ArrayView1<f32>) -> Option<(usize, f32)> {
    let mut best = (0, *probabilities.first()?);
    for (class, &probability) in probabilities.iter().enumerate() {
        if probability.is_nan() {
            return None;
        }
        if probability > best.1 {
            best = (class, probability);
        }
    }
    Some(best)
}

/// Wilson's 95% interval for a share of `successes` in `n`; all of 0 to 1 where `n` is 0.
///
/// ```text
/// (p + z^2 / 2n  -+  z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n),   z = 1.959964
/// ```
///
/// Unlike the usual p -+ z sqrt(p (1 - p) / n) it stays within 0 and 1 and is not empty at 0
/// errors (E. Wilson, "Probable inference, the law of succession, and statistical inference",
/// Journal of the American Statistical Association 22, 1927; without continuity correction).
#[must_use]
pub fn wilson_95(successes: usize, n: usize) -> (f64, f64) {
    if n == 0 {
        return (0.0, 1.0);
    }
    let size = n as f64;
    let share = successes as f64 / size;
    let z2 = Z_95 * Z_95;
    let centre = share + z2 / (2.0 * size);
    let half = Z_95 * (share * (1.0 - share) / size + z2 / (4.0 * size * size)).sqrt();
    let bound = |value: f64| (value / (1.0 + z2 / size)).clamp(0.0, 1.0);
    let low = if successes == 0 {
        0.0
    } else {
        bound(centre - half)
    };
    let high = if successes >= n {
        1.0
    } else {
        bound(centre + half)
    };
    (low, high)
}

/// McNemar's exact test between two heads on the same samples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct McNemar {
    /// Samples that only the first head classified right.
    pub only_a: usize,
    /// Samples that only the second head classified right.
    pub only_b: usize,
    /// Probability of a split at least this uneven if both heads were equally good, two-sided.
    pub p_value: f64,
}

/// Compares two heads by the samples on which exactly one of them is right.
///
/// If neither is better, each such sample is a toss of a fair coin. The p-value is twice the
/// smaller tail of that binomial distribution, at most 1, and 1 where there is no such sample
/// (Q. McNemar, Psychometrika 12, 1947; exact form after A. Edwards 1948 and later textbooks).
///
/// # Errors
/// [`EvaluateError::CountMismatch`] if the heads were not judged on equally many samples.
pub(crate) fn mcnemar_exact(
    a_correct: &[bool],
    b_correct: &[bool],
) -> Result<McNemar, EvaluateError> {
    let (only_a, only_b) = only_one_correct(a_correct, b_correct)?;
    let p_value = (2.0 * fair_tail(only_a.min(only_b), only_a + only_b)).min(1.0);
    Ok(McNemar {
        only_a,
        only_b,
        p_value,
    })
}

/// Probability of at most `heads` heads in `tosses` of a fair coin.
///
/// In logarithms: 2^-tosses alone underflows from 1,075 tosses on.
fn fair_tail(heads: usize, tosses: usize) -> f64 {
    let mut log_term = -(tosses as f64) * std::f64::consts::LN_2;
    let mut sum = log_term.exp();
    for k in 1..=heads {
        log_term += ((tosses - k + 1) as f64 / k as f64).ln();
        sum += log_term.exp();
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn confusion_has_truth_in_rows_and_predictions_in_columns() {
        // Truths 0, 0, 0, 1, 2; the head takes two of class 0 for 2, and class 2 for 1.
        let probabilities = array![
            [0.8, 0.1, 0.1],
            [0.2, 0.1, 0.7],
            [0.3, 0.1, 0.6],
            [0.1, 0.5, 0.4],
            [0.0, 0.9, 0.1]
        ];
        let evaluation = Evaluation::new(probabilities.view(), &[0, 0, 0, 1, 2]).unwrap();
        assert_eq!(
            evaluation.confusion,
            array![[1, 0, 2], [0, 1, 0], [0, 1, 0]]
        );
        assert_eq!((evaluation.n, evaluation.errors), (5, 3));
        assert_eq!(evaluation.top1_accuracy, 0.4);
        assert_eq!(evaluation.correct(), [true, false, false, true, false]);
        let mistake = Mistake {
            row: 1,
            label: 0,
            predicted: 2,
            confidence: 0.7,
        };
        assert_eq!(evaluation.mistakes[0], mistake);
    }

    #[test]
    fn equal_probabilities_give_the_first_class() {
        let evaluation = Evaluation::new(array![[0.4, 0.4, 0.2]].view(), &[1]).unwrap();
        assert_eq!(evaluation.mistakes[0].predicted, 0);
    }

    #[test]
    fn what_cannot_be_judged_is_said() {
        let two = array![[0.5, 0.5], [f32::NAN, 0.5]];
        let error = |labels: &[usize]| Evaluation::new(two.view(), labels).unwrap_err();
        assert_eq!(error(&[0, 1]), EvaluateError::NotANumber { row: 1 });
        assert_eq!(
            error(&[2, 1]),
            EvaluateError::UnknownLabel {
                row: 0,
                label: 2,
                n_classes: 2
            }
        );
        assert_eq!(
            error(&[0]),
            EvaluateError::CountMismatch {
                predictions: 2,
                labels: 1
            }
        );
        let none = Array2::zeros((0, 2));
        assert_eq!(Evaluation::new(none.view(), &[]), Err(EvaluateError::Empty));
        let no_classes = Array2::zeros((1, 0));
        let labelled = Evaluation::new(no_classes.view(), &[0]).unwrap_err();
        assert_eq!(
            labelled,
            EvaluateError::UnknownLabel {
                row: 0,
                label: 0,
                n_classes: 0
            }
        );
    }

    /// Expected values: scipy 1.17.1, `binomtest(k, n).proportion_ci(method="wilson")`.
    const WILSON: [(usize, usize, f64, f64); 5] = [
        (136, 150, 0.849_436_068_724_384_2, 0.943_588_132_522_913_5),
        (150, 150, 0.975_029_755_631_923_4, 1.0),
        (0, 150, 0.0, 0.024_970_244_368_076_596),
        (149, 150, 0.963_207_160_225_181_8, 0.998_822_198_664_982_7),
        (1, 2, 0.094_531_205_734_230_74, 0.905_468_794_265_769_3),
    ];

    #[test]
    fn wilson_intervals_as_scipy_gives_them() {
        for (successes, n, low, high) in WILSON {
            let (ours_low, ours_high) = wilson_95(successes, n);
            assert!(
                (ours_low - low).abs() < 1e-12,
                "{successes} of {n}: {ours_low}"
            );
            assert!(
                (ours_high - high).abs() < 1e-12,
                "{successes} of {n}: {ours_high}"
            );
        }
        assert_eq!(wilson_95(0, 0), (0.0, 1.0));
    }

    /// Expected values: scipy 1.17.1, `binomtest(min(a, b), a + b).pvalue`.
    const MCNEMAR: [(usize, usize, f64); 7] = [
        (0, 0, 1.0),
        (1, 0, 1.0),
        (13, 1, 0.001_831_054_687_5),
        (2, 9, 0.065_429_687_5),
        (10, 10, 1.0),
        (900, 1100, 8.457_089_535_503_81e-6),
        (400, 900, 1.2013456864239799e-44),
    ];

    #[test]
    fn mcnemar_as_scipy_gives_it() {
        for (only_a, only_b, p_value) in MCNEMAR {
            let mut a = vec![true; only_a];
            let mut b = vec![false; only_a];
            a.extend(vec![false; only_b + 1]);
            b.extend(vec![true; only_b]);
            b.push(false);
            let test = mcnemar_exact(&a, &b).unwrap();
            assert_eq!((test.only_a, test.only_b), (only_a, only_b));
            let error = (test.p_value - p_value).abs();
            assert!(
                error <= 1e-10 * p_value,
                "{only_a} against {only_b}: {}",
                test.p_value
            );
        }
        assert!(mcnemar_exact(&[true], &[]).is_err());
    }
}
