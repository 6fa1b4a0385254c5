//! Groups of pictures, joined pair by pair.

/// Which pictures belong together (union-find, the smallest number of a group is its name).
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

    /// Makes one group of two; whether they were two.
    ///
    /// # Panics
    /// If there is no such picture.
    pub fn join(&mut self, a: u32, b: u32) -> bool {
        let (a_group, b_group) = (self.of(a), self.of(b));
        let name = a_group.min(b_group);
        // Both paths are cut short, so that they do not grow with the group.
        for mut at in [a, b] {
            while self.parents[at as usize] != at {
                at = std::mem::replace(&mut self.parents[at as usize], name);
            }
            self.parents[at as usize] = name;
        }
        a_group != b_group
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
