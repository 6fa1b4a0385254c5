//! The gradient of the filters of a 3 x 3 convolution, by F(3x3, 4x4): the transpose of F(4x4,
//! 3x3).
//!
//! A tile of the convolution is y = A^T ((G g G^T) * (B^T x B)) A, with * elementwise. So the
//! gradient with respect to g, given the gradients dy of its outputs, is the sum over all tiles of
//!
//! ```text
//! dg = G^T ((A dy A^T) * (B^T x B)) G
//!
//! inputs    (tiles, I)  --B^T x B-->   (36, tiles, I)
//! d_outputs (tiles, O)  --A dy A^T-->  (36, tiles, O)
//!                                      36 products (I, tiles) (tiles, O) -> (36, I, O)
//! d_filters (I, O)      <--G^T m G--
//! ```
//!
//! This takes 36 multiplications per tile and pair of channels, where the direct sum takes 144. The
//! gradient of the inputs is a convolution with the filters rotated by 180 degrees, and with inputs
//! and outputs exchanged.

use std::ops::Range;

use rayon::prelude::*;

use super::aligned_buffer::AlignedBuffer;
use super::blocked::BlockedTensor;
use super::filters::{Filters, TAPS};
use super::over_positions::OverPositions;
use super::plan::slice;
use super::products::{InputBlock, MR, Row};
use super::tiles::{Shape, TransformInput};
use super::transform::{FILTER_SIDE, POINTS, SIDE, STEP, d_filter_1d, d_output_1d};
use super::workspace::{Workspace, Workspaces};
use crate::instructions::{InstructionSet, Instructions, Kernel, LANES, Vector};

/// Most tiles at a time: at 512 channels, the transforms of both sides then take 9 MB, and stay in
/// a third-level cache. 128 tiles are not faster. The rounding of the sums depends on this number.
const MOST_TILES: usize = 64;

/// Blocks of 16 input channels that a thread processes at a time.
const REGION: usize = 4;

/// Blocks of 16 output channels for these: the sums of both at all points, 590 KB, stay in a
/// second-level cache.
const OUTPUT_BLOCKS: usize = 4;

/// The gradient of filters, with panels of W blocks of output channels.
pub(super) struct FilterGradient<'a, const W: usize> {
    pub(super) instructions: Instructions,
    pub(super) workspaces: &'a Workspaces,
    /// (N, I/16, H, W, 16).
    pub(super) input: &'a BlockedTensor,
    /// (N, O/16, H, W, 16).
    pub(super) d_output: &'a BlockedTensor,
}

/// Working memory, besides that of each thread.
#[derive(Debug, Default)]
pub(super) struct GradientMemory {
    d_outputs: AlignedBuffer<[Vector; 1]>,
    sums: AlignedBuffer<Filters>,
}

/// The transforms of some tiles of the gradients to outputs.
struct DOutputs<'a, const W: usize> {
    tiles: Range<usize>,
    /// For each panel and point, one row per tile and one more, so that the points of a tile use
    /// different cache sets.
    rows: &'a mut AlignedBuffer<[Vector; 1]>,
}

impl<const W: usize> DOutputs<'_, W> {
    fn stride(&self) -> usize {
        self.tiles.len() + 1
    }

    fn at(&self, panel: usize, point: usize) -> &[Row<W>] {
        let (rows, _) = self.rows.items().as_flattened().as_chunks::<W>();
        &rows[(panel * POINTS + point) * self.stride()..][..self.tiles.len()]
    }
}

/// The transforms of some tiles of the inputs.
struct Inputs<'a> {
    /// For each point, `stride` groups of tiles; for each block of channels, `n_groups`.
    inputs: &'a [InputBlock],
    n_groups: usize,
    stride: usize,
}

impl Inputs<'_> {
    /// One vector per tile, and some more to the end of the last group.
    fn at(&self, point: usize, block: usize) -> &[Vector] {
        let first = point * self.stride + block * self.n_groups;
        self.inputs[first..][..self.n_groups].as_flattened()
    }
}

impl<const W: usize> FilterGradient<'_, W> {
    /// The gradient (O, I, 3, 3). Sums over tiles are made in order, whatever the number of
    /// threads.
    pub(super) fn run(&self, memory: &mut GradientMemory) -> Vec<f32> {
        let n_tiles = self.shape().n_tiles();
        let n_in_blocks = self.input.shape().n_blocks();
        let block_len = self.n_panels() * LANES * W;
        // For each block of input channels and panel, and each channel of the block, the sums of
        // the panel.
        memory.sums.resize(n_in_blocks * block_len);
        let n_chunks = n_tiles.div_ceil(MOST_TILES);
        let mut d_outputs = DOutputs {
            tiles: 0..0,
            rows: &mut memory.d_outputs,
        };
        for chunk in 0..n_chunks {
            d_outputs.tiles = slice(n_tiles, chunk, n_chunks);
            self.transform_d_outputs(&mut d_outputs);
            let regions = memory.sums.items_mut().par_chunks_mut(REGION * block_len);
            regions
                .enumerate()
                .with_max_len(1)
                .for_each(|(region, sums)| {
                    if chunk == 0 {
                        sums.fill([[0.0; LANES]; TAPS]);
                    }
                    let first = region * REGION;
                    let blocks = first..n_in_blocks.min(first + REGION);
                    let mut workspace = self.workspaces.take();
                    self.add_region(blocks, &d_outputs, sums, &mut workspace);
                    self.workspaces.give_back(workspace);
                });
        }
        self.in_order_of_the_model(memory.sums.items())
    }

    fn shape(&self) -> Shape {
        self.input.shape().pictures()
    }

    fn n_panels(&self) -> usize {
        self.d_output.shape().n_blocks().div_ceil(W)
    }

    fn transform_d_outputs(&self, d_outputs: &mut DOutputs<W>) {
        let (stride, tiles) = (d_outputs.stride(), &d_outputs.tiles);
        let n_blocks = self.d_output.shape().n_blocks();
        let panel_len = POINTS * stride * W;
        let rows = d_outputs.rows.at_least(self.n_panels() * panel_len);
        let panels = rows.par_chunks_exact_mut(panel_len);
        panels.enumerate().for_each(|(panel, rows)| {
            let (rows, _) = rows.as_flattened_mut().as_chunks_mut::<W>();
            for column in 0..W.min(n_blocks - panel * W) {
                self.instructions.run(TransformDOutput::<W> {
                    d_output: self.d_output.vectors(),
                    shape: self.shape(),
                    tiles: tiles.clone(),
                    n_blocks,
                    block: panel * W + column,
                    column,
                    rows: &mut *rows,
                    stride,
                });
            }
        });
    }

    /// Adds the contribution of some tiles, for some blocks of input channels, to their sums.
    fn add_region(
        &self,
        blocks: Range<usize>,
        d_outputs: &DOutputs<W>,
        sums: &mut [Filters],
        workspace: &mut Workspace,
    ) {
        let n_groups = d_outputs.tiles.len().div_ceil(MR);
        let stride = (blocks.len() * n_groups) | 1;
        let inputs = workspace.inputs.at_least(POINTS * stride);
        self.transform_inputs(&blocks, &d_outputs.tiles, inputs, stride);
        let inputs = Inputs {
            inputs,
            n_groups,
            stride,
        };
        let at_a_time = OUTPUT_BLOCKS / W;
        let n_rows = blocks.len() * LANES;
        // One more, as in `DOutputs`.
        let point_len = at_a_time * n_rows + 1;
        let products = workspace.products.at_least(W * POINTS * point_len);
        let (products, _) = products.as_flattened_mut().as_chunks_mut::<W>();
        for first in (0..self.n_panels()).step_by(at_a_time) {
            let panels = first..self.n_panels().min(first + at_a_time);
            products.fill([[0.0; LANES]; W]);
            for (point, products) in products.chunks_exact_mut(point_len).enumerate() {
                let of_panels = products.chunks_exact_mut(n_rows);
                for (panel, products) in panels.clone().zip(of_panels) {
                    let d_outputs = d_outputs.at(panel, point);
                    self.add_products(&inputs, point, d_outputs, products);
                }
            }
            for (index, panel) in panels.enumerate() {
                for block in 0..blocks.len() {
                    let to = (block * self.n_panels() + panel) * LANES * W;
                    self.instructions.run(AddFilters::<W> {
                        products: &products[index * n_rows + block * LANES..],
                        stride: point_len,
                        sums: &mut sums[to..][..LANES * W],
                    });
                }
            }
        }
    }

    /// Transforms the inputs of some tiles, block by block: for each point, `stride` groups of
    /// tiles.
    fn transform_inputs(
        &self,
        blocks: &Range<usize>,
        tiles: &Range<usize>,
        inputs: &mut [InputBlock],
        stride: usize,
    ) {
        let n_groups = tiles.len().div_ceil(MR);
        for (index, block) in blocks.clone().enumerate() {
            self.instructions.run(TransformInput {
                input: self.input.vectors(),
                shape: self.shape(),
                first_tile: tiles.start,
                n_tiles: tiles.len(),
                n_blocks: self.input.shape().n_blocks(),
                blocks: block..block + 1,
                output: &mut inputs[index * n_groups..],
                stride,
            });
        }
    }

    /// Adds the products at one point of some blocks of inputs with a panel, one row per input
    /// channel.
    fn add_products(
        &self,
        inputs: &Inputs,
        point: usize,
        d_outputs: &[Row<W>],
        products: &mut [Row<W>],
    ) {
        let (of_blocks, _) = products.as_chunks_mut::<LANES>();
        for (block, sums) in of_blocks.iter_mut().enumerate() {
            self.instructions.run(OverPositions::<W> {
                inputs: &inputs.at(point, block)[..d_outputs.len()],
                d_outputs,
                sums,
            });
        }
    }

    /// From the order of [`Self::run`]'s sums to (O, I, 3, 3).
    fn in_order_of_the_model(&self, sums: &[Filters]) -> Vec<f32> {
        let n_in = self.input.shape().channels;
        let n_out = self.d_output.shape().channels;
        let mut gradient = vec![0.0; n_out * n_in * TAPS];
        let of_blocks = gradient.par_chunks_mut((LANES * n_in * TAPS).max(1));
        of_blocks.enumerate().for_each(|(block, gradient)| {
            let (panel, column) = (block / W, block % W);
            let (gradient, _) = gradient.as_chunks_mut::<TAPS>();
            for channel in 0..n_in {
                let (in_block, lane) = (channel / LANES, channel % LANES);
                let row = (in_block * self.n_panels() + panel) * LANES + lane;
                let filters = &sums[row * W + column];
                for (out, gradient) in gradient.chunks_exact_mut(n_in).enumerate() {
                    for (number, vector) in gradient[channel].iter_mut().zip(filters) {
                        *number = vector[out];
                    }
                }
            }
        });
        gradient
    }
}

/// A dy A^T for consecutive tiles and 16 output channels.
struct TransformDOutput<'a, const W: usize> {
    /// (N, O/16, H, W, 16).
    d_output: &'a [Vector],
    shape: Shape,
    tiles: Range<usize>,
    /// O/16.
    n_blocks: usize,
    block: usize,
    /// Index of the block in its panel.
    column: usize,
    /// For each point, `stride` rows.
    rows: &'a mut [Row<W>],
    stride: usize,
}

impl<const W: usize> Kernel for TransformDOutput<'_, W> {
    type Output = ();

    #[inline(always)]
    fn run<L: InstructionSet>(self) {
        let zero = L::splat(0.0);
        for (index, tile) in self.tiles.clone().enumerate() {
            let tile = self.shape.tile(tile);
            let plane = tile.picture * self.n_blocks + self.block;
            let plane = &self.d_output[plane * self.shape.plane()..][..self.shape.plane()];
            // Loops instead of closures, which may be compiled separately and without the
            // instructions.
            let mut columns = [[zero; STEP]; SIDE];
            for x in 0..STEP {
                let mut column = [zero; STEP];
                for (y, value) in column.iter_mut().enumerate() {
                    let (y, x) = (tile.row + y, tile.column + x);
                    if y < self.shape.height && x < self.shape.width {
                        *value = L::load(&plane[y * self.shape.width + x]);
                    }
                }
                for (columns, value) in columns.iter_mut().zip(d_output_1d(column)) {
                    columns[x] = value;
                }
            }
            for (y, row) in columns.into_iter().enumerate() {
                for (x, value) in d_output_1d(row).into_iter().enumerate() {
                    let row = &mut self.rows[(y * SIDE + x) * self.stride + index];
                    value.store(&mut row[self.column]);
                }
            }
        }
    }
}

/// sums += G^T m G for 16 input channels and a panel of output channels.
struct AddFilters<'a, const W: usize> {
    /// For each point, `stride` rows, the first of these for the 16 channels.
    products: &'a [Row<W>],
    stride: usize,
    /// For each input channel, the sums of the panel.
    sums: &'a mut [Filters],
}

impl<const W: usize> Kernel for AddFilters<'_, W> {
    type Output = ();

    #[inline(always)]
    fn run<L: InstructionSet>(self) {
        let zero = L::splat(0.0);
        for (channel, sums) in self.sums.chunks_exact_mut(W).enumerate() {
            for (column, sums) in sums.iter_mut().enumerate() {
                let mut columns = [[zero; SIDE]; FILTER_SIDE];
                for x in 0..SIDE {
                    let mut points = [zero; SIDE];
                    for (y, value) in points.iter_mut().enumerate() {
                        let point = (y * SIDE + x) * self.stride;
                        *value = L::load(&self.products[point + channel][column]);
                    }
                    for (columns, value) in columns.iter_mut().zip(d_filter_1d(points)) {
                        columns[x] = value;
                    }
                }
                let (rows, _) = sums.as_chunks_mut::<FILTER_SIDE>();
                for (row, sums) in columns.into_iter().zip(rows) {
                    for (value, sum) in d_filter_1d(row).into_iter().zip(sums) {
                        L::load(sum).add(value).store(sum);
                    }
                }
            }
        }
    }
}
