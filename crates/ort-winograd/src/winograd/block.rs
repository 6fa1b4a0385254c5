//! A block of tiles: its transformed inputs, their products with filters, and the resulting
//! outputs.

use std::ops::Range;

use super::aligned_buffer::AlignedBuffer;
use super::convolution::Call;
use super::products::{InputBlock, MR, Products, Row};
use super::stopwatch::{StageTimes, Stopwatch};
use super::tiles::{TransformInput, TransformOutput};
use super::transform::POINTS;
use crate::instructions::Vector;

/// Most tiles of a block: 4 groups, or a row of tiles of a picture 224 wide.
///
/// Their transforms stay in the second-level cache for up to 64 channels, and filters are read once
/// for all of them.
pub(super) const MOST_TILES: usize = 4 * MR;

/// Blocks of input channels from which on filters are prefetched. With fewer channels they stay in
/// or near the second-level cache.
const FETCHED_AHEAD: usize = 16;

/// Panels of W blocks that are multiplied together, point by point, before their outputs are
/// transformed. The inputs at a point are then in the second-level cache for all panels but the
/// first. Wide panels are processed singly, because their products fill that cache.
pub(super) const fn panels_at_a_time(width: usize) -> usize {
    if width == 1 { 4 } else { 1 }
}

/// Consecutive tiles, with their transformed inputs.
pub(super) struct Block<'a> {
    tiles: Range<usize>,
    /// For each point, `stride` vectors for each tile of a group. For each group of tiles, one for
    /// each block of channels.
    inputs: &'a [InputBlock],
    stride: usize,
}

/// Transformed filters of consecutive panels.
pub(super) struct PanelFilters<'a, const W: usize> {
    /// For each panel, point and input channel; input channels are padded to full blocks.
    pub(super) filters: &'a [Row<W>],
    pub(super) panels: Range<usize>,
    /// Input channels, padded to full blocks.
    pub(super) n_rows: usize,
}

impl<'a> Block<'a> {
    /// Number of input blocks for this many tiles and blocks of channels.
    pub(super) fn inputs_len(n_tiles: usize, n_blocks: usize) -> usize {
        POINTS * stride(n_tiles, n_blocks)
    }

    /// Transforms the inputs of some tiles into `inputs`.
    pub(super) fn transform(
        call: &Call,
        tiles: Range<usize>,
        inputs: &'a mut [InputBlock],
        times: &mut StageTimes,
    ) -> Self {
        let mut stopwatch = Stopwatch::start();
        let n_blocks = call.convolution.n_in_blocks();
        let stride = stride(tiles.len(), n_blocks);
        call.convolution.instructions().run(TransformInput {
            input: call.input,
            shape: call.shape,
            first_tile: tiles.start,
            n_tiles: tiles.len(),
            n_blocks,
            blocks: 0..n_blocks,
            output: inputs,
            stride,
        });
        stopwatch.lap(&mut times.input);
        Self {
            tiles,
            inputs,
            stride,
        }
    }

    /// Computes the outputs of some panels' channels; `products` is working memory.
    pub(super) fn outputs<const W: usize>(
        &self,
        call: &Call,
        filters: &PanelFilters<W>,
        products: &mut AlignedBuffer<[Vector; 1]>,
        times: &mut StageTimes,
    ) {
        let mut stopwatch = Stopwatch::start();
        // One more, so that the points' products of one tile use different cache sets.
        let stride = self.tiles.len() + 1;
        let at_a_time = panels_at_a_time(W);
        let products = products.at_least(at_a_time * W * POINTS * stride);
        let (products, _) = products.as_flattened_mut().as_chunks_mut::<W>();
        for first in filters.panels.clone().step_by(at_a_time) {
            let panels = first..filters.panels.end.min(first + at_a_time);
            self.products(call, filters, &panels, products);
            stopwatch.lap(&mut times.products);
            let of_panels = products.chunks_exact(POINTS * stride);
            for (panel, products) in panels.zip(of_panels) {
                self.transform_output(call, panel, products);
            }
            stopwatch.lap(&mut times.output);
        }
    }

    /// The products with some panels, point by point.
    fn products<const W: usize>(
        &self,
        call: &Call,
        filters: &PanelFilters<W>,
        panels: &Range<usize>,
        products: &mut [Row<W>],
    ) {
        let (n_tiles, stride) = (self.tiles.len(), self.tiles.len() + 1);
        let n_blocks = call.convolution.n_in_blocks();
        let n_inputs = n_tiles.div_ceil(MR) * n_blocks;
        for point in 0..POINTS {
            let of_panels = products.chunks_exact_mut(POINTS * stride);
            for (panel, products) in panels.clone().zip(of_panels) {
                let next = match n_blocks < FETCHED_AHEAD {
                    true => &[],
                    false => filters.next(panels, panel, point),
                };
                call.convolution.instructions().run(Products::<W> {
                    input: &self.inputs[point * self.stride..][..n_inputs],
                    filters: filters.at(panel, point),
                    output: &mut products[point * stride..][..n_tiles],
                    next,
                });
            }
        }
    }

    fn transform_output<const W: usize>(&self, call: &Call, panel: usize, products: &[Row<W>]) {
        let bias = call.convolution.bias();
        let (first_block, end) = (panel * W, bias.len().min((panel + 1) * W));
        call.convolution.instructions().run(TransformOutput {
            products,
            stride: self.tiles.len() + 1,
            shape: call.shape,
            first_tile: self.tiles.start,
            n_tiles: self.tiles.len(),
            first_block,
            bias: &bias[first_block..end],
            epilogue: call.convolution.epilogue(),
            output: &call.output,
        });
    }
}

impl<const W: usize> PanelFilters<'_, W> {
    /// The filters of a panel at a point, one row per input channel; empty beyond the last panel.
    fn at(&self, panel: usize, point: usize) -> &[Row<W>] {
        let mut all = self.filters.chunks_exact(self.n_rows);
        let panel = panel - self.panels.start;
        all.nth(panel * POINTS + point).unwrap_or_default()
    }

    /// The filters needed after those of a panel at a point, if `panels` are processed together.
    fn next(&self, panels: &Range<usize>, panel: usize, point: usize) -> &[Row<W>] {
        if panel + 1 < panels.end {
            self.at(panel + 1, point)
        } else if point + 1 < POINTS {
            self.at(panels.start, point + 1)
        } else {
            self.at(panels.end, 0)
        }
    }
}

/// Distance between one point's inputs and the next. It is odd, so that the points' vectors of one
/// tile use different cache sets.
fn stride(n_tiles: usize, n_blocks: usize) -> usize {
    (n_tiles.div_ceil(MR) * n_blocks) | 1
}
