//! Writing a store, row by row, into a draft that is published whole.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use half::slice::HalfFloatSliceExt;

use super::manifest::{FORMAT, Manifest};
use super::npy::NpyWriter;
use super::{CODES, CodesIdentity, Counts, Dtype, FAILURES, IMAGES, LABELS, MANIFEST, StoreError};
use crate::dataset::Failure;
use crate::draft::{Draft, Existing, Kind};

/// What every picture of a store has in common, known before the first one.
#[derive(Clone, Debug)]
pub struct StoreDescription {
    /// What the codes are.
    pub codes: CodesIdentity,
    /// Element type on disk, `F32` or `F16`.
    pub dtype: Dtype,
    /// Class names in the order of their indices.
    pub classes: Vec<String>,
    /// JPEG decoder with version.
    pub decoder: String,
    /// Version of ONNX Runtime.
    pub onnxruntime: String,
    /// Execution provider that runs the trunk.
    pub provider: String,
}

/// A picture whose code is a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenPicture {
    /// Path relative to the input root, with `/` between folders.
    pub path: String,
    /// Class index.
    pub label: usize,
    /// Width in pixels as a person sees the picture, before resizing.
    pub width: u32,
    /// Height in pixels as a person sees the picture, before resizing.
    pub height: u32,
    /// BLAKE3 of the file's bytes.
    pub blake3: blake3::Hash,
}

/// Writes a store. Dropped unfinished, it leaves nothing.
#[derive(Debug)]
pub struct StoreWriter {
    draft: Draft,
    description: StoreDescription,
    codes: NpyWriter,
    labels: NpyWriter,
    images: csv::Writer<File>,
    failures: csv::Writer<File>,
    n_failures: usize,
    per_class: Vec<usize>,
    /// Little-endian bytes of the batch in hand; kept for its capacity.
    bytes: Vec<u8>,
}

impl StoreWriter {
    /// Begins a store at `out`.
    ///
    /// # Errors
    /// [`StoreError::Draft`] if `out` is not free or not writable, [`StoreError::Write`] after that.
    pub fn create(
        out: &Path,
        existing: Existing,
        description: StoreDescription,
    ) -> Result<Self, StoreError> {
        let kind = Kind {
            name: "a store",
            marker: MANIFEST,
        };
        let draft = Draft::begin(out, kind, existing)?;
        let at = |name: &str| draft.path().join(name);
        let code_shape = description
            .codes
            .pool
            .shape(&description.codes.output.shape);
        let npy = |name: &str, dtype, shape: &[usize]| {
            NpyWriter::create(&at(name), dtype, shape).map_err(write_error(&at(name)))
        };
        let table = |name: &str, columns: &[&str]| -> Result<_, StoreError> {
            let mut table = File::create_new(at(name))
                .map(csv::Writer::from_writer)
                .map_err(write_error(&at(name)))?;
            table.write_record(columns).map_err(csv_error(&at(name)))?;
            Ok(table)
        };
        Ok(Self {
            codes: npy(CODES, description.dtype, &code_shape)?,
            labels: npy(LABELS, Dtype::I64, &[])?,
            images: table(
                IMAGES,
                &["row", "path", "label", "width", "height", "blake3"],
            )?,
            failures: table(FAILURES, &["path", "error"])?,
            n_failures: 0,
            per_class: vec![0; description.classes.len()],
            bytes: Vec::new(),
            description,
            draft,
        })
    }

    /// Channels of the trunk's output, its last axis.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.description
            .codes
            .output
            .shape
            .last()
            .copied()
            .unwrap_or(1)
    }

    /// Appends rows: `codes` holds the pooled code of each of `pictures`, one after the other.
    ///
    /// # Errors
    /// [`StoreError::Write`], a full disk above all.
    ///
    /// # Panics
    /// If the lengths do not agree, or a label is outside the classes.
    pub fn append(&mut self, codes: &[f32], pictures: &[WrittenPicture]) -> Result<(), StoreError> {
        let code_len = self.description.codes.code_len();
        assert_eq!(codes.len(), pictures.len() * code_len, "one code a picture");
        encode(codes, self.description.dtype, &mut self.bytes);
        self.codes
            .append(&self.bytes)
            .map_err(write_error(&self.at(CODES)))?;
        for picture in pictures {
            let row = self.per_class.iter().sum::<usize>().to_string();
            let (width, height) = (picture.width.to_string(), picture.height.to_string());
            let class = &self.description.classes[picture.label];
            let hash = picture.blake3.to_hex();
            self.images
                .write_record([&row, &picture.path, class, &width, &height, hash.as_str()])
                .map_err(csv_error(&self.draft.path().join(IMAGES)))?;
            let label = i64::try_from(picture.label).expect("a class index");
            self.labels
                .append(&label.to_le_bytes())
                .map_err(write_error(&self.draft.path().join(LABELS)))?;
            self.per_class[picture.label] += 1;
        }
        Ok(())
    }

    /// Notes a picture that could not be used.
    ///
    /// # Errors
    /// [`StoreError::Write`].
    pub fn fail(&mut self, failure: &Failure) -> Result<(), StoreError> {
        self.n_failures += 1;
        self.failures
            .write_record([&failure.path, &failure.error])
            .map_err(csv_error(&self.at(FAILURES)))
    }

    /// Completes the files, writes store.json and publishes the store.
    ///
    /// # Errors
    /// [`StoreError`]; what was at `out` before is then still there.
    pub fn finish(self) -> Result<Manifest, StoreError> {
        let at = |name: &str| self.draft.path().join(name);
        let rows = self.codes.finish().map_err(write_error(&at(CODES)))?;
        self.labels.finish().map_err(write_error(&at(LABELS)))?;
        for (name, table) in [(IMAGES, self.images), (FAILURES, self.failures)] {
            table
                .into_inner()
                .map_err(|error| io::Error::other(error.to_string()))
                .and_then(|file| file.sync_all())
                .map_err(write_error(&at(name)))?;
        }
        let StoreDescription {
            codes,
            dtype,
            classes,
            decoder,
            onnxruntime,
            provider,
        } = self.description;
        let mut shape = vec![rows];
        shape.extend(codes.pool.shape(&codes.output.shape));
        let manifest = Manifest {
            format: FORMAT,
            created_by: concat!("cnn-codes ", env!("CARGO_PKG_VERSION")).to_owned(),
            codes,
            dtype,
            shape,
            classes,
            counts: Counts {
                pictures: rows,
                failures: self.n_failures,
                per_class: self.per_class,
            },
            decoder,
            onnxruntime,
            provider,
        };
        write_manifest(&manifest, &at(MANIFEST))?;
        self.draft.publish()?;
        Ok(manifest)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.draft.path().join(name)
    }
}

fn write_manifest(manifest: &Manifest, path: &Path) -> Result<(), StoreError> {
    let mut text = serde_json::to_string_pretty(manifest).expect("a manifest is plain data");
    text.push('\n');
    fs::write(path, text)
        .and_then(|()| File::open(path)?.sync_all())
        .map_err(write_error(path))
}

/// Fills `bytes` with `codes` as little-endian elements of `dtype`.
fn encode(codes: &[f32], dtype: Dtype, bytes: &mut Vec<u8>) {
    bytes.clear();
    match dtype {
        Dtype::F32 => bytes.extend(codes.iter().flat_map(|code| code.to_le_bytes())),
        Dtype::F16 => {
            let mut halves = vec![half::f16::ZERO; codes.len()];
            halves.convert_from_f32_slice(codes);
            bytes.extend(halves.iter().flat_map(|code| code.to_le_bytes()));
        }
        Dtype::I64 => unreachable!("codes are floating point"),
    }
}

fn write_error(path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Write { path, source }
}

fn csv_error(path: &Path) -> impl FnOnce(csv::Error) -> StoreError {
    let path = path.to_owned();
    move |error| StoreError::Write {
        path,
        source: io::Error::from(error),
    }
}
