//! Stores derived from others and held in memory: other codes, some of the pictures, two stores
//! joined.

use std::sync::Arc;

use rayon::prelude::*;

use super::Store;
use crate::codes::{CodesIdentity, Dtype, PictureRow, Pool, StoreError};
use crate::model::Layers;
use crate::picture::Views;

impl Store {
    /// The same pictures, with the mean or the maximum of each code over height and width: the
    /// numbers that an extraction with this pooling would give, except that a float16 store was
    /// rounded before pooling. They are computed here and held in memory: N * V * C float32 for V
    /// views per picture.
    ///
    /// A store that already has this pooling is returned unchanged.
    ///
    /// # Errors
    /// [`StoreError::Pooled`] if its codes have no height and width; as [`Store::read_code`].
    pub fn pooled(&self, pool: Pool) -> Result<Self, StoreError> {
        let codes = &self.manifest.store.codes;
        if codes.pool == pool {
            return Ok(self.clone());
        }
        if codes.pool != Pool::None || codes.output.shape.len() < 3 {
            return Err(StoreError::Pooled {
                dir: self.dir.clone(),
                pool: codes.pool,
                wanted: pool,
            });
        }
        let channels = codes.output.channels();
        let pooled = CodesIdentity {
            pool,
            ..codes.clone()
        };
        self.made(pooled, |code, made| pool.append(code, channels, made))
    }

    /// The same pictures, with only the codes of these layers, in the order of `names`: the numbers
    /// that an extraction of these layers would give. They are held in memory: N * V * D float32
    /// for V views per picture.
    ///
    /// # Errors
    /// [`StoreError::NoLayers`] or [`StoreError::NoLayer`] if a layer does not exist; as
    /// [`Store::read_code`].
    pub fn with_layers(&self, names: &[String]) -> Result<Self, StoreError> {
        let codes = &self.manifest.store.codes;
        if codes.output.layers.is_empty() {
            return Err(StoreError::NoLayers {
                dir: self.dir.clone(),
            });
        }
        let columns_of = |name: &String| {
            let columns = codes.output.columns_of(name);
            columns.ok_or_else(|| StoreError::NoLayer {
                dir: self.dir.clone(),
                name: name.clone(),
                there: self.layers().join(", "),
            })
        };
        let columns: Vec<_> = (names.iter().map(columns_of)).collect::<Result<_, _>>()?;
        if *names == *self.layers() {
            return Ok(self.clone());
        }
        let of_layers = codes
            .with_layers(names)
            .ok_or_else(|| StoreError::NoLayer {
                dir: self.dir.clone(),
                name: names.join(","),
                there: self.layers().join(", "),
            })?;
        self.made(of_layers, |code, made| {
            for columns in &columns {
                made.extend_from_slice(&code[columns.clone()]);
            }
        })
    }

    /// The layers whose codes are side by side in this store, in order; empty if none are recorded.
    #[must_use]
    pub fn layers(&self) -> Vec<String> {
        let layers = self.codes_identity().output.layers.iter();
        layers.map(|there| there.layer.clone()).collect()
    }

    /// The same store with only the first view of each picture: the picture itself.
    #[must_use]
    pub fn without_views(&self) -> Self {
        let mut store = self.clone();
        store.manifest.store.views = Views::None;
        store
    }

    /// The same pictures and views with other codes (N, V, D), which are held in memory.
    ///
    /// # Panics
    /// If their number differs.
    pub(crate) fn with_codes(&self, codes: CodesIdentity, values: Vec<f32>) -> Self {
        assert_eq!(
            values.len(),
            self.pictures.len() * self.views().n() * codes.code_len(),
            "a code for each view of each picture"
        );
        let mut store = self.clone();
        store.manifest.store.codes = codes;
        store.manifest.store.dtype = Dtype::F32;
        store.stride = store.views().n();
        store.made = Some(Arc::new(values));
        store.rows = None;
        store
    }

    /// This store with new codes that `append` computes from its own, one at a time.
    fn made(
        &self,
        codes: CodesIdentity,
        append: impl Fn(&[f32], &mut Vec<f32>) + Sync,
    ) -> Result<Self, StoreError> {
        let (whole_len, made_len) = (self.codes_identity().code_len(), codes.code_len());
        let rows: Vec<_> = (0..self.pictures.len()).collect();
        let n_views = self.views().n();
        let of_row = |code: &mut Vec<f32>, &row: &usize| {
            let mut made = Vec::with_capacity(n_views * made_len);
            for view in 0..n_views {
                self.read_view(row, view, 0..whole_len, code)?;
                append(code, &mut made);
            }
            Ok(made)
        };
        let made = (rows.par_iter()).map_init(|| vec![0.0; whole_len], of_row);
        let made: Vec<Vec<f32>> = made.collect::<Result<_, StoreError>>()?;
        Ok(self.with_codes(codes, made.concat()))
    }

    /// Some of these pictures, in the order given, each with a class among `classes`.
    ///
    /// # Panics
    /// If there is no such row or class.
    #[must_use]
    pub(crate) fn labelled(&self, classes: &[String], rows: &[(usize, usize)]) -> Self {
        let mut store = self.clone();
        let mut per_class = vec![0; classes.len()];
        store.pictures = Vec::with_capacity(rows.len());
        for &(row, label) in rows {
            per_class[label] += 1;
            store.pictures.push(PictureRow {
                label: Some(label),
                ..self.pictures[row].clone()
            });
        }
        store.rows = Some(rows.iter().map(|&(row, _)| self.file_row(row)).collect());
        store.labels = Some(rows.iter().map(|&(_, label)| label).collect());
        store.manifest.store.classes = classes.to_vec();
        store.manifest.counts.per_class = per_class;
        store.manifest.counts.pictures = rows.len();
        store
    }

    /// The pictures of this store, followed by those of another. The result has this store's name.
    ///
    /// # Errors
    /// [`StoreError::Joined`] if the codes, their dtypes or the classes differ.
    pub fn with(&self, more: &Self) -> Result<Self, StoreError> {
        let (ours, theirs) = (&self.manifest.store, &more.manifest.store);
        let reason = match ours.codes.difference(&theirs.codes) {
            Some(difference) => format!("{difference}; extract both with the same options"),
            None if ours.dtype != theirs.dtype || self.made.is_some() || more.made.is_some() => {
                "they hold numbers of different types; extract both with the same --dtype"
                    .to_owned()
            }
            None if ours.classes != theirs.classes => "their classes differ".to_owned(),
            None if ours.views != theirs.views || self.stride != more.stride => {
                "they have other views of their pictures; extract both with the same --views"
                    .to_owned()
            }
            None => String::new(),
        };
        if !reason.is_empty() {
            return Err(StoreError::Joined {
                dir: self.dir.clone(),
                more: more.dir.clone(),
                reason,
            });
        }
        let of_files = |store: &Self| store.codes.iter().map(|file| file.n_rows).sum::<usize>();
        let n_before = of_files(self);
        let rows = |store: &Self, first: usize| -> Vec<usize> {
            let rows = 0..store.pictures.len();
            rows.map(|row| first + store.file_row(row)).collect()
        };
        let mut whole = self.clone();
        whole.rows = Some([rows(self, 0), rows(more, n_before)].concat().into());
        let mut files: Vec<_> = self.codes.iter().cloned().collect();
        files.extend(more.codes.iter().cloned().map(|mut file| {
            file.first_row += n_before;
            file
        }));
        whole.codes = Arc::new(files);
        whole.pictures.extend_from_slice(&more.pictures);
        if let (Some(labels), Some(more)) = (&mut whole.labels, &more.labels) {
            labels.extend_from_slice(more);
        }
        whole.manifest.counts.add(&more.manifest.counts);
        Ok(whole)
    }

    /// This store with the pooling or the layers of `codes`, if these are the only difference.
    ///
    /// # Errors
    /// As [`Store::read_code`].
    pub fn taken_as(&self, codes: &CodesIdentity) -> Result<Self, StoreError> {
        if let Ok(wanted) = codes.output.name.parse::<Layers>() {
            let is_made_so = |ours: Layers| ours.is_made_like(&wanted);
            let ours = self.codes_identity().output.name.parse();
            let cut = self.codes_identity().with_layers(wanted.names());
            let may = ours.is_ok_and(is_made_so)
                && cut.is_some_and(|cut| cut.difference(codes).is_none());
            return match may {
                true => self.with_layers(wanted.names()),
                false => Ok(self.clone()),
            };
        }
        let pooled = CodesIdentity {
            pool: codes.pool,
            ..self.codes_identity().clone()
        };
        let may = self.codes_identity().pool == Pool::None
            && self.codes_identity().output.shape.len() == 3
            && pooled.difference(codes).is_none();
        if may {
            self.pooled(codes.pool)
        } else {
            Ok(self.clone())
        }
    }
}
