//! The training loss: cross-entropy, with smoothed labels and class weights.

use serde::{Deserialize, Serialize};

use crate::head::invalid::invalid;
use crate::head::optimizer::NEGLIGIBLE;
use crate::head::softmax::{smoothed_cross_entropy, softmax_cross_entropy};
use crate::head::{ClassWeights, HeadError, Samples};

/// The training loss; the default is the plain cross-entropy.
///
/// ```text
/// loss = 1/B sum_i weight_(y_i) sum_k -t_ik ln p_ik,  t_ik = (1 - s) [k = y_i] + s / K
/// ```
///
/// for B samples with labels y, probabilities p (B, K) and a smoothing of s. This is Keras'
/// `CategoricalCrossentropy(label_smoothing=s)` with `fit(class_weight=...)`: weights multiply
/// losses, and the mean is over the number of samples, not over their weights.
///
/// Losses of held-out and validation samples are always plain cross-entropies, so that they can be
/// compared between settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LossOptions {
    /// Share of a label that is spread over all classes: at least 0 and below 1.
    pub label_smoothing: f64,
    /// The weights of the classes.
    pub class_weights: ClassWeights,
}

impl LossOptions {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`HeadError::InvalidOption`] if the smoothing is out of range.
    pub(crate) fn validate(&self) -> Result<(), HeadError> {
        if !(0.0..1.0).contains(&self.label_smoothing) {
            let expected = "at least 0 and below 1";
            return Err(invalid("label smoothing", self.label_smoothing, expected));
        }
        Ok(())
    }
}

/// The training loss for certain samples.
#[derive(Debug)]
pub(crate) struct Loss {
    label_smoothing: f64,
    /// Weight for each label (K).
    class_weights: Vec<f64>,
}

impl Loss {
    /// The loss for samples with these numbers per class (K).
    pub(crate) fn of_counts(options: &LossOptions, counts: &[usize]) -> Self {
        Self {
            label_smoothing: options.label_smoothing,
            class_weights: options.class_weights.of_counts(counts),
        }
    }

    pub(super) fn new(options: &LossOptions, train: &Samples) -> Self {
        Self::of_counts(options, &train.class_counts())
    }

    /// Turns a sample's logits (K) into probabilities (K) in place, and returns its loss.
    pub(crate) fn of_logits(&self, logits: &mut [f32], label: usize) -> f64 {
        let loss = if self.label_smoothing == 0.0 {
            softmax_cross_entropy(logits, label)
        } else {
            smoothed_cross_entropy(logits, label, self.label_smoothing)
        };
        self.class_weights[label] * loss
    }

    /// Turns a sample's probabilities (K) in place into the gradient of its loss with respect to
    /// its logits: weight (p - t).
    pub(crate) fn d_logits(&self, probabilities: &mut [f32], label: usize) {
        let spread = (self.label_smoothing / probabilities.len() as f64) as f32;
        let weight = self.class_weights[label] as f32;
        probabilities[label] -= 1.0 - self.label_smoothing as f32;
        for d in probabilities {
            *d -= spread;
            *d = if d.abs() < NEGLIGIBLE {
                0.0
            } else {
                *d * weight
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_and_gradient_of_a_row_by_hand() {
        let loss = Loss {
            label_smoothing: 0.3,
            class_weights: vec![1.0, 2.0, 1.0],
        };
        // p = (0.5, 0.25, 0.25) and t = (0.1, 0.8, 0.1):
        // 2 * (0.1 * ln 2 + 0.8 * ln 4 + 0.1 * ln 4) = 2 * 1.9 * ln 2.
        let mut row = [2f32.ln(), 0.0, 0.0];
        let value = loss.of_logits(&mut row, 1);
        assert!((value - 3.8 * 2f64.ln()).abs() < 1e-6, "{value}");
        loss.d_logits(&mut row, 1);
        for (d, expected) in row.into_iter().zip([0.8, -1.1, 0.3]) {
            assert!((d - expected).abs() < 1e-6, "{row:?}");
        }
    }
}
