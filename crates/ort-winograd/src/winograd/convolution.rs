//! A 3 x 3 convolution with transformed filters.

use std::ops::Range;

use rayon::prelude::*;

use super::aligned_buffer::AlignedBuffer;
use super::plan::Plan;
use super::products::{MR, Products, Row, WIDE};
use super::stopwatch::Stopwatch;
use super::tiles::{Epilogue, Output, Shape, TransformInput, TransformOutput};
use super::transform::{POINTS, filters};
use super::weights::{Weights, blocks_of};
use super::workspace::{Workspace, Workspaces};
use crate::instructions::{InstructionSet, Instructions, Kernel, LANES, Vector};

/// Blocks of input channels from which on filters are fetched ahead: those of fewer channels stay
/// in the second-level cache, or near.
const FETCHED_AHEAD: usize = 16;

/// Panels of one block whose products are taken, point after point, before their outputs are transformed: the
/// inputs at a point then come from the second-level cache for all of them but the first. Wide panels are
/// taken one by one, as their products fill that cache.
const AT_A_TIME: usize = 4;

/// A convolution whose filters are transformed.
#[derive(Debug)]
pub(super) struct Convolution {
    /// For each panel, point and input channel, the vectors of a panel.
    filters: AlignedBuffer<[Vector; 1]>,
    /// Blocks of output channels in a panel.
    panel_width: usize,
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
        let panel_width = match instructions.has_many_registers() {
            true => WIDE,
            false => 1,
        };
        let n_panels = n_out.div_ceil(panel_width * LANES);
        let panel_len = POINTS * n_in_blocks * LANES * panel_width;
        let mut filters = AlignedBuffer::zeros(n_panels * panel_len);
        let panels = filters.items_mut().par_chunks_exact_mut(panel_len);
        panels.enumerate().for_each(|(panel, vectors)| {
            instructions.run(TransformFilters {
                weights,
                panel,
                width: panel_width,
                vectors: vectors.as_flattened_mut(),
            });
        });
        Self {
            filters,
            panel_width,
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
            let piece = Piece {
                convolution: self,
                first_tile: plan.tiles(piece).0,
                n_tiles: plan.tiles(piece).1,
                panels: plan.panels(piece),
                input,
                shape,
                output: &output,
            };
            match self.panel_width {
                WIDE => piece.run::<WIDE>(&mut workspace),
                _ => piece.run::<1>(&mut workspace),
            }
            workspaces.give_back(workspace);
        });
    }

    fn n_panels(&self) -> usize {
        self.bias.len().div_ceil(self.panel_width)
    }
}

/// A piece of the work of a convolution.
struct Piece<'a> {
    convolution: &'a Convolution,
    first_tile: usize,
    n_tiles: usize,
    panels: Range<usize>,
    input: &'a [Vector],
    shape: Shape,
    output: &'a Output<'a>,
}

impl Piece<'_> {
    /// Does it, with panels of W blocks of output channels.
    fn run<const W: usize>(self, workspace: &mut Workspace) {
        let n_groups = self.n_tiles.div_ceil(MR);
        let n_blocks = self.convolution.n_in_blocks;
        // Odd, so that the points' vectors of one tile fall on different sets of the cache.
        let stride = (n_groups * n_blocks) | 1;
        let inputs = workspace.inputs.at_least(POINTS * stride);
        let mut stopwatch = Stopwatch::start();
        self.convolution.instructions.run(TransformInput {
            input: self.input,
            shape: self.shape,
            first_tile: self.first_tile,
            n_tiles: self.n_tiles,
            n_blocks,
            output: inputs,
            stride,
        });
        stopwatch.lap(&mut workspace.times.input);
        let products_stride = self.n_tiles + 1;
        let at_a_time = if W == 1 { AT_A_TIME } else { 1 };
        let n_vectors = at_a_time * W * POINTS * products_stride;
        let products = workspace.products.at_least(n_vectors);
        let (products, _) = products.as_flattened_mut().as_chunks_mut::<W>();
        for first in self.panels.clone().step_by(at_a_time) {
            let panels = first..self.panels.end.min(first + at_a_time);
            for point in 0..POINTS {
                let input = &inputs[point * stride..][..n_groups * n_blocks];
                let of_panels = products.chunks_exact_mut(POINTS * products_stride);
                for (panel, products) in panels.clone().zip(of_panels) {
                    self.convolution.instructions.run(Products::<W> {
                        input,
                        filters: self.filters(panel, point),
                        output: &mut products[point * products_stride..][..self.n_tiles],
                        next: self.next(&panels, panel, point),
                    });
                }
            }
            stopwatch.lap(&mut workspace.times.products);
            let of_panels = products.chunks_exact(POINTS * products_stride);
            for (panel, products) in panels.zip(of_panels) {
                self.transform_output(panel, products, products_stride);
            }
            stopwatch.lap(&mut workspace.times.output);
        }
    }

    /// Filters of a panel at a point, a row for each input channel; none beyond the last panel.
    fn filters<const W: usize>(&self, panel: usize, point: usize) -> &[Row<W>] {
        let n_rows = self.convolution.n_in_blocks * LANES;
        let (rows, _) = self.convolution.filters.items().as_flattened().as_chunks();
        let mut all = rows.chunks_exact(n_rows);
        all.nth(panel * POINTS + point).unwrap_or_default()
    }

    /// The filters that are wanted after those of a panel at a point, where they come from far.
    fn next<const W: usize>(&self, panels: &Range<usize>, panel: usize, point: usize) -> &[Row<W>] {
        if self.convolution.n_in_blocks < FETCHED_AHEAD {
            &[]
        } else if panel + 1 < panels.end {
            self.filters(panel + 1, point)
        } else if point + 1 < POINTS {
            self.filters(panels.start, point + 1)
        } else {
            self.filters(panels.end, 0)
        }
    }

    fn transform_output<const W: usize>(&self, panel: usize, products: &[Row<W>], stride: usize) {
        let bias = &self.convolution.bias;
        let (first_block, end) = (panel * W, bias.len().min((panel + 1) * W));
        self.convolution.instructions.run(TransformOutput {
            products,
            stride,
            shape: self.shape,
            first_tile: self.first_tile,
            n_tiles: self.n_tiles,
            first_block,
            bias: &bias[first_block..end],
            epilogue: self.convolution.epilogue,
            output: self.output,
        });
    }
}

/// Transforms the filters of a panel of so many blocks of output channels into as many vectors for each
/// point and input channel.
struct TransformFilters<'a> {
    weights: Weights<'a>,
    panel: usize,
    width: usize,
    vectors: &'a mut [Vector],
}

impl Kernel for TransformFilters<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: InstructionSet>(self) {
        let Self {
            weights,
            panel,
            width,
            vectors,
        } = self;
        let n_in = weights.n_in;
        let (all, _) = weights.filters.as_chunks::<9>();
        let (first, end) = (panel * width * LANES, (panel + 1) * width * LANES);
        let panel = &all[first * n_in..all.len().min(end * n_in)];
        let n_rows = vectors.len() / POINTS / width;
        for channel in 0..n_in {
            for (block, outs) in panel.chunks(LANES * n_in).enumerate() {
                let mut weight = [[[0.0; LANES]; 3]; 3];
                for (lane, out) in outs.chunks_exact(n_in).enumerate() {
                    for (at, &value) in out[channel].iter().enumerate() {
                        weight[at / 3][at % 3][lane] = f64::from(value);
                    }
                }
                for (point, values) in filters(&weight).as_flattened().iter().enumerate() {
                    let row = point * n_rows + channel;
                    let vector = &mut vectors[row * width + block];
                    for (number, &value) in vector.iter_mut().zip(values) {
                        *number = value as f32;
                    }
                }
            }
        }
    }
}
