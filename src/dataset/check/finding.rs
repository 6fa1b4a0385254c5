//! What a check can find.

use std::collections::VecDeque;

pub use super::super::duplicates::Likeness;
use super::super::duplicates::Pair;
use crate::names::named;

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
