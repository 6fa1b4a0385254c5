//! The order in which an epoch takes the samples.
//!
//! Codes in memory, and stores that are small enough to stay in the page cache, are shuffled as a
//! whole: every order is equally likely. A larger store would be read at random places of a disk
//! then, once for every row. It is shuffled in two steps instead:
//!
//! ```text
//! store     |0 1 2|3 4 5|6 7 8|9 ...        blocks of consecutive rows, cut anew in every epoch
//! shuffled  |6 7 8|0 1 2| |15 16 17|3 ...   the blocks, each equally likely to be at any place
//! window    |1 8 6 2 0 7| |3 16 15 4 ...    the rows of some hundred blocks, in any order
//! ```
//!
//! Every row comes once in an epoch, and is as likely early as late in it. What is not as in a whole
//! shuffle: rows of one block come within a window of each other. The disk is read a block at a
//! time, a window ahead of the batches, by the system and into its page cache.

use std::ops::Range;

use rand::Rng;
use rand::seq::SliceRandom;

/// A store up to this size is shuffled as a whole.
const WHOLE_BYTES: usize = 512 << 20;
/// What is read at one place of the disk: a disk that turns reads it as long as it seeks for it.
const BLOCK_BYTES: usize = 1 << 20;
/// Blocks whose rows are mixed; with 256 of them a class with a third of the samples has 29% to 38%
/// of a window, 9 times of 10, though a store comes class after class.
const WINDOW_BLOCKS: usize = 256;

/// The order of the samples, epoch by epoch.
#[derive(Debug)]
pub(super) struct Order {
    rows: Vec<usize>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    AsStored,
    Whole,
    Windows(Blocks),
}

/// How a large store is cut up.
#[derive(Debug)]
struct Blocks {
    /// Rows of a block.
    len: usize,
    /// Blocks in a window.
    window: usize,
    /// The blocks in this epoch's order, each with its place in the order of rows.
    placed: Vec<(usize, Range<usize>)>,
    /// Blocks that were announced already.
    n_announced: usize,
}

impl Order {
    /// The order as it is stored, in every epoch.
    pub(super) fn as_stored(n_rows: usize) -> Self {
        Self {
            rows: (0..n_rows).collect(),
            kind: Kind::AsStored,
        }
    }

    /// A random order in every epoch, of rows of `row_bytes` in a file, or of rows in memory.
    pub(super) fn shuffled(n_rows: usize, row_bytes: Option<usize>) -> Self {
        let kind = match row_bytes {
            Some(row_bytes) if n_rows.saturating_mul(row_bytes) > WHOLE_BYTES => {
                Kind::Windows(Blocks::new((BLOCK_BYTES / row_bytes).max(1), WINDOW_BLOCKS))
            }
            _ => Kind::Whole,
        };
        Self {
            kind,
            ..Self::as_stored(n_rows)
        }
    }

    /// Begins an epoch.
    pub(super) fn renew(&mut self, rng: &mut impl Rng) {
        match &mut self.kind {
            Kind::AsStored => {}
            Kind::Whole => self.rows.shuffle(rng),
            Kind::Windows(blocks) => blocks.shuffle(&mut self.rows, rng),
        }
    }

    /// The rows in this epoch's order.
    pub(super) fn rows(&self) -> &[usize] {
        &self.rows
    }

    /// Runs of rows that will come within a window from place `end` on, each of them once.
    pub(super) fn announce(&mut self, end: usize) -> &[(usize, Range<usize>)] {
        match &mut self.kind {
            Kind::AsStored | Kind::Whole => &[],
            Kind::Windows(blocks) => blocks.announce(end),
        }
    }
}

impl Blocks {
    fn new(len: usize, window: usize) -> Self {
        Self {
            len,
            window,
            placed: Vec::new(),
            n_announced: 0,
        }
    }

    /// Cuts all rows into blocks, the first of a random length, so that neighbours are not always
    /// in one block; then shuffles the blocks, and the rows of each window.
    fn shuffle(&mut self, rows: &mut [usize], rng: &mut impl Rng) {
        let n_rows = rows.len();
        let first = rng.gen_range(1..=self.len);
        let starts = std::iter::once(0).chain((first..n_rows).step_by(self.len));
        let ends = (first..n_rows).step_by(self.len).chain([n_rows]);
        self.placed = starts
            .zip(ends)
            .map(|(start, end)| (0, start..end))
            .collect();
        self.placed.shuffle(rng);
        self.n_announced = 0;
        let mut place = 0;
        for window in self.placed.chunks_mut(self.window) {
            let first = place;
            for (start, block) in window {
                *start = place;
                place += block.len();
                rows[*start..place]
                    .iter_mut()
                    .zip(block.clone())
                    .for_each(|(row, of_block)| *row = of_block);
            }
            rows[first..place].shuffle(rng);
        }
    }

    fn announce(&mut self, end: usize) -> &[(usize, Range<usize>)] {
        let first = self.n_announced;
        let until = end + self.window * self.len;
        let more = self.placed[first..].partition_point(|&(start, _)| start < until);
        self.n_announced += more;
        &self.placed[first..self.n_announced]
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_xoshiro::Xoshiro256PlusPlus;

    use super::*;

    fn windows(n_rows: usize, len: usize, window: usize) -> Order {
        Order {
            kind: Kind::Windows(Blocks::new(len, window)),
            ..Order::as_stored(n_rows)
        }
    }

    #[test]
    fn every_row_comes_once_and_its_block_was_announced_before() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(3);
        for n_rows in [1, 6, 7, 100, 1003] {
            let mut order = windows(n_rows, 7, 5);
            for _ in 0..3 {
                order.renew(&mut rng);
                let mut announced = vec![0; n_rows];
                for end in 0..n_rows {
                    for (_, block) in order.announce(end) {
                        block.clone().for_each(|row| announced[row] += 1);
                    }
                    let row = order.rows()[end];
                    assert_eq!(announced[row], 1, "row {row} of {n_rows}, place {end}");
                }
                let mut rows = order.rows().to_vec();
                rows.sort_unstable();
                assert!(rows.into_iter().eq(0..n_rows));
                assert!(announced.iter().all(|&n| n == 1));
            }
        }
    }

    #[test]
    fn a_row_is_as_likely_early_as_late() {
        // 60 rows in blocks of 4, windows of 3: 4,000 epochs, the place of each of three rows
        // counted in quarters. A quarter's share is 1/4 but for the blocks at both ends, which are
        // shorter; its deviation is sqrt(1/4 3/4 / 4000) = 0.7%.
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(4);
        let mut order = windows(60, 4, 3);
        let mut quarters = [[0; 4]; 3];
        for _ in 0..4000 {
            order.renew(&mut rng);
            for (place, row) in order.rows().iter().enumerate() {
                if let Some(which) = [0, 31, 59].iter().position(|wanted| wanted == row) {
                    quarters[which][place / 15] += 1;
                }
            }
        }
        for counts in quarters {
            for count in counts {
                let share = f64::from(count) / 4000.0;
                assert!((share - 0.25).abs() < 0.035, "{quarters:?}");
            }
        }
    }

    #[test]
    fn a_window_has_the_rows_of_its_blocks_and_no_others() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(5);
        let mut order = windows(700, 7, 5);
        order.renew(&mut rng);
        let blocks = order.announce(700).to_vec();
        for window in blocks.chunks(5) {
            let mut expected: Vec<_> = window.iter().flat_map(|(_, block)| block.clone()).collect();
            let first = window[0].0;
            let mut rows = order.rows()[first..first + expected.len()].to_vec();
            assert_ne!(rows, expected, "they are mixed");
            rows.sort_unstable();
            expected.sort_unstable();
            assert_eq!(rows, expected);
        }
    }

    #[test]
    fn small_stores_and_arrays_are_shuffled_as_a_whole() {
        let is_whole =
            |n_rows, row_bytes| matches!(Order::shuffled(n_rows, row_bytes).kind, Kind::Whole);
        assert!(is_whole(600, Some(100_352)));
        assert!(is_whole(20_000, None));
        assert!(!is_whole(20_000, Some(100_352)));
    }
}
