//! The products between the transforms: for each of the 36 points, a matrix (tiles, channels in)
//! times a matrix (channels in, channels out).

use std::ops::Range;

use crate::instructions::{InstructionSet, Kernel, LANES, Lanes, Vector};

/// Tiles of a group. With many registers, the sums of a group and of [`WIDE`] vectors stay in them:
/// 28 of the 32 of AVX-512.
pub(super) const MR: usize = 14;

/// Vectors of 16 output channels in a panel, if there are many registers; otherwise it is one.
pub(super) const WIDE: usize = 2;

/// Tiles whose sums for 16 output channels stay in the 16 registers of AVX2: 12 of them, with 2 for a
/// filter and one for an input.
const FEW_ROWS: usize = 6;

/// Blocks of input channels at a time if there are few registers: filters of 128 for 16 output
/// channels are 8 KB, a quarter of a first-level cache.
const CACHED_BLOCKS: usize = 8;

/// A group's transformed inputs at one point, for 16 input channels: a vector for each tile.
pub(super) type InputBlock = [Vector; MR];

/// Transformed filters at one point, for one input channel and a panel of output channels; or the
/// results for a tile.
pub(super) type Row<const W: usize> = [Vector; W];

/// The micro-kernel: one group of tiles times one panel of filters, at one point.
struct MicroKernel<'a, const W: usize> {
    /// As many as there are blocks of 16 input channels.
    input: &'a [InputBlock],
    /// As many as there are input channels, in full blocks.
    filters: &'a [Row<W>],
    /// A row for each requested tile, at most [`MR`].
    output: &'a mut [Row<W>],
    /// Filters to prefetch meanwhile.
    next: &'a [Row<W>],
}

/// Products at one point for all groups of a block of tiles, with one panel of filters.
pub(super) struct Products<'a, const W: usize> {
    /// For each group, as many as there are blocks of input channels.
    pub(super) input: &'a [InputBlock],
    pub(super) filters: &'a [Row<W>],
    /// A row for each tile.
    pub(super) output: &'a mut [Row<W>],
    /// The filters needed next, which are prefetched a few at a time: they are far away, and the
    /// processor's own prefetcher does not cross a page.
    pub(super) next: &'a [Row<W>],
}

impl<const W: usize> Kernel for Products<'_, W> {
    type Output = ();

    #[inline(always)]
    fn run<L: InstructionSet>(self) {
        if L::HAS_MANY_REGISTERS {
            self.by_groups::<L>();
        } else {
            self.by_channels::<L>();
        }
    }
}

impl<const W: usize> Products<'_, W> {
    /// Group by group, each over all input channels: its sums, and a row of filters, fit into the
    /// registers.
    #[inline(always)]
    fn by_groups<L: Lanes>(self) {
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

    /// Processes as many input channels at a time as have filters for 16 output channels in the
    /// first-level cache, for all tiles, at most [`FEW_ROWS`] at a time. Sums are kept in the
    /// output, without loss of precision.
    #[inline(always)]
    fn by_channels<L: Lanes>(mut self) {
        let n_blocks = self.filters.len() / LANES;
        let n_tiles = self.output.len();
        let n_steps = n_tiles.div_ceil(FEW_ROWS);
        let share = self
            .next
            .len()
            .div_ceil((W * n_blocks.div_ceil(CACHED_BLOCKS) * n_steps).max(1));
        let mut next = self.next.chunks(share.max(1));
        for first in (0..n_blocks).step_by(CACHED_BLOCKS) {
            let blocks = first..n_blocks.min(first + CACHED_BLOCKS);
            for column in 0..W {
                for step in 0..n_steps {
                    for filter in next.next().unwrap_or_default().as_flattened() {
                        L::prefetch(filter);
                    }
                    // Their lengths differ by at most one tile.
                    let (row, end) = (step * n_tiles / n_steps, (step + 1) * n_tiles / n_steps);
                    let blocks = blocks.clone();
                    match end - row {
                        1 => self.few_rows::<L, 1>(row, column, blocks),
                        2 => self.few_rows::<L, 2>(row, column, blocks),
                        3 => self.few_rows::<L, 3>(row, column, blocks),
                        4 => self.few_rows::<L, 4>(row, column, blocks),
                        5 => self.few_rows::<L, 5>(row, column, blocks),
                        _ => self.few_rows::<L, FEW_ROWS>(row, column, blocks),
                    }
                }
            }
        }
    }

    /// Adds to the sums of R tiles from `row` on, for 16 output channels, over some blocks of input channels.
    #[inline(always)]
    fn few_rows<L: Lanes, const R: usize>(
        &mut self,
        row: usize,
        column: usize,
        blocks: Range<usize>,
    ) {
        let n_blocks = self.filters.len() / LANES;
        let tiles: [(&[InputBlock], usize); R] = std::array::from_fn(|r| {
            let (group, tile) = ((row + r) / MR, (row + r) % MR);
            (&self.input[group * n_blocks..][blocks.clone()], tile)
        });
        let output: &mut [Row<W>; R] = self.output[row..]
            .first_chunk_mut()
            .expect("there are that many tiles");
        let mut sums = [L::splat(0.0); R];
        if blocks.start > 0 {
            for (sum, output) in sums.iter_mut().zip(&*output) {
                *sum = L::load(&output[column]);
            }
        }
        let (filters, _) = self.filters.as_chunks::<LANES>();
        for (block, filters) in filters[blocks].iter().enumerate() {
            let inputs: [&Vector; R] = std::array::from_fn(|r| &tiles[r].0[block][tiles[r].1]);
            for (lane, filter) in filters.iter().enumerate() {
                let filter = L::load(&filter[column]);
                for (sum, input) in sums.iter_mut().zip(inputs) {
                    *sum = L::splat(input[lane]).mul_add(filter, *sum);
                }
            }
        }
        for (sum, output) in sums.into_iter().zip(output) {
            sum.store(&mut output[column]);
        }
    }
}

impl<const W: usize> MicroKernel<'_, W> {
    #[inline(always)]
    fn run<L: Lanes>(mut self) {
        if self.next.is_empty() {
            self.all_rows::<L, false>();
        } else {
            self.all_rows::<L, true>();
        }
    }

    /// Sums of all tiles, in registers for as many as there are.
    #[inline(always)]
    fn all_rows<L: Lanes, const AHEAD: bool>(&mut self) {
        match self.output.len() {
            0..=2 => self.rows::<L, 2, AHEAD>(),
            3..=4 => self.rows::<L, 4, AHEAD>(),
            5..=8 => self.rows::<L, 8, AHEAD>(),
            _ => self.rows::<L, MR, AHEAD>(),
        }
    }

    /// Sums of R tiles, over all input channels in their order.
    #[inline(always)]
    fn rows<L: Lanes, const R: usize, const AHEAD: bool>(&mut self) {
        let mut sums = [[L::splat(0.0); W]; R];
        let (blocks, _) = self.filters.as_chunks::<LANES>();
        let share = self.next.len().div_ceil(self.input.len().max(1)).max(1);
        let mut next = self.next.chunks(share);
        for (input, filters) in self.input.iter().zip(blocks) {
            if AHEAD {
                for filter in next.next().unwrap_or_default().as_flattened() {
                    L::prefetch(filter);
                }
            }
            let input: &[Vector; R] = input.first_chunk().expect("a group has that many tiles");
            for (lane, filters) in filters.iter().enumerate() {
                let filters = filters.each_ref().map(|filter| L::load(filter));
                for (sums, input) in sums.iter_mut().zip(input) {
                    let input = L::splat(input[lane]);
                    for (sum, filter) in sums.iter_mut().zip(filters) {
                        *sum = input.mul_add(filter, *sum);
                    }
                }
            }
        }
        for (sums, output) in sums.iter().zip(self.output.iter_mut()) {
            for (sum, output) in sums.iter().zip(output) {
                sum.store(output);
            }
        }
    }
}
