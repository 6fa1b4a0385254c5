//! The journal of an unfinished store: what the job is, and how much of it is on the disk.
//!
//! `journal.jsonl` lies in the draft beside the files that grow. Its first line is the [`Job`];
//! each line after that is a [`Checkpoint`], appended once everything that it counts was synced. So
//! what the last whole line says is on the disk is there after a power failure too, and what lies
//! beyond it is cut off when the job goes on.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::StoreDescription;

/// The journal's file name inside a draft.
pub(super) const JOURNAL: &str = "journal.jsonl";

/// A job: all that must be the same for its store to come out the same, byte for byte.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// What the store's pictures have in common.
    pub store: StoreDescription,
    /// Pictures to deal with, the unusable ones among them.
    pub n_pictures: usize,
    /// Pictures in a batch.
    pub batch_size: usize,
    /// Threads of ONNX Runtime: another number may change the last bits of a code.
    pub threads: usize,
}

impl Job {
    /// Says how this job differs from the one that was `begun`, or `None` where it is the same.
    #[must_use]
    pub fn difference(&self, begun: &Self) -> Option<String> {
        if self.store.listing != begun.store.listing || self.store.classes != begun.store.classes {
            return Some(if self.n_pictures == begun.n_pictures {
                "the pictures differ in their names, order or labels".to_owned()
            } else {
                format!(
                    "the pictures differ: {} then, {} now",
                    begun.n_pictures, self.n_pictures
                )
            });
        }
        if let Some(difference) = begun.store.codes.difference(&self.store.codes) {
            return Some(difference.replacen(" and ", " then, ", 1) + " now");
        }
        let settings = |job: &Self| {
            [
                ("dtype", job.store.dtype.to_string()),
                (
                    "part",
                    job.store
                        .part
                        .map_or("none".to_owned(), |part| part.to_string()),
                ),
                ("batch size", job.batch_size.to_string()),
                ("number of threads", job.threads.to_string()),
                ("JPEG decoder", job.store.decoder.clone()),
                ("version of ONNX Runtime", job.store.onnxruntime.clone()),
                ("provider", job.store.provider.clone()),
                ("number of pictures", job.n_pictures.to_string()),
            ]
        };
        let mut pairs = settings(begun).into_iter().zip(settings(self));
        pairs
            .find(|(begun, now)| begun != now)
            .map(|((what, begun), (_, now))| format!("the {what} differs: {begun} then, {now} now"))
    }
}

/// How far a job is. Everything that is counted here is on the disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// Pictures dealt with, a prefix of the job's.
    pub n_done: usize,
    /// Rows of codes.npy and labels.npy.
    pub n_rows: usize,
    /// Pictures that could not be used, by the kind of reason.
    pub failures: BTreeMap<String, usize>,
    /// Length of images.csv.
    pub images_bytes: u64,
    /// Length of failures.csv.
    pub failures_bytes: u64,
}

/// An open journal.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
}

impl Journal {
    /// Begins the journal of `job` in `draft`.
    pub(super) fn create(draft: &Path, job: &Job) -> io::Result<Self> {
        let file = File::create_new(draft.join(JOURNAL))?;
        let mut journal = Self { file };
        journal.append(job)?;
        Ok(journal)
    }

    /// Opens the journal in `draft` and cuts off what a kill or a power failure left half written.
    ///
    /// `None` if there is none, or not even its first line is whole. The checkpoint is the last
    /// one, or one of nothing.
    pub(super) fn reopen(draft: &Path) -> io::Result<Option<(Self, Job, Checkpoint)>> {
        let path = draft.join(JOURNAL);
        let file = match OpenOptions::new().read(true).write(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut lines = Lines {
            reader: BufReader::new(&file),
            end: 0,
        };
        let Some(job) = lines.next_whole()? else {
            return Ok(None);
        };
        let mut last = Checkpoint::default();
        while let Some(checkpoint) = lines.next_whole()? {
            last = checkpoint;
        }
        let end = lines.end;
        file.set_len(end)?;
        let mut journal = Self { file };
        journal.file.seek(SeekFrom::Start(end))?;
        Ok(Some((journal, job, last)))
    }

    /// Appends a line, and returns once it is on the disk.
    pub(super) fn append(&mut self, entry: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(entry).expect("an entry is plain data");
        line.push(b'\n');
        self.file.write_all(&line)?;
        self.file.sync_data()
    }
}

/// Reads the whole lines at the start of a journal.
struct Lines<R> {
    reader: R,
    /// Bytes of the lines that were read so far.
    end: u64,
}

impl<R: BufRead> Lines<R> {
    /// The next line, unless it is cut short or damaged.
    fn next_whole<T: for<'de> Deserialize<'de>>(&mut self) -> io::Result<Option<T>> {
        let mut line = Vec::new();
        self.reader.read_until(b'\n', &mut line)?;
        if line.last() != Some(&b'\n') {
            return Ok(None);
        }
        let entry = serde_json::from_slice(&line).ok();
        if entry.is_some() {
            self.end += line.len() as u64;
        }
        Ok(entry)
    }
}
