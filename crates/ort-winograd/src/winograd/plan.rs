//! How the work of a convolution is cut into pieces.

use std::ops::Range;

/// Blocks per thread from which on an uneven distribution does not matter.
const MANY: usize = 8;

/// How work with two sides, such as tiles and panels, is cut into pieces: into slices of one side,
/// as many as can be distributed evenly. If that is impossible, slices are also divided along the
/// other side, and each part prepares the slice itself.
#[derive(Debug)]
pub(super) struct Plan {
    n_slices: usize,
    n_others: usize,
    n_parts: usize,
}

impl Plan {
    /// Cuts one side into `n_slices`; the other has `n_others` elements.
    pub(super) fn new(n_slices: usize, n_others: usize, n_threads: usize) -> Self {
        let is_even = n_slices.is_multiple_of(n_threads) || n_slices >= MANY * n_threads;
        Self {
            n_slices,
            n_others,
            n_parts: if is_even { 1 } else { n_threads.min(n_others) },
        }
    }

    pub(super) fn n_pieces(&self) -> usize {
        self.n_slices * self.n_parts
    }

    /// A piece's slice of `n` elements.
    pub(super) fn slice(&self, n: usize, piece: usize) -> Range<usize> {
        slice(n, piece / self.n_parts, self.n_slices)
    }

    /// A piece's part of the other side.
    pub(super) fn other(&self, piece: usize) -> Range<usize> {
        slice(self.n_others, piece % self.n_parts, self.n_parts)
    }
}

/// The `index`-th of `of` slices of 0 to n, whose lengths differ by at most one.
pub(super) fn slice(n: usize, index: usize, of: usize) -> Range<usize> {
    index * n / of..(index + 1) * n / of
}

#[cfg(test)]
mod tests {
    use super::super::block::MOST_TILES;
    use super::*;

    #[test]
    fn pieces_have_every_tile_and_panel_once_and_are_dealt_out_evenly() {
        for (n_tiles, n_panels, n_threads) in [
            (64_usize, 16, 2),
            (16, 16, 2),
            (196, 8, 3),
            (150, 1, 4),
            (12544, 2, 2),
            (0, 3, 2),
            (5, 2, 9),
        ] {
            let plan = Plan::new(n_tiles.div_ceil(MOST_TILES), n_panels, n_threads);
            let mut seen = vec![0; n_tiles * n_panels];
            for piece in 0..plan.n_pieces() {
                let tiles = plan.slice(n_tiles, piece);
                assert!((1..=MOST_TILES).contains(&tiles.len()), "{plan:?}");
                for tile in tiles {
                    for panel in plan.other(piece) {
                        seen[tile * n_panels + panel] += 1;
                    }
                }
            }
            assert_eq!(seen, vec![1; n_tiles * n_panels], "{plan:?}");
            let is_even = plan.n_pieces().is_multiple_of(n_threads);
            assert!(is_even || plan.n_pieces() > 8 * n_threads || n_panels < n_threads);
        }
    }
}
