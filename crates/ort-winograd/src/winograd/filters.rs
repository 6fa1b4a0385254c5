//! Filters in vectors: as in the model, and transformed.

use std::ops::Range;

use rayon::prelude::*;

use super::aligned_buffer::AlignedBuffer;
use super::products::Row;
use super::transform::{POINTS, SIDE, filters_row};
use super::weights::{Turn, Weights};
use crate::instructions::{InstructionSet, Instructions, Kernel, LANES, Lanes, Vector};

/// Numbers of a filter.
pub(super) const TAPS: usize = 9;

/// Filters (3, 3) of one input channel and 16 output channels, row by row.
pub(super) type Filters = [Vector; TAPS];

/// The filters of a convolution, in panels of output channels.
#[derive(Debug)]
pub(super) struct PackedFilters {
    /// For each panel and input channel (padded to full blocks), the filters of the panel's blocks.
    filters: AlignedBuffer<Filters>,
    /// Input channels, including those that pad the last block.
    n_rows: usize,
}

impl PackedFilters {
    /// Packs the filters in panels of `width` blocks.
    ///
    /// # Panics
    /// If the weights' lengths do not match.
    pub(super) fn new(weights: Weights, width: usize) -> Self {
        Self::within(AlignedBuffer::default(), weights, width)
    }

    /// The same in existing memory, such as [`Self::into_buffer`] returns.
    pub(super) fn within(
        mut filters: AlignedBuffer<Filters>,
        weights: Weights,
        width: usize,
    ) -> Self {
        let (n_in, n_out) = (weights.n_in, weights.bias.len());
        assert_eq!(weights.filters.len(), n_out * n_in * TAPS);
        let n_rows = n_in.next_multiple_of(LANES);
        let panel_len = n_rows * width;
        let n_panels = n_out.div_ceil(width * LANES);
        filters.resize(n_panels * panel_len);
        let is_full = n_in == n_rows && n_out == n_panels * width * LANES;
        let (all, _) = weights.filters.as_chunks::<TAPS>();
        let panels = filters.items_mut().par_chunks_exact_mut(panel_len.max(1));
        panels.enumerate().for_each(|(panel, rows)| {
            if !is_full {
                rows.fill([[0.0; LANES]; TAPS]);
            }
            let outs = panel * width * LANES..n_out.min((panel + 1) * width * LANES);
            match weights.turn {
                Turn::None => pack(all, n_in, outs, width, rows),
                Turn::Half => pack_turned(all, n_out, outs, width, rows),
            }
        });
        Self { filters, n_rows }
    }

    /// Their memory, for reuse.
    pub(super) fn into_buffer(self) -> AlignedBuffer<Filters> {
        self.filters
    }

    /// Their memory in bytes.
    pub(super) fn n_bytes(&self) -> usize {
        size_of_val(self.filters.items())
    }

    /// Input channels, including those that pad the last block.
    pub(super) fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// The filters of a panel of W blocks, for each input channel.
    fn panel<const W: usize>(&self, panel: usize) -> &[[Filters; W]] {
        let (rows, _) = self.filters.items().as_chunks();
        &rows[panel * self.n_rows..][..self.n_rows]
    }

    /// Transforms the filters of a panel: for each point and input channel, the vectors of the
    /// panel.
    pub(super) fn transform<const W: usize>(
        &self,
        panel: usize,
        instructions: Instructions,
        transformed: &mut [[Vector; 1]],
    ) {
        let (transformed, _) = transformed.as_flattened_mut().as_chunks_mut();
        let rows = transformed.chunks_exact_mut(SIDE * self.n_rows);
        for (row, transformed) in rows.enumerate() {
            instructions.run(TransformFilters::<W> {
                filters: self.panel(panel),
                row,
                transformed,
            });
        }
    }

    /// The transforms of all panels.
    pub(super) fn transformed<const W: usize>(
        &self,
        instructions: Instructions,
    ) -> AlignedBuffer<[Vector; 1]> {
        let panel_len = POINTS * self.n_rows * W;
        let n_panels = self.filters.items().len() / (self.n_rows * W).max(1);
        let mut transformed = AlignedBuffer::zeros(n_panels * panel_len);
        let panels = transformed.items_mut().par_chunks_exact_mut(panel_len);
        panels.enumerate().for_each(|(panel, transformed)| {
            self.transform::<W>(panel, instructions, transformed);
        });
        transformed
    }
}

/// Packs the part of filters (O, I) for the output channels `outs`, one row per input channel.
fn pack(
    filters: &[[f32; TAPS]],
    n_in: usize,
    outs: Range<usize>,
    width: usize,
    rows: &mut [Filters],
) {
    let outs = filters[outs.start * n_in..outs.end * n_in].chunks(LANES * n_in);
    for (block, outs) in outs.enumerate() {
        for (channel, row) in rows.chunks_exact_mut(width).take(n_in).enumerate() {
            for (lane, out) in outs.chunks_exact(n_in).enumerate() {
                for (vector, &weight) in row[block].iter_mut().zip(&out[channel]) {
                    vector[lane] = weight;
                }
            }
        }
    }
}

/// The same for filters (I, O), each rotated by 180 degrees.
fn pack_turned(
    filters: &[[f32; TAPS]],
    n_out: usize,
    outs: Range<usize>,
    width: usize,
    rows: &mut [Filters],
) {
    let of_channels = filters.chunks_exact(n_out);
    for (filters, row) in of_channels.zip(rows.chunks_exact_mut(width)) {
        for (index, filter) in filters[outs.clone()].iter().enumerate() {
            let vectors = row[index / LANES].iter_mut();
            for (vector, &weight) in vectors.zip(filter.iter().rev()) {
                vector[index % LANES] = weight;
            }
        }
    }
}

/// Transforms the filters of a panel into one row of their points.
struct TransformFilters<'a, const W: usize> {
    /// For each input channel.
    filters: &'a [[Filters; W]],
    /// From 0 to 5.
    row: usize,
    /// For each of the row's 6 points, as many as there are `filters`.
    transformed: &'a mut [Row<W>],
}

impl<const W: usize> Kernel for TransformFilters<'_, W> {
    type Output = ();

    #[inline(always)]
    fn run<L: InstructionSet>(self) {
        // If the row is known at compile time, its factors are constants in the instructions.
        match self.row {
            0 => self.row::<L, 0>(),
            1 => self.row::<L, 1>(),
            2 => self.row::<L, 2>(),
            3 => self.row::<L, 3>(),
            4 => self.row::<L, 4>(),
            _ => self.row::<L, 5>(),
        }
    }
}

impl<const W: usize> TransformFilters<'_, W> {
    #[inline(always)]
    fn row<L: Lanes, const ROW: usize>(self) {
        let n_rows = self.filters.len();
        for (channel, filters) in self.filters.iter().enumerate() {
            for (block, filters) in filters.iter().enumerate() {
                let mut loaded = [[L::splat(0.0); 3]; 3];
                for (loaded, taps) in loaded.iter_mut().zip(filters.as_chunks::<3>().0) {
                    for (loaded, vector) in loaded.iter_mut().zip(taps) {
                        *loaded = L::load(vector);
                    }
                }
                let values = filters_row::<L, ROW>(&loaded);
                for (point, value) in values.into_iter().enumerate() {
                    value.store(&mut self.transformed[point * n_rows + channel][block]);
                }
            }
        }
    }
}
