//! The weight of each class in the loss.

use serde::{Deserialize, Serialize};

use crate::named;

/// The factor on the loss of a sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClassWeights {
    /// Every sample counts once.
    #[default]
    None,
    /// All classes have the same total weight: a sample of a class with n of the N samples has
    /// weight N / (K n), with K the number of classes that have samples. This is scikit-learn's
    /// `class_weight="balanced"`.
    Balanced,
}

named!(ClassWeights, "class weights", None => "none", Balanced => "balanced");

impl ClassWeights {
    /// The weights (K) of the samples of each class, from the numbers of samples (K).
    ///
    /// Summed over the samples, they give N. A class without samples has weight 0.
    #[must_use]
    pub(crate) fn of_counts(self, counts: &[usize]) -> Vec<f64> {
        let n_samples: usize = counts.iter().sum();
        let n_present = counts.iter().filter(|&&count| count > 0).count();
        let weight = |&count: &usize| match (self, count) {
            (_, 0) => 0.0,
            (Self::None, _) => 1.0,
            (Self::Balanced, _) => n_samples as f64 / (n_present * count) as f64,
        };
        counts.iter().map(weight).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn balanced_classes_count_the_same_and_absent_ones_nothing() {
        let counts = [6, 0, 2];
        assert_eq!(ClassWeights::None.of_counts(&counts), [1.0, 0.0, 1.0]);
        // 8 samples, 2 classes: 8 / (2 * 6) and 8 / (2 * 2).
        let weights = ClassWeights::Balanced.of_counts(&counts);
        assert_eq!(weights, [8.0 / 12.0, 0.0, 2.0]);
        assert_eq!(ClassWeights::Balanced.of_counts(&[5, 5]), [1.0, 1.0]);
        assert!(ClassWeights::Balanced.of_counts(&[]).is_empty());
    }
}
