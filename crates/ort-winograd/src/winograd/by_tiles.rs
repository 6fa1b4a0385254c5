//! The work of a convolution, divided by tiles: a thread holds the inputs of a block of tiles in
//! its cache, and processes all filters, which were transformed before.

use super::aligned_buffer::AlignedBuffer;
use super::block::{Block, MOST_TILES, PanelFilters};
use super::convolution::{Call, Share};
use super::plan::Plan;
use super::transform::POINTS;
use crate::instructions::{LANES, Vector};

/// A call whose work is divided by tiles.
pub(super) struct ByTiles<'a, const W: usize> {
    pub(super) call: Call<'a>,
    /// For each panel, point and input channel, the vectors of a panel.
    pub(super) filters: &'a AlignedBuffer<[Vector; 1]>,
}

impl<const W: usize> ByTiles<'_, W> {
    pub(super) fn run(&self, share: &Share) {
        let Call {
            convolution,
            n_threads,
            workspaces,
            ..
        } = self.call;
        let n_tiles = self.call.shape.n_tiles();
        let (n_blocks, n_panels) = (convolution.n_in_blocks(), convolution.n_panels());
        let panel_len = POINTS * n_blocks * LANES;
        let (filters, _) = self.filters.items().as_flattened().as_chunks::<W>();
        let plan = Plan::new(n_tiles.div_ceil(MOST_TILES), n_panels, n_threads);
        share(plan.n_pieces(), &|piece| {
            let mut workspace = workspaces.take();
            let tiles = plan.slice(n_tiles, piece);
            let panels = plan.other(piece);
            let inputs_len = Block::inputs_len(tiles.len(), n_blocks);
            let inputs = workspace.inputs.at_least(inputs_len);
            let times = &mut workspace.times;
            let block = Block::transform(&self.call, tiles, inputs, times);
            let filters = PanelFilters {
                filters: &filters[panels.start * panel_len..panels.end * panel_len],
                panels,
                n_rows: n_blocks * LANES,
            };
            block.outputs(&self.call, &filters, &mut workspace.products, times);
            workspaces.give_back(workspace);
        });
    }
}
