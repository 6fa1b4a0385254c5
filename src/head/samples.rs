//! Labelled codes, checked once.

use ndarray::ArrayView2;
use rayon::prelude::*;

use super::HeadError;

/// Codes (N, D) with their labels: N and D are at least 1, every value is finite, every label is
/// below K.
#[derive(Clone, Copy, Debug)]
pub struct Samples<'a> {
    codes: ArrayView2<'a, f32>,
    labels: &'a [usize],
    n_classes: usize,
}

impl<'a> Samples<'a> {
    /// Checks codes (N, D) and labels (N) against each other and against K = `n_classes`.
    ///
    /// Not every class needs a sample here; training asks for two classes at least.
    ///
    /// # Errors
    /// [`HeadError::Empty`], [`HeadError::CountMismatch`], [`HeadError::UnknownLabel`] or
    /// [`HeadError::NotFinite`], for the first row that is wrong.
    pub fn new(
        codes: ArrayView2<'a, f32>,
        labels: &'a [usize],
        n_classes: usize,
    ) -> Result<Self, HeadError> {
        let (samples, features) = codes.dim();
        if samples == 0 || features == 0 {
            return Err(HeadError::Empty { samples, features });
        }
        if samples != labels.len() {
            return Err(HeadError::CountMismatch {
                codes: samples,
                labels: labels.len(),
            });
        }
        if let Some(row) = labels.iter().position(|&label| label >= n_classes) {
            let label = labels[row];
            return Err(HeadError::UnknownLabel {
                row,
                label,
                n_classes,
            });
        }
        let not_finite = (0..samples)
            .into_par_iter()
            .find_first(|&row| codes.row(row).iter().any(|value| !value.is_finite()));
        match not_finite {
            Some(row) => Err(HeadError::NotFinite { row }),
            None => Ok(Self {
                codes,
                labels,
                n_classes,
            }),
        }
    }

    /// The codes (N, D).
    #[must_use]
    pub fn codes(&self) -> ArrayView2<'a, f32> {
        self.codes
    }

    /// The labels (N), each below K.
    #[must_use]
    pub fn labels(&self) -> &'a [usize] {
        self.labels
    }

    /// N, at least 1.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "samples are never empty")]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// D, at least 1.
    #[must_use]
    pub fn n_features(&self) -> usize {
        self.codes.ncols()
    }

    /// K.
    #[must_use]
    pub fn n_classes(&self) -> usize {
        self.n_classes
    }

    /// Number of samples of each class (K).
    #[must_use]
    pub fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.n_classes];
        for &label in self.labels {
            counts[label] += 1;
        }
        counts
    }

    /// Largest absolute value among the codes.
    pub(super) fn largest_code(&self) -> f32 {
        self.codes
            .fold(0.0, |largest, value| largest.max(value.abs()))
    }

    /// Refuses samples that are all of one class.
    pub(super) fn require_two_classes(&self) -> Result<(), HeadError> {
        let class = self.labels[0];
        if self.labels.iter().all(|&label| label == class) {
            let samples = self.len();
            return Err(HeadError::OneClass { samples, class });
        }
        Ok(())
    }
}
