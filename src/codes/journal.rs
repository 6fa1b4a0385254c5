//! The journal of an unfinished store: what the job is, and how much of it is on the disk.
//!
//! `journal.jsonl` lies in the draft beside the growing files. Its first line is the [`Job`]. Each
//! later line is a [`Checkpoint`], appended after everything that it counts was synced. So the data
//! of the last whole line survive a power failure. Data beyond it are cut off when the job resumes.
//!
//! A whole line with impossible numbers is an error, because the contents of the files are then
//! unknown.

use std::collections::BTreeMap;
use std::io::{self, BufRead};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Shard, StoreDescription};
use crate::files::{JsonLines, WholeLines};

/// The journal's file name inside a draft.
pub(super) const JOURNAL: &str = "journal.jsonl";

/// A job: everything that must be equal for its store to be equal, byte for byte.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// What the store's pictures have in common.
    pub store: StoreDescription,
    /// Number of pictures, including the unusable ones.
    pub n_pictures: usize,
    /// Pictures in a batch.
    pub batch_size: usize,
    /// Threads of ONNX Runtime: another number may change the last bits of a code.
    pub threads: usize,
}

impl Job {
    /// Says how this job differs from the one that was `begun`; `None` if both are the same.
    #[must_use]
    pub(crate) fn difference(&self, begun: &Self) -> Option<String> {
        if self.store.listing != begun.store.listing || self.store.classes != begun.store.classes {
            return Some(if self.n_pictures == begun.n_pictures {
                "the pictures differ in their names, order, labels or groups".to_owned()
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
                ("choice of views", job.store.views.to_string()),
                (
                    "part",
                    job.store.part.map_or("none".to_owned(), Shard::folder),
                ),
                ("batch size", job.batch_size.to_string()),
                ("number of threads", job.threads.to_string()),
                ("JPEG decoder", job.store.decoder.clone()),
                ("version of ONNX Runtime", job.store.onnxruntime.clone()),
                ("provider", job.store.provider.clone()),
                ("choice of kernels", job.store.kernels.clone()),
                (
                    "largest number of pixels",
                    job.store
                        .max_pixels
                        .map_or("the default".to_owned(), |n| n.to_string()),
                ),
                ("number of pictures", job.n_pictures.to_string()),
            ]
        };
        let mut pairs = settings(begun).into_iter().zip(settings(self));
        pairs
            .find(|(begun, now)| begun != now)
            .map(|((what, begun), (_, now))| format!("the {what} differs: {begun} then, {now} now"))
    }
}

/// The progress of a job. Everything that is counted here is on the disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// Pictures finished: the first `n_done` of the job.
    pub n_done: usize,
    /// Rows of codes.npy and labels.npy.
    pub n_rows: usize,
    /// Pictures that could not be used, by the kind of reason.
    pub failures: BTreeMap<String, usize>,
    /// Length of images.csv in bytes.
    pub images_bytes: u64,
    /// Length of failures.csv in bytes.
    pub failures_bytes: u64,
}

impl Checkpoint {
    /// Rows and failures; `None` if they are too many to count.
    fn n_settled(&self) -> Option<usize> {
        let mut failures = self.failures.values();
        failures.try_fold(self.n_rows, |sum, &n| sum.checked_add(n))
    }

    /// Checks that each finished picture is a row or a failure, and that no number is smaller than
    /// in `before`.
    ///
    /// Files that are not pictures fail before the first picture is read. So there are more
    /// failures than finished pictures account for, by the same number in every checkpoint of a
    /// job.
    fn check(&self, before: &Self, job: &Job) -> Result<(), String> {
        let more = |checkpoint: &Self| checkpoint.n_settled()?.checked_sub(checkpoint.n_done);
        let is_first = *before == Self::default();
        if more(self).is_none() || (!is_first && more(self) != more(before)) {
            return Err(format!(
                "{} rows and its failures are not the {} pictures that it counts as done",
                self.n_rows, self.n_done
            ));
        }
        if self.n_settled() > Some(job.n_pictures) {
            return Err(format!(
                "it counts more pictures than the {} of the job",
                job.n_pictures
            ));
        }
        let failures_of = |kind: &String| self.failures.get(kind).copied().unwrap_or(0);
        let is_after = self.n_done >= before.n_done
            && self.n_rows >= before.n_rows
            && self.images_bytes >= before.images_bytes
            && self.failures_bytes >= before.failures_bytes
            && (before.failures.iter()).all(|(kind, &n)| failures_of(kind) >= n);
        if is_after {
            Ok(())
        } else {
            Err("it counts less than the line before it".to_owned())
        }
    }
}

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The journal could not be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A line contradicts itself or the line before it.
    #[error("line {line}: {reason}")]
    Contradiction {
        /// The line, counted from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
}

/// Reads the journal of an unfinished store: its job and its last checkpoint. Before the first
/// checkpoint, that is a checkpoint without rows.
///
/// `None` if not even the first line is whole. A line that a kill or a power failure left half
/// written is ignored.
///
/// # Errors
/// [`JournalError`].
pub fn read_journal(journal: impl BufRead) -> Result<Option<(Job, Checkpoint)>, JournalError> {
    let begun = Begun::read(WholeLines::new(journal))?;
    Ok(begun.map(|begun| (begun.job, begun.last)))
}

/// A journal's state: its job and the last checkpoint.
struct Begun {
    job: Job,
    last: Checkpoint,
    /// Length in bytes of the lines read so far.
    n_bytes: u64,
}

impl Begun {
    /// Reads up to the first truncated or damaged line.
    fn read(mut lines: WholeLines<impl BufRead>) -> Result<Option<Self>, JournalError> {
        let Some(job) = next_entry(&mut lines)? else {
            return Ok(None);
        };
        let mut begun = Self {
            job,
            last: Checkpoint::default(),
            n_bytes: lines.n_bytes(),
        };
        let mut line = 1;
        while let Some(checkpoint) = next_entry::<Checkpoint>(&mut lines)? {
            line += 1;
            let checked = checkpoint.check(&begun.last, &begun.job);
            checked.map_err(|reason| JournalError::Contradiction { line, reason })?;
            begun.last = checkpoint;
            begun.n_bytes = lines.n_bytes();
        }
        Ok(Some(begun))
    }
}

/// The entry in the next line; `None` if the line is truncated or damaged.
fn next_entry<T: for<'de> Deserialize<'de>>(
    lines: &mut WholeLines<impl BufRead>,
) -> io::Result<Option<T>> {
    let line = lines.next_line()?;
    Ok(line.and_then(|line| serde_json::from_slice(line).ok()))
}

/// An open journal.
#[derive(Debug)]
pub(super) struct Journal {
    lines: JsonLines,
    /// Number of pictures of the job.
    pub(super) n_pictures: usize,
}

impl Journal {
    /// Starts the journal of `job` in `draft`.
    pub(super) fn create(draft: &Path, job: &Job) -> io::Result<Self> {
        let mut journal = Self {
            lines: JsonLines::create(&draft.join(JOURNAL))?,
            n_pictures: job.n_pictures,
        };
        journal.append(job)?;
        Ok(journal)
    }

    /// Opens the journal in `draft` and cuts off a line that a kill or a power failure left half
    /// written.
    ///
    /// `None` if there is no journal, or if not even its first line is whole. The checkpoint is the
    /// last one, or one without rows.
    pub(super) fn reopen(draft: &Path) -> Result<Option<(Self, Job, Checkpoint)>, JournalError> {
        let Some(mut lines) = JsonLines::open(&draft.join(JOURNAL))? else {
            return Ok(None);
        };
        let Some(begun) = Begun::read(lines.whole())? else {
            return Ok(None);
        };
        lines.cut(begun.n_bytes)?;
        let journal = Self {
            lines,
            n_pictures: begun.job.n_pictures,
        };
        Ok(Some((journal, begun.job, begun.last)))
    }

    /// Appends a line; when this returns, the line is on the disk.
    pub(super) fn append(&mut self, entry: &impl Serialize) -> io::Result<()> {
        self.lines.append(entry)?;
        self.lines.sync()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::super::{CodesIdentity, Dtype, Pool};
    use super::*;
    use crate::model::{OutputSpec, TrunkIdentity};
    use crate::picture::{Decoding, Filter, Fit, Recipe, Resize};

    fn job() -> Job {
        Job {
            store: StoreDescription {
                codes: CodesIdentity {
                    trunk: TrunkIdentity {
                        name: "t".to_owned(),
                        sha256: "0".to_owned(),
                        tensors_sha256: "1".to_owned(),
                        graph_sha256: None,
                    },
                    recipe: Recipe::Caffe,
                    resize: Resize {
                        width: 8,
                        height: 8,
                        fit: Fit::Crop,
                        filter: Filter::Nearest,
                        decoding: Decoding::Full,
                    },
                    output: OutputSpec {
                        name: "o".to_owned(),
                        shape: vec![2, 2, 8],
                        layers: Vec::new(),
                    },
                    pool: Pool::None,
                },
                dtype: Dtype::F32,
                views: Default::default(),
                classes: vec!["a".to_owned(), "b".to_owned()],
                listing: Some("2".to_owned()),
                part: None,
                root: None,
                decoder: "d".to_owned(),
                onnxruntime: "1.32.0".to_owned(),
                provider: "p".to_owned(),
                kernels: "k".to_owned(),
                max_pixels: None,
                grouped: false,
            },
            n_pictures: 100,
            batch_size: 20,
            threads: 2,
        }
    }

    fn checkpoint(n_done: usize) -> Checkpoint {
        Checkpoint {
            n_done,
            n_rows: n_done - 1,
            failures: BTreeMap::from([("empty".to_owned(), 1)]),
            images_bytes: 1000,
            failures_bytes: 50,
        }
    }

    #[test]
    fn wherever_a_power_failure_cuts_the_journal_the_last_whole_line_counts() {
        let place = tempfile::tempdir().unwrap();
        let mut journal = Journal::create(place.path(), &job()).unwrap();
        journal.append(&checkpoint(20)).unwrap();
        journal.append(&checkpoint(40)).unwrap();
        let path = place.path().join(JOURNAL);
        let whole = fs::read(&path).unwrap();
        let ends: Vec<usize> = (0..whole.len()).filter(|&i| whole[i] == b'\n').collect();
        for length in 0..=whole.len() {
            // The blocks behind may be there, and hold anything.
            for tail in [&b""[..], b"\0\0\0", b"{\"n_done\":"] {
                fs::write(&path, [&whole[..length], tail].concat()).unwrap();
                let reopened = Journal::reopen(place.path()).unwrap();
                let n_lines = ends.iter().filter(|&&end| end < length).count();
                let expected = match n_lines {
                    0 => None,
                    1 => Some(Checkpoint::default()),
                    n => Some(checkpoint(20 * (n - 1))),
                };
                assert_eq!(reopened.map(|(_, _, last)| last), expected, "{length}");
            }
        }
    }

    /// What reading a journal of these checkpoints says.
    fn complaint(checkpoints: &[Checkpoint]) -> Option<String> {
        let mut text = serde_json::to_string(&job()).unwrap() + "\n";
        for checkpoint in checkpoints {
            text += &(serde_json::to_string(checkpoint).unwrap() + "\n");
        }
        read_journal(text.as_bytes())
            .err()
            .map(|error| error.to_string())
    }

    proptest! {
        #[test]
        fn any_changed_byte_gives_a_journal_that_adds_up_or_an_error(at: Index, byte: u8) {
            let entries = [checkpoint(20), checkpoint(40), checkpoint(60)];
            let mut text = serde_json::to_vec(&job()).unwrap();
            for entry in &entries {
                text.push(b'\n');
                text.extend(serde_json::to_vec(entry).unwrap());
            }
            text.push(b'\n');
            let at = at.index(text.len());
            text[at] = byte;
            match read_journal(&text[..]) {
                Ok(None) => {}
                Ok(Some((job, last))) => {
                    let n_failures: usize = last.failures.values().sum();
                    prop_assert!(last.n_done <= last.n_rows + n_failures);
                    prop_assert!(last.n_rows + n_failures <= job.n_pictures);
                }
                Err(error) => prop_assert!(error.to_string().starts_with("line "), "{}", error),
            }
        }
    }

    #[test]
    fn checkpoints_whose_numbers_cannot_be_are_refused() {
        let changed = |n_done, change: fn(&mut Checkpoint)| {
            let mut checkpoint = checkpoint(n_done);
            change(&mut checkpoint);
            checkpoint
        };
        let says = |checkpoints: &[Checkpoint], expected: &str| {
            let said = complaint(checkpoints).unwrap();
            assert!(said.contains(expected), "{said}");
        };
        assert_eq!(complaint(&[checkpoint(20), checkpoint(40)]), None);
        // A folder of the list is a failure, and no picture that is done.
        let with_folder = |n_done| {
            changed(n_done, |last| {
                last.failures.insert("not_a_file".to_owned(), 1);
            })
        };
        assert_eq!(complaint(&[with_folder(20), with_folder(40)]), None);
        says(
            &[with_folder(20), checkpoint(40)],
            "line 3: 39 rows and its failures are not the 40",
        );
        says(
            &[changed(20, |last| last.n_done = 36)],
            "line 2: 19 rows and its failures are not the 36 pictures",
        );
        says(
            &[changed(20, |last| {
                last.failures.insert("empty".to_owned(), usize::MAX);
            })],
            "19 rows and its failures",
        );
        says(&[checkpoint(101)], "more pictures than the 100 of the job");
        says(
            &[checkpoint(40), checkpoint(20)],
            "line 3: it counts less than the line before",
        );
        says(
            &[checkpoint(20), changed(40, |last| last.images_bytes = 7)],
            "it counts less than the line before",
        );
        says(
            &[
                checkpoint(20),
                changed(40, |last| {
                    last.failures.clear();
                    last.n_rows = 40;
                }),
            ],
            "it counts less than the line before",
        );
    }

    #[test]
    fn a_reopened_journal_goes_on_after_its_last_whole_line() {
        let place = tempfile::tempdir().unwrap();
        let mut journal = Journal::create(place.path(), &job()).unwrap();
        journal.append(&checkpoint(20)).unwrap();
        let path = place.path().join(JOURNAL);
        let mut bytes = fs::read(&path).unwrap();
        bytes.extend(b"{\"n_do");
        fs::write(&path, bytes).unwrap();
        let (mut journal, begun, last) = Journal::reopen(place.path()).unwrap().unwrap();
        assert_eq!((begun, last), (job(), checkpoint(20)));
        journal.append(&checkpoint(60)).unwrap();
        let (_, _, last) = Journal::reopen(place.path()).unwrap().unwrap();
        assert_eq!(last, checkpoint(60));
    }

    #[test]
    fn every_difference_between_jobs_is_named() {
        assert_eq!(job().difference(&job()), None);
        let differs = |change: fn(&mut Job), expected: &str| {
            let mut now = job();
            change(&mut now);
            let said = now.difference(&job()).unwrap();
            assert!(said.contains(expected), "{said}");
        };
        differs(
            |job| job.n_pictures = 7,
            "number of pictures differs: 100 then, 7 now",
        );
        differs(
            |job| job.batch_size = 7,
            "batch size differs: 20 then, 7 now",
        );
        differs(
            |job| job.threads = 7,
            "number of threads differs: 2 then, 7 now",
        );
        differs(
            |job| job.store.dtype = Dtype::F16,
            "dtype differs: f32 then, f16 now",
        );
        differs(
            |job| job.store.codes.recipe = Recipe::Tf,
            "recipe differs: caffe then, tf now",
        );
        differs(
            |job| job.store.decoder.clear(),
            "JPEG decoder differs: d then",
        );
        differs(
            |job| job.store.onnxruntime.clear(),
            "ONNX Runtime differs: 1.32.0 then",
        );
        differs(|job| job.store.provider.clear(), "provider differs: p then");
        differs(
            |job| job.store.kernels.clear(),
            "choice of kernels differs: k then",
        );
        differs(
            |job| job.store.max_pixels = Some(9),
            "largest number of pixels differs: the default then, 9 now",
        );
        let mut moved = job();
        moved.store.root = Some("/elsewhere".to_owned());
        assert_eq!(moved.difference(&job()), None);
        differs(
            |job| job.store.listing = None,
            "names, order, labels or groups",
        );
        differs(
            |job| job.store.classes.clear(),
            "names, order, labels or groups",
        );
        differs(
            |job| job.store.codes.trunk.tensors_sha256 = "9".to_owned(),
            "trunk differs: t (parameters 1) then, t (parameters 9) now",
        );
    }
}
