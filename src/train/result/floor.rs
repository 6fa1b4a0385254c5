//! The simplest head, which the others are held against.

use serde::{Deserialize, Serialize};

use super::{HeadResult, percent};
use crate::head::HeadKind;

/// How the nearest centroid did on the pictures that judged the heads. It is not one of them, and is
/// not kept: a head that is not better than it has learned nothing that class means do not say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Floor {
    /// Which head it is.
    pub head: HeadKind,
    /// Share of pictures that it classified right, 0 to 1.
    pub top1_accuracy: f64,
    /// Pictures that it misclassified.
    pub errors: usize,
    /// Pictures in all.
    pub n: usize,
    /// Wilson's interval of the accuracy at 95%.
    pub wilson_95: (f64, f64),
    /// Mean negative logarithm of the label's probability.
    pub log_loss: f64,
}

impl Floor {
    /// The numbers of a head that was judged.
    pub(in crate::train) fn of(result: &HeadResult) -> Self {
        let evaluation = &result.evaluation;
        Self {
            head: HeadKind::NearestCentroid,
            top1_accuracy: evaluation.top1_accuracy,
            errors: evaluation.errors,
            n: evaluation.n,
            wilson_95: evaluation.wilson_95,
            log_loss: evaluation.metrics.log_loss,
        }
    }

    /// A line for the end of the table of heads.
    pub(super) fn line(&self) -> String {
        let (low, high) = self.wilson_95;
        format!(
            "floor: {}, {} top-1 accuracy, {}/{} errors, Wilson 95% {} to {}\n",
            self.head.title(),
            percent(self.top1_accuracy),
            self.errors,
            self.n,
            percent(low),
            percent(high)
        )
    }
}
