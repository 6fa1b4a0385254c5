//! A few features of a batch, feature by feature, without their zeros.

use std::ops::Range;

use ndarray::ArrayView2;

/// Features of a tile: a cache line of each row.
pub(super) const TILE_FEATURES: usize = 16;

/// A value that is not zero, and its row in the batch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Entry {
    pub(super) row: u32,
    pub(super) value: f32,
}

/// The values other than zero of up to [`TILE_FEATURES`] features, each in the order of the rows.
#[derive(Debug)]
pub(super) struct Tile {
    batch: usize,
    counts: [usize; TILE_FEATURES],
    /// Room for `batch` entries for each feature.
    entries: Vec<Entry>,
}

impl Tile {
    /// An empty tile for batches of `batch` rows.
    pub(super) fn new(batch: usize) -> Self {
        Self {
            batch,
            counts: [0; TILE_FEATURES],
            entries: vec![Entry::default(); TILE_FEATURES * batch],
        }
    }

    /// Takes `features` of input (B, I), in place of those that it had.
    ///
    /// A zero is written too, and then overwritten: a branch on values that are as good as random
    /// would cost more.
    pub(super) fn take(&mut self, input: ArrayView2<f32>, features: Range<usize>) {
        self.counts = [0; TILE_FEATURES];
        for (row, values) in input.rows().into_iter().enumerate() {
            let values = values.to_slice().expect("rows are contiguous");
            let lists = self.entries.chunks_exact_mut(self.batch);
            let lists = lists.zip(&mut self.counts);
            for (&value, (list, count)) in values[features.clone()].iter().zip(lists) {
                let row = row as u32;
                list[*count] = Entry { row, value };
                *count += usize::from(value != 0.0);
            }
        }
    }

    /// The values of one feature.
    #[inline(always)]
    pub(super) fn feature(&self, feature: usize) -> &[Entry] {
        &self.entries[feature * self.batch..][..self.counts[feature]]
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{array, s};

    use super::*;

    #[test]
    fn a_tile_has_what_is_not_zero_in_the_order_of_the_rows() {
        let input = array![[9.0, 0.0, 2.0], [9.0, -0.0, 0.0], [9.0, 1e-45, 3.0]];
        let mut tile = Tile::new(3);
        let entry = |row, value| Entry { row, value };
        tile.take(input.view(), 1..3);
        assert_eq!(tile.feature(0), [entry(2, 1e-45)]);
        assert_eq!(tile.feature(1), [entry(0, 2.0), entry(2, 3.0)]);
        tile.take(input.slice(s![..2, ..]), 2..3);
        assert_eq!(tile.feature(0), [entry(0, 2.0)]);
    }
}
