//! The effect of the pictures' views, in words.

use serde::{Deserialize, Serialize};

use super::verdict::{p_value, points};
use crate::evaluate::Difference;
use crate::head::HeadKind;
use crate::messages::count;

/// Heads trained and evaluated with several views of each picture, compared with the same heads
/// trained and evaluated with only the picture itself, on the same pictures and in the same folds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ViewsBrought {
    /// The views that the heads were trained on, as a word: `flip`.
    pub trained: String,
    /// The views whose mean was used for evaluation; another store may have other views.
    pub judged: String,
    /// The effect on each head.
    pub heads: Vec<BroughtOf>,
}

/// The effect of views on one head: the kept head, or in the first dealing of folds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct BroughtOf {
    /// The head.
    pub head: HeadKind,
    /// Errors without views.
    pub errors_without: usize,
    /// Errors with views.
    pub errors_with: usize,
    /// Pictures that are right only with views.
    pub wrong_to_right: usize,
    /// Pictures that are right only without views.
    pub right_to_wrong: usize,
    /// Accuracy with views minus accuracy without.
    pub difference: Difference,
}

impl ViewsBrought {
    /// A heading, and a sentence for each head.
    pub(super) fn to_text(&self) -> String {
        let mut text = format!("\n{}\n", self.heading());
        for head in &self.heads {
            text += &format!("  {}\n", head.sentence());
        }
        text
    }

    /// What is compared, in words.
    #[must_use]
    pub fn heading(&self) -> String {
        let Self {
            trained, judged, ..
        } = self;
        let views = match trained == judged {
            true => format!("views {trained}"),
            false => format!("views {trained} in training, {judged} in judging"),
        };
        format!("{views}, against the same heads on the pictures alone:")
    }
}

impl BroughtOf {
    /// The errors, the changed pictures, and the conclusion from the difference, in a sentence
    /// without its full stop.
    #[must_use]
    pub fn sentence(&self) -> String {
        let (low, high) = self.difference.interval_95;
        format!(
            "{}: {} without views, {} with them; {} wrong -> right, {} right -> wrong; accuracy {} points (95% interval {} to {}, {})",
            self.head.title(),
            count(self.errors_without, "error", "errors"),
            self.errors_with,
            self.wrong_to_right,
            self.right_to_wrong,
            points(self.difference.difference),
            points(low),
            points(high),
            p_value(self.difference.p_value)
        )
    }
}
