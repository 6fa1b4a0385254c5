//! Evaluated pictures that the heads were trained on.

use serde::{Deserialize, Serialize};

use super::{Comparison, percent};
use crate::messages::visible;

/// The most pictures that are named in a sentence.
const NAMED: usize = 3;

/// Evaluated pictures that are also in the training store: equal files, or pictures of a group in
/// it. They say nothing about other pictures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Overlap {
    /// Their rows among the evaluated pictures, ascending; at least one, and not all.
    pub rows: Vec<usize>,
}

impl Overlap {
    /// How many there are, which ones, and the heads' results without them; without a full stop.
    #[must_use]
    pub fn sentence(&self, comparison: &Comparison) -> String {
        let n = comparison.labels.len();
        let whose = match comparison.test_store {
            Some(_) => "test",
            None => "validation",
        };
        let named = self.rows.iter().take(NAMED);
        let mut names: Vec<_> = named
            .map(|&row| visible(&comparison.pictures[row]))
            .collect();
        if self.rows.len() > NAMED {
            names.push(format!("and {} more", self.rows.len() - NAMED));
        }
        let without = comparison.heads.iter().map(|head| {
            let right = head.evaluation.correct();
            let is_other = |row: &usize| self.rows.binary_search(row).is_err();
            let others: Vec<_> = (0..n).filter(is_other).collect();
            let errors = others.iter().filter(|&&row| !right[row]).count();
            let accuracy = (others.len() - errors) as f64 / others.len() as f64;
            format!(
                "{} {} ({errors}/{} errors)",
                head.name,
                percent(accuracy),
                others.len()
            )
        });
        format!(
            "{} of {n} {whose} pictures stand in the training store too: {}. Accuracy without them: {}",
            self.rows.len(),
            names.join(", "),
            without.collect::<Vec<_>>().join(", ")
        )
    }
}
