//! Labelled codes, checked once.

use std::collections::HashMap;
use std::sync::Arc;

use ndarray::ArrayView2;

use super::scaling::Scaling;
use super::{CodesView, HeadError};
use crate::codes::Store;

/// Codes (N, D) with their labels: N and D are at least 1, every value is finite, every label is
/// below K.
///
/// A sample may have several views, each with a code. Heads are trained on all views, and classify
/// the sample by the mean of their logits.
#[derive(Clone, Debug)]
pub struct Samples<'a> {
    /// Codes of the samples themselves (N, D): their first views.
    codes: CodesView<'a>,
    /// Codes of all views (N V, D), V per sample; the same as `codes` if V is 1.
    every_view: CodesView<'a>,
    n_views: usize,
    labels: Arc<[usize]>,
    /// Group of each sample (N), a number from 0 on, if there are groups.
    groups: Option<Arc<[usize]>>,
    n_classes: usize,
}

impl<'a> Samples<'a> {
    /// Checks codes (N, D) and labels (N) against each other and against K = `n_classes`.
    ///
    /// Not every class needs a sample here; training needs at least two classes.
    ///
    /// # Errors
    /// [`HeadError::Empty`], [`HeadError::CountMismatch`], [`HeadError::UnknownLabel`] or
    /// [`HeadError::NotFinite`], for the first row with an error.
    pub fn new(
        codes: ArrayView2<'a, f32>,
        labels: &[usize],
        n_classes: usize,
    ) -> Result<Self, HeadError> {
        Self::checked(codes.into(), 1, labels, n_classes)
    }

    /// As [`Samples::new`], with the codes of V views of each sample (N V, D), one sample after the
    /// other.
    pub(crate) fn with_views(
        codes: ArrayView2<'a, f32>,
        n_views: usize,
        labels: &[usize],
        n_classes: usize,
    ) -> Result<Self, HeadError> {
        Self::checked(codes.into(), n_views, labels, n_classes)
    }

    /// The codes of a store, read on demand, with its labels and its groups.
    ///
    /// # Errors
    /// [`HeadError::Unlabelled`] if it has no labels; as [`Samples::new`].
    pub fn of_store(store: &'a Store) -> Result<Self, HeadError> {
        let labels = store.labels().ok_or(HeadError::Unlabelled)?;
        let (codes, n_views) = (CodesView::every_view(store), store.views().n());
        let samples = Self::checked(codes, n_views, labels, store.classes().len())?;
        Ok(Self {
            groups: store.groups().map(Into::into),
            ..samples
        })
    }

    fn checked(
        every_view: CodesView<'a>,
        n_views: usize,
        labels: &[usize],
        n_classes: usize,
    ) -> Result<Self, HeadError> {
        let codes = every_view.first_views(n_views);
        let (samples, features) = (codes.n_rows(), codes.n_features());
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
        Self {
            codes,
            every_view,
            n_views,
            labels: labels.into(),
            groups: None,
            n_classes,
        }
        .finite()
    }

    /// These samples, after a check that all their values are finite.
    fn finite(self) -> Result<Self, HeadError> {
        let is_finite = |code: &[f32]| code.iter().all(|value| value.is_finite());
        let is_finite = self.every_view.map_rows(is_finite);
        self.every_view.check()?;
        match is_finite.iter().position(|&ok| !ok) {
            Some(place) => Err(HeadError::NotFinite {
                row: place / self.n_views,
            }),
            None => Ok(self),
        }
    }

    /// The same samples, with the group of each (N): numbers from 0 on.
    ///
    /// # Errors
    /// [`HeadError::GroupMismatch`] if their number differs.
    pub fn with_groups(self, groups: &[usize]) -> Result<Self, HeadError> {
        if groups.len() != self.len() {
            return Err(HeadError::GroupMismatch {
                samples: self.len(),
                groups: groups.len(),
            });
        }
        Ok(Self {
            groups: Some(groups.into()),
            ..self
        })
    }

    /// Some of these samples, in the given order.
    ///
    /// # Panics
    /// If `rows` is empty, or a row does not exist.
    #[must_use]
    pub(crate) fn select(&self, rows: &[usize]) -> Self {
        assert!(!rows.is_empty(), "samples are never empty");
        let views = rows.iter().flat_map(|&row| self.places(row));
        Self {
            codes: self.codes.select(rows),
            every_view: self.every_view.select(&views.collect::<Vec<_>>()),
            n_views: self.n_views,
            labels: rows.iter().map(|&row| self.labels[row]).collect(),
            groups: (self.groups.as_ref())
                .map(|groups| rows.iter().map(|&row| groups[row]).collect()),
            n_classes: self.n_classes,
        }
    }

    /// The same samples with other labels (N), each below K.
    ///
    /// # Panics
    /// If their number differs.
    #[must_use]
    pub(crate) fn relabelled(&self, labels: &[usize]) -> Self {
        assert_eq!(labels.len(), self.len(), "a label for each sample");
        Self {
            labels: labels.into(),
            ..self.clone()
        }
    }

    /// The same samples, with their codes read through `scaling`.
    ///
    /// # Errors
    /// [`HeadError::FeatureMismatch`] if the scaling's statistics have another D;
    /// [`HeadError::NotFinite`] if a scaled value is too large.
    pub(crate) fn scaled(&self, scaling: Scaling) -> Result<Self, HeadError> {
        if scaling == Scaling::None {
            return Ok(self.clone());
        }
        let every_view = self.every_view.scaled(scaling)?;
        Self {
            codes: every_view.first_views(self.n_views),
            every_view,
            ..self.clone()
        }
        .finite()
    }

    /// The codes (N, D).
    #[must_use]
    pub fn codes(&self) -> &CodesView<'a> {
        &self.codes
    }

    /// Number of views per sample (V), at least 1.
    #[must_use]
    pub fn n_views(&self) -> usize {
        self.n_views
    }

    /// The codes of all views (N V, D), V per sample.
    pub(crate) fn codes_of_views(&self) -> &CodesView<'a> {
        &self.every_view
    }

    /// The rows of a sample's views among the codes of all views.
    pub(crate) fn places(&self, row: usize) -> std::ops::Range<usize> {
        row * self.n_views..(row + 1) * self.n_views
    }

    /// Each view as a sample of its own (N V), for heads that are fitted on all samples at once.
    pub(crate) fn of_views(&self) -> Self {
        if self.n_views == 1 {
            return self.clone();
        }
        let each = |of: &[usize]| -> Arc<[usize]> {
            let of = of.iter();
            of.flat_map(|&value| std::iter::repeat_n(value, self.n_views))
                .collect()
        };
        Self {
            codes: self.every_view.clone(),
            every_view: self.every_view.clone(),
            n_views: 1,
            labels: each(&self.labels),
            groups: self.groups.as_deref().map(each),
            n_classes: self.n_classes,
        }
    }

    /// The labels (N), each below K.
    #[must_use]
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }

    /// Group of each sample (N), a number from 0 on. Samples of a group are much alike, and are not
    /// divided between training and evaluation. `None` without groups.
    #[must_use]
    pub fn groups(&self) -> Option<&[usize]> {
        self.groups.as_deref()
    }

    /// Number of samples (N) in the group of each, including itself.
    pub(crate) fn group_sizes(&self) -> Vec<f32> {
        group_sizes(self.groups(), self.len())
    }

    /// Number of samples, N, at least 1.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "samples are never empty")]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Number of features, D, at least 1.
    #[must_use]
    pub(crate) fn n_features(&self) -> usize {
        self.codes.n_features()
    }

    /// Number of classes, K.
    #[must_use]
    pub(crate) fn n_classes(&self) -> usize {
        self.n_classes
    }

    /// Number of samples of each class (K).
    #[must_use]
    pub(crate) fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.n_classes];
        for &label in self.labels() {
            counts[label] += 1;
        }
        counts
    }

    /// Largest absolute value among the codes.
    pub(super) fn largest_code(&self) -> f32 {
        let largest = |code: &[f32]| {
            code.iter()
                .fold(0.0, |max: f32, value| max.max(value.abs()))
        };
        self.codes.map_rows(largest).into_iter().fold(0.0, f32::max)
    }

    /// Refuses samples of only one class.
    pub(super) fn require_two_classes(&self) -> Result<(), HeadError> {
        let class = self.labels[0];
        if self.labels.iter().all(|&label| label == class) {
            let samples = self.len();
            return Err(HeadError::OneClass { samples, class });
        }
        Ok(())
    }
}

/// Number of samples (N = `n`) in the group of each, including itself.
pub(crate) fn group_sizes(groups: Option<&[usize]>, n: usize) -> Vec<f32> {
    let Some(groups) = groups else {
        return vec![1.0; n];
    };
    let mut sizes = HashMap::new();
    for group in groups {
        *sizes.entry(group).or_insert(0.0) += 1.0;
    }
    groups.iter().map(|group| sizes[group]).collect()
}
