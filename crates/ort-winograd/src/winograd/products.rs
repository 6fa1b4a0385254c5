//! The products between the transforms: for each of the 36 points, a matrix (tiles, channels in)
//! times a matrix (channels in, channels out).

use crate::instructions::{InstructionSet, Kernel, LANES, Lanes, Vector};

/// Rows of the micro-kernel, a group: tiles whose sums stay in registers. With [`NR`] vectors each
/// they take 28 of the 32 registers of AVX-512.
pub(super) const MR: usize = 14;

/// Columns of the micro-kernel, a panel: vectors of 16 output channels.
pub(super) const NR: usize = 2;

/// A group's transformed inputs at one point, for 16 input channels: a vector for each tile.
pub(super) type InputBlock = [Vector; MR];

/// Transformed filters at one point, of one input channel and a panel of output channels.
pub(super) type FilterRow = [Vector; NR];

/// The micro-kernel: one group of tiles times one panel of filters, at one point.
pub(super) struct MicroKernel<'a> {
    /// As many as there are blocks of 16 input channels.
    pub(super) input: &'a [InputBlock],
    /// As many as there are input channels, in full blocks.
    pub(super) filters: &'a [FilterRow],
    /// A row for each tile that is wanted, at most [`MR`].
    pub(super) output: &'a mut [FilterRow],
    /// Filters to fetch meanwhile.
    pub(super) next: &'a [FilterRow],
}

/// Products at one point for all groups of a block of tiles, with one panel of filters.
pub(super) struct Products<'a> {
    /// For each group, as many as there are blocks of input channels.
    pub(super) input: &'a [InputBlock],
    pub(super) filters: &'a [FilterRow],
    /// A row for each tile.
    pub(super) output: &'a mut [FilterRow],
    /// Filters that are wanted next, which are fetched into the cache a few at a time: they come
    /// from far, and the processor does not look beyond a page by itself.
    pub(super) next: &'a [FilterRow],
}

impl Kernel for Products<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: InstructionSet>(self) {
        let n_blocks = self.filters.len() / LANES;
        let groups = self.input.chunks_exact(n_blocks);
        let share = self.next.len().div_ceil(groups.len()).max(1);
        let mut next = self.next.chunks(share);
        for (input, output) in groups.zip(self.output.chunks_mut(MR)) {
            MicroKernel {
                input,
                filters: self.filters,
                output,
                next: next.next().unwrap_or_default(),
            }
            .run::<L>();
        }
    }
}

impl MicroKernel<'_> {
    #[inline(always)]
    fn run<L: Lanes>(mut self) {
        if !L::HAS_MANY_REGISTERS {
            for column in 0..NR {
                for row in (0..self.output.len()).step_by(5) {
                    if row < 10 {
                        self.rows::<L, 5, 1, false>(row, column);
                    } else {
                        self.rows::<L, 4, 1, false>(row, column);
                    }
                }
            }
        } else if self.next.is_empty() {
            self.all_rows::<L, false>();
        } else {
            self.all_rows::<L, true>();
        }
    }

    /// Sums of all tiles, in registers for as many as there are.
    #[inline(always)]
    fn all_rows<L: Lanes, const AHEAD: bool>(&mut self) {
        match self.output.len() {
            0..=2 => self.rows::<L, 2, NR, AHEAD>(0, 0),
            3..=4 => self.rows::<L, 4, NR, AHEAD>(0, 0),
            5..=8 => self.rows::<L, 8, NR, AHEAD>(0, 0),
            _ => self.rows::<L, MR, NR, AHEAD>(0, 0),
        }
    }

    /// Sums of R tiles and C vectors of channels, over all input channels in their order.
    #[inline(always)]
    fn rows<L: Lanes, const R: usize, const C: usize, const AHEAD: bool>(
        &mut self,
        row: usize,
        column: usize,
    ) {
        let mut sums = [[L::splat(0.0); C]; R];
        let (blocks, _) = self.filters.as_chunks::<LANES>();
        let share = self.next.len().div_ceil(self.input.len().max(1)).max(1);
        let mut next = self.next.chunks(share);
        for (input, filters) in self.input.iter().zip(blocks) {
            if AHEAD {
                for filter in next.next().unwrap_or_default().as_flattened() {
                    L::prefetch(filter);
                }
            }
            let input: &[Vector; R] = input[row..]
                .first_chunk()
                .expect("a group has that many tiles");
            for (lane, filters) in filters.iter().enumerate() {
                let mut loaded = [L::splat(0.0); C];
                for (loaded, filter) in loaded.iter_mut().zip(&filters[column..]) {
                    *loaded = L::load(filter);
                }
                for (sums, input) in sums.iter_mut().zip(input) {
                    let input = L::splat(input[lane]);
                    for (sum, filter) in sums.iter_mut().zip(loaded) {
                        *sum = input.mul_add(filter, *sum);
                    }
                }
            }
        }
        for (sums, output) in sums.iter().zip(&mut self.output[row..]) {
            for (c, sum) in sums.iter().enumerate() {
                sum.store(&mut output[column + c]);
            }
        }
    }
}
