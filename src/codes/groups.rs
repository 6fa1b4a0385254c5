//! Groups of pictures, joined pair by pair: pictures of a store with equal files, or those named as
//! one group.

use std::collections::HashMap;
use std::hash::Hash;

use super::Store;

/// Which pictures belong together (union-find; a group is named by its smallest number).
#[derive(Clone, Debug)]
pub struct Groups {
    /// A picture of the same group with a smaller number, or the picture itself.
    parents: Vec<u32>,
}

impl Groups {
    /// `n` pictures, each in a group of its own.
    #[must_use]
    pub fn new(n: u32) -> Self {
        Self {
            parents: (0..n).collect(),
        }
    }

    /// The group of a picture: the smallest number in it.
    ///
    /// # Panics
    /// If there is no such picture.
    #[must_use]
    pub fn of(&self, picture: u32) -> u32 {
        let mut at = picture;
        while self.parents[at as usize] != at {
            at = self.parents[at as usize];
        }
        at
    }

    /// Joins the groups of two pictures; returns whether they were two groups.
    ///
    /// # Panics
    /// If there is no such picture.
    pub fn join(&mut self, a: u32, b: u32) -> bool {
        let (a_group, b_group) = (self.of(a), self.of(b));
        let name = a_group.min(b_group);
        // Both paths are shortened, so that they do not grow with the group.
        for mut at in [a, b] {
            while self.parents[at as usize] != at {
                at = std::mem::replace(&mut self.parents[at as usize], name);
            }
            self.parents[at as usize] = name;
        }
        a_group != b_group
    }
}

/// Joins the pictures with equal keys.
fn join_equal<K: Eq + Hash>(groups: &mut Groups, keys: impl Iterator<Item = Option<K>>) {
    let mut firsts = HashMap::new();
    for (row, key) in (0..).zip(keys) {
        if let Some(key) = key {
            let first = *firsts.entry(key).or_insert(row);
            groups.join(first, row);
        }
    }
}

impl Store {
    /// Sets the pictures' groups, such as one patient's or one burst's pictures, instead of those
    /// in images.csv. `name_of` maps a picture's path to the name of its group, or to `None` if it
    /// has no group. A group is never divided between training and evaluation, and intervals take
    /// groups into account.
    pub fn group_by(&mut self, name_of: impl Fn(&str) -> Option<String>) {
        for row in &mut self.pictures {
            row.group = name_of(&row.path).map(Into::into);
        }
    }

    /// The group of each picture, numbered from 0 in the order of first appearance. Pictures with
    /// equal files, or with the same group name (see [`Store::group_by`]), belong to one group.
    /// `None` if each picture is its own group.
    ///
    /// # Panics
    /// If there are 2^32 pictures, or more.
    #[must_use]
    pub fn groups(&self) -> Option<Vec<usize>> {
        let n = u32::try_from(self.pictures.len()).expect("fewer than 2^32 pictures");
        let mut groups = Groups::new(n);
        join_equal(
            &mut groups,
            self.pictures.iter().map(|row| Some(row.blake3)),
        );
        let names = self.pictures.iter().map(|row| row.group.as_deref());
        join_equal(&mut groups, names);
        let mut numbers = HashMap::new();
        let of_rows: Vec<_> = (0..n)
            .map(|row| {
                let next = numbers.len();
                *numbers.entry(groups.of(row)).or_insert(next)
            })
            .collect();
        (numbers.len() < of_rows.len()).then_some(of_rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_named_for_their_smallest_picture() {
        let mut groups = Groups::new(6);
        assert!(groups.join(5, 3));
        assert!(groups.join(1, 2));
        assert!(groups.join(3, 2));
        assert!(!groups.join(5, 1));
        let of: Vec<_> = (0..6).map(|picture| groups.of(picture)).collect();
        assert_eq!(of, [0, 1, 1, 1, 4, 1]);
    }
}
