//! A part of the pictures, for one of several runs side by side.

use std::fmt;
use std::str::FromStr;

use super::Pictures;

/// More shards than anyone runs; it keeps their numbers to five digits.
const MAX_SHARDS: u32 = 99_999;

/// Which part of the pictures: `index` of `count`, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: u32,
    count: u32,
}

/// Why a text names no shard.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShardError {
    /// It is not of the form I/N.
    #[error("'{given}' is no shard; write I/N, as 0/4 for the first of four")]
    Form {
        /// The text.
        given: String,
    },
    /// There are no shards, or too many.
    #[error("{count} shards cannot be made; the number after the / is 1 to {MAX_SHARDS}")]
    Count {
        /// The number of shards.
        count: u32,
    },
    /// The index is not below the count.
    #[error("there is no shard {index} of {count}; shards count from 0, so the last is {}/{count}", count - 1)]
    Index {
        /// The index.
        index: u32,
        /// The number of shards.
        count: u32,
    },
}

impl Shard {
    /// Part `index` of `count`, counted from 0.
    ///
    /// # Errors
    /// [`ShardError`] unless `index < count` and `count` is 1 to 99,999.
    pub fn new(index: u32, count: u32) -> Result<Self, ShardError> {
        if !(1..=MAX_SHARDS).contains(&count) {
            return Err(ShardError::Count { count });
        }
        if index >= count {
            return Err(ShardError::Index { index, count });
        }
        Ok(Self { index, count })
    }

    /// Which shard it is, counted from 0.
    #[must_use]
    pub fn index(self) -> u32 {
        self.index
    }

    /// How many shards there are.
    #[must_use]
    pub fn count(self) -> u32 {
        self.count
    }

    /// Where the shards before this one end, among `n` items.
    fn start(index: u32, count: u32, n: usize) -> usize {
        // In 128 bits, where no product overflows; the result is at most n.
        (u128::from(index) * n as u128 / u128::from(count)) as usize
    }
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(given: &str) -> Result<Self, ShardError> {
        let form = || ShardError::Form {
            given: given.to_owned(),
        };
        let number = |digits: &str| -> Option<u32> {
            // By itself, parse takes a sign too.
            let all_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
            all_digits.then(|| digits.parse().ok()).flatten()
        };
        let (index, count) = given.split_once('/').ok_or_else(form)?;
        let index = number(index).ok_or_else(form)?;
        let count = number(count).ok_or_else(form)?;
        Self::new(index, count)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl Pictures {
    /// The pictures of one shard: consecutive ones, so that the shards in their order give all.
    ///
    /// Classes stay whole, so that labels mean the same in every shard. What was found unusable
    /// or passed over belongs to shard 0.
    #[must_use]
    pub fn shard(mut self, shard: Shard) -> Self {
        let n = self.pictures.len();
        let start = Shard::start(shard.index, shard.count, n);
        let end = Shard::start(shard.index + 1, shard.count, n);
        self.pictures.truncate(end);
        self.pictures.drain(..start);
        self.pictures.shrink_to_fit();
        if shard.index > 0 {
            self.unusable = Vec::new();
            self.n_other_files = 0;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dataset::{Failure, Picture, Place};

    fn message(given: &str) -> String {
        given.parse::<Shard>().unwrap_err().to_string()
    }

    fn numbered(n: usize) -> Pictures {
        let pictures = (0..n).map(|i| Picture {
            path: i.to_string().into(),
            label: Some(0),
            place: Place::File,
        });
        Pictures {
            classes: vec!["a".to_owned(), "b".to_owned()],
            pictures: pictures.collect(),
            unusable: vec![Failure::not_utf8("x".to_owned())],
            n_other_files: 7,
            ..Pictures::default()
        }
    }

    #[test]
    fn a_shard_is_printed_as_it_is_read() {
        for text in ["0/1", "3/4", "99998/99999"] {
            assert_eq!(text.parse::<Shard>().unwrap().to_string(), text);
        }
        let shard: Shard = "2/5".parse().unwrap();
        assert_eq!((shard.index(), shard.count()), (2, 5));
    }

    #[test]
    fn what_is_no_shard_is_refused_with_what_to_write() {
        for text in [
            "",
            "1",
            "/",
            "1/",
            "/2",
            "a/2",
            "+1/2",
            "1/-2",
            "1/2/3",
            "1 /2",
            "4294967296/2",
        ] {
            let expected = format!("'{text}' is no shard; write I/N, as 0/4 for the first of four");
            assert_eq!(message(text), expected);
        }
        assert_eq!(
            message("4/4"),
            "there is no shard 4 of 4; shards count from 0, so the last is 3/4"
        );
        assert_eq!(
            message("0/0"),
            "0 shards cannot be made; the number after the / is 1 to 99999"
        );
        assert!(message("0/100000").starts_with("100000 shards"));
    }

    #[test]
    fn only_the_first_shard_has_what_was_unusable_or_passed_over() {
        let first = numbered(5).shard(Shard::new(0, 2).unwrap());
        let second = numbered(5).shard(Shard::new(1, 2).unwrap());
        assert_eq!((first.unusable.len(), first.n_other_files), (1, 7));
        assert_eq!((second.unusable.len(), second.n_other_files), (0, 0));
        assert_eq!((first.pictures.len(), second.pictures.len()), (2, 3));
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
            let lens = shards.iter().map(|shard| shard.pictures.len());
            prop_assert!(lens.clone().max().unwrap() - lens.min().unwrap() <= 1);
            let joined: Vec<_> = shards.into_iter().flat_map(|shard| shard.pictures).collect();
            prop_assert_eq!(joined, numbered(n).pictures);
        }
    }
}
