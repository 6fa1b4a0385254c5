//! Accuracy, confusion, intervals and paired tests, the same for every head.

mod abstention;
mod calibration;
mod conformal;
mod design;
mod difference;
mod mcnemar;
mod metrics;
mod power;
mod spread;
mod temperature;

use ndarray::{Array2, ArrayView1, ArrayView2};
use serde::Serialize;

pub(crate) use self::abstention::abstentions;
pub use self::abstention::{Abstention, Abstentions, Answered};
pub use self::calibration::{CalibrationBin, CalibrationError, calibration_bins};
pub use self::conformal::ConformalScores;
pub use self::design::Design;
pub use self::difference::{
    Basis, Chances, Correctness, Difference, MARGIN, SIGNIFICANCE, Verdict,
};
pub(crate) use self::metrics::log_losses;
pub use self::metrics::{ClassMetrics, Metrics};
pub use self::power::{OTHER_WAY, POWER, pictures_to_tell, smallest_difference};
pub use self::spread::Spread;
pub use self::temperature::{Temperature, fit_temperature};

/// The 97.5th percentile of the standard normal distribution: 95% lie within it on both sides.
const Z_95: f64 = 1.959_963_984_540_054;

/// Why probabilities could not be evaluated.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum EvaluateError {
    /// There are no samples.
    #[error("there are no predictions to judge")]
    Empty,
    /// The numbers of predictions and labels differ.
    #[error("there are {predictions} predictions and {labels} labels")]
    CountMismatch {
        /// Rows of the probabilities.
        predictions: usize,
        /// Number of labels.
        labels: usize,
    },
    /// A label is not a known class.
    #[error(
        "row {row} has label {label}, and the head knows {n_classes} classes; validate it on a store of the classes it was trained on"
    )]
    UnknownLabel {
        /// Index of the row.
        row: usize,
        /// Its label.
        label: usize,
        /// K.
        n_classes: usize,
    },
    /// A probability is not a number.
    #[error("the probabilities of row {row} hold NaN; the head or that row's code is broken")]
    NotANumber {
        /// Index of the row.
        row: usize,
    },
}

/// How well a head classifies N samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// N, at least 1.
    pub n: usize,
    /// Number of samples that were classified wrongly.
    pub errors: usize,
    /// Share of samples that were classified correctly, 0 to 1.
    pub top1_accuracy: f64,
    /// 95% interval of the accuracy, by [`Design::interval_95`].
    pub wilson_95: (f64, f64),
    /// Counts (K, K): `confusion[[truth, predicted]]`.
    pub confusion: Array2<usize>,
    /// The predicted class of each row (N).
    pub predicted: Vec<usize>,
    /// The wrongly classified samples, in the order of the rows.
    pub mistakes: Vec<Mistake>,
    /// Metrics by class and by rank, and the calibration of the probabilities.
    pub metrics: Metrics,
}

/// A wrongly classified sample.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Mistake {
    /// Row of the sample.
    pub row: usize,
    /// Its true class.
    pub label: usize,
    /// The predicted class.
    pub predicted: usize,
    /// The predicted class's probability, 0 to 1.
    pub confidence: f32,
}

impl Evaluation {
    /// Evaluates probabilities (N, K) against labels (N). `design` says how the samples were
    /// obtained.
    ///
    /// The prediction is the class with the largest probability; of equal ones, the first.
    ///
    /// # Errors
    /// An [`EvaluateError`] if there are no rows, if numbers of rows differ (also from the
    /// design's), if a label is not below K, or if a probability is NaN.
    pub fn new(
        probabilities: ArrayView2<f32>,
        labels: &[usize],
        design: &Design,
    ) -> Result<Self, EvaluateError> {
        let (n, n_classes) = probabilities.dim();
        check_labels((n, n_classes), labels)?;
        design.check(n, design.dealings.len())?;
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
        let right: Vec<_> = labels
            .iter()
            .zip(&predictions)
            .map(|(l, p)| l == p)
            .collect();
        let rows: Vec<_> = (0..n).collect();
        Ok(Self {
            n,
            errors: mistakes.len(),
            top1_accuracy: correct as f64 / n as f64,
            wilson_95: design.interval_95(&right, &rows),
            metrics: Metrics::new(probabilities, labels, &predictions, &confusion, design),
            confusion,
            predicted: predictions,
            mistakes,
        })
    }

    /// Whether each row was classified correctly (N), for [`Correctness`].
    #[must_use]
    pub fn correct(&self) -> Vec<bool> {
        let mut correct = vec![true; self.n];
        for mistake in &self.mistakes {
            correct[mistake.row] = false;
        }
        correct
    }
}

/// Whether each row (N) of probabilities (N, K) is largest at its label.
///
/// # Errors
/// As [`Evaluation::new`].
pub(crate) fn is_right(
    probabilities: ArrayView2<f32>,
    labels: &[usize],
) -> Result<Vec<bool>, EvaluateError> {
    check_labels(probabilities.dim(), labels)?;
    let rows = probabilities.rows().into_iter().zip(labels).enumerate();
    rows.map(|(row, (given, &label))| {
        let (predicted, _) = largest(given).ok_or(EvaluateError::NotANumber { row })?;
        Ok(predicted == label)
    })
    .collect()
}

/// Checks labels against predictions (N, K): the same number, at least one, all below K.
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

/// Index and value of the first largest probability; `None` if there are none or one is NaN.
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

/// Wilson's 95% interval for a share of `successes` in `n`; 0 to 1 if `n` is 0.
///
/// ```text
/// (p + z^2 / 2n  -+  z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n),   z = 1.959964
/// ```
///
/// Unlike the usual p -+ z sqrt(p (1 - p) / n), it stays within 0 and 1 and is not empty at 0
/// errors (E. Wilson, "Probable inference, the law of succession, and statistical inference",
/// Journal of the American Statistical Association 22, 1927; without continuity correction).
#[must_use]
pub fn wilson_95(successes: usize, n: usize) -> (f64, f64) {
    match n {
        0 => (0.0, 1.0),
        _ => wilson(successes as f64 / n as f64, n as f64, Z_95),
    }
}

/// Wilson's interval for a share (0 to 1) of `n`, above 0, for the quantile `z`.
fn wilson(share: f64, n: f64, z: f64) -> (f64, f64) {
    let z2 = z * z;
    let centre = share + z2 / (2.0 * n);
    let half = z * (share * (1.0 - share) / n + z2 / (4.0 * n * n)).sqrt();
    let bound = |value: f64| (value / (1.0 + z2 / n)).clamp(0.0, 1.0);
    let low = if share <= 0.0 {
        0.0
    } else {
        bound(centre - half)
    };
    let high = if share >= 1.0 {
        1.0
    } else {
        bound(centre + half)
    };
    (low, high)
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
        let evaluation =
            Evaluation::new(probabilities.view(), &[0, 0, 0, 1, 2], &Design::default()).unwrap();
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
        let evaluation =
            Evaluation::new(array![[0.4, 0.4, 0.2]].view(), &[1], &Design::default()).unwrap();
        assert_eq!(evaluation.mistakes[0].predicted, 0);
    }

    #[test]
    fn what_cannot_be_judged_is_said() {
        let two = array![[0.5, 0.5], [f32::NAN, 0.5]];
        let error =
            |labels: &[usize]| Evaluation::new(two.view(), labels, &Design::default()).unwrap_err();
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
        assert_eq!(
            Evaluation::new(none.view(), &[], &Design::default()),
            Err(EvaluateError::Empty)
        );
        let no_classes = Array2::zeros((1, 0));
        let labelled = Evaluation::new(no_classes.view(), &[0], &Design::default()).unwrap_err();
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
}
