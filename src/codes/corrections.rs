//! relabel.csv: people's decisions about the labels of pictures.
//!
//! ```text
//! path     as images.csv has it
//! blake3   of the file, as images.csv has it
//! old      the class in the store; empty for a picture without a label
//! new      the right class; empty if the picture is set aside
//! when     UTC, RFC 3339
//! why      a few words
//! ```
//!
//! A picture may have several lines: the last one counts. So the file is a history, and the last
//! decision is undone by removing the last line. A picture is identified by its path and its bytes
//! together.

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{PictureRow, Store};
use crate::files::{Existing, FileDraft, regular};

/// The file's default name, and its name inside a HEAD that was trained with it.
pub const CORRECTIONS: &str = "relabel.csv";
/// The largest file that is read: 100,000 lines of 600 bytes.
const MAX_BYTES: u64 = 60_000_000;

/// One decision about one picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correction {
    /// Path relative to the input root, with `/` between folders.
    pub path: Box<str>,
    /// BLAKE3 of the file's bytes.
    pub blake3: blake3::Hash,
    /// The class in the store; `None` for a picture without a label.
    pub old: Option<Box<str>>,
    /// The right class; `None` if the picture is set aside.
    pub new: Option<Box<str>>,
    /// Time of the decision: UTC, RFC 3339.
    pub when: Box<str>,
    /// The reason, in a few words.
    pub why: Box<str>,
}

/// All decisions, in the order in which they were made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Corrections {
    all: Vec<Correction>,
    /// Index of each picture's last decision.
    last: HashMap<(Box<str>, blake3::Hash), usize>,
}

/// The effects of corrections on a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Corrected {
    /// Pictures whose class was changed.
    pub changed: usize,
    /// Pictures whose class was confirmed.
    pub confirmed: usize,
    /// Pictures that are left out.
    pub set_aside: usize,
    /// Pictures without a label that were given a class.
    pub labelled: usize,
}

/// Why corrections cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CorrectionsError {
    /// The file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file is not a table of corrections.
    #[error("{} cannot be used: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong, and on which line.
        reason: String,
    },
    /// A picture's new class does not exist.
    #[error("{path} is corrected to '{class}', which is none of the classes: {}", classes.join(", "))]
    UnknownClass {
        /// The picture.
        path: String,
        /// The new class.
        class: String,
        /// The existing classes.
        classes: Vec<String>,
    },
}

/// A line of the file.
#[derive(Serialize, Deserialize)]
struct Line<'a> {
    path: &'a str,
    blake3: &'a str,
    old: &'a str,
    new: &'a str,
    when: &'a str,
    why: &'a str,
}

impl Corrections {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// [`CorrectionsError::Read`] or [`CorrectionsError::Damaged`].
    pub fn read(path: &Path) -> Result<Self, CorrectionsError> {
        let reading = |source| CorrectionsError::Read {
            path: path.to_owned(),
            source,
        };
        let file = regular::open(path).map_err(reading)?;
        let mut bytes = Vec::new();
        let read = file.take(MAX_BYTES + 1).read_to_end(&mut bytes);
        read.map_err(reading)?;
        let damaged = |reason| CorrectionsError::Damaged {
            path: path.to_owned(),
            reason,
        };
        if bytes.len() as u64 > MAX_BYTES {
            let reason = format!("it has more than {} MB", MAX_BYTES / 1_000_000);
            return Err(damaged(reason));
        }
        Self::from_csv(&bytes).map_err(damaged)
    }

    /// Reads the file at `path`; a missing file means that there are no decisions yet.
    ///
    /// # Errors
    /// As [`Corrections::read`].
    pub fn read_if_there(path: &Path) -> Result<Self, CorrectionsError> {
        match Self::read(path) {
            Err(CorrectionsError::Read { source, .. })
                if source.kind() == io::ErrorKind::NotFound =>
            {
                Ok(Self::default())
            }
            read => read,
        }
    }

    /// Writes the file, whole or not at all; when this returns, it is on the disk.
    ///
    /// # Errors
    /// [`CorrectionsError::Write`]; the old file is then unchanged.
    pub fn write(&self, path: &Path) -> Result<(), CorrectionsError> {
        let draft = FileDraft::write(path, &self.to_csv());
        let published = draft.and_then(|draft| draft.publish(Existing::Replace));
        published.map_err(|source| CorrectionsError::Write {
            path: path.to_owned(),
            source,
        })
    }

    /// The table as CSV.
    ///
    /// # Panics
    /// Never: writing to memory does not fail.
    #[must_use]
    pub fn to_csv(&self) -> Vec<u8> {
        let mut table = csv::WriterBuilder::new()
            .has_headers(false)
            .from_writer(Vec::new());
        let header = ["path", "blake3", "old", "new", "when", "why"];
        table.write_record(header).expect("memory takes it");
        for one in &self.all {
            let blake3 = one.blake3.to_hex();
            let line = Line {
                path: &one.path,
                blake3: &blake3,
                old: one.old.as_deref().unwrap_or_default(),
                new: one.new.as_deref().unwrap_or_default(),
                when: &one.when,
                why: &one.why,
            };
            table.serialize(line).expect("memory takes it");
        }
        table.into_inner().expect("memory takes it")
    }

    fn from_csv(bytes: &[u8]) -> Result<Self, String> {
        // Some programs begin a table with a byte order mark.
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut table = csv::Reader::from_reader(bytes);
        let header = table.headers().map_err(|error| error.to_string())?.clone();
        let mut corrections = Self::default();
        let mut record = csv::StringRecord::new();
        while table
            .read_record(&mut record)
            .map_err(|error| error.to_string())?
        {
            let place = record.position().map_or(0, csv::Position::line);
            let line: Line = record
                .deserialize(Some(&header))
                .map_err(|error| error.to_string())?;
            let blake3 = blake3::Hash::from_hex(line.blake3)
                .map_err(|error| format!("line {place}: blake3: {error}"))?;
            let class = |name: &str| (!name.is_empty()).then(|| name.into());
            corrections.add(Correction {
                path: line.path.into(),
                blake3,
                old: class(line.old),
                new: class(line.new),
                when: line.when.into(),
                why: line.why.into(),
            });
        }
        Ok(corrections)
    }

    /// Adds a decision.
    pub fn add(&mut self, correction: Correction) {
        let picture = (correction.path.clone(), correction.blake3);
        self.last.insert(picture, self.all.len());
        self.all.push(correction);
    }

    /// Removes the last decision, and returns it.
    pub fn undo(&mut self) -> Option<Correction> {
        let undone = self.all.pop()?;
        let is_same =
            |other: &Correction| other.path == undone.path && other.blake3 == undone.blake3;
        let picture = (undone.path.clone(), undone.blake3);
        match self.all.iter().rposition(is_same) {
            Some(before) => self.last.insert(picture, before),
            None => self.last.remove(&picture),
        };
        Some(undone)
    }

    /// All decisions, the first one first.
    #[must_use]
    pub fn all(&self) -> &[Correction] {
        &self.all
    }

    /// The decision that counts for a picture.
    #[must_use]
    pub fn of(&self, picture: &PictureRow) -> Option<&Correction> {
        let picture = (picture.path.clone(), picture.blake3);
        self.last.get(&picture).map(|&place| &self.all[place])
    }

    /// Number of pictures with a decision.
    #[must_use]
    pub fn n_pictures(&self) -> usize {
        self.last.len()
    }

    /// Number of pictures of `store` with a decision.
    #[must_use]
    pub fn n_in(&self, store: &Store) -> usize {
        let pictures = store.pictures().iter();
        pictures.filter(|row| self.of(row).is_some()).count()
    }

    /// The class of each picture of `store` (N): an index into `classes`. `None` if the picture is
    /// set aside, or if it has no label and was given none.
    ///
    /// # Errors
    /// [`CorrectionsError::UnknownClass`].
    pub fn labels(
        &self,
        store: &Store,
        classes: &[String],
    ) -> Result<Vec<Option<usize>>, CorrectionsError> {
        let label = |picture: &PictureRow| {
            let Some(correction) = self.of(picture) else {
                return Ok(picture.label);
            };
            let Some(class) = correction.new.as_deref() else {
                return Ok(None);
            };
            let place = classes.iter().position(|name| name == class);
            match place {
                Some(place) => Ok(Some(place)),
                None => Err(CorrectionsError::UnknownClass {
                    path: picture.path.to_string(),
                    class: class.to_owned(),
                    classes: classes.to_vec(),
                }),
            }
        };
        store.pictures().iter().map(label).collect()
    }

    /// The pictures of `store` that have a class among `classes` after the corrections, with that
    /// class. Pictures that are set aside are left out, and so are pictures without a label and
    /// without a decision. Nothing on the disk changes.
    ///
    /// # Errors
    /// [`CorrectionsError::UnknownClass`].
    pub fn apply(
        &self,
        store: &Store,
        classes: &[String],
    ) -> Result<(Store, Corrected), CorrectionsError> {
        let labels = self.labels(store, classes)?;
        let mut done = Corrected::default();
        for (picture, label) in store.pictures().iter().zip(&labels) {
            let count = match (self.of(picture), picture.label, label) {
                (None, ..) => continue,
                (Some(_), _, None) => &mut done.set_aside,
                (Some(_), None, Some(_)) => &mut done.labelled,
                (Some(_), Some(old), Some(new)) if old == *new => &mut done.confirmed,
                (Some(_), Some(_), Some(_)) => &mut done.changed,
            };
            *count += 1;
        }
        let rows = labels.iter().enumerate();
        let rows: Vec<_> = rows
            .filter_map(|(row, label)| label.map(|label| (row, label)))
            .collect();
        Ok((store.labelled(classes, &rows), done))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(path: &str, new: Option<&str>) -> Correction {
        Correction {
            path: path.into(),
            blake3: blake3::hash(path.as_bytes()),
            old: Some("a, b".into()),
            new: new.map(Into::into),
            when: "2026-11-28T07:00:00Z".into(),
            why: "it \"is\"\na c".into(),
        }
    }

    fn row(path: &str) -> PictureRow {
        PictureRow {
            path: path.into(),
            label: Some(0),
            width: 1,
            height: 1,
            blake3: blake3::hash(path.as_bytes()),
            group: None,
        }
    }

    #[test]
    fn the_last_line_of_a_picture_counts_and_can_be_taken_back() {
        let mut corrections = Corrections::default();
        corrections.add(said("1", Some("c")));
        corrections.add(said("2", None));
        corrections.add(said("1", None));
        let class = |corrections: &Corrections, path: &str| {
            let said = corrections.of(&row(path));
            said.map(|said| said.new.as_deref().map(str::to_owned))
        };
        assert_eq!(class(&corrections, "1"), Some(None));
        assert_eq!(corrections.undo().unwrap(), said("1", None));
        assert_eq!(class(&corrections, "1"), Some(Some("c".to_owned())));
        corrections.undo();
        assert_eq!(class(&corrections, "2"), None);
        assert_eq!(class(&corrections, "3"), None);
        let other_bytes = PictureRow {
            blake3: blake3::hash(b"other"),
            ..row("1")
        };
        assert_eq!(corrections.of(&other_bytes), None);
    }

    #[test]
    fn a_table_is_read_as_it_was_written() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join(CORRECTIONS);
        let mut corrections = Corrections::default();
        assert_eq!(
            Corrections::read_if_there(&path).unwrap(),
            Corrections::default()
        );
        corrections.add(said("å/1 \"x\".png", Some("c")));
        corrections.add(said("b,2.png", None));
        corrections.write(&path).unwrap();
        assert_eq!(Corrections::read(&path).unwrap(), corrections);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("path,blake3,old,new,when,why\n"), "{text}");
        // As spreadsheets save it.
        let with_mark = format!("\u{feff}{}", text.replace('\n', "\r\n"));
        std::fs::write(&path, with_mark).unwrap();
        assert_eq!(Corrections::read(&path).unwrap().all().len(), 2);
    }

    #[test]
    fn a_table_of_something_else_is_refused_with_its_line() {
        let refused = |text: &str| Corrections::from_csv(text.as_bytes()).unwrap_err();
        assert!(refused("path,group\n1,2\n").contains("missing field"));
        let wrong = "path,blake3,old,new,when,why\n1,xyz,a,b,,\n";
        assert!(
            refused(wrong).starts_with("line 2: blake3"),
            "{}",
            refused(wrong)
        );
        assert_eq!(Corrections::from_csv(b"").unwrap(), Corrections::default());
    }
}
