//! The maximum or the mean of each window.

use std::ops::Range;

use ort_winograd::blocked::{BlockedShape, BlockedTensor, LANES, Vector};
use rayon::prelude::*;

use super::Border;

/// A pooling.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    pub(crate) kind: PoolKind,
    /// Rows and columns of a window.
    pub(crate) kernel: [usize; 2],
    /// The distance from one window to the next.
    pub(crate) stride: [usize; 2],
    /// On each side smaller than the window, so that each window contains part of the picture.
    pub(crate) border: Border,
}

/// The value taken from a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PoolKind {
    /// The largest number.
    Largest,
    /// The mean of the numbers inside the picture.
    MeanInside,
    /// The mean including the border's zeros.
    MeanWithBorder,
}

impl Pool {
    pub(crate) fn output_shape(&self, input: BlockedShape) -> Result<BlockedShape, String> {
        self.border.windows(input, self.kernel, self.stride)
    }

    pub(crate) fn forward(&self, input: &BlockedTensor) -> BlockedTensor {
        let from = input.shape();
        let to = self.output_shape(from).unwrap_or(from);
        let mut output = BlockedTensor::zeros(to);
        let planes = input.vectors().par_chunks_exact(from.positions());
        let outputs = output.vectors_mut().par_chunks_exact_mut(to.positions());
        planes.zip(outputs).for_each(|(plane, outputs)| {
            for (index, output) in outputs.iter_mut().enumerate() {
                let window = self.window(from, index / to.width, index % to.width);
                *output = match self.kind {
                    PoolKind::Largest => largest(plane, &window),
                    _ => self.mean(plane, &window),
                };
            }
        });
        output
    }

    /// dx is the sum over the windows that contain x: of dy if x is the window's first maximum, or
    /// of dy divided by the count of the mean.
    pub(crate) fn backward(
        &self,
        input: &BlockedTensor,
        output: &BlockedTensor,
        d_output: &BlockedTensor,
    ) -> BlockedTensor {
        let (from, to) = (input.shape(), output.shape());
        let mut d_input = BlockedTensor::zeros(from);
        let planes = input.vectors().par_chunks_exact(from.positions());
        let outputs = output.vectors().par_chunks_exact(to.positions());
        let d_outputs = d_output.vectors().par_chunks_exact(to.positions());
        let d_inputs = d_input.vectors_mut().par_chunks_exact_mut(from.positions());
        let all = planes.zip(outputs).zip(d_outputs).zip(d_inputs);
        all.for_each(|(((plane, outputs), d_outputs), d_inputs)| {
            for (index, (output, d_output)) in outputs.iter().zip(d_outputs).enumerate() {
                let window = self.window(from, index / to.width, index % to.width);
                match self.kind {
                    PoolKind::Largest => to_largest(plane, &window, output, d_output, d_inputs),
                    _ => self.to_all(&window, d_output, d_inputs),
                }
            }
        });
        d_input
    }

    fn mean(&self, plane: &[Vector], window: &Window) -> Vector {
        let mut sum = [0.0; LANES];
        for position in window.positions() {
            for (sum, value) in sum.iter_mut().zip(plane[position]) {
                *sum += value;
            }
        }
        let n = self.count(window);
        sum.map(|sum| sum / n)
    }

    fn to_all(&self, window: &Window, d_output: &Vector, d_inputs: &mut [Vector]) {
        let n = self.count(window);
        for position in window.positions() {
            for (d_input, d_output) in d_inputs[position].iter_mut().zip(d_output) {
                *d_input += d_output / n;
            }
        }
    }

    /// The count of numbers in the mean.
    fn count(&self, window: &Window) -> f32 {
        let n = match self.kind {
            PoolKind::MeanWithBorder => self.kernel[0] * self.kernel[1],
            _ => window.rows.len() * window.columns.len(),
        };
        n as f32
    }

    /// The part of the window at (y, x) that lies inside the picture.
    fn window(&self, input: BlockedShape, y: usize, x: usize) -> Window {
        let along = |index: usize, axis: usize, before: usize, length: usize| {
            let start = index * self.stride[axis];
            let end = (start + self.kernel[axis]).saturating_sub(before);
            start.saturating_sub(before)..end.min(length)
        };
        Window {
            rows: along(y, 0, self.border.top, input.height),
            columns: along(x, 1, self.border.left, input.width),
            width: input.width,
        }
    }
}

/// Some rows and columns of a picture.
struct Window {
    rows: Range<usize>,
    columns: Range<usize>,
    /// Width of the picture.
    width: usize,
}

impl Window {
    /// Positions in the picture, row by row.
    fn positions(&self) -> impl Iterator<Item = usize> + '_ {
        let rows = self.rows.clone();
        rows.flat_map(move |y| self.columns.clone().map(move |x| y * self.width + x))
    }
}

fn largest(plane: &[Vector], window: &Window) -> Vector {
    let mut largest = [f32::NEG_INFINITY; LANES];
    for position in window.positions() {
        for (largest, value) in largest.iter_mut().zip(plane[position]) {
            if value > *largest || value.is_nan() {
                *largest = value;
            }
        }
    }
    largest
}

/// The gradient goes to the first maximum, row by row, as in PyTorch.
fn to_largest(
    plane: &[Vector],
    window: &Window,
    output: &Vector,
    d_output: &Vector,
    d_inputs: &mut [Vector],
) {
    let mut left = *d_output;
    for position in window.positions() {
        let (values, d_inputs) = (&plane[position], &mut d_inputs[position]);
        for lane in 0..LANES {
            if values[lane] == output[lane] {
                d_inputs[lane] += left[lane];
                left[lane] = 0.0;
            }
        }
    }
}
