//! The mean over all positions.

use ort_winograd::blocked::{BlockedShape, BlockedTensor};
use rayon::prelude::*;

/// From (N, C, H, W) to (N, C, 1, 1).
pub(crate) struct GlobalAverage;

impl GlobalAverage {
    pub(crate) fn output_shape(input: BlockedShape) -> BlockedShape {
        BlockedShape {
            height: 1,
            width: 1,
            ..input
        }
    }

    /// y[n, c] = sum over v, u of x[n, c, v, u] / (H W).
    pub(crate) fn forward(input: &BlockedTensor) -> BlockedTensor {
        let from = input.shape();
        let n = from.positions() as f32;
        let mut output = BlockedTensor::zeros(Self::output_shape(from));
        let planes = input.vectors().par_chunks_exact(from.positions());
        planes
            .zip(output.vectors_mut())
            .for_each(|(plane, output)| {
                for vector in plane {
                    for (sum, value) in output.iter_mut().zip(vector) {
                        *sum += value;
                    }
                }
                *output = output.map(|sum| sum / n);
            });
        output
    }

    /// dx[n, c, v, u] = dy[n, c] / (H W).
    pub(crate) fn backward(input: BlockedShape, d_output: &BlockedTensor) -> BlockedTensor {
        let n = input.positions() as f32;
        let mut d_input = BlockedTensor::zeros(input);
        let planes = d_input
            .vectors_mut()
            .par_chunks_exact_mut(input.positions());
        planes
            .zip(d_output.vectors())
            .for_each(|(plane, d_output)| {
                plane.fill(d_output.map(|d| d / n));
            });
        d_input
    }
}
