//! A 3 x 3 convolution with transformed filters.

use rayon::prelude::*;

use super::aligned_buffer::AlignedBuffer;
use super::plan::Plan;
use super::products::{FilterRow, MR, NR, Products};
use super::stopwatch::Stopwatch;
use super::tiles::{Epilogue, Output, Shape, TransformInput, TransformOutput};
use super::transform::{POINTS, filters};
use super::weights::{Weights, blocks_of};
use super::workspace::{Workspace, Workspaces};
use crate::instructions::{Instructions, LANES, Vector};

/// Blocks of input channels from which on filters are fetched ahead: those of fewer channels stay
/// in the second-level cache, or near.
const FETCHED_AHEAD: usize = 16;

/// Output channels of a panel.
const NR_CHANNELS: usize = NR * LANES;

/// A convolution whose filters are transformed.
#[derive(Debug)]
pub(super) struct Convolution {
    /// For each panel, point and input channel.
    filters: AlignedBuffer<FilterRow>,
    /// For each block of output channels.
    bias: Vec<Vector>,
    n_in_blocks: usize,
    epilogue: Epilogue,
    instructions: Instructions,
}

impl Convolution {
    /// Transforms the filters.
    ///
    /// # Panics
    /// If the weights' lengths do not fit each other.
    pub(super) fn new(weights: Weights, epilogue: Epilogue) -> Self {
        Self::with(Instructions::detect(), weights, epilogue)
    }

    pub(super) fn with(instructions: Instructions, weights: Weights, epilogue: Epilogue) -> Self {
        let (n_in, n_out) = (weights.n_in, weights.bias.len());
        assert_eq!(weights.filters.len(), n_out * n_in * 9);
        let n_in_blocks = n_in.div_ceil(LANES);
        let panel_rows = POINTS * n_in_blocks * LANES;
        let mut filters = AlignedBuffer::zeros(n_out.div_ceil(NR_CHANNELS) * panel_rows);
        let panels = filters.items_mut().par_chunks_exact_mut(panel_rows);
        panels.enumerate().for_each(|(panel, rows)| {
            transform_filters(weights, panel * NR_CHANNELS, rows);
        });
        Self {
            filters,
            bias: blocks_of(weights.bias),
            n_in_blocks,
            epilogue,
            instructions,
        }
    }

    /// Blocks of 16 output channels.
    pub(super) fn n_out_blocks(&self) -> usize {
        self.bias.len()
    }

    /// Blocks of 16 input channels.
    pub(super) fn n_in_blocks(&self) -> usize {
        self.n_in_blocks
    }

    /// Bytes of the transformed filters.
    pub(super) fn filter_bytes(&self) -> usize {
        size_of_val(self.filters.items())
    }

    /// Shape of the output for an input of `shape`.
    pub(super) fn output_shape(&self, shape: Shape) -> Shape {
        if self.epilogue.pool {
            Shape {
                height: shape.height / 2,
                width: shape.width / 2,
                ..shape
            }
        } else {
            shape
        }
    }

    /// Convolves `input` (N, C/16, H, W, 16) into `output`, the same of [`Self::output_shape`].
    ///
    /// `share` gets the number of pieces of work, and a function that does one of them, which may
    /// be called from several threads at once. However the work is shared, the numbers are the
    /// same: each sum is over all input channels in their order.
    ///
    /// # Panics
    /// If the slices are not as long as their shapes say.
    pub(super) fn run(
        &self,
        input: &[Vector],
        shape: Shape,
        output: &mut [Vector],
        n_threads: usize,
        workspaces: &Workspaces,
        share: impl FnOnce(usize, &(dyn Fn(usize) + Sync)),
    ) {
        assert_eq!(
            input.len(),
            shape.n * self.n_in_blocks * shape.plane(),
            "the input is as long as its shape says"
        );
        let output = Output::new(output, self.output_shape(shape), self.n_out_blocks());
        let plan = Plan::new(shape.n_tiles(), self.n_panels(), n_threads.max(1));
        share(plan.n_pieces(), &|piece| {
            let mut workspace = workspaces.take();
            self.run_piece(&plan, piece, input, shape, &output, &mut workspace);
            workspaces.give_back(workspace);
        });
    }

    fn n_panels(&self) -> usize {
        self.bias.len().div_ceil(NR)
    }

    fn run_piece(
        &self,
        plan: &Plan,
        piece: usize,
        input: &[Vector],
        shape: Shape,
        output: &Output,
        workspace: &mut Workspace,
    ) {
        let (first_tile, n_tiles) = plan.tiles(piece);
        let n_groups = n_tiles.div_ceil(MR);
        let n_blocks = self.n_in_blocks;
        // Odd, so that the points' vectors of one tile fall on different sets of the cache.
        let stride = (n_groups * n_blocks) | 1;
        let inputs = workspace.inputs.at_least(POINTS * stride);
        let mut stopwatch = Stopwatch::start();
        self.instructions.run(TransformInput {
            input,
            shape,
            first_tile,
            n_tiles,
            n_blocks,
            output: inputs,
            stride,
        });
        stopwatch.lap(&mut workspace.times.input);
        let products_stride = n_tiles + 1;
        let products = workspace.products.at_least(POINTS * products_stride);
        let rows = n_blocks * LANES;
        for panel in plan.panels(piece) {
            let filters = &self.filters.items()[panel * POINTS * rows..];
            for point in 0..POINTS {
                // After the last point, the next panel's first.
                let next = filters.get((point + 1) * rows..(point + 2) * rows);
                self.instructions.run(Products {
                    input: &inputs[point * stride..][..n_groups * n_blocks],
                    filters: &filters[point * rows..][..rows],
                    output: &mut products[point * products_stride..][..n_tiles],
                    next: next
                        .filter(|_| n_blocks >= FETCHED_AHEAD)
                        .unwrap_or_default(),
                });
            }
            stopwatch.lap(&mut workspace.times.products);
            let first_block = panel * NR;
            let last_block = self.bias.len().min(first_block + NR);
            self.instructions.run(TransformOutput {
                products,
                stride: products_stride,
                shape,
                first_tile,
                n_tiles,
                first_block,
                bias: &self.bias[first_block..last_block],
                epilogue: self.epilogue,
                output,
            });
            stopwatch.lap(&mut workspace.times.output);
        }
    }
}

/// Transforms the filters of a panel, which begins with the output channel `first`, into a row for
/// each point and input channel.
fn transform_filters(weights: Weights, first: usize, rows: &mut [FilterRow]) {
    let n_in = weights.n_in;
    let (all, _) = weights.filters.as_chunks::<9>();
    let panel = &all[first * n_in..all.len().min((first + NR_CHANNELS) * n_in)];
    let n_rows = rows.len() / POINTS;
    for channel in 0..n_in {
        for (block, outs) in panel.chunks(LANES * n_in).enumerate() {
            let mut weight = [[[0.0; LANES]; 3]; 3];
            for (lane, out) in outs.chunks_exact(n_in).enumerate() {
                for (at, &value) in out[channel].iter().enumerate() {
                    weight[at / 3][at % 3][lane] = f64::from(value);
                }
            }
            for (point, values) in filters(&weight).as_flattened().iter().enumerate() {
                rows[point * n_rows + channel][block] = values.map(|value| value as f32);
            }
        }
    }
}
