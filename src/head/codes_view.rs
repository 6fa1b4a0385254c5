//! A view of codes, in memory or in a store.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use ndarray::{ArrayView2, ArrayViewMut2, Axis, Ix2, s};
use rayon::prelude::*;

use super::HeadError;
use super::fused_update::aligned_zeros;
use super::scaling::Scaling;
use crate::codes::Store;

/// Codes (N, D), row by row: all or some codes of an array or of a store, raw or scaled when they
/// are read.
///
/// Only the codes being read are in memory, so a store may be larger than memory.
///
/// Within this crate, codes that cannot be read are zeros at first. The view remembers the error,
/// and returns it before any result of such codes leaves the crate.
#[derive(Clone, Debug)]
pub struct CodesView<'a> {
    source: Source<'a>,
    /// The rows of the source that are used; `None` for all.
    rows: Option<Arc<[usize]>>,
    scaling: Option<Scaled>,
    /// The first error of reading codes, shared by all views derived from this one.
    failure: Arc<OnceLock<HeadError>>,
}

#[derive(Clone, Copy, Debug)]
enum Source<'a> {
    Array(ArrayView2<'a, f32>),
    /// Its rows here are those of all views, V per picture.
    Store(&'a Store),
}

/// A scaling, with the norms (N) of the view's rows if it divides by them.
#[derive(Clone, Debug)]
struct Scaled {
    scaling: Arc<Scaling>,
    norms: Option<Arc<[f32]>>,
}

impl<'a> From<ArrayView2<'a, f32>> for CodesView<'a> {
    fn from(codes: ArrayView2<'a, f32>) -> Self {
        Self::of(Source::Array(codes))
    }
}

impl<'a> From<&'a Store> for CodesView<'a> {
    /// The codes of the pictures themselves.
    fn from(store: &'a Store) -> Self {
        Self::every_view(store).first_views(store.views().n())
    }
}

impl<'a> CodesView<'a> {
    fn of(source: Source<'a>) -> Self {
        Self {
            source,
            rows: None,
            scaling: None,
            failure: Arc::default(),
        }
    }

    /// The codes of all views, V rows per picture.
    pub(crate) fn every_view(store: &'a Store) -> Self {
        Self::of(Source::Store(store))
    }

    /// The first of the V rows of each picture: the picture itself.
    pub(crate) fn first_views(&self, n_views: usize) -> Self {
        if n_views == 1 {
            return self.clone();
        }
        let first: Vec<_> = (0..self.n_rows()).step_by(n_views).collect();
        self.select(&first)
    }

    /// Number of rows, N.
    #[must_use]
    pub(crate) fn n_rows(&self) -> usize {
        match (&self.rows, self.source) {
            (Some(rows), _) => rows.len(),
            (None, Source::Array(codes)) => codes.nrows(),
            (None, Source::Store(store)) => store.pictures().len() * store.views().n(),
        }
    }

    /// Number of features, D.
    #[must_use]
    pub(crate) fn n_features(&self) -> usize {
        match self.source {
            Source::Array(codes) => codes.ncols(),
            Source::Store(store) => store.codes_identity().code_len(),
        }
    }

    /// Some of these rows, in the given order.
    ///
    /// # Panics
    /// If a row does not exist.
    #[must_use]
    pub(crate) fn select(&self, rows: &[usize]) -> Self {
        let n_rows = self.n_rows();
        assert!(rows.iter().all(|&row| row < n_rows), "a row is not there");
        let norms_of = |norms: &Arc<[f32]>| rows.iter().map(|&row| norms[row]).collect();
        Self {
            source: self.source,
            rows: Some(rows.iter().map(|&row| self.source_row(row)).collect()),
            scaling: self.scaling.as_ref().map(|scaled| Scaled {
                scaling: Arc::clone(&scaled.scaling),
                norms: scaled.norms.as_ref().map(norms_of),
            }),
            failure: Arc::clone(&self.failure),
        }
    }

    /// The same rows, read through `scaling` instead of the previous scaling.
    ///
    /// # Errors
    /// [`HeadError::FeatureMismatch`] if the scaling's statistics have another D.
    pub(crate) fn scaled(&self, scaling: Scaling) -> Result<Self, HeadError> {
        scaling.check_features(self.n_features())?;
        let bare = Self {
            scaling: None,
            ..self.clone()
        };
        let norms = match scaling {
            Scaling::None => return Ok(bare),
            Scaling::L2 => Some(bare.norms()),
            Scaling::Standard { .. } | Scaling::Max { .. } => None,
        };
        let scaling = Arc::new(scaling);
        Ok(Self {
            scaling: Some(Scaled { scaling, norms }),
            ..bare
        })
    }

    /// Reads some features of a row, and returns an error at once.
    #[cfg(test)]
    pub(crate) fn read(
        &self,
        row: usize,
        features: Range<usize>,
        values: &mut [f32],
    ) -> Result<(), HeadError> {
        self.fill(row, features, values);
        self.check()
    }

    /// The first error of reading codes, through this view or one that shares its source.
    pub(crate) fn check(&self) -> Result<(), HeadError> {
        self.failure.get().cloned().map_or(Ok(()), Err)
    }

    /// Reads some features of a row into `values`, one number each. If the store's codes cannot be
    /// read, or were changed since it was opened, writes zeros and keeps the error for
    /// [`CodesView::check`].
    ///
    /// # Panics
    /// If a row or feature does not exist, or if `values` is not as long as `features`.
    pub(crate) fn fill(&self, row: usize, features: Range<usize>, values: &mut [f32]) {
        let source_row = self.source_row(row);
        match self.source {
            Source::Array(codes) => {
                let codes = codes.row(source_row);
                match codes.to_slice() {
                    Some(codes) => values.copy_from_slice(&codes[features.clone()]),
                    None => values
                        .iter_mut()
                        .zip(features.clone())
                        .for_each(|(value, feature)| *value = codes[feature]),
                }
            }
            Source::Store(store) => {
                let (row, view) = place_in(store, source_row);
                if let Err(error) = store.read_view(row, view, features.clone(), values) {
                    values.fill(0.0);
                    let reason = error.to_string();
                    let _ = self.failure.set(HeadError::Read { reason });
                }
            }
        }
        self.scale(row, features, values);
    }

    /// Reads a row of a store in its form on disk, for [`decode`](Self::decode).
    ///
    /// # Errors
    /// [`HeadError::Read`].
    pub(super) fn read_bytes(&self, row: usize, bytes: &mut Vec<u8>) -> Result<(), HeadError> {
        let read = match self.source {
            Source::Array(_) => return Ok(()),
            Source::Store(store) => {
                let (row, view) = place_in(store, self.source_row(row));
                store.read_view_bytes(row, view, bytes)
            }
        };
        read.map_err(|error| HeadError::Read {
            reason: error.to_string(),
        })
    }

    /// Fills `values` (D) from the bytes that [`read_bytes`](Self::read_bytes) read.
    pub(super) fn decode(&self, row: usize, bytes: &[u8], values: &mut [f32]) {
        if let Source::Store(store) = self.source {
            store.decode_code(bytes, values);
        }
        self.scale(row, 0..values.len(), values);
    }

    fn scale(&self, row: usize, features: Range<usize>, values: &mut [f32]) {
        if let Some(Scaled { scaling, norms }) = &self.scaling {
            let norm = norms.as_ref().map_or(1.0, |norms| norms[row]);
            scaling.apply_to_features(features, norm, values);
        }
    }

    /// Reads whole rows into `into` (rows, D), on all threads.
    ///
    /// # Errors
    /// [`HeadError::Read`] if the store's codes cannot be read, or were changed since it was opened.
    ///
    /// # Panics
    /// If a row does not exist, or if `into` has another shape.
    pub(crate) fn read_rows(
        &self,
        rows: &[usize],
        into: ArrayViewMut2<f32>,
    ) -> Result<(), HeadError> {
        self.fill_rows(rows, into);
        self.check()
    }

    /// Reads like [`read_rows`](Self::read_rows); on an error, like [`fill`](Self::fill).
    fn fill_rows(&self, rows: &[usize], mut into: ArrayViewMut2<f32>) {
        let n_features = self.n_features();
        assert_eq!(into.dim(), (rows.len(), n_features), "shape to read into");
        let targets: Vec<_> = into.axis_iter_mut(Axis(0)).zip(rows).collect();
        targets.into_par_iter().for_each(|(mut target, &row)| {
            let values = target.as_slice_mut().expect("rows are in C order");
            self.fill(row, 0..n_features, values);
        });
    }

    /// Calls `visit` for one chunk of rows after another, with the first row's index and the codes
    /// (rows, D).
    pub(super) fn for_each_chunk(
        &self,
        chunk_rows: usize,
        mut visit: impl FnMut(usize, ArrayView2<f32>),
    ) {
        let n_rows = self.n_rows();
        let mut chunk = aligned_zeros(Ix2(chunk_rows.min(n_rows), self.n_features()));
        let mut rows = Vec::with_capacity(chunk_rows);
        for first in (0..n_rows).step_by(chunk_rows) {
            let end = (first + chunk_rows).min(n_rows);
            self.will_need(end..(end + chunk_rows).min(n_rows));
            rows.clear();
            rows.extend(first..end);
            let mut codes = chunk.slice_mut(s![..rows.len(), ..]);
            self.fill_rows(&rows, codes.view_mut());
            visit(first, codes.view());
        }
    }

    /// Calls `visit` for each row in order, with its code; holds only one code at a time.
    pub(super) fn for_each_row(&self, mut visit: impl FnMut(usize, &[f32])) {
        let mut code = vec![0.0; self.n_features()];
        for row in 0..self.n_rows() {
            self.fill(row, 0..code.len(), &mut code);
            visit(row, &code);
        }
    }

    /// The results of `of_code` for each row's code, computed on all threads.
    pub(super) fn map_rows<T: Send>(&self, of_code: impl Fn(&[f32]) -> T + Sync) -> Vec<T> {
        let n_features = self.n_features();
        (0..self.n_rows())
            .into_par_iter()
            .map_init(
                || vec![0.0; n_features],
                |code, row| {
                    self.fill(row, 0..n_features, code);
                    of_code(code)
                },
            )
            .collect()
    }

    /// Bytes of a code in its file; `None` if the codes are in memory.
    pub(super) fn file_row_bytes(&self) -> Option<usize> {
        match self.source {
            Source::Array(_) => None,
            Source::Store(store) => Some(store.code_bytes()),
        }
    }

    /// Asks the system to read consecutive rows of a store ahead, without waiting for them.
    pub(super) fn will_need(&self, rows: Range<usize>) {
        if let (Source::Store(store), false) = (self.source, rows.is_empty()) {
            let first = place_in(store, self.source_row(rows.start)).0;
            let last = place_in(store, self.source_row(rows.end - 1)).0;
            store.will_need(first..last + 1);
        }
    }

    fn source_row(&self, row: usize) -> usize {
        self.rows.as_ref().map_or(row, |rows| rows[row])
    }

    /// Euclidean norms (N), summed in f64.
    fn norms(&self) -> Arc<[f32]> {
        let squares = |code: &[f32]| code.iter().map(|&value| f64::from(value).powi(2)).sum();
        let norms: Vec<f64> = self.map_rows(squares);
        norms.iter().map(|squares| squares.sqrt() as f32).collect()
    }
}

/// The picture's row and the view's index, for a row of all views.
fn place_in(store: &Store, source_row: usize) -> (usize, usize) {
    let n_views = store.views().n();
    (source_row / n_views, source_row % n_views)
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;

    #[test]
    fn selections_of_selections_keep_their_norms() {
        let codes = array![[3.0, 4.0], [0.0, 2.0], [6.0, 8.0]];
        let view = CodesView::from(codes.view()).scaled(Scaling::L2).unwrap();
        let view = view.select(&[2, 0]).select(&[1, 0]);
        let mut read = Array2::zeros((2, 2));
        view.read_rows(&[0, 1], read.view_mut()).unwrap();
        assert_eq!(read, array![[0.6, 0.8], [0.6, 0.8]]);
        let mut last = [0.0];
        view.read(1, 1..2, &mut last).unwrap();
        assert_eq!(
            last,
            [0.8],
            "a part of a row is divided by the norm of all of it"
        );
    }

    #[test]
    fn columns_first_reads_the_same() {
        let codes = array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
        let mut values = [0.0; 2];
        CodesView::from(codes.t())
            .read(1, 0..2, &mut values)
            .unwrap();
        assert_eq!(values, [2.0, 5.0]);
    }
}
