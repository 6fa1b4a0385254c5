//! A convolution of each channel on its own, with stride 1.

use ort_winograd::blocked::{BlockedShape, BlockedTensor, LANES, Vector};
use ort_winograd::{InstructionSet, Kernel};
use rayon::prelude::*;

use super::convolution::d_bias;
use super::{Activation, Backed, Backward, Border, Context, Weights};

/// A depthwise convolution, with an activation of each sum.
///
/// ```text
/// y[n, c, v, u] = activation(b[c] + sum over r, s of g[c, r, s] x[n, c, v + r - top, u + s - left])
/// db[c]         = sum over n, v, u of dy[n, c, v, u]
/// dg[c, r, s]   = sum over n, v, u of dy[n, c, v, u] x[n, c, v + r - top, u + s - left]
/// dx[n, c, v, u] = sum over r, s of g[c, r, s] dy[n, c, v - r + top, u - s + left]
/// ```
///
/// The last one is a depthwise convolution too, with the filters rotated by 180 degrees.
#[derive(Clone, Debug)]
pub(crate) struct Depthwise {
    pub(crate) weights: Weights,
    pub(crate) channels: usize,
    /// Rows and columns of a filter.
    pub(crate) kernel: [usize; 2],
    /// On each side smaller than the filter.
    pub(crate) border: Border,
    pub(crate) activation: Activation,
}

impl Depthwise {
    pub(crate) fn output_shape(&self, input: BlockedShape) -> Result<BlockedShape, String> {
        if input.channels != self.channels {
            return Err(format!("its filters are for {} channels", self.channels));
        }
        self.border.windows(input, self.kernel, [1, 1])
    }

    pub(crate) fn forward(&self, context: Context, input: &BlockedTensor) -> BlockedTensor {
        let shape = self.border.windows(input.shape(), self.kernel, [1, 1]);
        let bias = context.bias(&self.weights, self.channels);
        let taps = self.taps(context.filters(&self.weights));
        let mut output = BlockedTensor::zeros(shape.unwrap_or(input.shape()));
        self.convolve(context, &taps, &bias, self.border, input, &mut output);
        self.activation.forward(&mut output);
        output
    }

    pub(crate) fn backward(
        &self,
        context: Context,
        back: Backward,
        mut d_output: BlockedTensor,
    ) -> Backed {
        self.activation.backward(back.output, &mut d_output);
        let mut backed = Backed::default();
        if let Some(bias) = self.weights.bias {
            backed.d_weights.push((bias, d_bias(&d_output)));
        }
        let input = back.inputs[0];
        if back.wants_inputs {
            let mut taps = self.taps(context.filters(&self.weights));
            taps.chunks_exact_mut(self.n_taps())
                .for_each(<[_]>::reverse);
            let [rows, columns] = self.kernel;
            let border = Border {
                top: rows - 1 - self.border.top,
                left: columns - 1 - self.border.left,
                bottom: rows - 1 - self.border.bottom,
                right: columns - 1 - self.border.right,
            };
            let mut d_input = BlockedTensor::zeros(input.shape());
            let bias = vec![0.0; self.channels];
            self.convolve(context, &taps, &bias, border, &d_output, &mut d_input);
            backed.d_inputs.push(d_input);
        }
        let d_filters = self.d_filters(context, input, &d_output);
        backed.d_weights.push((self.weights.filters, d_filters));
        backed
    }

    fn n_taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// From filters (C, 1, rows, columns) to one vector per block of channels and tap.
    fn taps(&self, filters: &[f32]) -> Vec<Vector> {
        let n_taps = self.n_taps();
        let mut taps = vec![[0.0; LANES]; self.channels.div_ceil(LANES) * n_taps];
        for (channel, filter) in filters.chunks_exact(n_taps).enumerate() {
            let of_block = &mut taps[channel / LANES * n_taps..];
            for (vector, &number) in of_block.iter_mut().zip(filter) {
                vector[channel % LANES] = number;
            }
        }
        taps
    }

    fn convolve(
        &self,
        context: Context,
        taps: &[Vector],
        bias: &[f32],
        border: Border,
        input: &BlockedTensor,
        output: &mut BlockedTensor,
    ) {
        let (from, to) = (input.shape(), output.shape());
        let n_blocks = from.n_blocks();
        let planes = input.vectors().par_chunks_exact(from.positions());
        let outputs = output.vectors_mut().par_chunks_exact_mut(to.positions());
        planes
            .zip(outputs)
            .enumerate()
            .for_each(|(plane, (input, output))| {
                let block = plane % n_blocks;
                let mut start = [0.0; LANES];
                for (start, &bias) in start.iter_mut().zip(&bias[block * LANES..]) {
                    *start = bias;
                }
                context.convolutions.instructions().run(ConvolvePlane {
                    input,
                    shape: from,
                    taps: &taps[block * self.n_taps()..][..self.n_taps()],
                    kernel: self.kernel,
                    border,
                    bias: start,
                    output,
                    width: to.width,
                });
            });
    }

    fn d_filters(
        &self,
        context: Context,
        input: &BlockedTensor,
        d_output: &BlockedTensor,
    ) -> Vec<f32> {
        let mut d_filters = vec![0.0; self.channels * self.n_taps()];
        let of_blocks = d_filters.par_chunks_mut(LANES * self.n_taps());
        of_blocks.enumerate().for_each(|(block, d_filters)| {
            let mut sums = vec![[0.0; LANES]; self.n_taps()];
            let (from, to) = (input.shape(), d_output.shape());
            for picture in 0..from.n {
                let plane = picture * from.n_blocks() + block;
                context.convolutions.instructions().run(AddTaps {
                    input: &input.vectors()[plane * from.positions()..][..from.positions()],
                    shape: from,
                    d_output: &d_output.vectors()[plane * to.positions()..][..to.positions()],
                    width: to.width,
                    kernel: self.kernel,
                    border: self.border,
                    sums: &mut sums,
                });
            }
            for (lane, filter) in d_filters.chunks_exact_mut(self.n_taps()).enumerate() {
                for (number, sum) in filter.iter_mut().zip(&sums) {
                    *number = sum[lane];
                }
            }
        });
        d_filters
    }
}

/// One plane of 16 channels, convolved.
struct ConvolvePlane<'a> {
    /// (H, W).
    input: &'a [Vector],
    shape: BlockedShape,
    taps: &'a [Vector],
    kernel: [usize; 2],
    border: Border,
    bias: Vector,
    output: &'a mut [Vector],
    /// Columns of the output.
    width: usize,
}

impl Kernel for ConvolvePlane<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: InstructionSet>(self) {
        let BlockedShape { height, width, .. } = self.shape;
        let columns = self.kernel[1];
        let bias = S::load(&self.bias);
        for (y, output) in self.output.chunks_exact_mut(self.width).enumerate() {
            for (x, output) in output.iter_mut().enumerate() {
                let mut sum = bias;
                for (r, taps) in self.taps.chunks_exact(columns).enumerate() {
                    let y = (y + r).wrapping_sub(self.border.top);
                    if y >= height {
                        continue;
                    }
                    let row = &self.input[y * width..][..width];
                    for (s, tap) in taps.iter().enumerate() {
                        let x = (x + s).wrapping_sub(self.border.left);
                        if let Some(input) = row.get(x) {
                            sum = S::load(input).mul_add(S::load(tap), sum);
                        }
                    }
                }
                sum.store(output);
            }
        }
    }
}

/// sums += the gradients of the filters from one plane of 16 channels.
struct AddTaps<'a> {
    /// (H, W).
    input: &'a [Vector],
    shape: BlockedShape,
    d_output: &'a [Vector],
    /// Columns of the output.
    width: usize,
    kernel: [usize; 2],
    border: Border,
    /// For each tap.
    sums: &'a mut [Vector],
}

impl Kernel for AddTaps<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: InstructionSet>(self) {
        let BlockedShape { height, width, .. } = self.shape;
        let columns = self.kernel[1];
        for (tap, sum) in self.sums.iter_mut().enumerate() {
            let (r, s) = (tap / columns, tap % columns);
            let mut loaded = S::load(sum);
            for (y, d_output) in self.d_output.chunks_exact(self.width).enumerate() {
                let y = (y + r).wrapping_sub(self.border.top);
                if y >= height {
                    continue;
                }
                let row = &self.input[y * width..][..width];
                for (x, d_output) in d_output.iter().enumerate() {
                    let x = (x + s).wrapping_sub(self.border.left);
                    if let Some(input) = row.get(x) {
                        loaded = S::load(input).mul_add(S::load(d_output), loaded);
                    }
                }
            }
            loaded.store(sum);
        }
    }
}
