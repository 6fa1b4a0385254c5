//! A 3 x 3 convolution of few input channels, summed directly.
//!
//! A first layer has 3 channels: transforms would cost more than they save, and its input is not in
//! blocks. It reads (N, C, H, W) and writes (N, C/16, H, W, 16).

use super::aligned_buffer::AlignedBuffer;
use super::products::{MR, Row, WIDE};
use super::tiles::{Output, Shape};
use super::weights::{Weights, blocks_of};
use crate::instructions::{InstructionSet, Instructions, Kernel, LANES, Lanes, Vector};

/// Rows of a picture in one piece of work.
const ROWS: usize = 8;

/// A convolution of few input channels.
#[derive(Debug)]
pub(super) struct DirectConvolution {
    /// For each panel, input channel and position in the filter.
    filters: AlignedBuffer<Row<WIDE>>,
    /// For each block of output channels, padded with zeros to the end of the last panel.
    bias: Vec<Vector>,
    n_in: usize,
    n_out_blocks: usize,
    relu: bool,
    instructions: Instructions,
}

impl DirectConvolution {
    /// Packs the filters.
    ///
    /// # Panics
    /// If the weights' lengths do not match.
    pub(super) fn new(weights: Weights, relu: bool) -> Self {
        Self::with(Instructions::detect(), weights, relu)
    }

    pub(super) fn with(instructions: Instructions, weights: Weights, relu: bool) -> Self {
        let (n_in, n_out) = (weights.n_in, weights.bias.len());
        assert_eq!(weights.filters.len(), n_out * n_in * 9);
        let taps = n_in * 9;
        let mut filters = AlignedBuffer::<Row<WIDE>>::zeros(n_out.div_ceil(WIDE * LANES) * taps);
        for (index, &weight) in weights.filters.iter().enumerate() {
            let (out, tap) = (index / taps, index % taps);
            let (panel, lane) = (out / (WIDE * LANES), out % (WIDE * LANES));
            filters.items_mut()[panel * taps + tap][lane / LANES][lane % LANES] = weight;
        }
        let mut bias = blocks_of(weights.bias);
        bias.resize(bias.len().next_multiple_of(WIDE), [0.0; LANES]);
        Self {
            filters,
            bias,
            n_in,
            n_out_blocks: n_out.div_ceil(LANES),
            relu,
            instructions,
        }
    }

    /// Blocks of 16 output channels.
    pub(super) fn n_out_blocks(&self) -> usize {
        self.n_out_blocks
    }

    /// Input channels.
    pub(super) fn n_in(&self) -> usize {
        self.n_in
    }

    /// Convolves `input` (N, C, H, W) into `output` (N, C/16, H, W, 16). `share` is as in
    /// [`super::Convolution::run`].
    ///
    /// # Panics
    /// If the slices' lengths are not those of their shapes.
    pub(super) fn run(
        &self,
        input: &[f32],
        shape: Shape,
        output: &mut [Vector],
        share: impl FnOnce(usize, &(dyn Fn(usize) + Sync)),
    ) {
        let picture_len = self.n_in * shape.plane();
        assert_eq!(input.len(), shape.n * picture_len);
        let output = Output::new(output, shape, self.n_out_blocks());
        let bands = shape.height.div_ceil(ROWS);
        share(shape.n * bands, &|piece| {
            let (picture, first) = (piece / bands, piece % bands * ROWS);
            self.instructions.run(Band {
                convolution: self,
                input: &input[picture * picture_len..][..picture_len],
                picture,
                rows: first..shape.height.min(first + ROWS),
                output: &output,
            });
        });
    }
}

/// Some rows of one picture.
struct Band<'a> {
    convolution: &'a DirectConvolution,
    input: &'a [f32],
    picture: usize,
    rows: std::ops::Range<usize>,
    output: &'a Output<'a>,
}

impl Kernel for Band<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: InstructionSet>(self) {
        let shape = self.output.shape;
        let padded_width = shape.width.next_multiple_of(MR) + 2;
        let mut lines = vec![0.0; self.convolution.n_in * 3 * padded_width];
        for row in self.rows.clone() {
            self.take_lines(row, padded_width, &mut lines);
            for panel in 0..self.convolution.bias.len() / WIDE {
                for column in (0..shape.width).step_by(MR) {
                    if L::HAS_MANY_REGISTERS {
                        self.pixels::<L, MR, WIDE>(&lines, padded_width, row, column, panel, 0);
                    } else {
                        for half in 0..WIDE {
                            for column in [column, column + MR / 2] {
                                self.pixels::<L, { MR / 2 }, 1>(
                                    &lines,
                                    padded_width,
                                    row,
                                    column,
                                    panel,
                                    half,
                                );
                            }
                        }
                    }
                }
            }
        }
    }
}

impl Band<'_> {
    /// Copies the three lines around `row` of each channel, with zeros around the picture.
    fn take_lines(&self, row: usize, padded_width: usize, lines: &mut [f32]) {
        let shape = self.output.shape;
        for (index, line) in lines.chunks_exact_mut(padded_width).enumerate() {
            let (channel, y) = (index / 3, (row + index % 3).wrapping_sub(1));
            if y < shape.height {
                let from = (channel * shape.height + y) * shape.width;
                line[1..=shape.width].copy_from_slice(&self.input[from..][..shape.width]);
            } else {
                line.fill(0.0);
            }
        }
    }

    /// P outputs of a row from `column` on, for C blocks of a panel's channels from `half` on.
    #[inline(always)]
    fn pixels<L: Lanes, const P: usize, const C: usize>(
        &self,
        lines: &[f32],
        padded_width: usize,
        row: usize,
        column: usize,
        panel: usize,
        half: usize,
    ) {
        let shape = self.output.shape;
        let taps = self.convolution.n_in * 9;
        let filters = &self.convolution.filters.items()[panel * taps..][..taps];
        let first_block = panel * WIDE + half;
        let mut bias = [L::splat(0.0); C];
        for (loaded, bias) in (bias.iter_mut()).zip(&self.convolution.bias[first_block..]) {
            *loaded = L::load(bias);
        }
        let mut sums = [bias; P];
        // One loop over lines and positions: unrolled, it would keep more inputs than there are
        // registers.
        for (tap, filter) in filters.iter().enumerate() {
            let mut loaded = [L::splat(0.0); C];
            for (loaded, filter) in loaded.iter_mut().zip(&filter[half..]) {
                *loaded = L::load(filter);
            }
            let values: &[f32; P] = lines[tap / 3 * padded_width + column + tap % 3..]
                .first_chunk()
                .expect("lines are padded to whole groups");
            for (sums, &value) in sums.iter_mut().zip(values) {
                let value = L::splat(value);
                for (sum, filter) in sums.iter_mut().zip(loaded) {
                    *sum = value.mul_add(filter, *sum);
                }
            }
        }
        let n = shape.width.saturating_sub(column).min(P);
        #[allow(
            clippy::needless_range_loop,
            reason = "iterators that end early would keep the sums in memory"
        )]
        for c in 0..C {
            if first_block + c >= self.output.n_blocks {
                break;
            }
            let plane = self.picture * self.output.n_blocks + first_block + c;
            let first = plane * shape.plane() + row * shape.width + column.min(shape.width);
            // SAFETY: bands have no rows in common, so no other thread has these vectors.
            let output = unsafe { self.output.vectors(first, n) };
            for p in 0..P {
                let Some(output) = output.get_mut(p) else {
                    break;
                };
                let sum = if self.convolution.relu {
                    L::splat(0.0).max(sums[p][c])
                } else {
                    sums[p][c]
                };
                sum.store(output);
            }
        }
    }
}
