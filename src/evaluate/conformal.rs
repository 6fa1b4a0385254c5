//! Conformal prediction: which score a new picture stays below, by the scores of pictures that a head
//! was not trained on.
//!
//! For G groups with scores s, n_g of them in group g, the threshold of a level a is
//!
//! ```text
//! the smallest t with   sum over the scores s <= t of  1 / ((G + 1) n_g)  >=  a
//! ```
//!
//! A picture of a new group, from the same source as the others, has a score of at most t with a
//! probability of at least a, and of at most a + 1 / (G + 1) where each picture is a group and no scores
//! are equal. No assumption is made on the head or on the distribution (V. Vovk, A. Gammerman and G. Shafer, "Algorithmic
//! learning in a random world", 2005; with groups, Y. Lee, R. Barber and R. Willett, "Distribution-free
//! inference with hierarchical data", 2023, section 3). Scores out of fold come from heads
//! that were trained on a little less, so that here the level is kept to approximately.

/// Scores of pictures by a head that was not trained on them, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct ConformalScores {
    /// Scores from the smallest on, each with the weight of all scores up to it, below 1.
    cumulative: Vec<(f32, f64)>,
}

/// What is lost to rounding in a sum of weights.
const ROUNDING: f64 = 1e-9;

impl ConformalScores {
    /// Takes scores (N), with the number of pictures in the group of each (N), itself counted.
    ///
    /// # Panics
    /// If these are not as many, or a group has no picture.
    #[must_use]
    pub fn new(scores: &[f32], group_sizes: &[f32]) -> Self {
        assert_eq!(scores.len(), group_sizes.len(), "a size for each score");
        assert!(
            group_sizes.iter().all(|&size| size >= 1.0),
            "no empty group"
        );
        let shares = group_sizes.iter().map(|&size| 1.0 / f64::from(size));
        // Each group has a weight of 1 in this sum.
        let n_groups: f64 = shares.clone().sum();
        let mut cumulative: Vec<_> = scores.iter().copied().zip(shares).collect();
        cumulative.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut sum = 0.0;
        for (_, weight) in &mut cumulative {
            sum += *weight / (n_groups + 1.0);
            *weight = sum;
        }
        Self { cumulative }
    }

    /// The score that a new picture does not exceed with a probability of `level`; nothing where there
    /// are too few scores to tell, which is so above [`ConformalScores::highest_level`].
    #[must_use]
    pub fn threshold(&self, level: f64) -> Option<f32> {
        let reached = |&(_, weight): &(f32, f64)| weight < level - ROUNDING;
        let first = self.cumulative.partition_point(reached);
        self.cumulative.get(first).map(|&(score, _)| score)
    }

    /// The highest level that can be told: G / (G + 1) for G groups, 0 without scores.
    #[must_use]
    pub fn highest_level(&self) -> f64 {
        self.cumulative.last().map_or(0.0, |&(_, weight)| weight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_by_hand() {
        // Each for itself: the k-th of 9 scores has the level k / 10.
        let scores: Vec<f32> = (1..=9).rev().map(|score| score as f32).collect();
        let alone = ConformalScores::new(&scores, &[1.0; 9]);
        assert_eq!(alone.threshold(0.9), Some(9.0));
        assert_eq!(alone.threshold(0.89), Some(9.0));
        assert_eq!(alone.threshold(0.8), Some(8.0));
        assert_eq!(alone.threshold(0.05), Some(1.0));
        assert_eq!(alone.threshold(0.901), None);
        assert!((alone.highest_level() - 0.9).abs() < 1e-12);
        // Three groups, of 4, 1 and 1: a quarter of a quarter for each of the four.
        let grouped = ConformalScores::new(
            &[1.0, 2.0, 3.0, 4.0, 10.0, 20.0],
            &[4.0, 4.0, 4.0, 4.0, 1.0, 1.0],
        );
        assert_eq!(grouped.threshold(0.25), Some(4.0));
        assert_eq!(grouped.threshold(0.26), Some(10.0));
        assert_eq!(grouped.threshold(0.75), Some(20.0));
        assert_eq!(grouped.threshold(0.76), None);
    }

    #[test]
    fn without_scores_nothing_is_told() {
        let none = ConformalScores::new(&[], &[]);
        assert_eq!((none.threshold(0.1), none.highest_level()), (None, 0.0));
    }
}
