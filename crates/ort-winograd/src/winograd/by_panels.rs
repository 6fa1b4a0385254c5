//! The work of a convolution, divided by panels of filters: a thread transforms the filters of a
//! few panels, and then processes many tiles, whose inputs were transformed before.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::block::{Block, MOST_TILES, PanelFilters, panels_at_a_time};
use super::convolution::{Call, Share};
use super::filters::PackedFilters;
use super::plan::{Plan, slice};
use super::products::{InputBlock, MR};
use super::stopwatch::Stopwatch;
use super::transform::POINTS;
use super::workspace::Workspace;

/// Most blocks of tiles whose transformed inputs are held at a time: 8 MB of them at 512 channels,
/// which the threads share in the third-level cache.
const MOST_BLOCKS: usize = 2;

/// A call whose work is divided by panels.
pub(super) struct ByPanels<'a, const W: usize> {
    pub(super) call: Call<'a>,
    pub(super) filters: &'a PackedFilters,
}

impl<const W: usize> ByPanels<'_, W> {
    pub(super) fn run(&self, share: &Share) {
        let n_tiles = self.call.shape.n_tiles();
        let mut workspace = self.call.workspaces.take();
        let n_parts = n_tiles.div_ceil(MOST_BLOCKS * MOST_TILES);
        for part in 0..n_parts {
            let tiles = slice(n_tiles, part, n_parts);
            self.some_tiles(tiles, &mut workspace, share);
        }
        self.call.workspaces.give_back(workspace);
    }

    /// The outputs of some tiles.
    fn some_tiles(&self, tiles: Range<usize>, workspace: &mut Workspace, share: &Share) {
        let Call {
            convolution,
            n_threads,
            workspaces,
            ..
        } = self.call;
        let n_blocks = tiles.len().div_ceil(MOST_TILES);
        // As many as can be distributed evenly, if each has a group of its own.
        let n_blocks = n_blocks.next_multiple_of(n_threads);
        let n_blocks = n_blocks.min(tiles.len().div_ceil(MR));
        let longest = tiles.len().div_ceil(n_blocks);
        let inputs_len = Block::inputs_len(longest, convolution.n_in_blocks());
        let inputs = workspace.inputs.at_least(n_blocks * inputs_len);
        let blocks = self.transform_inputs(&tiles, inputs, inputs_len, share);
        let at_a_time = panels_at_a_time(W);
        let n_slices = convolution.n_panels().div_ceil(at_a_time);
        let plan = Plan::new(n_slices, n_blocks, n_threads);
        share(plan.n_pieces(), &|piece| {
            let mut workspace = workspaces.take();
            let panels = plan.slice(convolution.n_panels(), piece);
            self.panels(panels, &blocks[plan.other(piece)], &mut workspace);
            workspaces.give_back(workspace);
        });
    }

    /// Some tiles in blocks, each with `inputs_len` of the inputs.
    fn transform_inputs<'b>(
        &self,
        tiles: &Range<usize>,
        inputs: &'b mut [InputBlock],
        inputs_len: usize,
        share: &Share,
    ) -> Vec<Block<'b>> {
        let inputs = inputs.chunks_exact_mut(inputs_len);
        let inputs: Vec<_> = inputs.map(|inputs| Mutex::new(Some(inputs))).collect();
        let blocks: Vec<_> = inputs.iter().map(|_| Mutex::new(None)).collect();
        share(inputs.len(), &|index| {
            let mut workspace = self.call.workspaces.take();
            let slice = slice(tiles.len(), index, inputs.len());
            let tiles = tiles.start + slice.start..tiles.start + slice.end;
            let inputs = inputs[index]
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            let block = inputs
                .map(|inputs| Block::transform(&self.call, tiles, inputs, &mut workspace.times));
            *blocks[index].lock().unwrap_or_else(PoisonError::into_inner) = block;
            self.call.workspaces.give_back(workspace);
        });
        let blocks = blocks
            .into_iter()
            .map(|block| block.into_inner().unwrap_or_else(PoisonError::into_inner));
        blocks.flatten().collect()
    }

    /// The outputs of some blocks of tiles, for the channels of some panels.
    fn panels(&self, panels: Range<usize>, blocks: &[Block], workspace: &mut Workspace) {
        let convolution = self.call.convolution;
        let n_rows = self.filters.n_rows();
        let transformed = workspace
            .filters
            .at_least(panels.len() * POINTS * n_rows * W);
        let mut stopwatch = Stopwatch::start();
        let of_panels = transformed.chunks_exact_mut(POINTS * n_rows * W);
        for (panel, transformed) in panels.clone().zip(of_panels) {
            self.filters
                .transform::<W>(panel, convolution.instructions(), transformed);
        }
        stopwatch.lap(&mut workspace.times.filters);
        let filters = PanelFilters::<W> {
            filters: transformed.as_flattened().as_chunks().0,
            panels,
            n_rows,
        };
        for block in blocks {
            block.outputs(
                &self.call,
                &filters,
                &mut workspace.products,
                &mut workspace.times,
            );
        }
    }
}
