//! Conformal prediction: a threshold that the score of a new picture does not exceed, from the
//! scores of pictures that a head was not trained on.
//!
//! For G groups with n_g scores s in group g, the scores in ascending order have the levels
//!
//! ```text
//! a(t) = sum over the scores s <= t of  1 / ((G + 1) n_g)
//! ```
//!
//! and the threshold of a level between two scores is interpolated linearly. A picture of a new
//! group, from the same source as the others, has a score of at most t with a probability of at
//! least a(t). If each picture is its own group and no scores are equal, that probability is at
//! most a(t) + 1 / (G + 1). Nothing is assumed about the head or the distribution (V. Vovk, A.
//! Gammerman and G. Shafer, "Algorithmic learning in a random world", 2005; with groups, Y. Lee, R.
//! Barber and R. Willett, "Distribution-free inference with hierarchical data", 2023, section 3).
//!
//! With few groups, levels are several points apart. Scores out of fold also come from heads
//! trained on fewer pictures, especially of the picture's own class. Both make sets too large.
//! Between two scores, a level is kept on average; `cargo bench --bench intervals` counts how well.

/// Sorted scores of pictures by a head that was not trained on them.
#[derive(Clone, Debug, PartialEq)]
pub struct ConformalScores {
    /// Scores in ascending order, each with the total weight of all scores up to it, below 1.
    cumulative: Vec<(f32, f64)>,
}

/// Rounding error of a sum of weights.
const ROUNDING: f64 = 1e-9;

impl ConformalScores {
    /// Takes scores (N), with the size of each picture's group (N), the picture itself included.
    ///
    /// # Panics
    /// If their numbers differ, or a group has no picture.
    #[must_use]
    pub fn new(scores: &[f32], group_sizes: &[f32]) -> Self {
        assert_eq!(scores.len(), group_sizes.len(), "a size for each score");
        assert!(
            group_sizes.iter().all(|&size| size >= 1.0),
            "no empty group"
        );
        let shares = group_sizes.iter().map(|&size| 1.0 / f64::from(size));
        // In this sum each group has a weight of 1.
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

    /// The score that a new picture does not exceed with a probability of `level`. `None` if there
    /// are too few scores, which is so above [`ConformalScores::highest_level`].
    #[must_use]
    pub fn threshold(&self, level: f64) -> Option<f32> {
        let below = |&(_, reached): &(f32, f64)| reached < level - ROUNDING;
        let next = self.cumulative.partition_point(below);
        let &(score, reached) = self.cumulative.get(next)?;
        let Some(&(before, reached_before)) =
            next.checked_sub(1).map(|last| &self.cumulative[last])
        else {
            return Some(score);
        };
        let share = ((level - reached_before) / (reached - reached_before)).clamp(0.0, 1.0);
        let between = f64::from(before) + share * (f64::from(score) - f64::from(before));
        // For equal scores, or at the exact level of a score, that score itself.
        Some(if share > 1.0 - ROUNDING {
            score
        } else {
            between as f32
        })
    }

    /// The highest level that has a threshold: G / (G + 1) for G groups, 0 without scores.
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
        // Each for itself: the k-th of 9 scores has the level k / 10. Below the first there is nothing between.
        let scores: Vec<f32> = (1..=9).rev().map(|score| score as f32).collect();
        let alone = ConformalScores::new(&scores, &[1.0; 9]);
        assert_eq!(alone.threshold(0.9), Some(9.0));
        assert_eq!(alone.threshold(0.8), Some(8.0));
        assert_eq!(alone.threshold(0.875), Some(8.75));
        assert_eq!(alone.threshold(0.05), Some(1.0));
        assert_eq!(alone.threshold(0.901), None);
        assert!((alone.highest_level() - 0.9).abs() < 1e-12);
        // Three groups, of 4, 1 and 1: a quarter of a quarter for each of the four.
        let grouped = ConformalScores::new(
            &[1.0, 2.0, 3.0, 4.0, 10.0, 20.0],
            &[4.0, 4.0, 4.0, 4.0, 1.0, 1.0],
        );
        assert_eq!(grouped.threshold(0.25), Some(4.0));
        assert_eq!(grouped.threshold(0.375), Some(7.0));
        assert_eq!(grouped.threshold(0.5), Some(10.0));
        assert_eq!(grouped.threshold(0.75), Some(20.0));
        assert_eq!(grouped.threshold(0.76), None);
    }

    #[test]
    fn without_scores_nothing_is_told() {
        let none = ConformalScores::new(&[], &[]);
        assert_eq!((none.threshold(0.1), none.highest_level()), (None, 0.0));
    }
}
