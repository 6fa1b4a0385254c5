//! Finished work, from which a killed run resumes.
//!
//! ```text
//! job           a hash of what is tuned, on which codes, with which options
//! NAME.epoch    state of a training after its last epoch
//! NAME.logits   logits of a training's held-out pictures, epoch by epoch
//! ```
//!
//! Each file is a line of text (epoch, steps, length) followed by little-endian float32, and
//! appears whole or not at all.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::TuneError;
use super::run::Run;
use crate::files::{Existing, FileDraft};

/// The file that identifies the job.
const JOB: &str = "job";

/// A folder for an unfinished run.
pub(super) struct Checkpoint {
    folder: PathBuf,
}

impl Checkpoint {
    /// Opens or creates the folder of a job.
    pub(super) fn open(folder: &Path, job: &str) -> Result<Self, TuneError> {
        let failed = |source| TuneError::Checkpoint {
            path: folder.to_owned(),
            source,
        };
        let path = folder.join(JOB);
        match fs::read_to_string(&path) {
            Ok(there) if there == job => {}
            Ok(_) => {
                let path = folder.to_owned();
                return Err(TuneError::OtherJob { path });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir(folder)
                    .or_else(|error| match error.kind() {
                        io::ErrorKind::AlreadyExists => Ok(()),
                        _ => Err(error),
                    })
                    .and_then(|()| FileDraft::write(&path, job.as_bytes()))
                    .and_then(|draft| draft.publish(Existing::Keep))
                    .map_err(failed)?;
            }
            Err(error) => return Err(failed(error)),
        }
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    /// Removes the folder when nothing in it is needed any more. A failure is harmless.
    pub(super) fn remove(self) {
        let _ = fs::remove_dir_all(&self.folder);
    }

    /// The error of a stopped run, with the folder from which it can resume.
    pub(super) fn stopped(&self, error: TuneError) -> TuneError {
        match error {
            TuneError::Stopped { source, .. } => TuneError::Stopped {
                path: self.folder.clone(),
                source,
            },
            error => error,
        }
    }

    /// Saves a training after an epoch.
    pub(super) fn keep(&self, name: &str, run: &Run) -> Result<(), TuneError> {
        let (steps, numbers) = run.numbers();
        self.write(&format!("{name}.epoch"), run.epoch, steps, &numbers)
    }

    /// Restores a training to its saved state; without one, nothing changes.
    pub(super) fn restore(&self, name: &str, run: &mut Run) -> Result<(), TuneError> {
        let Some((epoch, steps, numbers)) = self.read(&format!("{name}.epoch"))? else {
            return Ok(());
        };
        let mut numbers = numbers.as_slice();
        for target in run.numbers_mut(epoch, steps) {
            let (these, others) = numbers.split_at(target.len().min(numbers.len()));
            if these.len() < target.len() {
                return Err(self.damaged(name));
            }
            target.copy_from_slice(these);
            numbers = others;
        }
        Ok(())
    }

    /// Saves logits.
    pub(super) fn keep_logits(&self, name: &str, logits: &[f32]) -> Result<(), TuneError> {
        self.write(&format!("{name}.logits"), 0, 0, &[logits])
    }

    /// The saved logits, if their number is right.
    pub(super) fn logits(&self, name: &str) -> Result<Option<Vec<f32>>, TuneError> {
        let read = self.read(&format!("{name}.logits"))?;
        Ok(read.map(|(_, _, logits)| logits))
    }

    /// Removes the state of a training whose logits are saved.
    pub(super) fn forget(&self, name: &str) {
        let _ = fs::remove_file(self.folder.join(format!("{name}.epoch")));
    }

    fn write(
        &self,
        name: &str,
        epoch: usize,
        steps: i32,
        numbers: &[&[f32]],
    ) -> Result<(), TuneError> {
        let n: usize = numbers.iter().map(|numbers| numbers.len()).sum();
        let mut bytes = format!("{epoch} {steps} {n}\n").into_bytes();
        bytes.reserve(4 * n);
        for numbers in numbers {
            bytes.extend(numbers.iter().flat_map(|value| value.to_le_bytes()));
        }
        let path = self.folder.join(name);
        FileDraft::write(&path, &bytes)
            .and_then(|draft| draft.publish(Existing::Replace))
            .map_err(|source| TuneError::Checkpoint { path, source })
    }

    fn read(&self, name: &str) -> Result<Option<(usize, i32, Vec<f32>)>, TuneError> {
        let path = self.folder.join(name);
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            bytes => bytes.map_err(|source| TuneError::Checkpoint { path, source })?,
        };
        let parsed = parse(&bytes);
        parsed.map(Some).ok_or_else(|| self.damaged(name))
    }

    fn damaged(&self, name: &str) -> TuneError {
        TuneError::Checkpoint {
            path: self.folder.join(name),
            source: io::Error::new(
                io::ErrorKind::InvalidData,
                "it is damaged; remove the folder",
            ),
        }
    }
}

fn parse(bytes: &[u8]) -> Option<(usize, i32, Vec<f32>)> {
    let end = bytes.iter().position(|&byte| byte == b'\n')?;
    let line = std::str::from_utf8(&bytes[..end]).ok()?;
    let mut words = line.split(' ');
    let epoch = words.next()?.parse().ok()?;
    let steps = words.next()?.parse().ok()?;
    let n: usize = words.next()?.parse().ok()?;
    let (numbers, rest) = bytes[end + 1..].as_chunks::<4>();
    let is_whole = numbers.len() == n && rest.is_empty();
    let numbers = numbers.iter().map(|&bytes| f32::from_le_bytes(bytes));
    is_whole.then(|| (epoch, steps, numbers.collect()))
}
