//! What else there is to say of predictions: by class, by rank, and how far probabilities hold.

use ndarray::{Array2, ArrayView2};
use serde::Serialize;

/// Ranks that [`Metrics::top_k_accuracy`] goes to.
const MAX_RANK: usize = 5;

/// Bins of confidence that the calibration error is taken over: as many as in C. Guo and others,
/// "On calibration of modern neural networks", 2017.
const CALIBRATION_BINS: usize = 15;

/// The smallest probability that a logarithm is taken of: scikit-learn's, the machine epsilon.
const SMALLEST: f32 = f32::EPSILON;

/// How well a class was recognised; all but `support` from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct ClassMetrics {
    /// Share of what was taken for the class that is of it; 0 where nothing was.
    pub precision: f64,
    /// Share of the class that was taken for it; 0 where the class has no samples.
    pub recall: f64,
    /// Harmonic mean of precision and recall; 0 where both are.
    pub f1: f64,
    /// Samples of the class.
    pub support: usize,
}

/// Numbers about predictions beside their accuracy.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Metrics {
    /// One for each class.
    pub per_class: Vec<ClassMetrics>,
    /// Means over the classes, each of the same weight.
    pub macro_mean: ClassMetrics,
    /// Means over the classes, weighted with their samples.
    pub weighted_mean: ClassMetrics,
    /// Share of samples whose class is among the k most probable, for k = 1 to 5 or K.
    pub top_k_accuracy: Vec<f64>,
    /// Mean negative logarithm of the probability of the true class.
    pub log_loss: f64,
    /// Expected calibration error, 0 to 1: how far confidence and accuracy are apart, the mean over
    /// 15 bins of confidence, weighted with their samples.
    pub calibration_error: f64,
}

impl Metrics {
    /// Takes the measure of probabilities (N, K) by labels (N) below K; `confusion` (K, K) counts
    /// truth in rows and predictions in columns. N is at least 1.
    pub(super) fn new(
        probabilities: ArrayView2<f32>,
        labels: &[usize],
        predicted: &[usize],
        confusion: &Array2<usize>,
    ) -> Self {
        let per_class = per_class(confusion);
        Self {
            macro_mean: mean(&per_class, |_| 1.0),
            weighted_mean: mean(&per_class, |class| class.support as f64),
            per_class,
            top_k_accuracy: top_k_accuracy(probabilities, labels),
            log_loss: log_loss(probabilities, labels),
            calibration_error: calibration_error(probabilities, labels, predicted),
        }
    }
}

fn per_class(confusion: &Array2<usize>) -> Vec<ClassMetrics> {
    let share = |part: usize, whole: usize| match whole {
        0 => 0.0,
        _ => part as f64 / whole as f64,
    };
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
            }
        })
        .collect()
}

/// The mean of every number, and the sum of the supports.
fn mean(classes: &[ClassMetrics], weight: impl Fn(&ClassMetrics) -> f64) -> ClassMetrics {
    let total: f64 = classes.iter().map(&weight).sum();
    let mean = |number: fn(&ClassMetrics) -> f64| {
        let sum: f64 = classes
            .iter()
            .map(|class| weight(class) * number(class))
            .sum();
        sum / total
    };
    ClassMetrics {
        precision: mean(|class| class.precision),
        recall: mean(|class| class.recall),
        f1: mean(|class| class.f1),
        support: classes.iter().map(|class| class.support).sum(),
    }
}

/// Of equal probabilities, the first class ranks first.
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

fn log_loss(probabilities: ArrayView2<f32>, labels: &[usize]) -> f64 {
    let losses = probabilities.rows().into_iter().zip(labels);
    let sum: f64 = losses
        .map(|(row, &label)| -f64::from(row[label].clamp(SMALLEST, 1.0)).ln())
        .sum();
    sum / labels.len() as f64
}

/// Samples whose confidence lies in one of 15 intervals of equal length.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CalibrationBin {
    /// How many there are.
    pub n: usize,
    /// Their mean confidence, 0 to 1; 0 where there are none.
    pub confidence: f64,
    /// Share of them that was classified right, 0 to 1; 0 where there are none.
    pub accuracy: f64,
}

/// Sorts samples by the probability (N, K) of their predictions into intervals of confidence, from
/// 0 on; each is open below and closed above, as in the paper.
#[must_use]
pub fn calibration_bins(
    probabilities: ArrayView2<f32>,
    labels: &[usize],
    predicted: &[usize],
) -> Vec<CalibrationBin> {
    let mut bins = vec![CalibrationBin::default(); CALIBRATION_BINS];
    let rows = probabilities.rows().into_iter().zip(labels).zip(predicted);
    for ((row, &label), &predicted) in rows {
        let confidence = f64::from(row[predicted]);
        let index = (confidence * CALIBRATION_BINS as f64).ceil() as usize;
        let bin = &mut bins[index.clamp(1, CALIBRATION_BINS) - 1];
        bin.n += 1;
        bin.confidence += confidence;
        bin.accuracy += f64::from(u8::from(label == predicted));
    }
    for bin in &mut bins {
        let n = bin.n.max(1) as f64;
        bin.confidence /= n;
        bin.accuracy /= n;
    }
    bins
}

fn calibration_error(probabilities: ArrayView2<f32>, labels: &[usize], predicted: &[usize]) -> f64 {
    let bins = calibration_bins(probabilities, labels, predicted);
    let gaps = bins
        .iter()
        .map(|bin| bin.n as f64 * (bin.confidence - bin.accuracy).abs());
    gaps.sum::<f64>() / labels.len() as f64
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
        let evaluation = Evaluation::new(probabilities.view(), &[0, 0, 1, 1, 2, 2]);
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
            assert_near(class.precision, precision);
            assert_near(class.recall, recall);
            assert_near(class.f1, f1);
            assert_eq!(class.support, support);
        }
        assert_near(metrics.macro_mean.precision, 1.0 / 3.0);
        assert_near(metrics.macro_mean.recall, 0.5);
        assert_near(metrics.macro_mean.f1, 0.4);
        assert_eq!(metrics.weighted_mean.support, 6);
    }

    #[test]
    fn means_are_weighted_with_the_samples_or_not() {
        // 3 of 4 of class 0 are right, and the one of class 1.
        let per_class = per_class(&array![[3, 1], [0, 1]]);
        assert_near(mean(&per_class, |_| 1.0).recall, 0.875);
        assert_near(mean(&per_class, |class| class.support as f64).recall, 0.8);
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
        assert_near(metrics().calibration_error, expected);
    }
}
