//! Products of dense layers, in blocks that fit the cache and do not depend on the threads.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array3, ArrayView2, ArrayViewMut2, Axis, s};
use rayon::prelude::*;

/// Input features that one task of [`multiply`] sums over: 512 rows of 256 weights are 512 KiB,
/// half of a usual second-level cache.
const SUMMED_FEATURES: usize = 512;

/// Weights whose gradient one task of [`for_each_gradient`] holds: 64 KiB, with the weights and
/// their state well inside a second-level cache.
const GRADIENT_WEIGHTS: usize = 16 * 1024;

/// Number of partial sums that [`multiply`] needs for `n_in` input features.
pub(super) fn n_partials(n_in: usize) -> usize {
    n_in.div_ceil(SUMMED_FEATURES)
}

/// output (B, O) = input (B, I) weights (I, O).
///
/// The sum over I is cut into blocks, each summed by one thread into a slab of `partials`
/// (at least [`n_partials`] of I, at least B, O); the slabs are then added in order. A batch is too
/// few rows to be shared out instead.
pub(super) fn multiply(
    input: ArrayView2<f32>,
    weights: ArrayView2<f32>,
    mut output: ArrayViewMut2<f32>,
    partials: &mut Array3<f32>,
) {
    let (batch, n_in) = input.dim();
    let n_blocks = n_partials(n_in);
    if n_blocks == 1 {
        return general_mat_mul(1.0, &input, &weights, 0.0, &mut output);
    }
    let mut partials = partials.slice_mut(s![..n_blocks, ..batch, ..]);
    let slabs: Vec<_> = partials.axis_iter_mut(Axis(0)).collect();
    slabs
        .into_par_iter()
        .enumerate()
        .for_each(|(block, mut slab)| {
            let start = block * SUMMED_FEATURES;
            let end = (start + SUMMED_FEATURES).min(n_in);
            let (input, weights) = (
                input.slice(s![.., start..end]),
                weights.slice(s![start..end, ..]),
            );
            general_mat_mul(1.0, &input, &weights, 0.0, &mut slab);
        });
    output.fill(0.0);
    for slab in partials.axis_iter(Axis(0)) {
        output += &slab;
    }
}

/// Forms the gradient input^T (I, B) d_output (B, O) of row-major weights (I, O) block by block
/// and hands each to `use_block`, with the same block of `first` and of `second` (I * O each).
///
/// The gradient as a whole is never stored: it would be as large as the weights.
pub(super) fn for_each_gradient(
    input: ArrayView2<f32>,
    d_output: ArrayView2<f32>,
    first: &mut [f32],
    second: &mut [f32],
    use_block: impl Fn(&mut [f32], &mut [f32], &[f32]) + Sync,
) {
    let (n_in, n_out) = (input.ncols(), d_output.ncols());
    let rows = (GRADIENT_WEIGHTS / n_out).max(1);
    first
        .par_chunks_mut(rows * n_out)
        .zip(second.par_chunks_mut(rows * n_out))
        .enumerate()
        .for_each_init(Vec::new, |gradient, (block, (first, second))| {
            let (start, end) = (block * rows, ((block + 1) * rows).min(n_in));
            gradient.resize((end - start) * n_out, 0.0);
            let mut d_weights = ArrayViewMut2::from_shape((end - start, n_out), gradient)
                .expect("the buffer was just given this size");
            let input = input.slice(s![.., start..end]);
            general_mat_mul(1.0, &input.t(), &d_output, 0.0, &mut d_weights);
            use_block(first, second, gradient);
        });
}
