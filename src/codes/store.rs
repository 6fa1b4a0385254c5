//! Opening a store, and distrusting it until its files agree.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use half::slice::HalfFloatSliceExt;
use memmap2::Mmap;
use ndarray::Array2;
use serde::Deserialize;

use super::manifest::Manifest;
use super::npy::{Header, NpyError};
use super::{CODES, Dtype, IMAGES, LABELS, MANIFEST};
use crate::draft::DraftError;

/// Why a store could not be written or opened.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The place is not free or not writable.
    #[error(transparent)]
    Draft(#[from] DraftError),
    /// A file could not be written.
    #[error("cannot write {}: {source}; nothing was left behind", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// The directory has no store.json.
    #[error("{} is not a store: it has no {MANIFEST}; make one with `cnn-codes extract-features IMAGES --out STORE`", dir.display())]
    NotAStore {
        /// The directory.
        dir: PathBuf,
    },
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// A file is damaged, or two files of the store contradict each other.
    #[error("{} cannot be used: {reason}; extract the codes again with --overwrite", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// A row of images.csv.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct PictureRow {
    /// Row in codes.npy, from 0.
    pub row: usize,
    /// Path relative to the input root.
    pub path: String,
    /// Class name.
    pub label: String,
    /// Width in pixels before resizing.
    pub width: u32,
    /// Height in pixels before resizing.
    pub height: u32,
    /// BLAKE3 of the file, hexadecimal.
    pub blake3: String,
}

/// A complete store, its codes mapped and not read.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    manifest: Manifest,
    codes: Mmap,
    codes_offset: usize,
    labels: Vec<usize>,
    pictures: Vec<PictureRow>,
}

impl Store {
    /// Opens the store at `dir` and checks its files against each other.
    ///
    /// The codes are mapped: another process must not cut codes.npy short meanwhile. Stores are
    /// replaced by renaming, which leaves a mapped one as it was.
    ///
    /// # Errors
    /// [`StoreError::NotAStore`], [`StoreError::Read`] or [`StoreError::Damaged`], with the file.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let manifest = read_manifest(dir)?;
        let (codes, codes_offset) = map_codes(&dir.join(CODES), &manifest)?;
        let labels = read_labels(&dir.join(LABELS), &manifest)?;
        let pictures = read_pictures(&dir.join(IMAGES), &manifest, &labels)?;
        Ok(Self {
            dir: dir.to_owned(),
            manifest,
            codes,
            codes_offset,
            labels,
            pictures,
        })
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What store.json says.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Class indices, one a row.
    #[must_use]
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }

    /// The pictures, one a row.
    #[must_use]
    pub fn pictures(&self) -> &[PictureRow] {
        &self.pictures
    }

    /// All codes as float32, flattened to (N, D); f16 is widened exactly.
    #[must_use]
    pub fn read_codes(&self) -> Array2<f32> {
        let bytes = &self.codes[self.codes_offset..];
        let values: Vec<f32> = match self.manifest.dtype {
            Dtype::F16 => {
                let halves: Vec<half::f16> = elements(bytes, half::f16::from_le_bytes);
                let mut values = vec![0.0; halves.len()];
                halves.convert_to_f32_slice(&mut values);
                values
            }
            _ => elements(bytes, f32::from_le_bytes),
        };
        let shape = (self.labels.len(), self.manifest.codes.code_len());
        Array2::from_shape_vec(shape, values).expect("the length was checked when opening")
    }
}

fn elements<T, const SIZE: usize>(bytes: &[u8], decode: fn([u8; SIZE]) -> T) -> Vec<T> {
    let (elements, _) = bytes.as_chunks::<SIZE>();
    elements.iter().copied().map(decode).collect()
}

fn read_manifest(dir: &Path) -> Result<Manifest, StoreError> {
    let path = dir.join(MANIFEST);
    let text = std::fs::read_to_string(&path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => StoreError::NotAStore {
            dir: dir.to_owned(),
        },
        _ => read_error(&path)(source),
    })?;
    let manifest: Manifest =
        serde_json::from_str(&text).map_err(|error| damaged(&path, error.to_string()))?;
    manifest
        .validate()
        .map_err(|reason| damaged(&path, reason))?;
    Ok(manifest)
}

fn map_codes(path: &Path, manifest: &Manifest) -> Result<(Mmap, usize), StoreError> {
    let mut file = File::open(path).map_err(read_error(path))?;
    let header = Header::read(&mut file).map_err(npy_error(path))?;
    if (header.dtype, &header.shape) != (manifest.dtype, &manifest.shape) {
        return Err(damaged(
            path,
            format!(
                "it holds {} {:?} where {MANIFEST} says {} {:?}",
                header.dtype, header.shape, manifest.dtype, manifest.shape
            ),
        ));
    }
    // SAFETY: the map is only read. A store is replaced by renaming, never written in place, so
    // the file keeps its length unless someone else cuts it, which `open` documents.
    let map = unsafe { Mmap::map(&file) }.map_err(read_error(path))?;
    Ok((map, header.data_offset))
}

fn read_labels(path: &Path, manifest: &Manifest) -> Result<Vec<usize>, StoreError> {
    let mut file = File::open(path).map_err(read_error(path))?;
    let header = Header::read(&mut file).map_err(npy_error(path))?;
    if header.dtype != Dtype::I64 || header.shape != [manifest.counts.pictures] {
        return Err(damaged(
            path,
            format!(
                "it holds {} {:?}, not i64 [{}]",
                header.dtype, header.shape, manifest.counts.pictures
            ),
        ));
    }
    let bytes = std::fs::read(path).map_err(read_error(path))?;
    let n_classes = manifest.classes.len();
    elements(&bytes[header.data_offset..], i64::from_le_bytes)
        .into_iter()
        .enumerate()
        .map(|(row, label)| match usize::try_from(label) {
            Ok(label) if label < n_classes => Ok(label),
            _ => Err(damaged(
                path,
                format!("row {row} has label {label}, and there are {n_classes} classes"),
            )),
        })
        .collect()
}

fn read_pictures(
    path: &Path,
    manifest: &Manifest,
    labels: &[usize],
) -> Result<Vec<PictureRow>, StoreError> {
    let mut table =
        csv::Reader::from_path(path).map_err(|error| read_error(path)(io::Error::from(error)))?;
    let pictures: Vec<PictureRow> = table
        .deserialize()
        .collect::<Result<_, _>>()
        .map_err(|error| damaged(path, error.to_string()))?;
    if pictures.len() != labels.len() {
        return Err(damaged(
            path,
            format!("it has {} rows for {} codes", pictures.len(), labels.len()),
        ));
    }
    for (row, (picture, &label)) in pictures.iter().zip(labels).enumerate() {
        if picture.row != row || picture.label != manifest.classes[label] {
            return Err(damaged(
                path,
                format!("row {row} does not agree with {LABELS}"),
            ));
        }
    }
    Ok(pictures)
}

fn damaged(path: &Path, reason: impl Into<String>) -> StoreError {
    StoreError::Damaged {
        path: path.to_owned(),
        reason: reason.into(),
    }
}

fn npy_error(path: &Path) -> impl FnOnce(NpyError) -> StoreError {
    let path = path.to_owned();
    move |error| match error {
        NpyError::Io(source) => StoreError::Read { path, source },
        error => damaged(&path, error.to_string()),
    }
}

fn read_error(path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Read { path, source }
}
