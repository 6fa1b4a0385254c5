//! One part of the pictures, for one of several runs in parallel.

use super::{OtherFiles, Pictures};
use crate::codes::Shard;

impl Pictures {
    /// The pictures of one shard. Shards are consecutive: together, in order, they are all the
    /// pictures.
    ///
    /// Every shard keeps all classes, so that labels mean the same everywhere. Unusable and skipped
    /// files belong to shard 0.
    #[must_use]
    pub fn shard(mut self, shard: Shard) -> Self {
        let range = shard.range(self.listed.len());
        self.listed.truncate(range.end);
        self.listed.drain(..range.start);
        self.listed.shrink_to_fit();
        if shard.index() > 0 {
            self.unusable = Vec::new();
            self.other_files = OtherFiles::default();
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::codes::Failure;
    use crate::dataset::{Picture, Place};

    fn numbered(n: usize) -> Pictures {
        let pictures = (0..n).map(|i| Picture {
            path: i.to_string().into(),
            label: Some(0),
            group: None,
            place: Place::File,
        });
        let mut other_files = OtherFiles::default();
        (0..7).for_each(|_| other_files.add(b"x.txt"));
        Pictures {
            classes: vec!["a".to_owned(), "b".to_owned()],
            listed: pictures.collect(),
            unusable: vec![Failure::not_utf8("x".to_owned())],
            other_files,
            ..Pictures::default()
        }
    }

    #[test]
    fn only_the_first_shard_has_what_was_unusable_or_passed_over() {
        let first = numbered(5).shard(Shard::new(0, 2).unwrap());
        let second = numbered(5).shard(Shard::new(1, 2).unwrap());
        assert_eq!((first.unusable.len(), first.other_files.len()), (1, 7));
        assert_eq!((second.unusable.len(), second.other_files.len()), (0, 0));
        assert_eq!((first.listed.len(), second.listed.len()), (2, 3));
        assert_eq!(second.classes, ["a", "b"]);
    }

    proptest! {
        #[test]
        fn the_shards_in_their_order_are_the_whole_and_differ_by_one_at_most(
            n in 0..200_usize,
            count in 1..50_u32,
        ) {
            let shards: Vec<_> = (0..count)
                .map(|index| numbered(n).shard(Shard::new(index, count).unwrap()))
                .collect();
            let lens = shards.iter().map(|shard| shard.listed.len());
            prop_assert!(lens.clone().max().unwrap() - lens.min().unwrap() <= 1);
            let joined: Vec<_> = shards.into_iter().flat_map(|shard| shard.listed).collect();
            prop_assert_eq!(joined, numbered(n).listed);
        }
    }
}
