//! Which pictures must stay together.

use std::collections::HashMap;

use regex::Regex;

use crate::check::Checked;
use crate::copies::Groups;
use cnn_codes::dataset::Pictures;

/// Which pictures must stay together.
#[derive(Clone, Debug)]
pub struct Grouping {
    groups: Groups,
    /// Number of pictures whose paths the pattern did not match; each is its own group.
    pub n_unmatched: usize,
}

impl Grouping {
    /// The group of a picture: the number of its first picture.
    pub(super) fn of(&self, picture: usize) -> usize {
        self.groups.of(number(picture)) as usize
    }
}

/// Groups `pictures` by two rules: pictures that show the same, as found by `checked` (its first
/// input must be these pictures), and pictures whose paths give the same text under `group_by`: its
/// first capture group or, without one, the whole match.
///
/// A picture in two groups joins them.
///
/// # Panics
/// If there are 2^32 pictures or more.
#[must_use]
pub fn group(pictures: &Pictures, checked: Option<&Checked>, group_by: Option<&Regex>) -> Grouping {
    let n = pictures.listed.len();
    let mut grouping = Grouping {
        groups: Groups::new(number(n)),
        n_unmatched: 0,
    };
    if let Some(checked) = checked {
        for picture in 0..n {
            let first = checked.group_of(picture);
            grouping.groups.join(number(first), number(picture));
        }
    }
    if let Some(group_by) = group_by {
        let mut firsts = HashMap::new();
        for (place, picture) in pictures.listed.iter().enumerate() {
            match group_name(group_by, &picture.path) {
                Some(key) => {
                    let first = *firsts.entry(key).or_insert(place);
                    grouping.groups.join(number(first), number(place));
                }
                None => grouping.n_unmatched += 1,
            }
        }
    }
    grouping
}

/// The name of a picture's group, from its path: the pattern's first capture group or, without one,
/// the whole match; `None` if it does not match.
#[must_use]
pub fn group_name<'p>(group_by: &Regex, path: &'p str) -> Option<&'p str> {
    let captures = group_by.captures(path)?;
    let key = captures.get(1).or_else(|| captures.get(0))?;
    Some(key.as_str())
}

fn number(picture: usize) -> u32 {
    u32::try_from(picture).expect("fewer than 2^32 pictures")
}

#[cfg(test)]
mod tests {
    use super::*;
    use cnn_codes::dataset::{Picture, Place};

    fn groups(group_by: &str) -> (Vec<usize>, usize) {
        let paths = ["a/p1-x.jpg", "a/p2-x.jpg", "b/p1-y.jpg", "b/other.jpg"];
        let pictures = Pictures {
            listed: paths
                .map(|path| Picture {
                    path: path.into(),
                    label: Some(0),
                    group: None,
                    place: Place::File,
                })
                .to_vec(),
            ..Pictures::default()
        };
        let grouping = group(&pictures, None, Some(&Regex::new(group_by).unwrap()));
        let of = (0..paths.len()).map(|picture| grouping.of(picture));
        (of.collect(), grouping.n_unmatched)
    }

    #[test]
    fn the_first_capture_group_or_the_whole_match_is_the_group() {
        assert_eq!(groups("(p[0-9])-"), (vec![0, 1, 0, 3], 1));
        assert_eq!(groups("p[0-9]-."), (vec![0, 1, 2, 3], 1));
        assert_eq!(groups("-(x)|-(y)"), (vec![0, 0, 2, 3], 1));
        assert_eq!(groups("^./"), (vec![0, 0, 2, 2], 0));
    }
}
