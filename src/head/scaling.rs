//! Scaling of codes, fitted on the training store alone and stored with the head.

use std::ops::Range;

use ndarray::{Array1, Array2, ArrayView2, s};
use serde::{Deserialize, Serialize};

use super::{CodesView, HeadError, Samples};
use crate::named;

/// A kind of scaling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScalingKind {
    /// No scaling.
    #[default]
    None,
    /// Each feature has mean 0 and standard deviation 1 over the training samples.
    Standard,
    /// Each code has Euclidean norm 1.
    L2,
    /// Each feature's largest absolute value over the training samples is 1.
    Max,
}

named!(ScalingKind, "scaling",
    None => "none", Standard => "standard", L2 => "l2", Max => "max");

/// A scaling with its statistics.
#[derive(Clone, Debug, PartialEq)]
pub enum Scaling {
    /// No scaling.
    None,
    /// (x - mean) / deviation, feature by feature.
    Standard {
        /// Means (D).
        mean: Array1<f32>,
        /// Standard deviations (D), of the population; 1 for a constant feature.
        deviation: Array1<f32>,
    },
    /// x / |x|, code by code; a code of zeros does not change.
    L2,
    /// x / largest, feature by feature.
    Max {
        /// Largest absolute values (D); 1 for a feature that is always 0.
        largest: Array1<f32>,
    },
}

impl Scaling {
    /// Computes the statistics of training samples.
    #[must_use]
    pub fn fit(kind: ScalingKind, train: &Samples) -> Self {
        match kind {
            ScalingKind::None => Self::None,
            ScalingKind::L2 => Self::L2,
            ScalingKind::Standard => standard(train),
            ScalingKind::Max => {
                let mut largest = Array1::<f32>::zeros(train.n_features());
                train.codes().for_each_row(|_, code| {
                    for (largest, value) in largest.iter_mut().zip(code) {
                        *largest = largest.max(value.abs());
                    }
                });
                let largest = largest.mapv(one_for_zero);
                Self::Max { largest }
            }
        }
    }

    /// The kind of scaling.
    #[must_use]
    pub fn kind(&self) -> ScalingKind {
        match self {
            Self::None => ScalingKind::None,
            Self::Standard { .. } => ScalingKind::Standard,
            Self::L2 => ScalingKind::L2,
            Self::Max { .. } => ScalingKind::Max,
        }
    }

    /// D of the statistics, if there are any.
    #[must_use]
    pub(crate) fn n_features(&self) -> Option<usize> {
        match self {
            Self::None | Self::L2 => None,
            Self::Standard { mean, .. } => Some(mean.len()),
            Self::Max { largest } => Some(largest.len()),
        }
    }

    /// Scales codes (N, D).
    ///
    /// # Errors
    /// [`HeadError::FeatureMismatch`] if the statistics have another D.
    #[doc(hidden)]
    pub fn apply(&self, codes: ArrayView2<f32>) -> Result<Array2<f32>, HeadError> {
        let view = CodesView::from(codes).scaled(self.clone())?;
        let mut scaled = Array2::zeros(codes.raw_dim());
        let rows: Vec<_> = (0..codes.nrows()).collect();
        view.read_rows(&rows, scaled.view_mut())?;
        Ok(scaled)
    }

    /// Refuses codes whose D differs from the statistics'.
    pub(super) fn check_features(&self, actual: usize) -> Result<(), HeadError> {
        match self.n_features() {
            Some(expected) if expected != actual => {
                Err(HeadError::FeatureMismatch { expected, actual })
            }
            _ => Ok(()),
        }
    }

    /// Scales some features of a code whose Euclidean norm is `norm`.
    pub(crate) fn apply_to_features(&self, features: Range<usize>, norm: f32, values: &mut [f32]) {
        match self {
            Self::None => {}
            Self::Standard { mean, deviation } => {
                let statistics = mean.slice(s![features.clone()]).into_iter();
                let statistics = statistics.zip(deviation.slice(s![features]));
                for (value, (mean, deviation)) in values.iter_mut().zip(statistics) {
                    *value = (*value - mean) / deviation;
                }
            }
            Self::Max { largest } => {
                for (value, largest) in values.iter_mut().zip(largest.slice(s![features])) {
                    *value /= largest;
                }
            }
            Self::L2 => {
                let norm = one_for_zero(norm);
                values.iter_mut().for_each(|value| *value /= norm);
            }
        }
    }
}

/// Mean and deviation in f64, in two passes, to avoid cancellation between the squares of large
/// codes.
fn standard(train: &Samples) -> Scaling {
    let n = train.len() as f64;
    let zeros = || Array1::<f64>::zeros(train.n_features());
    let mut mean = zeros();
    train.codes().for_each_row(|_, code| {
        for (sum, &value) in mean.iter_mut().zip(code) {
            *sum += f64::from(value);
        }
    });
    mean /= n;
    let mut variance = zeros();
    train.codes().for_each_row(|_, code| {
        let statistics = variance.iter_mut().zip(&mean);
        for ((sum, mean), &value) in statistics.zip(code) {
            *sum += (f64::from(value) - mean).powi(2);
        }
    });
    let deviation = variance.mapv(|sum| one_for_zero((sum / n).sqrt() as f32));
    let mean = mean.mapv(|value| value as f32);
    Scaling::Standard { mean, deviation }
}

/// `value` as a divisor; 1 instead of 0.
fn one_for_zero(value: f32) -> f32 {
    if value > 0.0 { value } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn fitted(kind: ScalingKind) -> Scaling {
        let codes = array![
            [1.0, 0.0, 5.0],
            [3.0, 0.0, 5.0],
            [-4.0, 0.0, 5.0],
            [8.0, 0.0, 5.0]
        ];
        Scaling::fit(kind, &Samples::new(codes.view(), &[0, 1, 0, 1], 2).unwrap())
    }

    #[test]
    fn each_kind_by_hand() {
        let code = array![[3.0, 4.0, 0.0]];
        let scaled = |kind| fitted(kind).apply(code.view()).unwrap();
        assert_eq!(scaled(ScalingKind::None), code);
        // Mean 2, deviations 1, 1, 6, 6: the root of 74 / 4.
        let deviation = 18.5f32.sqrt();
        assert_eq!(
            scaled(ScalingKind::Standard),
            array![[1.0 / deviation, 4.0, -5.0]]
        );
        assert_eq!(scaled(ScalingKind::L2), array![[0.6, 0.8, 0.0]]);
        assert_eq!(scaled(ScalingKind::Max), array![[0.375, 4.0, 0.0]]);
        let zeros = array![[0.0, 0.0, 0.0]];
        assert_eq!(fitted(ScalingKind::L2).apply(zeros.view()).unwrap(), zeros);
    }

    #[test]
    fn codes_of_another_length_are_refused() {
        let short = array![[1.0, 2.0]];
        let error = fitted(ScalingKind::Max).apply(short.view()).unwrap_err();
        assert_eq!(
            error,
            HeadError::FeatureMismatch {
                expected: 3,
                actual: 2
            }
        );
    }
}
