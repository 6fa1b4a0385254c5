//! What a check can find.

use std::collections::VecDeque;

pub use crate::copies::Likeness;
use crate::copies::Pair;
use cnn_codes::named;

/// What can be wrong, from the least harm to the most among duplicates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FindingKind {
    /// A picture that cannot be read or decoded, or not to its end.
    Broken,
    /// A picture with few pixels.
    Tiny,
    /// A picture many times as long as it is wide, or the other way round.
    ExtremeAspect,
    /// A picture of one colour, or nearly.
    Blank,
    /// A class with many times as many pictures as another.
    Imbalance,
    /// Pictures of one class and one input that show the same.
    Duplicate,
    /// Pictures of two classes that show the same: one of the labels is wrong.
    Contradiction,
    /// Pictures of two inputs that show the same: training and validation pictures, for instance.
    Leakage,
    /// A picture whose code is far from those of its class.
    Outlier,
    /// A picture that a head trained without it takes for another class.
    DoubtfulLabel,
}

named!(FindingKind, "finding",
    Broken => "broken", Tiny => "tiny", ExtremeAspect => "extreme_aspect", Blank => "blank",
    Imbalance => "imbalance", Duplicate => "duplicate", Contradiction => "contradiction",
    Leakage => "leakage", Outlier => "outlier", DoubtfulLabel => "doubtful_label");

/// A picture, by where it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PictureName {
    /// The place of its input among those given.
    pub input: usize,
    /// Its path, relative to the input's root.
    pub path: String,
    /// Its class, if it has one.
    pub class: Option<String>,
}

/// Something that is wrong with a picture, or with an input as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub kind: FindingKind,
    /// The picture; nothing where it is the input.
    pub picture: Option<PictureName>,
    /// More about it, in one line.
    pub detail: String,
}

/// Pictures that show the same.
#[derive(Clone, Debug, PartialEq)]
pub struct DuplicateGroup {
    /// Two pictures or more, in their order.
    pub members: Vec<Member>,
    /// [`FindingKind::Duplicate`], [`FindingKind::Contradiction`] and [`FindingKind::Leakage`],
    /// those that are true of it.
    pub kinds: Vec<FindingKind>,
}

/// A picture of a group.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// The picture.
    pub picture: PictureName,
    /// What makes it one of the group: a picture of the group, by its place in it, and how alike
    /// the two are. Nothing for the first.
    pub like: Option<(usize, Likeness)>,
}

impl DuplicateGroup {
    /// The group that `pairs` make: all of its pictures hang together by them, and they are one
    /// fewer than those.
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
        // From the first picture on along the pairs, so that each is said to be like one before.
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
