//! Training samples, batch by batch.

use ndarray::{Array2, ArrayView2, Ix2, s};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::order::Order;
use super::{BatchOrder, MlpOptions};
use crate::head::Samples;
use crate::head::wide::aligned_zeros;

/// The training samples, batch by batch in this epoch's order.
#[derive(Debug)]
pub(super) struct Batches<'a> {
    samples: Samples<'a>,
    batch_size: usize,
    order: Order,
    rng: Xoshiro256PlusPlus,
    codes: Array2<f32>,
    labels: Vec<usize>,
}

impl<'a> Batches<'a> {
    pub(super) fn new(samples: Samples<'a>, options: &MlpOptions, rng: Xoshiro256PlusPlus) -> Self {
        let batch_size = options.batch_size.min(samples.len());
        let row_bytes = samples.codes().mapped_row_bytes();
        Self {
            batch_size,
            order: match options.order {
                BatchOrder::AsStored => Order::as_stored(samples.len()),
                BatchOrder::Shuffled => Order::shuffled(samples.len(), row_bytes),
            },
            rng,
            codes: aligned_zeros(Ix2(batch_size, samples.n_features())),
            labels: Vec::with_capacity(batch_size),
            samples,
        }
    }

    /// Begins an epoch.
    pub(super) fn reorder(&mut self) {
        self.order.renew(&mut self.rng);
    }

    /// The batch that begins at `start` in this epoch's order: codes (B, D) and labels (B).
    pub(super) fn next(&mut self, start: usize) -> Option<(ArrayView2<'_, f32>, &[usize])> {
        let end = (start + self.batch_size).min(self.samples.len());
        if start >= end {
            return None;
        }
        for (_, block) in self.order.announce(end) {
            self.samples.codes().will_need(block.clone());
        }
        let rows = &self.order.rows()[start..end];
        let mut codes = self.codes.slice_mut(s![..rows.len(), ..]);
        self.samples.codes().read_rows(rows, codes.view_mut());
        self.labels.clear();
        self.labels
            .extend(rows.iter().map(|&row| self.samples.labels()[row]));
        Some((self.codes.slice(s![..end - start, ..]), &self.labels))
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn every_epoch_visits_every_row_once() {
        let codes = Array2::from_shape_fn((7, 1), |(row, _)| row as f32);
        let labels: Vec<_> = (0..7).collect();
        let samples = Samples::new(codes.view(), &labels, 7).unwrap();
        let options = MlpOptions {
            batch_size: 3,
            ..MlpOptions::default()
        };
        let mut batches = Batches::new(samples, &options, Xoshiro256PlusPlus::seed_from_u64(0));
        let mut epochs = Vec::new();
        for _ in 0..2 {
            batches.reorder();
            let mut seen = Vec::new();
            while let Some((codes, labels)) = batches.next(seen.len()) {
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
