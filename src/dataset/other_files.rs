//! Files among the pictures that are none by their endings, counted.

use std::collections::BTreeMap;
use std::fmt;

/// The most endings that are told apart, and the longest one: names may be a stranger's.
const MAX_ENDINGS: usize = 20;
const MAX_LENGTH: usize = 8;

/// What phones save pictures as, and no decoder here reads.
const HEIC: [&str; 2] = ["heic", "heif"];

/// Files that were passed over because their endings are not those of pictures, counted by ending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OtherFiles {
    /// Numbers of files by ending, in lower case.
    by_ending: BTreeMap<String, usize>,
    /// Files without an ending, and with one that is not told apart.
    others: usize,
}

impl OtherFiles {
    /// Counts a file of this name.
    pub(super) fn add(&mut self, name: &[u8]) {
        match self.known_ending(name) {
            Some(ending) => *self.by_ending.entry(ending).or_insert(0) += 1,
            None => self.others += 1,
        }
    }

    /// The ending that the file is counted under.
    fn known_ending(&self, name: &[u8]) -> Option<String> {
        let file = name.rsplit(|&byte| byte == b'/').next()?;
        let dot = file.iter().rposition(|&byte| byte == b'.')?;
        let ending = str::from_utf8(&file[dot + 1..]).ok()?.to_ascii_lowercase();
        let is_plain = ending.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let has_length = (1..=MAX_LENGTH).contains(&ending.len());
        let has_room = self.by_ending.len() < MAX_ENDINGS || self.by_ending.contains_key(&ending);
        (dot > 0 && is_plain && has_length && has_room).then_some(ending)
    }

    /// How many files there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_ending.values().sum::<usize>() + self.others
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The most frequent first, with what to do about pictures of phones: `12 .heic, 1 .txt (save HEIC as JPEG)`.
impl fmt::Display for OtherFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut endings: Vec<_> = self.by_ending.iter().collect();
        endings.sort_by_key(|&(_, n)| std::cmp::Reverse(n));
        let endings = endings
            .into_iter()
            .map(|(ending, n)| format!("{n} .{ending}"));
        let others = (self.others > 0).then(|| match self.by_ending.is_empty() {
            true => self.others.to_string(),
            false => format!("{} of other endings", self.others),
        });
        let counted: Vec<_> = endings.chain(others).collect();
        f.write_str(&counted.join(", "))?;
        match HEIC
            .iter()
            .any(|ending| self.by_ending.contains_key(*ending))
        {
            true => f.write_str(" (save HEIC as JPEG)"),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(names: &[&str]) -> OtherFiles {
        let mut files = OtherFiles::default();
        names.iter().for_each(|name| files.add(name.as_bytes()));
        files
    }

    #[test]
    fn files_are_counted_by_ending_and_the_most_frequent_is_told_first() {
        let files = counted(&[
            "a/x.txt", "a/1.HEIC", "b/2.heic", "Makefile", ".hidden", "x.a b",
        ]);
        assert_eq!(
            files.to_string(),
            "2 .heic, 1 .txt, 3 of other endings (save HEIC as JPEG)"
        );
        assert_eq!(files.len(), 6);
        assert_eq!(counted(&["a.d/x"]).to_string(), "1");
        assert!(counted(&[]).is_empty());
    }

    #[test]
    fn a_stranger_cannot_fill_memory_with_endings() {
        let names: Vec<_> = (0..1000).map(|n| format!("x.e{n}")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let files = counted(&names);
        assert_eq!((files.by_ending.len(), files.len()), (MAX_ENDINGS, 1000));
    }
}
