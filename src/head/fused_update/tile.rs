//! A few features of a batch, feature by feature, without their zeros.

use super::prefetch::prefetch;

/// Features of a tile: a cache line of each row.
pub(super) const TILE_FEATURES: usize = 16;

/// How many tiles ahead the input is prefetched.
const TILES_AHEAD: usize = 2;

/// Features of input (B, I) from `first` on: as many as there are weights for, at most
/// [`TILE_FEATURES`].
#[derive(Clone, Copy)]
pub(super) struct Features<'a> {
    pub(super) input: &'a [f32],
    pub(super) n_in: usize,
    pub(super) first: usize,
}

impl<'a> Features<'a> {
    /// These features, and then those after them, without end.
    pub(super) fn by_tile(self) -> impl Iterator<Item = Features<'a>> {
        let firsts = (self.first..).step_by(TILE_FEATURES);
        firsts.map(move |first| Features { first, ..self })
    }
}

/// A value that is not zero, and its row in the batch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Entry {
    pub(super) row: u32,
    pub(super) value: f32,
}

/// The nonzero values of up to [`TILE_FEATURES`] features, each in the order of the rows.
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

    /// Replaces the contents by these features, at most [`TILE_FEATURES`].
    ///
    /// Always inlined, to be compiled with its caller's instructions.
    #[inline(always)]
    pub(super) fn take(&mut self, features: Features) {
        self.counts = [0; TILE_FEATURES];
        for (row, values) in features.input.chunks_exact(features.n_in).enumerate() {
            let values = &values[features.first..];
            match values.first_chunk::<TILE_FEATURES>() {
                Some(values) => {
                    prefetch(values, TILES_AHEAD * TILE_FEATURES);
                    self.take_row(row as u32, values);
                }
                None => self.take_row(row as u32, values),
            }
        }
    }

    #[inline(always)]
    fn take_row(&mut self, row: u32, values: &[f32]) {
        let mut left = not_zero(values);
        while left != 0 {
            let feature = left.trailing_zeros() as usize % TILE_FEATURES;
            let count = &mut self.counts[feature];
            let value = values[feature];
            self.entries[feature * self.batch + *count] = Entry { row, value };
            *count += 1;
            left &= left - 1;
        }
    }

    /// The values of one feature.
    #[inline(always)]
    pub(super) fn feature(&self, feature: usize) -> &[Entry] {
        &self.entries[feature * self.batch..][..self.counts[feature]]
    }
}

/// One bit per value, the first one lowest: whether the value is not zero.
///
/// It does not branch on the values, which are practically random.
#[inline(always)]
fn not_zero(values: &[f32]) -> u32 {
    let bit = |(index, &value): (usize, &f32)| u32::from(value != 0.0) << index;
    values.iter().enumerate().map(bit).fold(0, |a, b| a | b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features(input: &[f32], n_in: usize, first: usize) -> Features<'_> {
        Features { input, n_in, first }
    }

    #[test]
    fn a_tile_has_what_is_not_zero_in_the_order_of_the_rows() {
        let input = [9.0, 0.0, 2.0, 9.0, -0.0, 0.0, 9.0, 1e-45, 3.0];
        let mut tile = Tile::new(3);
        let entry = |row, value| Entry { row, value };
        tile.take(features(&input, 3, 1));
        assert_eq!(tile.feature(0), [entry(2, 1e-45)]);
        assert_eq!(tile.feature(1), [entry(0, 2.0), entry(2, 3.0)]);
        tile.take(features(&input[..6], 3, 2));
        assert_eq!(tile.feature(0), [entry(0, 2.0)]);
    }

    #[test]
    fn a_tile_takes_no_more_features_than_it_has_room_for() {
        let input: Vec<_> = (1..=40).map(|value| value as f32).collect();
        let mut tile = Tile::new(2);
        tile.take(features(&input, 20, 3));
        assert_eq!(tile.feature(TILE_FEATURES - 1).len(), 2);
        assert_eq!(tile.feature(TILE_FEATURES - 1)[1].value, 39.0);
        // Those from 14 on are six.
        tile.take(features(&input, 20, 14));
        assert_eq!(tile.feature(5)[0].value, 20.0);
        assert!(tile.feature(6).is_empty());
    }
}
