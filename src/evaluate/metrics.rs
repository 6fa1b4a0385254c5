//! Further metrics of predictions: by class, by rank, and calibration.

use ndarray::{Array2, ArrayView1, ArrayView2};
use serde::Serialize;

use super::{CalibrationError, Design};

/// The largest k of [`Metrics::top_k_accuracy`].
const MAX_RANK: usize = 5;

/// Smaller probabilities are raised to this before a logarithm is taken: the machine epsilon, as in
/// scikit-learn.
const SMALLEST: f32 = f32::EPSILON;

/// Metrics of a class, or means over several classes; shares are from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct ClassMetrics {
    /// Share of the predictions of this class that are correct; `None` if there are none.
    pub precision: Option<f64>,
    /// 95% interval of the precision, by [`Design::interval_95`]; `None` for means.
    pub precision_95: Option<(f64, f64)>,
    /// Share of the class's samples that are predicted correctly; `None` if it has no samples.
    pub recall: Option<f64>,
    /// 95% interval of the recall, by [`Design::interval_95`]; `None` for means.
    pub recall_95: Option<(f64, f64)>,
    /// Harmonic mean of precision and recall; 0 if one of them is 0 or the class was never
    /// predicted. `None` if it has neither samples nor predictions.
    pub f1: Option<f64>,
    /// Samples of the class.
    pub support: usize,
}

/// Metrics of predictions besides their accuracy.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Metrics {
    /// One entry per class.
    pub per_class: Vec<ClassMetrics>,
    /// Unweighted means over the classes: recall over those with samples, precision and F1 over
    /// those with samples or predictions, as in scikit-learn.
    pub macro_mean: ClassMetrics,
    /// Means over the classes, weighted by their samples.
    pub weighted_mean: ClassMetrics,
    /// Share of samples whose class is among the k most probable, for k = 1 to 5 or K.
    pub top_k_accuracy: Vec<f64>,
    /// Mean negative logarithm of the probability of the true class.
    pub log_loss: f64,
    /// Mean over samples of the squared distance between probabilities and truth, summed over the
    /// classes, 0 to 2 (G. Brier, "Verification of forecasts expressed in terms of probability",
    /// Monthly Weather Review 78, 1950).
    pub brier_score: f64,
    /// The distance between confidence and accuracy.
    pub calibration: CalibrationError,
}

impl Metrics {
    /// Computes the metrics of probabilities (N, K) by labels (N) below K, for samples obtained by
    /// `design`. `confusion` (K, K) counts truth in rows and predictions in columns. N is at least
    /// 1.
    pub(super) fn new(
        probabilities: ArrayView2<f32>,
        labels: &[usize],
        predicted: &[usize],
        confusion: &Array2<usize>,
        design: &Design,
    ) -> Self {
        let mut per_class = per_class(confusion);
        let right: Vec<bool> = labels.iter().zip(predicted).map(|(l, p)| l == p).collect();
        for (class, metrics) in per_class.iter_mut().enumerate() {
            let interval = |of: &[usize]| {
                let rows: Vec<_> = (0..of.len()).filter(|&row| of[row] == class).collect();
                (!rows.is_empty()).then(|| design.interval_95(&right, &rows))
            };
            metrics.precision_95 = interval(predicted);
            metrics.recall_95 = interval(labels);
        }
        Self {
            macro_mean: mean(&per_class, |_| 1.0),
            weighted_mean: mean(&per_class, |class| class.support as f64),
            per_class,
            top_k_accuracy: top_k_accuracy(probabilities, labels),
            log_loss: log_loss(probabilities, labels),
            brier_score: brier_score(probabilities, labels),
            calibration: CalibrationError::of(probabilities, labels, predicted),
        }
    }
}

fn per_class(confusion: &Array2<usize>) -> Vec<ClassMetrics> {
    let share = |part: usize, whole: usize| (whole > 0).then(|| part as f64 / whole as f64);
    (0..confusion.nrows())
        .map(|class| {
            let right = confusion[[class, class]];
            let support = confusion.row(class).sum();
            let taken = confusion.column(class).sum();
            ClassMetrics {
                precision: share(right, taken),
                recall: share(right, support),
                f1: share(2 * right, taken + support),
                support,
                ..ClassMetrics::default()
            }
        })
        .collect()
}

/// The mean of every metric, and the sum of the supports.
fn mean(classes: &[ClassMetrics], weight: impl Fn(&ClassMetrics) -> f64) -> ClassMetrics {
    let mean = |number: fn(&ClassMetrics) -> Option<f64>| {
        let numbers = classes
            .iter()
            .filter_map(|class| Some((number(class)?, weight(class))));
        let (sum, total) = numbers.fold((0.0, 0.0), |(sum, total), (number, weight)| {
            (sum + weight * number, total + weight)
        });
        (total > 0.0).then(|| sum / total)
    };
    ClassMetrics {
        // The precision of a class with samples but without predictions is 0.
        precision: mean(|class| class.precision.or((class.support > 0).then_some(0.0))),
        recall: mean(|class| class.recall),
        f1: mean(|class| class.f1),
        support: classes.iter().map(|class| class.support).sum(),
        ..ClassMetrics::default()
    }
}

/// Of classes with equal probabilities, the first ranks first.
fn top_k_accuracy(probabilities: ArrayView2<f32>, labels: &[usize]) -> Vec<f64> {
    let mut n_at_rank = vec![0; probabilities.ncols().min(MAX_RANK)];
    for (row, &label) in probabilities.rows().into_iter().zip(labels) {
        let truth = row[label];
        let before =
            |(class, &other): (usize, &f32)| other > truth || (other == truth && class < label);
        let rank = row.iter().enumerate().filter(|&pair| before(pair)).count();
        if let Some(n) = n_at_rank.get_mut(rank) {
            *n += 1;
        }
    }
    let mut n = 0;
    n_at_rank
        .into_iter()
        .map(|at_rank| {
            n += at_rank;
            f64::from(n) / labels.len() as f64
        })
        .collect()
}

fn brier_score(probabilities: ArrayView2<f32>, labels: &[usize]) -> f64 {
    let of_row = |(row, &label): (ArrayView1<f32>, &usize)| -> f64 {
        let distances = row.iter().enumerate().map(|(class, &probability)| {
            (f64::from(probability) - f64::from(u8::from(class == label))).powi(2)
        });
        distances.sum()
    };
    let sum: f64 = probabilities
        .rows()
        .into_iter()
        .zip(labels)
        .map(of_row)
        .sum();
    sum / labels.len() as f64
}

fn log_loss(probabilities: ArrayView2<f32>, labels: &[usize]) -> f64 {
    log_losses(probabilities, labels).sum::<f64>() / labels.len() as f64
}

/// Negative logarithm of each label's probability (N), from probabilities (N, K); probabilities
/// below [`SMALLEST`] count as that.
pub(crate) fn log_losses(
    probabilities: ArrayView2<'_, f32>,
    labels: &[usize],
) -> impl Iterator<Item = f64> {
    labels
        .iter()
        .enumerate()
        .map(move |(row, &label)| -f64::from(probabilities[[row, label]].clamp(SMALLEST, 1.0)).ln())
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::super::Evaluation;
    use super::*;

    /// Six samples of three classes; nothing is taken for class 1.
    fn metrics() -> Metrics {
        let probabilities = array![
            [0.7_f32, 0.2, 0.1],
            [0.1, 0.3, 0.6],
            [0.5, 0.3, 0.2],
            [0.4, 0.3, 0.3],
            [0.25, 0.25, 0.5],
            [0.05, 0.05, 0.9]
        ];
        let evaluation = Evaluation::new(
            probabilities.view(),
            &[0, 0, 1, 1, 2, 2],
            &Design::default(),
        );
        evaluation.unwrap().metrics
    }

    fn assert_near(actual: f64, expected: f64) {
        // The probabilities are float32.
        assert!((actual - expected).abs() < 1e-6, "{actual}, {expected}");
    }

    #[test]
    fn precision_recall_and_f1_are_scikit_learns() {
        // precision_recall_fscore_support([0,0,1,1,2,2], [0,2,0,0,2,2], zero_division=0),
        // scikit-learn 1.9.1, by class, macro and weighted.
        let metrics = metrics();
        let expected = [
            (1.0 / 3.0, 0.5, 0.4, 2),
            (0.0, 0.0, 0.0, 2),
            (2.0 / 3.0, 1.0, 0.8, 2),
        ];
        for (class, (precision, recall, f1, support)) in metrics.per_class.iter().zip(expected) {
            assert_near(class.precision.unwrap_or(0.0), precision);
            assert_near(class.recall.unwrap(), recall);
            assert_near(class.f1.unwrap(), f1);
            assert_eq!(class.support, support);
        }
        assert_near(metrics.macro_mean.precision.unwrap(), 1.0 / 3.0);
        assert_near(metrics.macro_mean.recall.unwrap(), 0.5);
        assert_near(metrics.macro_mean.f1.unwrap(), 0.4);
        assert_eq!(metrics.weighted_mean.support, 6);
    }

    #[test]
    fn means_are_weighted_with_the_samples_or_not() {
        // 3 of 4 of class 0 are right, and the one of class 1.
        let per_class = per_class(&array![[3, 1], [0, 1]]);
        assert_near(mean(&per_class, |_| 1.0).recall.unwrap(), 0.875);
        assert_near(
            mean(&per_class, |class| class.support as f64)
                .recall
                .unwrap(),
            0.8,
        );
    }

    #[test]
    fn ranks_count_from_the_most_probable_class() {
        // Ranks of the truth: 1, 3, 2, 2 (equal to class 2, and before it as in an argmax), 1, 1.
        let top = metrics().top_k_accuracy;
        assert_eq!(top.len(), 3);
        assert_near(top[0], 0.5);
        assert_near(top[1], 5.0 / 6.0);
        assert_near(top[2], 1.0);
    }

    #[test]
    fn log_loss_is_scikit_learns() {
        // -(ln 0.7 + ln 0.1 + ln 0.3 + ln 0.3 + ln 0.5 + ln 0.9) / 6
        assert_near(metrics().log_loss, 0.977_618_9);
        let sure = array![[0.0_f32, 1.0]];
        // -ln of float32's epsilon: a probability of 0 is no infinite loss.
        assert_near(log_loss(sure.view(), &[0]), 15.942_385_152);
    }

    #[test]
    fn calibration_error_by_hand() {
        // Bins of 1/15: 0.7 and 0.9 are right, 0.5 (in (7/15, 8/15]) once wrong and once right,
        // 0.6 (in (8/15, 9/15]) and 0.4 (in (5/15, 6/15]) wrong.
        let expected = (0.3 + 0.1 + (0.5 + 0.5 - 1.0) + 0.6 + 0.4) / 6.0;
        assert_near(metrics().calibration.error, expected);
    }
}
