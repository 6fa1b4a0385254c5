//! Interpolation between two tails.

use crate::{Tail, TailError};

impl Tail {
    /// The tail between `self` and `tuned`: weights (1 - alpha) old + alpha tuned. It keeps more of
    /// the old weights' accuracy on other pictures (M. Wortsman and others, "Robust fine-tuning of
    /// zero-shot models", 2022: WiSE-FT, equation 1).
    ///
    /// # Errors
    /// [`TailError::Foreign`] if the tails have different weights.
    pub fn interpolate(&self, tuned: &Self, alpha: f32) -> Result<Self, TailError> {
        let mut between = self.clone();
        if self.tensors.len() != tuned.tensors.len() {
            return Err(TailError::Foreign {
                reason: format!(
                    "{} tensors beside {}",
                    tuned.tensors.len(),
                    self.tensors.len()
                ),
            });
        }
        for (old, tuned) in between.tensors.iter_mut().zip(&tuned.tensors) {
            if (&old.name, &old.shape) != (&tuned.name, &tuned.shape) {
                return Err(TailError::Foreign {
                    reason: format!("{:?} beside {:?}", tuned.name, old.name),
                });
            }
            for (old, &tuned) in old.values.iter_mut().zip(&tuned.values) {
                *old = (1.0 - alpha) * *old + alpha * tuned;
            }
        }
        Ok(between)
    }
}
