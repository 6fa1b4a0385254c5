//! How accuracy grew with the number of training pictures, in words.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::percent;
use super::verdict::{p_value, points};
use crate::evaluate::{Difference, Spread, Verdict};
use crate::head::HeadKind;

/// Accuracy by the number of training pictures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LearningCurve {
    /// From few pictures to all of them.
    pub points: Vec<CurvePoint>,
    /// The gain of each head from the second half of the pictures.
    pub growth: Vec<GrowthOf>,
}

/// Accuracy of the heads with this many training pictures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct CurvePoint {
    /// Number of training pictures.
    pub pictures: usize,
    /// Each head's accuracy, 0 to 1, for every part of the pictures and every seed.
    pub accuracy: Vec<(HeadKind, Spread)>,
}

/// The gain of a head from the second half of the training pictures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct GrowthOf {
    /// The head.
    pub head: HeadKind,
    /// Its accuracy with all pictures minus that with half of them.
    pub doubling: Difference,
}

impl LearningCurve {
    /// A table, and a sentence for each head.
    pub(super) fn to_text(&self) -> String {
        let mut text =
            "\nlearning curve: mean accuracy with so many training pictures\n".to_owned();
        let _ = write!(text, "  {:>8}", "pictures");
        for (head, _) in self.points.iter().take(1).flat_map(|point| &point.accuracy) {
            let _ = write!(text, "  {:>18}", head.name());
        }
        text.push('\n');
        for CurvePoint { pictures, accuracy } in &self.points {
            let _ = write!(text, "  {pictures:>8}");
            for (_, spread) in accuracy {
                let _ = write!(text, "  {:>18}", percent(spread.mean));
            }
            text.push('\n');
        }
        for growth in &self.growth {
            let _ = writeln!(text, "  {}", growth.sentence());
        }
        text
    }
}

impl GrowthOf {
    /// Whether more pictures would help, in a sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let told = &self.doubling;
        let (low, high) = told.interval_95;
        let meaning = match told.verdict() {
            Verdict::First => "more pictures are likely to help",
            Verdict::Second => "more pictures did not help",
            Verdict::Same => "more pictures like these are not likely to help",
            Verdict::Undecided => "whether more pictures would help is not decided",
        };
        format!(
            "The {}: {meaning}; the second half of them changed the accuracy by {} points, 95% from {} to {} ({}).",
            self.head.title(),
            points(told.difference),
            points(low),
            points(high),
            p_value(told.p_value)
        )
    }
}
