//! How well probabilities are calibrated: confidence against accuracy.

use ndarray::ArrayView2;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};

/// Bins of confidence for the calibration error: as many as in C. Guo and others, "On calibration
/// of modern neural networks", 2017.
const BINS: usize = 15;

/// How often the answers of a calibrated head are drawn.
const DRAWS: usize = 500;

/// The most answers drawn in total: about a second's work.
const MOST_ANSWERS: usize = 50_000_000;

/// Seed of the draws, fixed so that a comparison can be repeated.
const SEED: u64 = 0x6563_655f;

/// The expected calibration error, and its value for a perfectly calibrated head.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalibrationError {
    /// The error, 0 to 1: the distance between confidence and accuracy, averaged over 15 bins of
    /// confidence, weighted by their samples.
    pub error: f64,
    /// Mean confidence, 0 to 1. If it is above the accuracy, the head is overconfident on the
    /// whole.
    pub mean_confidence: f64,
    /// Mean error of a calibrated head whose predictions have these confidences: the error that so
    /// few samples show by chance alone.
    pub mean_if_calibrated: f64,
    /// The error below which such a head stays 95 times out of 100.
    pub highest_if_calibrated: f64,
}

/// Samples whose confidence lies in one of 15 equally wide intervals.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CalibrationBin {
    /// How many there are.
    pub n: usize,
    /// Their mean confidence, 0 to 1; 0 if there are none.
    pub confidence: f64,
    /// Share of them that was classified correctly, 0 to 1; 0 if there are none.
    pub accuracy: f64,
}

impl CalibrationError {
    /// Computes the error of predictions (N) with probabilities (N, K) by labels (N), N at least 1.
    ///
    /// The answers of a calibrated head are drawn 500 times (fewer beyond 100,000 samples) with a
    /// fixed seed.
    pub(super) fn of(
        probabilities: ArrayView2<f32>,
        labels: &[usize],
        predicted: &[usize],
    ) -> Self {
        let confidences = confidences(probabilities, predicted);
        let right = labels
            .iter()
            .zip(predicted)
            .map(|(label, predicted)| label == predicted);
        let error = error(&bins(&confidences, right));
        let n = confidences.len();
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(SEED);
        let mut drawn: Vec<f64> = (0..DRAWS.min(MOST_ANSWERS / n).max(20))
            .map(|_| {
                let right = confidences
                    .iter()
                    .map(|&confidence| rng.r#gen::<f64>() < confidence);
                self::error(&bins(&confidences, right))
            })
            .collect();
        drawn.sort_unstable_by(f64::total_cmp);
        Self {
            error,
            mean_confidence: confidences.iter().sum::<f64>() / n as f64,
            mean_if_calibrated: drawn.iter().sum::<f64>() / drawn.len() as f64,
            highest_if_calibrated: drawn[(drawn.len() * 95).div_ceil(100) - 1],
        }
    }

    /// Whether the error is larger than a calibrated head is likely to show.
    #[must_use]
    pub fn is_miscalibrated(&self) -> bool {
        self.error > self.highest_if_calibrated
    }
}

/// Sorts samples by the probability (N, K) of their predictions into intervals of confidence, from
/// 0 on; each is open below and closed above, as in Guo's paper.
#[must_use]
pub fn calibration_bins(
    probabilities: ArrayView2<f32>,
    labels: &[usize],
    predicted: &[usize],
) -> Vec<CalibrationBin> {
    let right = labels
        .iter()
        .zip(predicted)
        .map(|(label, predicted)| label == predicted);
    bins(&confidences(probabilities, predicted), right)
}

fn confidences(probabilities: ArrayView2<f32>, predicted: &[usize]) -> Vec<f64> {
    let rows = probabilities.rows().into_iter().zip(predicted);
    rows.map(|(row, &predicted)| f64::from(row[predicted]))
        .collect()
}

fn bins(confidences: &[f64], right: impl Iterator<Item = bool>) -> Vec<CalibrationBin> {
    let mut bins = vec![CalibrationBin::default(); BINS];
    for (&confidence, right) in confidences.iter().zip(right) {
        let index = (confidence * BINS as f64).ceil() as usize;
        let bin = &mut bins[index.clamp(1, BINS) - 1];
        bin.n += 1;
        bin.confidence += confidence;
        bin.accuracy += f64::from(u8::from(right));
    }
    for bin in &mut bins {
        let n = bin.n.max(1) as f64;
        bin.confidence /= n;
        bin.accuracy /= n;
    }
    bins
}

fn error(bins: &[CalibrationBin]) -> f64 {
    let n: usize = bins.iter().map(|bin| bin.n).sum();
    let gaps = bins
        .iter()
        .map(|bin| bin.n as f64 * (bin.confidence - bin.accuracy).abs());
    gaps.sum::<f64>() / n as f64
}
