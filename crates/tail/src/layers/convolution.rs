//! A convolution over all channels, with filters of 3 x 3 or 1 x 1 and stride 1.

use ort_winograd::blocked::{BlockedShape, BlockedTensor, FilterBank, LANES, Rectifier};

use super::border::shifted;
use super::{Activation, Backed, Backward, Border, Context, Weights};

/// A convolution, with an activation of each sum.
///
/// ```text
/// y[n, o, v, u]  = activation(b[o] + sum over i, r, s of g[o, i, r, s] x[n, i, v + r - top, u + s - left])
/// db[o]          = sum over n, v, u of dy[n, o, v, u]
/// dg[o, i, r, s] = sum over n, v, u of dy[n, o, v, u] x[n, i, v + r - top, u + s - left]
/// dx[n, i, v, u] = sum over o, r, s of g[o, i, r, s] dy[n, o, v - r + top, u - s + left]
/// ```
///
/// Formulas: V. Dumoulin and F. Visin, "A guide to convolution arithmetic for deep learning", 2016, chapters 2
/// and 4.
#[derive(Clone, Debug)]
pub(crate) struct Convolution {
    pub(crate) weights: Weights,
    pub(crate) side: Side,
    pub(crate) n_in: usize,
    pub(crate) n_out: usize,
    /// None for 1 x 1; at most 2 for 3 x 3.
    pub(crate) border: Border,
    pub(crate) activation: Activation,
}

/// The side of a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// 1 x 1.
    One,
    /// 3 x 3.
    Three,
}

impl Side {
    pub(crate) fn length(self) -> usize {
        match self {
            Self::One => 1,
            Self::Three => 3,
        }
    }
}

impl Convolution {
    pub(crate) fn output_shape(&self, input: BlockedShape) -> Result<BlockedShape, String> {
        if input.channels != self.n_in {
            return Err(format!("its filters are for {} channels", self.n_in));
        }
        let windows = (self.border).windows(input, [self.side.length(); 2], [1, 1])?;
        Ok(windows.with_channels(self.n_out))
    }

    pub(crate) fn forward(&self, context: Context, input: &BlockedTensor) -> BlockedTensor {
        let bias = context.bias(&self.weights, self.n_out);
        let filters = self.filters(context);
        let mut output = match self.side {
            Side::One => context.convolutions.forward_1x1(filters, &bias, input),
            Side::Three => {
                let grid = Grid::of(self.border, input.shape());
                let rectifier = match self.activation {
                    Activation::Linear => Rectifier::None,
                    Activation::Relu | Activation::Relu6 => Rectifier::Relu,
                };
                let output = grid.on_input(input, |input| {
                    context
                        .convolutions
                        .forward_3x3(filters, &bias, rectifier, input)
                });
                grid.cut_output(output)
            }
        };
        let is_done = self.side == Side::Three && self.activation == Activation::Relu;
        if !is_done {
            self.activation.forward(&mut output);
        }
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
        let (input, filters) = (back.inputs[0], self.filters(context));
        let convolutions = context.convolutions;
        let d_filters = match self.side {
            Side::One => {
                if back.wants_inputs {
                    let d_input = convolutions.input_gradient_1x1(filters, &d_output);
                    backed.d_inputs.push(d_input);
                }
                convolutions.filter_gradient_1x1(input, &d_output)
            }
            Side::Three => {
                let grid = Grid::of(self.border, input.shape());
                let d_output = grid.uncut_output(d_output);
                if back.wants_inputs {
                    let d_input = convolutions.input_gradient_3x3(filters, &d_output);
                    backed.d_inputs.push(grid.cut_input(d_input));
                }
                grid.on_input(input, |input| {
                    convolutions.filter_gradient_3x3(input, &d_output)
                })
            }
        };
        backed.d_weights.push((self.weights.filters, d_filters));
        backed
    }

    fn filters<'a>(&self, context: Context<'a>) -> FilterBank<'a> {
        FilterBank {
            values: context.filters(&self.weights),
            n_out: self.n_out,
            n_in: self.n_in,
        }
    }
}

/// Sums over all positions, for each channel: first along rows, then of these, to lose few digits.
pub(super) fn d_bias(d_output: &BlockedTensor) -> Vec<f32> {
    let shape = d_output.shape();
    let mut sums = vec![0.0; shape.channels];
    for (block, sums) in sums.chunks_mut(LANES).enumerate() {
        let pictures = d_output.vectors().chunks_exact(shape.picture_len());
        for picture in pictures {
            let plane = &picture[block * shape.positions()..][..shape.positions()];
            for row in plane.chunks_exact(shape.width) {
                let mut along = [0.0; LANES];
                for vector in row {
                    for (sum, d) in along.iter_mut().zip(vector) {
                        *sum += d;
                    }
                }
                for (sum, row) in sums.iter_mut().zip(along) {
                    *sum += row;
                }
            }
        }
    }
    sums
}

/// The pictures on which a border of 1 gives the outputs of another border, and possibly more: the
/// input with any border beyond 1 added. For smaller borders, outputs are cut off.
#[derive(Clone, Copy)]
struct Grid {
    input: BlockedShape,
    /// The border added to the input.
    added: Border,
    /// The border cut off the output.
    cut: Border,
}

impl Grid {
    fn of(border: Border, input: BlockedShape) -> Self {
        let each = |change: fn(usize) -> usize| Border {
            top: change(border.top),
            left: change(border.left),
            bottom: change(border.bottom),
            right: change(border.right),
        };
        Self {
            input,
            added: each(|side| side.saturating_sub(1)),
            cut: each(|side| 1_usize.saturating_sub(side)),
        }
    }

    fn height(&self) -> usize {
        self.input.height + self.added.top + self.added.bottom
    }

    fn width(&self) -> usize {
        self.input.width + self.added.left + self.added.right
    }

    /// Runs `work` with the input on the grid.
    fn on_input<T>(&self, input: &BlockedTensor, work: impl FnOnce(&BlockedTensor) -> T) -> T {
        if self.added == Border::default() {
            return work(input);
        }
        let (top, left) = (self.added.top as isize, self.added.left as isize);
        work(&shifted(input, self.height(), self.width(), -top, -left))
    }

    /// The transpose of what [`Self::on_input`] does to its input.
    fn cut_input(&self, d_grid: BlockedTensor) -> BlockedTensor {
        if self.added == Border::default() {
            return d_grid;
        }
        let (top, left) = (self.added.top as isize, self.added.left as isize);
        shifted(&d_grid, self.input.height, self.input.width, top, left)
    }

    fn cut_output(&self, grid: BlockedTensor) -> BlockedTensor {
        if self.cut == Border::default() {
            return grid;
        }
        let height = self.height() - self.cut.top - self.cut.bottom;
        let width = self.width() - self.cut.left - self.cut.right;
        shifted(
            &grid,
            height,
            width,
            self.cut.top as isize,
            self.cut.left as isize,
        )
    }

    /// The transpose of [`Self::cut_output`].
    fn uncut_output(&self, d_output: BlockedTensor) -> BlockedTensor {
        if self.cut == Border::default() {
            return d_output;
        }
        let (top, left) = (self.cut.top as isize, self.cut.left as isize);
        shifted(&d_output, self.height(), self.width(), -top, -left)
    }
}
