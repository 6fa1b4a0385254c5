//! The findings of a check.

use std::collections::VecDeque;

pub use crate::copies::Likeness;
use crate::copies::Pair;
use cnn_codes::named;

/// Kinds of findings; among duplicates, from the least harmful to the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FindingKind {
    /// A picture that cannot be read or decoded completely.
    Broken,
    /// A picture with few pixels.
    Tiny,
    /// A picture whose sides differ extremely.
    ExtremeAspect,
    /// A picture of a single colour, or nearly.
    Blank,
    /// A class with many more pictures than another.
    Imbalance,
    /// Pictures of one class and one input that show the same.
    Duplicate,
    /// Pictures of two classes that show the same: one of the labels is wrong.
    Contradiction,
    /// Pictures of two inputs that show the same, for instance training and validation pictures.
    Leakage,
    /// A picture whose code is far from the other codes of its class.
    Outlier,
    /// A picture for which a head trained without it predicts another class.
    DoubtfulLabel,
}

named!(FindingKind, "finding",
    Broken => "broken", Tiny => "tiny", ExtremeAspect => "extreme_aspect", Blank => "blank",
    Imbalance => "imbalance", Duplicate => "duplicate", Contradiction => "contradiction",
    Leakage => "leakage", Outlier => "outlier", DoubtfulLabel => "doubtful_label");

/// A picture, identified by its input and path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PictureName {
    /// Index of its input among the given ones.
    pub input: usize,
    /// Its path, relative to the input's root.
    pub path: String,
    /// Its class, if it has one.
    pub class: Option<String>,
}

/// A problem of a picture, or of a whole input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The kind of problem.
    pub kind: FindingKind,
    /// The picture; `None` if the problem concerns the whole input.
    pub picture: Option<PictureName>,
    /// Details, in one line.
    pub detail: String,
}

/// Pictures that show the same.
#[derive(Clone, Debug, PartialEq)]
pub struct DuplicateGroup {
    /// Two or more pictures, in order.
    pub members: Vec<Member>,
    /// The kinds that apply: [`FindingKind::Duplicate`], [`FindingKind::Contradiction`] and
    /// [`FindingKind::Leakage`].
    pub kinds: Vec<FindingKind>,
}

/// A picture of a group.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// The picture.
    pub picture: PictureName,
    /// Why it belongs to the group: the index of an earlier member, and how similar the two are.
    /// `None` for the first.
    pub like: Option<(usize, Likeness)>,
}

impl DuplicateGroup {
    /// The group formed by `pairs`, which connect all of its pictures; there is one pair fewer than
    /// pictures.
    pub(super) fn new(pairs: &[Pair], name: impl Fn(u32) -> PictureName) -> Self {
        let mut numbers: Vec<u32> = pairs
            .iter()
            .flat_map(|pair| [pair.first, pair.second])
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        let place = |number| numbers.partition_point(|&other| other < number);
        let mut members: Vec<Member> = numbers
            .iter()
            .map(|&number| Member {
                picture: name(number),
                like: None,
            })
            .collect();
        let mut neighbours: Vec<Vec<(usize, Likeness)>> = vec![Vec::new(); members.len()];
        for pair in pairs {
            let (a, b) = (place(pair.first), place(pair.second));
            neighbours[a].push((b, pair.likeness));
            neighbours[b].push((a, pair.likeness));
        }
        // Follows the pairs from the first picture, so that each picture refers to an earlier one.
        let mut reached = VecDeque::from([0]);
        while let Some(from) = reached.pop_front() {
            for &(to, likeness) in &neighbours[from] {
                if to != 0 && members[to].like.is_none() {
                    members[to].like = Some((from, likeness));
                    reached.push_back(to);
                }
            }
        }
        let kinds = kinds(&members);
        Self { members, kinds }
    }
}

fn kinds(members: &[Member]) -> Vec<FindingKind> {
    let mut kinds = Vec::new();
    let places = || members.iter().map(|member| &member.picture);
    let mut classes: Vec<_> = places()
        .map(|picture| (picture.input, &picture.class))
        .collect();
    classes.sort_unstable();
    if classes.windows(2).any(|pair| pair[0] == pair[1]) {
        kinds.push(FindingKind::Duplicate);
    }
    let mut labels: Vec<_> = places()
        .filter_map(|picture| picture.class.as_ref())
        .collect();
    labels.sort_unstable();
    labels.dedup();
    if labels.len() > 1 {
        kinds.push(FindingKind::Contradiction);
    }
    let first = members[0].picture.input;
    if places().any(|picture| picture.input != first) {
        kinds.push(FindingKind::Leakage);
    }
    kinds
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pictures 0 to 3, 0 and 1 of an input and 2 and 3 of another, of a class for each.
    fn picture(number: u32) -> PictureName {
        PictureName {
            input: number as usize / 2,
            path: number.to_string(),
            class: Some(format!("class {number}")),
        }
    }

    fn group(pairs: &[(u32, u32)], name: impl Fn(u32) -> PictureName) -> DuplicateGroup {
        let pair = |&(first, second)| Pair {
            first,
            second,
            likeness: Likeness::Exact,
        };
        DuplicateGroup::new(&pairs.iter().map(pair).collect::<Vec<_>>(), name)
    }

    #[test]
    fn each_picture_is_said_to_be_like_one_that_hangs_together_with_the_first() {
        let group = group(&[(1, 3), (2, 3), (0, 2)], picture);
        let like = group.members.iter().map(|member| Some(member.like?.0));
        assert_eq!(like.collect::<Vec<_>>(), [None, Some(3), Some(0), Some(2)]);
    }

    #[test]
    fn a_group_is_of_all_kinds_that_are_true_of_it() {
        let kinds = |pairs: &[(u32, u32)], classes: [&str; 4]| {
            let name = |number| PictureName {
                class: Some(classes[number as usize].to_owned()),
                ..picture(number)
            };
            group(pairs, name).kinds
        };
        use FindingKind::{Contradiction, Duplicate, Leakage};
        assert_eq!(kinds(&[(0, 1)], ["a"; 4]), [Duplicate]);
        assert_eq!(kinds(&[(0, 1)], ["a", "b", "a", "a"]), [Contradiction]);
        assert_eq!(kinds(&[(0, 2)], ["a"; 4]), [Leakage]);
        let all = [Duplicate, Contradiction, Leakage];
        assert_eq!(kinds(&[(0, 1), (1, 2)], ["a", "a", "b", "b"]), all);
    }
}
