//! 1 x 1 convolutions: matrix products over the channels of each position.

use rayon::prelude::*;

use super::aligned_buffer::AlignedBuffer;
use super::block::MOST_TILES;
use super::blocked::BlockedTensor;
use super::over_positions::OverPositions;
use super::products::{MR, Products, Row};
use super::weights::blocks_of;
use super::workspace::{Workspace, Workspaces};
use crate::instructions::{InstructionSet, Instructions, Kernel, LANES, Vector};

/// Positions whose inputs are multiplied with all filters, one panel after the other.
const MOST_POSITIONS: usize = MOST_TILES;

/// A 1 x 1 convolution with its filters in panels of W blocks of output channels.
pub(super) struct Pointwise<const W: usize> {
    instructions: Instructions,
    /// For each panel and input channel, padded to full blocks.
    filters: AlignedBuffer<[Vector; 1]>,
    bias: Vec<Vector>,
    n_in_blocks: usize,
    n_out: usize,
}

impl<const W: usize> Pointwise<W> {
    /// Packs filters, given by `filter(output channel, input channel)`; `bias` has one number per
    /// output channel.
    pub(super) fn new(
        instructions: Instructions,
        n_in: usize,
        bias: &[f32],
        filter: impl Fn(usize, usize) -> f32 + Sync,
    ) -> Self {
        let n_out = bias.len();
        let n_rows = n_in.next_multiple_of(LANES);
        let n_panels = n_out.div_ceil(W * LANES);
        let mut filters = AlignedBuffer::<[Vector; 1]>::zeros(n_panels * n_rows * W);
        let panels = filters
            .items_mut()
            .par_chunks_exact_mut((n_rows * W).max(1));
        panels.enumerate().for_each(|(panel, rows)| {
            let first = panel * W * LANES;
            for (channel, row) in rows.chunks_exact_mut(W).take(n_in).enumerate() {
                let numbers = row.as_flattened_mut().as_flattened_mut().iter_mut();
                for (number, out) in numbers.zip(first..n_out) {
                    *number = filter(out, channel);
                }
            }
        });
        Self {
            instructions,
            filters,
            bias: blocks_of(bias),
            n_in_blocks: n_rows / LANES,
            n_out,
        }
    }

    /// Output (N, O/16, H, W, 16) for `input` (N, I/16, H, W, 16).
    pub(super) fn run(&self, input: &BlockedTensor, workspaces: &Workspaces) -> BlockedTensor {
        let shape = input.shape();
        let mut output = BlockedTensor::zeros(shape.with_channels(self.n_out));
        let out_len = output.shape().picture_len().max(1);
        let outputs = output.vectors_mut().par_chunks_exact_mut(out_len);
        let inputs = input.vectors().par_chunks_exact(shape.picture_len().max(1));
        inputs.zip(outputs).for_each(|(input, output)| {
            let mut workspace = workspaces.take();
            self.picture(input, output, shape.positions(), &mut workspace);
            workspaces.give_back(workspace);
        });
        output
    }

    fn picture(
        &self,
        input: &[Vector],
        output: &mut [Vector],
        positions: usize,
        workspace: &mut Workspace,
    ) {
        let (filters, _) = self.filters.items().as_flattened().as_chunks::<W>();
        for first in (0..positions).step_by(MOST_POSITIONS) {
            let n = MOST_POSITIONS.min(positions - first);
            let inputs = workspace.inputs.at_least(n.div_ceil(MR) * self.n_in_blocks);
            for (block, plane) in input.chunks_exact(positions).enumerate() {
                for (group, vectors) in plane[first..first + n].chunks(MR).enumerate() {
                    let to = &mut inputs[group * self.n_in_blocks + block];
                    to[..vectors.len()].copy_from_slice(vectors);
                }
            }
            let (products, _) =
                (workspace.products.at_least(n * W).as_flattened_mut()).as_chunks_mut::<W>();
            let panels = filters.chunks_exact(self.n_in_blocks * LANES);
            for (panel, filters) in panels.enumerate() {
                self.instructions.run(Products::<W> {
                    input: inputs,
                    filters,
                    output: products,
                    next: &[],
                });
                let planes = output.chunks_exact_mut(positions).skip(panel * W).take(W);
                for (column, plane) in planes.enumerate() {
                    self.instructions.run(AddBias::<W> {
                        products,
                        column,
                        bias: &self.bias[panel * W + column],
                        output: &mut plane[first..first + n],
                    });
                }
            }
        }
    }
}

/// output = products + bias, for 16 output channels.
struct AddBias<'a, const W: usize> {
    products: &'a [Row<W>],
    column: usize,
    bias: &'a Vector,
    output: &'a mut [Vector],
}

impl<const W: usize> Kernel for AddBias<'_, W> {
    type Output = ();

    #[inline(always)]
    fn run<L: InstructionSet>(self) {
        let bias = L::load(self.bias);
        for (output, products) in self.output.iter_mut().zip(self.products) {
            L::load(&products[self.column]).add(bias).store(output);
        }
    }
}

/// The gradient (O, I) of the filters of a 1 x 1 convolution: the sum over all positions of inputs
/// times gradients of outputs, picture by picture.
pub(super) fn filter_gradient<const W: usize>(
    instructions: Instructions,
    input: &BlockedTensor,
    d_output: &BlockedTensor,
) -> Vec<f32> {
    let (n_in, n_out) = (input.shape().channels, d_output.shape().channels);
    let positions = input.shape().positions();
    let rows = rows_of_panels::<W>(d_output);
    let (rows, _) = rows.items().as_flattened().as_chunks::<W>();
    let n_rows = input.shape().n * positions;
    let n_panels = d_output.shape().n_blocks().div_ceil(W);
    // For each input channel (padded to full blocks) and panel.
    let n_blocks = input.shape().n_blocks();
    let mut sums = AlignedBuffer::<[Vector; 1]>::zeros(n_blocks * n_panels * LANES * W);
    let of_blocks = sums
        .items_mut()
        .par_chunks_exact_mut((n_panels * LANES * W).max(1));
    of_blocks.enumerate().for_each(|(block, sums)| {
        let (sums, _) = sums.as_flattened_mut().as_chunks_mut::<W>();
        let (sums, _) = sums.as_chunks_mut::<LANES>();
        let pictures = input
            .vectors()
            .chunks_exact(input.shape().picture_len().max(1));
        for (picture, inputs) in pictures.enumerate() {
            for (panel, sums) in sums.iter_mut().enumerate() {
                instructions.run(OverPositions::<W> {
                    inputs: &inputs[block * positions..][..positions],
                    d_outputs: &rows[panel * n_rows + picture * positions..][..positions],
                    sums,
                });
            }
        }
    });
    let (sums, _) = sums.items().as_flattened().as_chunks::<W>();
    let mut gradient = vec![0.0; n_out * n_in];
    let of_outs = gradient.par_chunks_exact_mut(n_in.max(1));
    of_outs.enumerate().for_each(|(out, gradient)| {
        let (panel, column, lane) = (out / (W * LANES), out / LANES % W, out % LANES);
        for (channel, number) in gradient.iter_mut().enumerate() {
            let (block, row) = (channel / LANES, channel % LANES);
            *number = sums[(block * n_panels + panel) * LANES + row][column][lane];
        }
    });
    gradient
}

/// For each panel, a row of W vectors for each position of all pictures.
fn rows_of_panels<const W: usize>(tensor: &BlockedTensor) -> AlignedBuffer<[Vector; 1]> {
    let (shape, positions) = (tensor.shape(), tensor.shape().positions());
    let n_rows = shape.n * positions;
    let n_panels = shape.n_blocks().div_ceil(W);
    let mut rows = AlignedBuffer::<[Vector; 1]>::zeros(n_panels * n_rows * W);
    let panels = rows.items_mut().par_chunks_exact_mut((n_rows * W).max(1));
    panels.enumerate().for_each(|(panel, rows)| {
        let (rows, _) = rows.as_flattened_mut().as_chunks_mut::<W>();
        let pictures = tensor.vectors().chunks_exact(shape.picture_len());
        for (picture, rows) in pictures.zip(rows.chunks_exact_mut(positions)) {
            let planes = picture.chunks_exact(positions).skip(panel * W).take(W);
            for (column, plane) in planes.enumerate() {
                for (row, vector) in rows.iter_mut().zip(plane) {
                    row[column] = *vector;
                }
            }
        }
    });
    rows
}
