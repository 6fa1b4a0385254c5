//! One part of a job, and of its store.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An upper limit on shards; it keeps their numbers to five digits.
const MAX_SHARDS: u32 = 99_999;

/// One part of the pictures, and the part of the store made from it: `index` of `count`, counted
/// from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shard {
    index: u32,
    #[serde(rename = "of")]
    count: u32,
}

/// Why a text is not a shard.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShardError {
    /// The text is not of the form I/N.
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
    pub(crate) fn index(self) -> u32 {
        self.index
    }

    /// How many shards there are.
    #[must_use]
    pub(crate) fn count(self) -> u32 {
        self.count
    }

    /// The name of its folder in the store: `part-00003-of-00008`.
    #[must_use]
    pub(crate) fn folder(self) -> String {
        format!("part-{:05}-of-{:05}", self.index, self.count)
    }

    /// The shard whose folder has exactly this name. Its number of shards may be anything.
    pub(super) fn of_folder(name: &str) -> Option<Self> {
        let (index, count) = name.strip_prefix("part-")?.split_once("-of-")?;
        let shard = Self {
            index: index.parse().ok()?,
            count: count.parse().ok()?,
        };
        (shard.folder() == name && shard.is_sound()).then_some(shard)
    }

    /// Whether index and count are valid, which a file cannot be trusted to ensure.
    pub(super) fn is_sound(self) -> bool {
        self.index < self.count
    }

    /// Which of `n` items belong to this shard: consecutive ones, so that all shards in order give
    /// all items.
    #[must_use]
    pub fn range(self, n: usize) -> Range<usize> {
        // In 128 bits, where no product overflows; the result is at most n.
        let start = |index: u32| (u128::from(index) * n as u128 / u128::from(self.count)) as usize;
        start(self.index)..start(self.index + 1)
    }
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(given: &str) -> Result<Self, ShardError> {
        let form = || ShardError::Form {
            given: given.to_owned(),
        };
        let number = |digits: &str| -> Option<u32> {
            // On its own, parse would accept a sign too.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn message(given: &str) -> String {
        given.parse::<Shard>().unwrap_err().to_string()
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
}
