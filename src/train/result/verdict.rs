//! The conclusion from the comparison of two heads, in sentences: the same in the text and on the
//! page.

use super::{Comparison, HeadResult, percent};
use crate::evaluate::{
    Basis, Difference, MARGIN, OTHER_WAY, POWER, Verdict, pictures_to_tell, smallest_difference,
};
use crate::messages::count;

/// The difference, a fiftieth, for which the needed number of pictures is reported.
const TOLD_DIFFERENCE: f64 = 0.02;

impl Comparison {
    /// Whether one of two heads is better, in a sentence; `None` unless there are two heads.
    #[must_use]
    pub fn verdict(&self) -> Option<String> {
        let (told, [first, second]) = self.compared()?;
        let (low, high) = told.interval_95;
        let (first, second) = (first.title(), second.title());
        let p = p_value(told.p_value);
        Some(match told.verdict() {
            Verdict::First | Verdict::Second => {
                let (better, sign) = match told.verdict() {
                    Verdict::First => (first, 1.0),
                    _ => (second, -1.0),
                };
                let (difference, mut ends) = (sign * told.difference, [sign * low, sign * high]);
                ends.sort_unstable_by(f64::total_cmp);
                format!(
                    "The {better} is better: its accuracy is {} points higher, 95% from {} to {} ({p}).",
                    plain_points(difference),
                    plain_points(ends[0]),
                    plain_points(ends[1])
                )
            }
            Verdict::Same => format!(
                "The {first} and the {second} are the same within {} point: their accuracies differ by {} points, 95% from {} to {} ({p}).",
                plain_points(MARGIN),
                points(told.difference),
                points(low),
                points(high)
            ),
            Verdict::Undecided => format!(
                "Not decided: the {first}'s accuracy minus the {second}'s is {} points, 95% from {} to {} ({p}).",
                points(told.difference),
                points(low),
                points(high)
            ),
        })
    }

    /// What the verdict refers to, the pictures it is based on, and what these could have shown: a
    /// few sentences; none unless there are two heads.
    #[must_use]
    pub fn evidence(&self) -> Vec<String> {
        let Some((told, heads)) = self.compared() else {
            return Vec::new();
        };
        vec![
            self.about(told, heads),
            alone(told, heads),
            chances(told, heads),
            self.power(),
        ]
    }

    /// The first two heads, and the difference between them.
    fn compared(&self) -> Option<(&Difference, [&HeadResult; 2])> {
        match (&self.difference, self.heads.as_slice()) {
            (Some(told), [first, second]) => Some((told, [first, second])),
            _ => None,
        }
    }

    /// What the difference refers to, and how its interval was computed.
    fn about(&self, told: &Difference, heads: [&HeadResult; 2]) -> String {
        let n = self.labels.len();
        let pictures = match self.n_groups() {
            Some(groups) => {
                let groups = count(groups, "group", "groups");
                format!("pictures like these {n} in {groups}")
            }
            None => format!("pictures like these {n}"),
        };
        let [first, second] = heads.map(HeadResult::title);
        match told.basis {
            Basis::Pictures | Basis::Groups => {
                let [first, second] = heads.map(|head| match head.seed {
                    Some(seed) => format!("this {} (seed {seed})", head.title()),
                    None => format!("this {}", head.title()),
                });
                let method = match told.basis {
                    Basis::Groups => "variance between groups, Student's t",
                    _ => "Bonett and Price's interval, McNemar's mid-p",
                };
                format!("It is about {first} and {second}, on {pictures} ({method}).")
            }
            Basis::Seeds => {
                let n_seeds = heads.iter().filter_map(|head| head.by_seed.as_ref());
                let n_seeds = n_seeds.map(|seeds| seeds.values.len()).max().unwrap_or(1);
                format!(
                    "It is about the {first} and the {second} as they come out of this training store with any seed, {n_seeds} of which were tried, on {pictures} (variance of pictures and of seeds, Student's t)."
                )
            }
            Basis::Folds => format!(
                "It is about training the {first} and the {second} on as many {pictures} ({}, Nadeau and Bengio's correction).",
                self.folds_in_words()
            ),
        }
    }

    /// Such as "5 folds", or "10 times 5 folds".
    fn folds_in_words(&self) -> String {
        let n_folds = self.n_folds().unwrap_or(0);
        match self.dealings.len() {
            0 | 1 => format!("{n_folds} folds"),
            n => format!("{n} times {n_folds} folds"),
        }
    }

    /// Which difference these pictures can show, and how many are needed to show two points: sentences.
    #[must_use]
    pub fn power(&self) -> String {
        let (n, worth) = (self.labels.len(), self.design().worth(self.labels.len()));
        let takes = pictures_to_tell(TOLD_DIFFERENCE);
        let (amount, only) = match worth < takes as f64 {
            true => ("few", " only"),
            false => ("many", ""),
        };
        let shown = match smallest_difference(worth) {
            Some(difference) => format!(
                "So {amount} pictures show a difference of {} points or more{only} ({} power, if the other head alone is right on {}).",
                plain_points(difference),
                whole_percent(POWER),
                whole_percent(OTHER_WAY)
            ),
            None => "So few pictures show no difference of any size.".to_owned(),
        };
        let worth_words = match worth < n as f64 - 0.5 {
            true => format!(
                " {} {n} pictures worth about {worth:.0} independent ones.",
                match self.dealings.as_slice() {
                    [] => "Their groups make",
                    _ => "Judging in folds makes",
                }
            ),
            false => String::new(),
        };
        format!(
            "{shown}{worth_words} To tell {} points takes about {} independent pictures.",
            plain_points(TOLD_DIFFERENCE),
            takes
        )
    }
}

/// How many pictures only one of the heads has right, for each head.
fn alone(told: &Difference, [first, second]: [&HeadResult; 2]) -> String {
    let count = |n: f64| match n.fract() {
        0.0 => format!("{n:.0}"),
        _ => format!("{n:.1}"),
    };
    let mean = match told.basis {
        Basis::Seeds | Basis::Folds => " (means over the runs)",
        _ => "",
    };
    format!(
        "Right by the {} alone: {}; by the {} alone: {}{mean}.",
        first.title(),
        count(told.only_first),
        second.title(),
        count(told.only_second)
    )
}

fn chances(told: &Difference, [first, second]: [&HeadResult; 2]) -> String {
    format!(
        "Better by more than {} point: the {} with a probability of {}, the {} with {}; neither: {}.",
        plain_points(MARGIN),
        first.title(),
        bounded_percent(told.chances.first),
        second.title(),
        bounded_percent(told.chances.second),
        bounded_percent(told.chances.same)
    )
}

/// A p-value with three digits, more if three would contradict the verdict, and never 0.
#[must_use]
pub(super) fn p_value(p: f64) -> String {
    if p < 0.001 {
        "p < 0.001".to_owned()
    } else if (p - crate::evaluate::SIGNIFICANCE).abs() < 0.0005 {
        format!("p = {p:.5}")
    } else {
        format!("p = {p:.3}")
    }
}

/// A share as points with a sign, such as `+2.7`; no sign if it rounds to 0.
pub(super) fn points(share: f64) -> String {
    match format!("{:+.1}", 100.0 * share).as_str() {
        "+0.0" | "-0.0" => "0.0".to_owned(),
        text => text.to_owned(),
    }
}

/// A share without a sign, as points; zeros after the point are left out.
fn plain_points(share: f64) -> String {
    let text = format!("{:.1}", 100.0 * share);
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

fn whole_percent(share: f64) -> String {
    format!("{:.0}%", 100.0 * share)
}

/// A probability that is never shown as 0 or 1.
fn bounded_percent(share: f64) -> String {
    match share {
        ..0.001 => "less than 0.1%".to_owned(),
        0.999.. => "more than 99.9%".to_owned(),
        _ => percent(share),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p_values_are_never_zero_and_do_not_contradict_the_verdict() {
        assert_eq!(p_value(0.0), "p < 0.001");
        assert_eq!(p_value(0.0123), "p = 0.012");
        assert_eq!(p_value(0.0496), "p = 0.04960");
        assert_eq!(p_value(0.0504), "p = 0.05040");
        assert_eq!(p_value(1.0), "p = 1.000");
    }

    #[test]
    fn points_have_signs_where_they_mean_something() {
        assert_eq!(
            [0.0274, -0.03, 0.0001, -0.0002].map(points),
            ["+2.7", "-3.0", "0.0", "0.0"]
        );
        assert_eq!([0.01, 0.253].map(plain_points), ["1", "25.3"]);
        assert_eq!(
            [0.0, 0.5, 1.0].map(bounded_percent),
            ["less than 0.1%", "50.0%", "more than 99.9%"]
        );
    }
}
