//! The order of the samples in an epoch.
//!
//! Codes in memory, and stores small enough for the page cache, are shuffled as a whole: every
//! order is equally likely. A larger store would then be read at random places of the disk, once
//! per row. So it is shuffled in two steps:
//!
//! ```text
//! store     |0 1 2|3 4 5|6 7 8|9 ...        blocks of consecutive rows, cut anew in every epoch
//! shuffled  |6 7 8|0 1 2| |15 16 17|3 ...   the blocks in random order
//! window    |1 8 6 2 0 7| |3 16 15 4 ...    the rows of some hundred blocks, in random order
//! ```
//!
//! Every row comes once in an epoch, and is equally likely at any time. One difference from a full
//! shuffle remains: rows of one block lie within a window of each other. The disk is read a block
//! at a time; [`Batches`](super::batches::Batches) holds the rows of two windows.

use std::ops::Range;

use rand::Rng;
use rand::seq::SliceRandom;

/// A store up to this size is shuffled as a whole.
const WHOLE_BYTES: usize = 512 << 20;
/// Bytes that are read at one place of the disk: a rotating disk reads them in the time of one
/// seek.
const BLOCK_BYTES: usize = 1 << 20;
/// Blocks whose rows are mixed. With 128 blocks, a class with a third of the samples makes up 26%
/// to 40% of a window 9 times out of 10, even if the store is sorted by class.
const WINDOW_BLOCKS: usize = 128;
/// Blocks that the system is asked to read ahead.
const BLOCKS_AHEAD: usize = 32;

/// The order of the samples, epoch by epoch.
#[derive(Debug)]
pub(super) struct Order {
    /// Rows in the order of the current epoch.
    rows: Vec<usize>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    AsStored,
    Whole,
    Windows(Windows),
}

/// How a large store is cut into blocks, and how many of them were used in this epoch.
#[derive(Debug)]
pub(super) struct Windows {
    /// Rows of a block.
    len: usize,
    /// Blocks in a window.
    window: usize,
    /// The blocks in the order of the current epoch.
    blocks: Vec<Block>,
    n_announced: usize,
    n_taken: usize,
    /// For each place in the order (N), the place of its row before the windows were mixed.
    origins: Vec<usize>,
}

/// Consecutive rows of a store.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Block {
    pub(super) rows: Range<usize>,
    /// Place of the first row before the windows were mixed.
    pub(super) place: usize,
}

impl Order {
    /// The stored order, in every epoch.
    pub(super) fn as_stored(n_rows: usize) -> Self {
        Self {
            rows: (0..n_rows).collect(),
            kind: Kind::AsStored,
        }
    }

    /// A random order in every epoch, for rows of `row_bytes` in a file, or for rows in memory.
    pub(super) fn shuffled(n_rows: usize, row_bytes: Option<usize>) -> Self {
        Self {
            kind: match Windows::of_large(n_rows, row_bytes) {
                Some(windows) => Kind::Windows(windows),
                None => Kind::Whole,
            },
            ..Self::as_stored(n_rows)
        }
    }

    /// An order with windows of `window` blocks of `len` rows.
    #[cfg(test)]
    pub(super) fn in_windows(n_rows: usize, len: usize, window: usize) -> Self {
        Self {
            kind: Kind::Windows(Windows::new(len, window)),
            ..Self::as_stored(n_rows)
        }
    }

    /// Starts an epoch.
    pub(super) fn renew(&mut self, rng: &mut impl Rng) {
        match &mut self.kind {
            Kind::AsStored => {}
            Kind::Whole => self.rows.shuffle(rng),
            Kind::Windows(windows) => windows.shuffle(&mut self.rows, rng),
        }
    }

    /// The rows in the order of the current epoch.
    pub(super) fn rows(&self) -> &[usize] {
        &self.rows
    }

    /// The places of these rows before the windows were mixed; `None` without windows.
    pub(super) fn origins(&self, places: Range<usize>) -> Option<&[usize]> {
        match &self.kind {
            Kind::AsStored | Kind::Whole => None,
            Kind::Windows(windows) => Some(&windows.origins[places]),
        }
    }

    /// The blocks and windows, if there are any.
    pub(super) fn windows(&mut self) -> Option<&mut Windows> {
        match &mut self.kind {
            Kind::AsStored | Kind::Whole => None,
            Kind::Windows(windows) => Some(windows),
        }
    }
}

impl Windows {
    /// The windows of a store that is too large for a full shuffle; `None` for a smaller one.
    pub(super) fn of_large(n_rows: usize, row_bytes: Option<usize>) -> Option<Self> {
        let row_bytes = row_bytes.filter(|bytes| n_rows.saturating_mul(*bytes) > WHOLE_BYTES)?;
        Some(Self::new((BLOCK_BYTES / row_bytes).max(1), WINDOW_BLOCKS))
    }

    fn new(len: usize, window: usize) -> Self {
        Self {
            len,
            window,
            blocks: Vec::new(),
            n_announced: 0,
            n_taken: 0,
            origins: Vec::new(),
        }
    }

    /// Number of rows that must be held at a time for batches of this size: those of the current
    /// window and of the next one.
    pub(super) fn n_held(&self, batch_size: usize) -> usize {
        (2 * self.window + 1) * self.len + batch_size
    }

    /// Blocks to read now, so that a window's rows are held from place `end` on; each block is
    /// returned once.
    pub(super) fn take(&mut self, end: usize) -> &[Block] {
        let (len, window) = (self.len, self.window);
        Self::until(&self.blocks, &mut self.n_taken, end + window * len)
    }

    /// Blocks that will be taken soon; each is returned once.
    pub(super) fn announce(&mut self, end: usize) -> &[Block] {
        let blocks = self.window + BLOCKS_AHEAD;
        Self::until(&self.blocks, &mut self.n_announced, end + blocks * self.len)
    }

    fn until<'b>(blocks: &'b [Block], n_done: &mut usize, place: usize) -> &'b [Block] {
        let first = *n_done;
        *n_done += blocks[first..].partition_point(|block| block.place < place);
        &blocks[first..*n_done]
    }

    /// Cuts all rows into blocks, the first of random length, so that neighbours are not always in
    /// the same block. Then shuffles the blocks, and the rows of each window.
    fn shuffle(&mut self, rows: &mut [usize], rng: &mut impl Rng) {
        let n_rows = rows.len();
        let first = rng.gen_range(1..=self.len);
        let starts = std::iter::once(0).chain((first..n_rows).step_by(self.len));
        let ends = (first..n_rows).step_by(self.len).chain([n_rows]);
        let blocks = starts.zip(ends).map(|(start, end)| start..end);
        self.blocks = blocks.map(|rows| Block { rows, place: 0 }).collect();
        self.blocks.shuffle(rng);
        (self.n_announced, self.n_taken) = (0, 0);

        let mut unmixed = Vec::with_capacity(n_rows);
        self.origins = (0..n_rows).collect();
        for window in self.blocks.chunks_mut(self.window) {
            let first = unmixed.len();
            for block in window {
                block.place = unmixed.len();
                unmixed.extend(block.rows.clone());
            }
            self.origins[first..unmixed.len()].shuffle(rng);
        }
        for (row, &origin) in rows.iter_mut().zip(&self.origins) {
            *row = unmixed[origin];
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_xoshiro::Xoshiro256PlusPlus;

    use super::*;

    #[test]
    fn every_row_comes_once_and_was_read_before_and_is_not_forgotten() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(3);
        for n_rows in [1, 6, 7, 100, 1003] {
            let mut order = Order::in_windows(n_rows, 7, 5);
            for _ in 0..3 {
                order.renew(&mut rng);
                let rows = order.rows().to_vec();
                let windows = order.windows().unwrap();
                let mut held = vec![usize::MAX; windows.n_held(1)];
                for (place, &row) in rows.iter().enumerate() {
                    for block in windows.take(place + 1) {
                        for (more, row) in block.rows.clone().enumerate() {
                            let n_held = held.len();
                            held[(block.place + more) % n_held] = row;
                        }
                    }
                    let origin = windows.origins[place];
                    assert_eq!(held[origin % held.len()], row, "place {place} of {n_rows}");
                }
                let mut sorted = rows;
                sorted.sort_unstable();
                assert!(sorted.into_iter().eq(0..n_rows));
            }
        }
    }

    #[test]
    fn every_block_is_announced_once_and_before_it_is_taken() {
        let mut order = Order::in_windows(1003, 7, 5);
        order.renew(&mut Xoshiro256PlusPlus::seed_from_u64(6));
        let windows = order.windows().unwrap();
        let (mut announced, mut taken) = (Vec::new(), Vec::new());
        for end in 1..=1003 {
            announced.extend_from_slice(windows.announce(end));
            taken.extend_from_slice(windows.take(end));
            assert!(announced.starts_with(&taken));
        }
        assert_eq!(announced, taken);
        assert_eq!(
            taken.iter().map(|block| block.rows.len()).sum::<usize>(),
            1003
        );
    }

    #[test]
    fn a_row_is_as_likely_early_as_late() {
        // 60 rows in blocks of 4, windows of 3: 4,000 epochs, the place of each of three rows
        // counted in quarters. A quarter's share is 1/4 but for the blocks at both ends, which are
        // shorter; its deviation is sqrt(1/4 3/4 / 4000) = 0.7%.
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(4);
        let mut order = Order::in_windows(60, 4, 3);
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
        let mut order = Order::in_windows(700, 7, 5);
        order.renew(&mut rng);
        let blocks = order.windows().unwrap().take(700).to_vec();
        for window in blocks.chunks(5) {
            let rows = window.iter().flat_map(|block| block.rows.clone());
            let mut expected: Vec<_> = rows.collect();
            let first = window[0].place;
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
