//! Writing a store, row by row, into a draft that is published whole.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use half::slice::HalfFloatSliceExt;

use super::journal::{Checkpoint, JOURNAL, Job, Journal, JournalError};
use super::store::{read_manifest, read_rows};
use super::table::TableFile;
use super::{
    CODES, Counts, Dtype, FAILURES, Failure, IMAGES, LABELS, MANIFEST, Manifest, PictureRow,
    StoreDescription, StoreError,
};
use crate::files::npy::{ElementType, NpyWriter};
use crate::files::{Draft, DraftError, Existing, Kind};

/// The log of large pictures in a draft: those that were being decoded when a run was killed.
pub(crate) const IN_HAND: &str = "in-hand.jsonl";

/// Columns of images.csv; the last one only if pictures have groups.
const IMAGE_COLUMNS: [&str; 7] = ["row", "path", "label", "width", "height", "blake3", "group"];
/// Columns of failures.csv.
const FAILURE_COLUMNS: [&str; 2] = ["path", "error"];

/// How many columns images.csv has in such a store.
fn n_image_columns(description: &StoreDescription) -> usize {
    IMAGE_COLUMNS.len() - usize::from(!description.grouped)
}

/// The kind of target, for [`Draft`].
const KIND: Kind = Kind {
    name: "store",
    marker: MANIFEST,
};

/// The code of a new row.
#[derive(Clone, Copy, Debug)]
pub enum Code<'a> {
    /// The pooled code itself; for several views, their codes one after the other.
    Values(&'a [f32]),
    /// The row's bytes, in the form that a store of the same dtype has them.
    Bytes(&'a [u8]),
    /// The index of an earlier row of this store.
    Row(usize),
}

/// What to do with the remains of an earlier run of the same job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leftover {
    /// Continue it.
    Resume,
    /// Delete it.
    Discard,
}

/// The result of `StoreWriter::open`.
#[derive(Debug)]
pub enum Opened {
    /// An unfinished store, with the rows that an earlier run wrote.
    Unfinished(Box<StoreWriter>),
    /// The job was finished before; this is its store.json.
    Complete(Box<Manifest>),
}

/// Writes a store. If dropped unfinished, it leaves nothing behind, unless it has a journal and a
/// checkpoint.
#[derive(Debug)]
pub struct StoreWriter {
    draft: Draft,
    description: StoreDescription,
    codes: NpyWriter,
    labels: Option<NpyWriter>,
    images: TableFile,
    failures: TableFile,
    n_failures: BTreeMap<String, usize>,
    per_class: Vec<usize>,
    journal: Option<Journal>,
    /// Pictures that the journal's last checkpoint counts as finished.
    n_done: usize,
    /// Little-endian bytes of the current rows; kept for its capacity.
    bytes: Vec<u8>,
}

impl StoreWriter {
    /// Starts a store at `out` without a journal: it is written in one go or not at all.
    ///
    /// # Errors
    /// [`StoreError::Draft`] if `out` exists or is not writable, later [`StoreError::Write`].
    pub fn create(
        out: &Path,
        existing: Existing,
        description: StoreDescription,
    ) -> Result<Self, StoreError> {
        Self::begin(Draft::begin(out, KIND, existing)?, description)
    }

    /// Opens the store at `out` for `job`, at the start or where an earlier run stopped.
    ///
    /// # Errors
    /// As [`StoreWriter::create`]; [`StoreError::OtherJob`] if an unfinished store of another job
    /// is to be resumed; [`StoreError::Damaged`] if it contradicts its journal.
    pub(crate) fn open(
        out: &Path,
        existing: Existing,
        leftover: Leftover,
        job: &Job,
    ) -> Result<Opened, StoreError> {
        let mut draft = match Draft::reopen(out, KIND, existing) {
            Err(DraftError::Exists { target }) => return complete(target, job),
            draft => draft?,
        };
        let path = draft.path().to_owned();
        if leftover == Leftover::Discard {
            draft.clear()?;
        }
        let journal = Journal::reopen(&path).map_err(|error| {
            // The draft is somebody's work, whatever its journal says.
            draft.keep();
            unusable_journal(path.join(JOURNAL), error)
        })?;
        match journal {
            Some((journal, begun, checkpoint)) if checkpoint != Checkpoint::default() => {
                Self::go_on(draft, journal, &begun, job, checkpoint)
            }
            None if path.join(MANIFEST).is_file() => publish_complete(draft, job),
            begun => {
                // This run must know about a picture that killed the last run at once.
                let is_same = begun.is_some_and(|(_, begun, _)| job.difference(&begun).is_none());
                let in_hand = is_same.then(|| fs::read(path.join(IN_HAND)).ok()).flatten();
                draft.clear()?;
                if let Some(log) = in_hand {
                    let log_path = path.join(IN_HAND);
                    fs::write(&log_path, log).map_err(StoreError::writing(&log_path))?;
                }
                let mut writer = Self::begin(draft, job.store.clone())?;
                let journal = Journal::create(&path, job);
                writer.journal = Some(journal.map_err(StoreError::writing(&path.join(JOURNAL)))?);
                writer.draft.sync()?;
                Ok(Opened::Unfinished(Box::new(writer)))
            }
        }
    }

    /// Creates all files of a store in an empty draft.
    fn begin(draft: Draft, description: StoreDescription) -> Result<Self, StoreError> {
        let at = |name: &str| draft.path().join(name);
        let npy = |name: &str, dtype, shape: &[usize]| {
            NpyWriter::create(&at(name), dtype, shape).map_err(StoreError::writing(&at(name)))
        };
        let is_labelled = !description.classes.is_empty();
        Ok(Self {
            codes: npy(
                CODES,
                description.dtype.element_type(),
                &description.row_shape(),
            )?,
            labels: is_labelled
                .then(|| npy(LABELS, ElementType::I64, &[]))
                .transpose()?,
            images: TableFile::create(at(IMAGES), &IMAGE_COLUMNS[..n_image_columns(&description)])?,
            failures: TableFile::create(at(FAILURES), &FAILURE_COLUMNS)?,
            n_failures: BTreeMap::new(),
            per_class: vec![0; description.classes.len()],
            journal: None,
            n_done: 0,
            bytes: Vec::new(),
            description,
            draft,
        })
    }

    /// Opens all files of a draft at the lengths of `checkpoint`.
    fn go_on(
        mut draft: Draft,
        journal: Journal,
        begun: &Job,
        job: &Job,
        checkpoint: Checkpoint,
    ) -> Result<Opened, StoreError> {
        // From here on, the work in the draft must be kept, whatever happens.
        draft.keep();
        if let Some(difference) = job.difference(begun) {
            return Err(StoreError::OtherJob {
                dir: draft.path().to_owned(),
                n_done: checkpoint.n_done,
                difference,
            });
        }
        let at = |name: &str| draft.path().join(name);
        // Left by a run that was killed while it finished.
        let _ = fs::remove_file(at(MANIFEST));
        let description = job.store.clone();
        let rows = checkpoint.n_rows;
        let npy = |name: &str, dtype, shape: &[usize]| {
            NpyWriter::reopen(&at(name), dtype, shape, rows)
                .map_err(StoreError::reopening(&at(name)))
        };
        let is_labelled = !description.classes.is_empty();
        let mut writer = Self {
            codes: npy(
                CODES,
                description.dtype.element_type(),
                &description.row_shape(),
            )?,
            labels: is_labelled
                .then(|| npy(LABELS, ElementType::I64, &[]))
                .transpose()?,
            images: TableFile::reopen(at(IMAGES), checkpoint.images_bytes)?,
            failures: TableFile::reopen(at(FAILURES), checkpoint.failures_bytes)?,
            n_failures: checkpoint.failures,
            per_class: vec![0; description.classes.len()],
            journal: Some(journal),
            n_done: checkpoint.n_done,
            bytes: Vec::new(),
            description,
            draft,
        };
        writer.count_classes()?;
        Ok(Opened::Unfinished(Box::new(writer)))
    }

    /// Counts the rows of each class that an earlier run wrote, and checks their number.
    fn count_classes(&mut self) -> Result<(), StoreError> {
        let rows = self.written()?;
        if rows.len() != self.codes.rows() {
            let reason = format!("{} rows where the journal has {}", rows.len(), self.rows());
            return Err(StoreError::damaged(&self.at(IMAGES), reason).in_draft());
        }
        for label in rows.iter().filter_map(|row| row.label) {
            self.per_class[label] += 1;
        }
        Ok(())
    }

    /// The pictures of the rows on the disk; after [`StoreWriter::open`] these are all rows.
    ///
    /// # Errors
    /// [`StoreError`] if images.csv cannot be read.
    pub(crate) fn written(&self) -> Result<Vec<PictureRow>, StoreError> {
        let rows = read_rows(&self.at(IMAGES), &self.description.classes);
        rows.map_err(StoreError::in_draft)
    }

    /// Whether this is a part of a store, not a complete one.
    #[must_use]
    pub(crate) fn is_part(&self) -> bool {
        self.description.part.is_some()
    }

    /// Rows so far.
    #[must_use]
    pub(crate) fn rows(&self) -> usize {
        self.codes.rows()
    }

    /// Pictures that could not be used so far, by the kind of failure.
    #[must_use]
    pub(crate) fn failures(&self) -> &BTreeMap<String, usize> {
        &self.n_failures
    }

    /// Pictures that are finished and synced: where the next run of the job resumes.
    #[must_use]
    pub(crate) fn n_done(&self) -> usize {
        self.n_done
    }

    /// The path of the unfinished store.
    #[must_use]
    pub(crate) fn draft(&self) -> &Path {
        self.draft.path()
    }

    /// Appends a row.
    ///
    /// # Errors
    /// [`StoreError::Write`], most likely because the disk is full.
    ///
    /// # Panics
    /// If the code's length or the label does not fit this store.
    pub fn append(&mut self, picture: &PictureRow, code: Code<'_>) -> Result<(), StoreError> {
        let codes = self.at(CODES);
        let row = self.codes.rows().to_string();
        self.bytes.clear();
        match code {
            Code::Values(values) => encode(values, self.description.dtype, &mut self.bytes),
            Code::Bytes(bytes) => self.bytes.extend_from_slice(bytes),
            Code::Row(row) => self
                .codes
                .copy_row(row, &mut self.bytes)
                .map_err(StoreError::writing(&codes))?,
        }
        assert_eq!(self.bytes.len(), self.codes.row_bytes(), "a code's length");
        self.codes
            .append(&self.bytes)
            .map_err(StoreError::writing(&codes))?;
        let (width, height) = (picture.width.to_string(), picture.height.to_string());
        let class = picture
            .label
            .map_or("", |label| &self.description.classes[label]);
        let hash = picture.blake3.to_hex();
        let group = picture.group.as_deref().unwrap_or("");
        let cells: [&str; 7] = [&row, &picture.path, class, &width, &height, &hash, group];
        self.images
            .append(&cells[..n_image_columns(&self.description)])?;
        if let (Some(labels), Some(label)) = (&mut self.labels, picture.label) {
            let index = i64::try_from(label).expect("a class index");
            labels
                .append(&index.to_le_bytes())
                .map_err(StoreError::writing(&self.draft.path().join(LABELS)))?;
            self.per_class[label] += 1;
        }
        Ok(())
    }

    /// Reads the bytes of an appended row.
    ///
    /// # Errors
    /// [`StoreError::Write`], because buffered data are written first.
    pub(crate) fn read_code_bytes(
        &mut self,
        row: usize,
        bytes: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        let codes = self.at(CODES);
        bytes.clear();
        self.codes
            .copy_row(row, bytes)
            .map_err(StoreError::writing(&codes))
    }

    /// Records a picture that could not be used.
    ///
    /// # Errors
    /// [`StoreError::Write`].
    pub fn fail(&mut self, failure: &Failure) -> Result<(), StoreError> {
        *self.n_failures.entry(failure.kind.to_owned()).or_default() += 1;
        self.failures.append(&[&failure.path, &failure.error])
    }

    /// Syncs everything appended so far and records it in the journal. From here on, the first
    /// `n_done` pictures of the job need not be done again, and the draft is kept.
    ///
    /// Without a journal, this does nothing.
    ///
    /// # Errors
    /// [`StoreError::Write`]; the last checkpoint is then still valid.
    pub(crate) fn checkpoint(&mut self, n_done: usize) -> Result<(), StoreError> {
        let Some(journal) = &mut self.journal else {
            return Ok(());
        };
        let at = |name: &str| self.draft.path().join(name);
        self.codes.sync().map_err(StoreError::writing(&at(CODES)))?;
        if let Some(labels) = &self.labels {
            labels.sync().map_err(StoreError::writing(&at(LABELS)))?;
        }
        let checkpoint = Checkpoint {
            n_done,
            n_rows: self.codes.rows(),
            failures: self.n_failures.clone(),
            images_bytes: self.images.sync()?,
            failures_bytes: self.failures.sync()?,
        };
        journal
            .append(&checkpoint)
            .map_err(StoreError::writing(&at(JOURNAL)))?;
        self.n_done = n_done;
        self.draft.keep();
        Ok(())
    }

    /// Deletes everything written, including what a checkpoint would keep.
    pub(crate) fn discard(self) {
        self.draft.discard();
    }

    /// Completes the files, writes store.json and publishes the store.
    ///
    /// # Errors
    /// [`StoreError`]; an existing store at `out` is then unchanged. [`StoreError::Damaged`] if
    /// rows and failures do not cover all pictures of the job.
    pub fn finish(mut self) -> Result<Manifest, StoreError> {
        self.check_all_settled()?;
        let at = |name: &str| self.draft.path().join(name);
        self.images.sync()?;
        self.failures.sync()?;
        let rows = self
            .codes
            .finish()
            .map_err(StoreError::writing(&at(CODES)))?;
        if let Some(labels) = self.labels {
            labels.finish().map_err(StoreError::writing(&at(LABELS)))?;
        }
        let counts = Counts {
            pictures: rows,
            failures: self.n_failures.values().sum(),
            per_class: self.per_class,
        };
        let manifest = Manifest::new(self.description, counts);
        write_manifest(&manifest, &at(MANIFEST))?;
        if self.journal.take().is_some() {
            // A draft with store.json but no journal only needs to be published, so both changes
            // must reach the disk in this order.
            self.draft.sync()?;
            fs::remove_file(at(JOURNAL)).map_err(StoreError::writing(&at(JOURNAL)))?;
            match fs::remove_file(at(IN_HAND)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(StoreError::writing(&at(IN_HAND))(error));
                }
                _ => {}
            }
        }
        self.draft.publish()?;
        Ok(manifest)
    }

    /// Refuses to complete a store that lacks pictures of its job.
    fn check_all_settled(&self) -> Result<(), StoreError> {
        let Some(Journal { n_pictures, .. }) = self.journal else {
            return Ok(());
        };
        let n_failures: usize = self.n_failures.values().sum();
        if self.rows() + n_failures == n_pictures {
            return Ok(());
        }
        let reason = format!(
            "{} rows and {n_failures} failures are not the {n_pictures} pictures of the job",
            self.rows()
        );
        Err(StoreError::damaged(&self.at(JOURNAL), reason).in_draft())
    }

    fn at(&self, name: &str) -> PathBuf {
        self.draft.path().join(name)
    }
}

/// The store at `target`, if it is the one that `job` makes.
fn complete(target: PathBuf, job: &Job) -> Result<Opened, StoreError> {
    match read_manifest(&target) {
        Ok(manifest) if job.store.listing.is_some() && manifest.store.is_same_job(&job.store) => {
            Ok(Opened::Complete(Box::new(manifest)))
        }
        _ => Err(DraftError::Exists { target }.into()),
    }
}

/// Publishes a draft that only lacks its last rename.
fn publish_complete(mut draft: Draft, job: &Job) -> Result<Opened, StoreError> {
    draft.keep();
    let manifest = read_manifest(draft.path()).map_err(StoreError::in_draft)?;
    if !manifest.store.is_same_job(&job.store) {
        return Err(StoreError::OtherJob {
            dir: draft.path().to_owned(),
            n_done: manifest.counts.pictures + manifest.counts.failures,
            difference: "its pictures or options differ".to_owned(),
        });
    }
    draft.publish()?;
    Ok(Opened::Complete(Box::new(manifest)))
}

fn unusable_journal(path: PathBuf, error: JournalError) -> StoreError {
    match error {
        JournalError::Io(source) => StoreError::Read { path, source },
        error @ JournalError::Contradiction { .. } => {
            StoreError::damaged(&path, error.to_string()).in_draft()
        }
    }
}

fn write_manifest(manifest: &Manifest, path: &Path) -> Result<(), StoreError> {
    fs::write(path, manifest.to_json())
        .and_then(|()| fs::File::open(path)?.sync_all())
        .map_err(StoreError::writing(path))
}

/// Appends `codes` to `bytes` as little-endian elements of `dtype`.
fn encode(codes: &[f32], dtype: Dtype, bytes: &mut Vec<u8>) {
    match dtype {
        Dtype::F32 => bytes.extend(codes.iter().flat_map(|code| code.to_le_bytes())),
        Dtype::F16 => {
            let mut halves = vec![half::f16::ZERO; codes.len()];
            halves.convert_from_f32_slice(codes);
            bytes.extend(halves.iter().flat_map(|code| code.to_le_bytes()));
        }
    }
}
