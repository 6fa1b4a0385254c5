//! Training samples, batch by batch.

use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, Ix2, s};
use rand::Rng;
use rand_xoshiro::Xoshiro256PlusPlus;
use rayon::prelude::*;

use super::order::{Order, Windows};
use super::trainer::Streams;
use super::{BatchOrder, MlpOptions};
use crate::head::fused_update::aligned_zeros;
use crate::head::{CodesView, HeadError, Samples};

/// The training samples, batch by batch, in the order of the epoch.
#[derive(Debug)]
pub(super) struct Batches<'a> {
    samples: Samples<'a>,
    batch_size: usize,
    order: Order,
    rng: Xoshiro256PlusPlus,
    /// Draws the view of each sample.
    view_rng: Xoshiro256PlusPlus,
    /// For each sample (N), the index of its drawn view among all codes, in this epoch.
    places: Vec<usize>,
    held: Held,
    codes: Array2<f32>,
    labels: Vec<usize>,
}

/// Memory in bytes for batches of these samples: the batch, and the rows of a large store.
pub(super) fn bytes_held(samples: &Samples, options: &MlpOptions) -> usize {
    let row_bytes = samples.codes().file_row_bytes();
    let held = Windows::of_large(samples.len(), row_bytes)
        .zip(row_bytes)
        .map_or(0, |(windows, bytes)| {
            bytes * windows.n_held(options.batch_size)
        });
    held + size_of::<f32>() * samples.n_features() * options.batch_size.min(samples.len())
}

/// The samples of a step.
#[derive(Debug)]
pub(super) struct Batch<'b> {
    /// Codes (B, D).
    pub(super) codes: ArrayView2<'b, f32>,
    /// Labels (B).
    pub(super) labels: &'b [usize],
}

impl<'a> Batches<'a> {
    pub(super) fn new(samples: Samples<'a>, options: &MlpOptions, streams: &Streams) -> Self {
        let row_bytes = samples.codes().file_row_bytes();
        let order = match options.order {
            BatchOrder::AsStored => Order::as_stored(samples.len()),
            BatchOrder::Shuffled => Order::shuffled(samples.len(), row_bytes),
        };
        Self::in_order(samples, options.batch_size, order, streams)
    }

    fn in_order(samples: Samples<'a>, batch_size: usize, order: Order, streams: &Streams) -> Self {
        let batch_size = batch_size.min(samples.len());
        Self {
            batch_size,
            order,
            rng: streams.order.clone(),
            view_rng: streams.views.clone(),
            places: (0..samples.len())
                .map(|row| samples.places(row).start)
                .collect(),
            held: Held::default(),
            codes: aligned_zeros(Ix2(batch_size, samples.n_features())),
            labels: Vec::with_capacity(batch_size),
            samples,
        }
    }

    /// Starts an epoch.
    pub(super) fn reorder(&mut self) {
        self.order.renew(&mut self.rng);
        if self.samples.n_views() > 1 {
            for (row, place) in self.places.iter_mut().enumerate() {
                *place = self.view_rng.gen_range(self.samples.places(row));
            }
        }
    }

    /// The batch that begins at `start` in the order of the epoch. Batches must be requested one
    /// after the other.
    ///
    /// # Errors
    /// [`HeadError::Read`] if a store's file cannot be read.
    pub(super) fn next(&mut self, start: usize) -> Result<Option<Batch<'_>>, HeadError> {
        let end = (start + self.batch_size).min(self.samples.len());
        if start >= end {
            return Ok(None);
        }
        let view = self.samples.codes_of_views();
        if let Some(windows) = self.order.windows() {
            self.held
                .read_ahead(view, &self.places, windows, end, self.batch_size)?;
        }
        let rows = &self.order.rows()[start..end];
        let codes = self.codes.slice_mut(s![..end - start, ..]);
        let places: Vec<_> = rows.iter().map(|&row| self.places[row]).collect();
        match self.order.origins(start..end) {
            Some(origins) => self.held.decode(view, &places, origins, codes),
            None => view.read_rows(&places, codes)?,
        }
        self.labels.clear();
        self.labels
            .extend(rows.iter().map(|&row| self.samples.labels()[row]));
        Ok(Some(Batch {
            codes: self.codes.slice(s![..end - start, ..]),
            labels: &self.labels,
        }))
    }
}

/// Rows of a large store that are read from its file before they are needed, in their form on disk.
///
/// They are held here, not left to the page cache. If memory is short, the system drops pages that
/// it read ahead before pages that are no longer needed, and then reads most of them several times.
#[derive(Debug, Default)]
struct Held {
    /// A ring buffer: the row whose place before its window is mixed is `p` is at `p` modulo the
    /// length.
    rows: Vec<Vec<u8>>,
}

impl Held {
    /// Reads the rows that are needed from place `end` on.
    fn read_ahead(
        &mut self,
        view: &CodesView,
        places: &[usize],
        windows: &mut Windows,
        end: usize,
        batch_size: usize,
    ) -> Result<(), HeadError> {
        self.rows.resize(windows.n_held(batch_size), Vec::new());
        for block in windows.announce(end) {
            let first = places[block.rows.start];
            view.will_need(first..places[block.rows.end - 1] + 1);
        }
        let n_held = self.rows.len();
        let mut free: Vec<_> = self.rows.iter_mut().map(Some).collect();
        let mut jobs = Vec::new();
        for block in windows.take(end) {
            for (more, row) in block.rows.clone().enumerate() {
                let bytes = free[(block.place + more) % n_held].take();
                jobs.push((
                    bytes.expect("a ring has room for what is taken at once"),
                    places[row],
                ));
            }
        }
        jobs.into_par_iter()
            .try_for_each(|(bytes, place)| view.read_bytes(place, bytes))
    }

    /// Fills `codes` (B, D) with the rows at these places, which are held here.
    fn decode(
        &self,
        view: &CodesView,
        places: &[usize],
        origins: &[usize],
        mut codes: ArrayViewMut2<f32>,
    ) {
        let targets: Vec<_> = codes
            .axis_iter_mut(Axis(0))
            .zip(places.iter().zip(origins))
            .collect();
        targets
            .into_par_iter()
            .for_each(|(mut code, (&place, &origin))| {
                let values = code.as_slice_mut().expect("rows are in C order");
                view.decode(place, &self.rows[origin % self.rows.len()], values);
            });
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::codes::{
        Code, CodesIdentity, Dtype, PictureRow, Pool, Store, StoreDescription, StoreWriter,
    };
    use crate::files::Existing;
    use crate::head::scaling::{Scaling, ScalingKind};
    use crate::model::{OutputSpec, TrunkIdentity};
    use crate::picture::{Decoding, Filter, Fit, Recipe, Resize, Views};

    /// A store of `n` codes of 4 features, each of a class of its own.
    fn store(dir: &Path, n: usize, dtype: Dtype) -> Store {
        let description = StoreDescription {
            codes: CodesIdentity {
                trunk: TrunkIdentity {
                    name: "none".to_owned(),
                    sha256: "0".repeat(64),
                    tensors_sha256: "0".repeat(64),
                    graph_sha256: None,
                },
                recipe: Recipe::None,
                resize: Resize {
                    width: 1,
                    height: 1,
                    fit: Fit::Stretch,
                    filter: Filter::Bilinear,
                    decoding: Decoding::Full,
                },
                output: OutputSpec {
                    name: "out".to_owned(),
                    shape: vec![1, 1, 4],
                    layers: Vec::new(),
                },
                pool: Pool::None,
            },
            dtype,
            views: Views::None,
            classes: (0..n).map(|class| format!("{class:04}")).collect(),
            root: None,
            listing: None,
            part: None,
            decoder: "none".to_owned(),
            onnxruntime: "none".to_owned(),
            provider: "none".to_owned(),
            kernels: "none".to_owned(),
            max_pixels: None,
            grouped: false,
        };
        let mut writer = StoreWriter::create(dir, Existing::Keep, description).unwrap();
        for row in 0..n {
            let picture = PictureRow {
                path: format!("{row:04}.png").into(),
                label: Some(row),
                width: 1,
                height: 1,
                group: None,
                blake3: blake3::hash(&[0]),
            };
            let code = [1.0, 0.5, -2.0, 0.0].map(|factor| factor * row as f32);
            writer.append(&picture, Code::Values(&code)).unwrap();
        }
        writer.finish().unwrap();
        Store::open(dir).unwrap()
    }

    #[test]
    fn rows_that_are_read_in_windows_are_those_of_the_store() {
        let place = tempfile::tempdir().unwrap();
        for dtype in [Dtype::F32, Dtype::F16] {
            let store = store(&place.path().join(dtype.to_string()), 101, dtype);
            let samples = Samples::of_store(&store).unwrap();
            for kind in [ScalingKind::None, ScalingKind::L2, ScalingKind::Max] {
                let samples = samples.scaled(Scaling::fit(kind, &samples)).unwrap();
                let order = Order::in_windows(samples.len(), 3, 4);
                let streams = Streams::new(8);
                let mut batches = Batches::in_order(samples.clone(), 7, order, &streams);
                for _ in 0..3 {
                    batches.reorder();
                    let mut seen = Vec::new();
                    while let Some(batch) = batches.next(seen.len()).unwrap() {
                        for (code, &row) in batch.codes.rows().into_iter().zip(batch.labels) {
                            let mut expected = [0.0; 4];
                            samples.codes().read(row, 0..4, &mut expected).unwrap();
                            assert_eq!(code.as_slice().unwrap(), expected);
                        }
                        seen.extend_from_slice(batch.labels);
                    }
                    seen.sort_unstable();
                    assert!(seen.into_iter().eq(0..101));
                }
            }
        }
    }

    #[test]
    fn every_epoch_visits_every_row_once() {
        let codes = Array2::from_shape_fn((7, 1), |(row, _)| row as f32);
        let labels: Vec<_> = (0..7).collect();
        let samples = Samples::new(codes.view(), &labels, 7).unwrap();
        let options = MlpOptions {
            batch_size: 3,
            ..MlpOptions::default()
        };
        let mut batches = Batches::new(samples, &options, &Streams::new(0));
        let mut epochs = Vec::new();
        for _ in 0..2 {
            batches.reorder();
            let mut seen = Vec::new();
            while let Some(Batch { codes, labels }) = batches.next(seen.len()).unwrap() {
                assert!(
                    codes
                        .iter()
                        .zip(labels)
                        .all(|(&code, &label)| code == label as f32)
                );
                seen.extend_from_slice(labels);
            }
            epochs.push(seen);
        }
        assert_ne!(epochs[0], epochs[1]);
        for mut seen in epochs {
            seen.sort_unstable();
            assert_eq!(seen, labels);
        }
    }
}
