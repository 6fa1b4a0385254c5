//! How the work of a convolution is cut into pieces.

use std::ops::Range;

use super::products::MR;

/// Tiles that are worked on at a time: 4 groups, and a row of tiles of a picture 224 wide.
///
/// Their transforms stay in the second-level cache for up to 64 channels, and filters are read
/// once for so many.
const BLOCK: usize = 4 * MR;

/// Blocks for each thread from which on it does not matter that they cannot be dealt out evenly.
const MANY: usize = 8;

/// How work is cut into pieces: blocks of tiles, as many as can be dealt out evenly, and where they
/// cannot, parts of the panels, each with a transform of the inputs of its own.
#[derive(Debug)]
pub(super) struct Plan {
    n_tiles: usize,
    n_blocks: usize,
    n_panels: usize,
    n_parts: usize,
}

impl Plan {
    pub(super) fn new(n_tiles: usize, n_panels: usize, n_threads: usize) -> Self {
        let n_blocks = n_tiles.div_ceil(BLOCK);
        let is_even = n_blocks.is_multiple_of(n_threads) || n_blocks >= MANY * n_threads;
        Self {
            n_tiles,
            n_blocks,
            n_panels,
            n_parts: if is_even { 1 } else { n_threads.min(n_panels) },
        }
    }

    pub(super) fn n_pieces(&self) -> usize {
        self.n_blocks * self.n_parts
    }

    /// The first tile of a piece, and how many it has.
    pub(super) fn tiles(&self, piece: usize) -> (usize, usize) {
        let tiles = slice(self.n_tiles, piece / self.n_parts, self.n_blocks);
        (tiles.start, tiles.len())
    }

    pub(super) fn panels(&self, piece: usize) -> Range<usize> {
        slice(self.n_panels, piece % self.n_parts, self.n_parts)
    }
}

/// The `index`-th of `of` slices of 0 to n, none more than one longer than another.
fn slice(n: usize, index: usize, of: usize) -> Range<usize> {
    index * n / of..(index + 1) * n / of
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_have_every_tile_and_panel_once_and_are_dealt_out_evenly() {
        for (n_tiles, n_panels, n_threads) in [
            (64, 16, 2),
            (16, 16, 2),
            (196, 8, 3),
            (150, 1, 4),
            (12544, 2, 2),
            (0, 3, 2),
            (5, 2, 9),
        ] {
            let plan = Plan::new(n_tiles, n_panels, n_threads);
            let mut seen = vec![0; n_tiles * n_panels];
            for piece in 0..plan.n_pieces() {
                let (first, n) = plan.tiles(piece);
                assert!((1..=BLOCK).contains(&n), "{plan:?}");
                for tile in first..first + n {
                    for panel in plan.panels(piece) {
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
