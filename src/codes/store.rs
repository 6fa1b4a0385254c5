//! Opening a store and checking that its files agree.

mod made;

use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use half::slice::HalfFloatSliceExt;
use ndarray::Array2;
use serde::Deserialize;

use super::codes_file::{CodesFile, with_bytes};
use super::{
    CODES, CodesIdentity, Dtype, IMAGES, LABELS, MANIFEST, Manifest, Shard, StoreError, parts,
};
use crate::files::npy::{ElementType, NpyHeader};
use crate::files::regular;
use crate::picture::Views;

/// Float16 numbers that are widened at a time: few enough for the first-level cache.
const WIDENED: usize = 1024;

/// A picture whose code is a row: its line in images.csv.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PictureRow {
    /// Path relative to the input root, with `/` between folders.
    pub path: Box<str>,
    /// Class index; `None` if the store has no classes.
    pub label: Option<usize>,
    /// Width in pixels of the upright picture, before resizing.
    pub width: u32,
    /// Height in pixels of the upright picture, before resizing.
    pub height: u32,
    /// BLAKE3 of the file's bytes.
    pub blake3: blake3::Hash,
    /// Name of its group, see [`Store::group_by`]; `None` if it has no group.
    pub group: Option<Box<str>>,
}

/// A complete store; its codes are read on demand.
#[derive(Clone, Debug)]
pub struct Store {
    dir: PathBuf,
    manifest: Manifest,
    codes: Arc<Vec<CodesFile>>,
    /// Codes per row, in the files or in `made`. It may exceed the number of views here, if only
    /// the first is used.
    stride: usize,
    /// Codes (N, stride, D) in C order that were computed from those in the files and replace them.
    made: Option<Arc<Vec<f32>>>,
    /// Rows of the files, or of `made`, if only some are used or their order differs.
    rows: Option<Arc<[usize]>>,
    labels: Option<Vec<usize>>,
    pub(super) pictures: Vec<PictureRow>,
}

impl Store {
    /// Opens the store at `dir`, complete or in parts, and checks its files against each other.
    ///
    /// A directory of parts (`part-00000-of-00004` and so on) is one store if all parts of one job
    /// exist. Its rows are those of the parts, one part after the other.
    ///
    /// The codes stay in their file and are read on demand. A store is replaced by renaming, which
    /// does not affect an open one. If codes.npy is changed in place, the next read returns an
    /// error.
    ///
    /// # Errors
    /// [`StoreError::NotAStore`]; [`StoreError::Parts`], [`StoreError::MissingParts`] or
    /// [`StoreError::MisplacedPart`]; [`StoreError::Read`] or [`StoreError::Damaged`], with the file.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        if dir.join(MANIFEST).exists() {
            return Self::open_one(dir);
        }
        let parts = parts::find(dir)?;
        if parts.is_empty() {
            return Err(StoreError::NotAStore {
                dir: dir.to_owned(),
            });
        }
        let open = |&part: &Shard| {
            let store = Self::open_one(&parts::path_of(dir, part))?;
            parts::check_name(dir, part, &store.manifest)?;
            Ok(store)
        };
        let parts: Vec<Self> = parts.iter().map(open).collect::<Result<_, StoreError>>()?;
        Self::joined(dir, parts)
    }

    /// Whether there is a store, or a part of one, at `dir`. It may be unfinished or damaged.
    #[must_use]
    pub(crate) fn is_at(dir: &Path) -> bool {
        dir.join(MANIFEST).exists() || parts::are_in(dir)
    }

    fn open_one(dir: &Path) -> Result<Self, StoreError> {
        let manifest = read_manifest(dir)?;
        let codes = CodesFile::open(&dir.join(CODES), &manifest)?;
        let labels = match manifest.store.classes.as_slice() {
            [] => None,
            _ => Some(read_labels(&dir.join(LABELS), &manifest)?),
        };
        let path = dir.join(IMAGES);
        let pictures = read_rows(&path, &manifest.store.classes)?;
        check_rows(&pictures, labels.as_deref(), &manifest)
            .map_err(|reason| StoreError::damaged(&path, reason))?;
        Ok(Self {
            dir: dir.to_owned(),
            stride: manifest.store.views.n(),
            manifest,
            codes: Arc::new(vec![codes]),
            made: None,
            rows: None,
            labels,
            pictures,
        })
    }

    /// Joins all parts, in order, into one store.
    fn joined(dir: &Path, parts: Vec<Self>) -> Result<Self, StoreError> {
        let manifests: Vec<_> = parts.iter().map(|part| &part.manifest).collect();
        let manifest = parts::join(&manifests).map_err(|reason| StoreError::Parts {
            dir: dir.to_owned(),
            reason,
        })?;
        let is_labelled = !manifest.store.classes.is_empty();
        let mut files = Vec::new();
        let mut whole = Self {
            dir: dir.to_owned(),
            stride: manifest.store.views.n(),
            manifest,
            codes: Arc::default(),
            made: None,
            rows: None,
            labels: is_labelled.then(Vec::new),
            pictures: Vec::new(),
        };
        for part in parts {
            for mut codes in Arc::into_inner(part.codes).unwrap_or_default() {
                codes.first_row += whole.pictures.len();
                files.push(codes);
            }
            whole.pictures.extend(part.pictures);
            if let (Some(labels), Some(more)) = (&mut whole.labels, part.labels) {
                labels.extend(more);
            }
        }
        whole.codes = Arc::new(files);
        Ok(whole)
    }

    /// The index of `row`'s code among those in the files, or in `made`.
    fn file_row(&self, row: usize) -> usize {
        self.rows.as_ref().map_or(row, |rows| rows[row])
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The contents of store.json; for a store in parts, their joint manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What the codes are.
    #[must_use]
    pub(crate) fn codes_identity(&self) -> &CodesIdentity {
        &self.manifest.store.codes
    }

    /// Class names in the order of their indices; empty for unlabelled pictures.
    #[must_use]
    pub fn classes(&self) -> &[String] {
        &self.manifest.store.classes
    }

    /// Class indices, one per row; `None` for a store of unlabelled pictures.
    #[must_use]
    pub fn labels(&self) -> Option<&[usize]> {
        self.labels.as_deref()
    }

    /// The views of each picture that have codes.
    #[must_use]
    pub fn views(&self) -> Views {
        self.manifest.store.views
    }

    /// The pictures, one per row.
    #[must_use]
    pub fn pictures(&self) -> &[PictureRow] {
        &self.pictures
    }

    /// All codes of the pictures themselves as float32, flattened to (N, D); f16 is widened
    /// exactly. For the codes of other views, use [`Store::read_view`].
    ///
    /// # Errors
    /// As [`Store::read_code`].
    pub fn read_codes(&self) -> Result<Array2<f32>, StoreError> {
        let mut values = Array2::zeros((self.pictures.len(), self.codes_identity().code_len()));
        let n_features = values.ncols();
        for (row, mut code) in values.rows_mut().into_iter().enumerate() {
            let code = code.as_slice_mut().expect("a fresh array is in C order");
            self.read_code(row, 0..n_features, code)?;
        }
        Ok(values)
    }

    /// Reads some features of the code of the picture in `row`, without other views; f16 is widened
    /// exactly.
    ///
    /// # Errors
    /// [`StoreError::Read`], or [`StoreError::Changed`] if codes.npy was written to since the store
    /// was opened.
    ///
    /// # Panics
    /// If there is no such row or feature, or `values` is not as long as `features`.
    pub fn read_code(
        &self,
        row: usize,
        features: Range<usize>,
        values: &mut [f32],
    ) -> Result<(), StoreError> {
        self.read_view(row, 0, features, values)
    }

    /// Reads some features of the code of one view, 0 for the picture itself, of the picture in `row`.
    ///
    /// # Errors
    /// As [`Store::read_code`].
    ///
    /// # Panics
    /// As [`Store::read_code`], and if there is no such view.
    pub fn read_view(
        &self,
        row: usize,
        view: usize,
        features: Range<usize>,
        values: &mut [f32],
    ) -> Result<(), StoreError> {
        assert_eq!(values.len(), features.len(), "a value for each feature");
        if let Some(code) = self.made_code(row, view) {
            values.copy_from_slice(&code[features]);
            return Ok(());
        }
        let (codes, row) = self.part_of(row);
        let size = self.manifest.store.dtype.size();
        assert!(
            features.end * size <= self.code_bytes(),
            "there is no such feature"
        );
        let first = self.first_byte(view) + features.start * size;
        with_bytes(features.len() * size, |bytes| {
            codes.read(row, first, bytes)?;
            widen(bytes, self.manifest.store.dtype, values);
            Ok(())
        })
    }

    /// Reads the codes of all views of the picture in `row` into `bytes`, in their form on disk:
    /// little-endian elements of the store's dtype.
    ///
    /// # Errors
    /// As [`Store::read_code`].
    ///
    /// # Panics
    /// If there is no such row.
    pub fn read_code_bytes(&self, row: usize, bytes: &mut Vec<u8>) -> Result<(), StoreError> {
        bytes.clear();
        let mut of_view = Vec::new();
        for view in 0..self.views().n() {
            self.read_view_bytes(row, view, &mut of_view)?;
            bytes.extend_from_slice(&of_view);
        }
        Ok(())
    }

    /// Reads the code of one view, as [`Store::read_code_bytes`] does.
    pub(crate) fn read_view_bytes(
        &self,
        row: usize,
        view: usize,
        bytes: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        if let Some(code) = self.made_code(row, view) {
            bytes.clear();
            bytes.extend(code.iter().flat_map(|value| value.to_le_bytes()));
            return Ok(());
        }
        let (codes, row) = self.part_of(row);
        bytes.resize(self.code_bytes(), 0);
        codes.read(row, self.first_byte(view), bytes)
    }

    /// The offset in bytes of a view's code within its row.
    fn first_byte(&self, view: usize) -> usize {
        assert!(view < self.views().n(), "there is no view {view}");
        view * self.code_bytes()
    }

    /// The code of a view of `row`, if the codes were computed here.
    fn made_code(&self, row: usize, view: usize) -> Option<&[f32]> {
        assert!(view < self.views().n(), "there is no view {view}");
        let len = self.codes_identity().code_len();
        let place = self.file_row(row) * self.stride + view;
        self.made
            .as_ref()
            .map(|codes| &codes[place * len..(place + 1) * len])
    }

    /// Checks that nothing has been written to the codes since the store was opened.
    ///
    /// # Errors
    /// [`StoreError::Changed`] or [`StoreError::Read`].
    pub fn check_unchanged(&self) -> Result<(), StoreError> {
        self.codes.iter().try_for_each(CodesFile::check_unchanged)
    }

    /// Converts the bytes of a code, as read by [`Store::read_view_bytes`], to float32.
    ///
    /// # Panics
    /// If the number of values differs from the number of elements.
    pub(crate) fn decode_code(&self, bytes: &[u8], values: &mut [f32]) {
        let n_bytes = values.len() * self.manifest.store.dtype.size();
        assert_eq!(bytes.len(), n_bytes, "a value for each element");
        widen(bytes, self.manifest.store.dtype, values);
    }

    /// Bytes of a code on the disk.
    #[must_use]
    pub(crate) fn code_bytes(&self) -> usize {
        self.manifest.store.code_bytes()
    }

    /// Tells the system that these codes will be read soon, so that it may read ahead; does not
    /// wait.
    pub(crate) fn will_need(&self, rows: Range<usize>) {
        if self.made.is_some() || rows.is_empty() {
            return;
        }
        let rows = self.file_row(rows.start)..self.file_row(rows.end - 1) + 1;
        for codes in self.codes.iter() {
            let first = rows
                .start
                .clamp(codes.first_row, codes.first_row + codes.n_rows);
            let end = rows.end.clamp(first, codes.first_row + codes.n_rows);
            codes.will_need(first - codes.first_row..end - codes.first_row);
        }
    }

    /// The part that holds `row`, and its row there.
    fn part_of(&self, row: usize) -> (&CodesFile, usize) {
        let row = self.file_row(row);
        let after = self.codes.partition_point(|part| part.first_row <= row);
        let part = &self.codes[after - 1];
        assert!(row - part.first_row < part.n_rows, "there is no row {row}");
        (part, row - part.first_row)
    }
}

/// Converts little-endian elements of a store to float32, one value each.
fn widen(bytes: &[u8], dtype: Dtype, values: &mut [f32]) {
    match dtype {
        Dtype::F16 => {
            let mut halves = [half::f16::ZERO; WIDENED];
            let sources = bytes.chunks(WIDENED * Dtype::F16.size());
            for (bytes, values) in sources.zip(values.chunks_mut(WIDENED)) {
                let halves = &mut halves[..values.len()];
                for (half, bytes) in halves
                    .iter_mut()
                    .zip(elements(bytes, half::f16::from_le_bytes))
                {
                    *half = bytes;
                }
                halves.convert_to_f32_slice(values);
            }
        }
        Dtype::F32 => {
            for (value, element) in values.iter_mut().zip(elements(bytes, f32::from_le_bytes)) {
                *value = element;
            }
        }
    }
}

fn elements<T, const SIZE: usize>(
    bytes: &[u8],
    decode: fn([u8; SIZE]) -> T,
) -> impl Iterator<Item = T> {
    let (elements, _) = bytes.as_chunks::<SIZE>();
    elements.iter().copied().map(decode)
}

pub(super) fn read_manifest(dir: &Path) -> Result<Manifest, StoreError> {
    let path = dir.join(MANIFEST);
    let text = regular::read(&path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => StoreError::NotAStore {
            dir: dir.to_owned(),
        },
        _ => StoreError::reading(&path)(source),
    })?;
    let text =
        String::from_utf8(text).map_err(|error| StoreError::damaged(&path, error.to_string()))?;
    Manifest::from_json(&text).map_err(|error| StoreError::damaged(&path, error.to_string()))
}

fn read_labels(path: &Path, manifest: &Manifest) -> Result<Vec<usize>, StoreError> {
    let mut file = regular::open(path).map_err(StoreError::reading(path))?;
    let header = NpyHeader::read(&mut file).map_err(StoreError::npy(path))?;
    if header.dtype != ElementType::I64 || header.shape != [manifest.counts.pictures] {
        return Err(StoreError::damaged(
            path,
            format!(
                "it holds {} {:?}, not i64 [{}]",
                header.dtype, header.shape, manifest.counts.pictures
            ),
        ));
    }
    // As many as the header states, even if the file has changed.
    let mut bytes = vec![0; manifest.counts.pictures * ElementType::I64.size()];
    file.read_exact(&mut bytes)
        .map_err(StoreError::reading(path))?;
    let n_classes = manifest.store.classes.len();
    elements(&bytes, i64::from_le_bytes)
        .enumerate()
        .map(|(row, label)| match usize::try_from(label) {
            Ok(label) if label < n_classes => Ok(label),
            _ => Err(StoreError::damaged(
                path,
                format!("row {row} has label {label}, and there are {n_classes} classes"),
            )),
        })
        .collect()
}

/// A line of images.csv, for writing.
#[derive(Deserialize)]
struct Line<'a> {
    row: usize,
    path: &'a str,
    label: &'a str,
    width: u32,
    height: u32,
    blake3: &'a str,
    /// Only in stores with groups.
    #[serde(default)]
    group: Option<&'a str>,
}

/// Reads images.csv; its labels must be among `classes`.
pub(super) fn read_rows(path: &Path, classes: &[String]) -> Result<Vec<PictureRow>, StoreError> {
    let file = regular::open(path).map_err(StoreError::reading(path))?;
    let mut table = csv::Reader::from_reader(file);
    let header = table.headers().cloned();
    let broken = |error: csv::Error| StoreError::damaged(path, error.to_string());
    let header = header.map_err(broken)?;
    let mut record = csv::StringRecord::new();
    let mut rows = Vec::new();
    while table.read_record(&mut record).map_err(broken)? {
        let line: Line = record.deserialize(Some(&header)).map_err(broken)?;
        let row = parse_row(&line, rows.len(), classes);
        rows.push(row.map_err(|reason| {
            StoreError::damaged(path, format!("row {}: {reason}", rows.len()))
        })?);
    }
    Ok(rows)
}

fn parse_row(line: &Line, row: usize, classes: &[String]) -> Result<PictureRow, String> {
    if line.row != row {
        return Err(format!("it calls itself row {}", line.row));
    }
    let label = match (line.label, classes) {
        ("", []) => None,
        (label, _) => {
            let place = classes.binary_search_by(|class| class.as_str().cmp(label));
            Some(place.map_err(|_| format!("'{label}' is none of the classes"))?)
        }
    };
    Ok(PictureRow {
        path: line.path.into(),
        label,
        width: line.width,
        height: line.height,
        blake3: blake3::Hash::from_hex(line.blake3).map_err(|error| error.to_string())?,
        group: line.group.filter(|name| !name.is_empty()).map(Into::into),
    })
}

/// Checks the rows of images.csv against labels.npy and store.json.
fn check_rows(
    pictures: &[PictureRow],
    labels: Option<&[usize]>,
    manifest: &Manifest,
) -> Result<(), String> {
    if pictures.len() != manifest.counts.pictures {
        return Err(format!(
            "it has {} rows for {} codes",
            pictures.len(),
            manifest.counts.pictures
        ));
    }
    let mut per_class = vec![0; manifest.store.classes.len()];
    for (row, picture) in pictures.iter().enumerate() {
        if picture.label != labels.map(|labels| labels[row]) {
            return Err(format!("row {row} does not agree with {LABELS}"));
        }
        if let Some(label) = picture.label {
            per_class[label] += 1;
        }
    }
    if per_class != manifest.counts.per_class {
        return Err(format!("its labels are not as many as {MANIFEST} says"));
    }
    Ok(())
}
