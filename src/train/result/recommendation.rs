//! The default head.

use serde::{Deserialize, Serialize};

use crate::head::HeadKind;

/// The default head, chosen on the training store alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Recommendation {
    /// The head.
    pub head: HeadKind,
    /// Log loss of each head's out-of-fold predictions on the training store, in the order of the
    /// heads; empty if there are none, and the simplest head is used.
    pub log_losses: Vec<(HeadKind, f64)>,
}

impl Recommendation {
    /// The head with the smallest log loss; of equal ones, the first. Without losses it is the
    /// logistic regression if `heads` contains it, else the first of these.
    pub(in crate::train) fn of(
        heads: &[HeadKind],
        log_losses: Vec<(HeadKind, f64)>,
    ) -> Option<Self> {
        let smallest = log_losses.iter().min_by(|a, b| a.1.total_cmp(&b.1));
        let is_judged = log_losses.len() == heads.len();
        let simplest = heads.iter().find(|&&head| head == HeadKind::Logistic);
        let head = match smallest {
            Some(&(head, _)) if is_judged => head,
            _ => *simplest.or(heads.first())?,
        };
        Some(Self {
            head,
            log_losses: if is_judged { log_losses } else { Vec::new() },
        })
    }

    /// Which of so many heads, and why.
    #[must_use]
    pub fn sentence(&self, n_heads: usize) -> String {
        let taken = format!("predict and export take the {}", self.head.title());
        match self.log_losses.as_slice() {
            _ if n_heads == 1 => format!("{taken}, the only head."),
            [] => format!(
                "{taken}, the simplest: the training store was not asked which is better, as cross-validation would."
            ),
            losses => {
                let losses = losses
                    .iter()
                    .map(|(head, loss)| format!("{head} {loss:.4}"));
                format!(
                    "{taken}, whose log loss out of fold on the training store is the smallest: {}.",
                    losses.collect::<Vec<_>>().join(", ")
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use HeadKind::{Logistic, Mlp, NearestCentroid};

    fn head(heads: &[HeadKind], losses: &[(HeadKind, f64)]) -> HeadKind {
        Recommendation::of(heads, losses.to_vec()).unwrap().head
    }

    #[test]
    fn the_training_store_decides_or_else_the_simplest_is_taken() {
        assert_eq!(head(&[Mlp, Logistic], &[(Mlp, 0.1), (Logistic, 0.2)]), Mlp);
        assert_eq!(
            head(&[Mlp, Logistic], &[(Mlp, 0.3), (Logistic, 0.2)]),
            Logistic
        );
        assert_eq!(head(&[Mlp, Logistic], &[]), Logistic);
        // One that was not judged cannot be beaten.
        assert_eq!(head(&[Mlp, Logistic], &[(Mlp, 0.1)]), Logistic);
        assert_eq!(head(&[NearestCentroid], &[]), NearestCentroid);
        assert_eq!(Recommendation::of(&[], Vec::new()), None);
    }

    #[test]
    fn one_head_is_called_the_only_one_whether_it_was_judged_in_folds_or_not() {
        for losses in [Vec::new(), vec![(Mlp, 0.1)]] {
            let of_one = Recommendation::of(&[Mlp], losses).unwrap();
            assert_eq!(
                of_one.sentence(1),
                "predict and export take the MLP, the only head."
            );
        }
    }
}
