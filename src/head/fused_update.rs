//! Dense layers with many features, whose products cost about as much as reading the weights. The
//! gradient is fused with the update, and never stored.
//!
//! ```text
//! multiply      output = input weights: the weights are read once
//! descend       gradient and update rule, a row of weights at a time: weights and state are
//!               read and written once, and the gradient is never stored
//! tile          a few features of a batch without their zeros, 3 of 4 values in codes of VGG16
//! aligned       arrays that begin at a cache line
//! kernels       the loops over a tile, compiled for the processor's instructions
//! ```
//!
//! Features are divided among the threads in blocks. The blocks' bounds, and so the order of the
//! sums, depend on the shapes alone.

mod aligned;
mod kernels;
mod prefetch;
mod tile;

use ndarray::{Array3, ArrayView2, ArrayViewMut2, Axis, s};
use ort_winograd::Instructions;
use rayon::prelude::*;

pub(super) use self::aligned::aligned_zeros;
use self::kernels::{AddProducts, FusedUpdate, Updated, chunks};
use self::tile::{Features, TILE_FEATURES, Tile};
use super::optimizer::Rule;

/// Features that one task of [`multiply`] sums over: few enough for many tasks, and enough that the
/// partial sums are small beside the weights.
const SUMMED_FEATURES: usize = 512;

/// Minimum number of features that one task of [`descend`] updates. It has no partial sums, so
/// tasks can be small, which lets the threads finish together.
const UPDATED_FEATURES: usize = 4 * TILE_FEATURES;

/// Number of partial sums that [`multiply`] needs for `n_in` features.
pub(super) fn n_partials(n_in: usize) -> usize {
    n_in.div_ceil(SUMMED_FEATURES)
}

/// output (B, O) = input (B, I) weights (I, O); the weights are in C order.
///
/// The sum over I is cut into blocks, each summed by one thread into a slab of `partials` (at least
/// [`n_partials`] of I, at least B, O); the slabs are then added in order. A batch has too few rows
/// to be divided instead.
pub(super) fn multiply(
    input: ArrayView2<f32>,
    weights: ArrayView2<f32>,
    mut output: ArrayViewMut2<f32>,
    partials: &mut Array3<f32>,
) {
    let (batch, input) = (input.nrows(), input.as_standard_layout());
    let input = input.as_slice().expect("it was given this layout");
    let (n_in, n_out) = weights.dim();
    let weights = weights.to_slice().expect("weights are in C order");
    let mut partials = partials.slice_mut(s![..n_partials(n_in), ..batch, ..]);
    let slabs: Vec<_> = partials.axis_iter_mut(Axis(0)).collect();
    slabs
        .into_par_iter()
        .zip(weights.par_chunks(SUMMED_FEATURES * n_out))
        .enumerate()
        .for_each_init(
            || Tile::new(batch),
            |tile, (block, (mut slab, weights))| {
                let sums = slab.as_slice_mut().expect("a slab's rows are one run");
                let features = Features {
                    input,
                    n_in,
                    first: block * SUMMED_FEATURES,
                };
                sum_block(features, weights, n_out, sums, tile);
            },
        );
    output.fill(0.0);
    for slab in partials.axis_iter(Axis(0)) {
        output += &slab;
    }
}

/// sums (B, O) = the part of the product from these features and those after them, as far as there
/// are weights.
fn sum_block(features: Features, weights: &[f32], n_out: usize, sums: &mut [f32], tile: &mut Tile) {
    let instructions = Instructions::detect();
    sums.fill(0.0);
    let tiles = weights.chunks(TILE_FEATURES * n_out);
    for (weights, features) in tiles.zip(features.by_tile()) {
        instructions.run(AddProducts {
            tile,
            features,
            weights,
            sums,
            n_out,
        });
    }
}

/// Computes the gradient input^T (I, B) d_output (B, O) of weights (I, O) row by row, and applies
/// `rule` to each row while it is in cache. `weights` and each of `state` have I * O numbers in C
/// order.
///
/// The blocks are visited in the opposite order to [`multiply`]'s, so that the last weights that it
/// read are still in cache. The next step benefits in the same way.
pub(super) fn descend<const S: usize>(
    input: ArrayView2<f32>,
    d_output: ArrayView2<f32>,
    weights: &mut [f32],
    state: [&mut [f32]; S],
    rule: &impl Rule<S>,
) {
    let (n_in, (batch, n_out)) = (input.ncols(), d_output.dim());
    let (input, d_output) = (input.as_standard_layout(), d_output.as_standard_layout());
    let input = input.as_slice().expect("it was given this layout");
    let d_output = d_output.as_slice().expect("it was given this layout");
    let instructions = Instructions::detect();
    let state = chunks(state, UPDATED_FEATURES * n_out);
    let blocks: Vec<_> = weights
        .chunks_mut(UPDATED_FEATURES * n_out)
        .zip(state)
        .collect();
    blocks.into_par_iter().enumerate().rev().for_each_init(
        || Tile::new(batch),
        |tile, (block, (weights, state))| {
            let features = Features {
                input,
                n_in,
                first: block * UPDATED_FEATURES,
            };
            let weights = weights.chunks_mut(TILE_FEATURES * n_out);
            let state = chunks(state, TILE_FEATURES * n_out);
            for ((weights, state), features) in weights.zip(state).zip(features.by_tile()) {
                let to = Updated {
                    weights,
                    state,
                    n_out,
                };
                instructions.run(FusedUpdate {
                    tile,
                    features,
                    d_output,
                    to,
                    rule,
                });
            }
        },
    );
}
