//! The log of large pictures that are being decoded.
//!
//! Decoding a large picture may take more memory than there is, and the system then kills the run.
//! The next run would meet the same picture and be killed again. So the draft has a log of large
//! pictures: one line before each is decoded, and one after. A picture with only the first line
//! ended a run; it is listed as a failure. Small pictures are not logged.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::codes::IN_HAND;
use crate::files::JsonLines;

/// A line of the log.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Begun(String),
    Ended(String),
}

/// A large picture that is being processed.
pub(super) struct Noted<'a> {
    log: &'a InHand,
    path: &'a str,
}

impl Drop for Noted<'_> {
    fn drop(&mut self) {
        self.log.append(&Line::Ended(self.path.to_owned()));
    }
}

/// The log of large pictures in a draft.
#[derive(Debug)]
pub(super) struct InHand {
    path: PathBuf,
    /// Opened when there is a picture to log.
    log: Mutex<Option<JsonLines>>,
    ended_a_run: HashSet<String>,
}

impl InHand {
    /// Reads the log in `draft` if an earlier run left one. Damaged lines are skipped, and so is an
    /// unreadable log.
    pub(super) fn open(draft: &Path) -> Self {
        let path = draft.join(IN_HAND);
        Self {
            ended_a_run: read(&path).unwrap_or_default(),
            log: Mutex::new(None),
            path,
        }
    }

    /// Whether an earlier run was killed while it decoded this picture.
    pub(super) fn ended_a_run(&self, path: &str) -> bool {
        self.ended_a_run.contains(path)
    }

    /// Logs that a large picture is about to be read or decoded, while no other is. When the result
    /// is dropped, logs that the picture did no harm.
    pub(super) fn note<'a>(&'a self, path: &'a str) -> Noted<'a> {
        self.append(&Line::Begun(path.to_owned()));
        Noted { log: self, path }
    }

    /// Appends a line. The line outlives the process without a sync. If it cannot be written, only
    /// the warning is lost.
    fn append(&self, line: &Line) {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        if log.is_none() {
            *log = JsonLines::open_at_end(&self.path).ok();
        }
        let _ = log.as_mut().map(|log| log.append(line));
    }
}

/// The pictures that were started and not finished.
fn read(path: &Path) -> io::Result<HashSet<String>> {
    let mut in_hand = HashSet::new();
    let Some(log) = JsonLines::open(path)? else {
        return Ok(in_hand);
    };
    let mut lines = log.whole();
    while let Some(line) = lines.next_line()? {
        match serde_json::from_slice(line) {
            Ok(Line::Begun(path)) => in_hand.insert(path),
            Ok(Line::Ended(path)) => in_hand.remove(&path),
            Err(_) => false,
        };
    }
    Ok(in_hand)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_picture_that_was_begun_and_not_ended_is_remembered_by_every_later_run() {
        let draft = tempfile::tempdir().unwrap();
        let first = InHand::open(draft.path());
        drop(first.note("fine\n.png"));
        // As a process that is killed: nothing is dropped.
        std::mem::forget(first.note("huge.png"));
        let second = InHand::open(draft.path());
        assert!(second.ended_a_run("huge.png") && !second.ended_a_run("fine\n.png"));
        std::mem::forget(second.note("other.png"));
        let third = InHand::open(draft.path());
        assert!(third.ended_a_run("huge.png") && third.ended_a_run("other.png"));
    }

    #[test]
    fn a_line_that_was_cut_says_nothing() {
        let draft = tempfile::tempdir().unwrap();
        fs::write(draft.path().join(IN_HAND), "{\"begun\":\"a.png\"}\n{\"beg").unwrap();
        let log = InHand::open(draft.path());
        assert!(log.ended_a_run("a.png"));
        assert_eq!(log.ended_a_run.len(), 1);
    }
}
