//! Baselines to compare the heads with.

use ndarray::{Array2, ArrayView2};
use serde::{Deserialize, Serialize};

use super::percent;
use crate::evaluate::{Design, EvaluateError, Evaluation};

/// The result of a baseline on the evaluated pictures. It is not one of the heads, and is not kept.
/// A head that is no better has learned no more than class frequencies or class means.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Floor {
    /// The name of the baseline, such as `nearest centroid`.
    #[serde(alias = "head")]
    pub name: String,
    /// Share of pictures that it classified correctly, 0 to 1.
    pub top1_accuracy: f64,
    /// Pictures that it misclassified.
    pub errors: usize,
    /// Total number of pictures.
    pub n: usize,
    /// Wilson's interval of the accuracy at 95%.
    pub wilson_95: (f64, f64),
    /// Mean negative logarithm of the label's probability.
    pub log_loss: f64,
}

impl Floor {
    /// The metrics of an evaluated baseline.
    pub(in crate::train) fn of(name: &str, evaluation: &Evaluation) -> Self {
        Self {
            name: name.to_owned(),
            top1_accuracy: evaluation.top1_accuracy,
            errors: evaluation.errors,
            n: evaluation.n,
            wilson_95: evaluation.wilson_95,
            log_loss: evaluation.metrics.log_loss,
        }
    }

    /// Always answers the most frequent class of the training pictures. Each class's probability is
    /// its share in training; in folds, its share outside the picture's fold.
    pub(in crate::train) fn majority(
        training: &[usize],
        labels: &[usize],
        n_classes: usize,
        design: &Design,
    ) -> Result<Self, EvaluateError> {
        let shares = |counts: Vec<usize>| -> Vec<f32> {
            let n: usize = counts.iter().sum();
            counts
                .iter()
                .map(|&count| count as f32 / n.max(1) as f32)
                .collect()
        };
        let count = |is_counted: &dyn Fn(usize) -> bool| {
            let mut counts = vec![0; n_classes];
            for (row, &label) in training.iter().enumerate() {
                counts[label] += usize::from(is_counted(row));
            }
            shares(counts)
        };
        let by_fold: Vec<_> = match design.dealings.first() {
            None => vec![count(&|_| true)],
            Some(folds) => (0..=folds.iter().copied().max().unwrap_or(0))
                .map(|fold| count(&|row| folds[row] != fold))
                .collect(),
        };
        let of_row = |row: usize| design.dealings.first().map_or(0, |folds| folds[row]);
        let probabilities = Array2::from_shape_fn((labels.len(), n_classes), |(row, class)| {
            by_fold[of_row(row)][class]
        });
        let view: ArrayView2<f32> = probabilities.view();
        let first = design.first();
        Ok(Self::of(
            "most frequent class",
            &Evaluation::new(view, labels, &first)?,
        ))
    }

    /// A line for the end of the table of heads.
    pub(super) fn line(&self) -> String {
        let (low, high) = self.wilson_95;
        format!(
            "floor: {}, {} top-1 accuracy, {}/{} errors, Wilson 95% {} to {}\n",
            self.name,
            percent(self.top1_accuracy),
            self.errors,
            self.n,
            percent(low),
            percent(high)
        )
    }
}
