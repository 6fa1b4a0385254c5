//! Convolutions on blocked tensors with their gradients, for training networks.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::aligned_buffer::AlignedBuffer;
use super::blocked::BlockedTensor;
use super::convolution::Convolution;
use super::filter_gradient::{FilterGradient, GradientMemory};
use super::filters::Filters as PackedFilter;
use super::pointwise::{Pointwise, filter_gradient};
use super::products::WIDE;
use super::tiles::Epilogue;
use super::weights::{Turn, Weights};
use super::workspace::Workspaces;
use crate::instructions::Instructions;

/// Filters (O, I, k, k) in C order, as an ONNX file has them.
#[derive(Clone, Copy, Debug)]
pub struct FilterBank<'a> {
    /// The O I k k numbers.
    pub values: &'a [f32],
    /// Number of output channels, O.
    pub n_out: usize,
    /// Number of input channels, I.
    pub n_in: usize,
}

/// What follows a convolution in the same pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rectifier {
    /// Nothing.
    #[default]
    None,
    /// Negative numbers become 0.
    Relu,
}

/// Convolutions of stride 1 and their gradients, with working memory that is kept between calls.
///
/// Filters are transformed or packed in each call, because training changes them. The work is
/// divided among the threads of rayon's current pool. The order of every sum depends on the shapes
/// alone, so the bits depend neither on the number of threads nor on the instruction set.
///
/// ```
/// use ort_winograd::blocked::{BlockedShape, BlockedTensor, Convolutions, FilterBank, Rectifier};
///
/// let shape = BlockedShape { n: 1, channels: 1, height: 2, width: 2 };
/// let input = BlockedTensor::from_channels_last(&[1.0, 2.0, 3.0, 4.0], shape);
/// // The sum of all neighbours.
/// let filters = FilterBank { values: &[1.0; 9], n_out: 1, n_in: 1 };
/// let convolutions = Convolutions::default();
/// let output = convolutions.forward_3x3(filters, &[-9.0], Rectifier::None, &input);
/// for sum in output.to_channels_last() {
///     assert!((sum - 1.0).abs() < 1e-5);
/// }
/// ```
#[derive(Debug)]
pub struct Convolutions {
    instructions: Instructions,
    workspaces: Workspaces,
    kept: Mutex<Kept>,
}

/// Memory that is kept for the next call, because allocating it costs more than using it. Parallel
/// calls have their own.
#[derive(Debug, Default)]
struct Kept {
    packed: AlignedBuffer<PackedFilter>,
    gradient: GradientMemory,
}

impl Default for Convolutions {
    fn default() -> Self {
        Self::with(Instructions::detect())
    }
}

impl Convolutions {
    /// Convolutions with these instructions.
    #[must_use]
    pub fn with(instructions: Instructions) -> Self {
        Self {
            instructions,
            workspaces: Workspaces::default(),
            kept: Mutex::default(),
        }
    }

    /// The instructions in use.
    #[must_use]
    pub fn instructions(&self) -> Instructions {
        self.instructions
    }

    /// The convolution of `input` (N, I/16, H, W, 16) with filters (O, I, 3, 3) and a border of 1, by
    /// F(4x4, 3x3): (N, O/16, H, W, 16). `bias` is (O).
    ///
    /// # Panics
    /// If lengths do not match.
    #[must_use]
    pub fn forward_3x3(
        &self,
        filters: FilterBank,
        bias: &[f32],
        rectifier: Rectifier,
        input: &BlockedTensor,
    ) -> BlockedTensor {
        assert_eq!(input.shape().channels, filters.n_in);
        self.winograd(filters, bias, Turn::None, rectifier, input)
    }

    /// The gradient with respect to the input of [`Self::forward_3x3`], from the gradient
    /// `d_output` (N, O/16, H, W, 16) with respect to its output: a convolution with the filters
    /// rotated by 180 degrees, and with inputs and outputs exchanged.
    ///
    /// # Panics
    /// If lengths do not match.
    #[must_use]
    pub fn input_gradient_3x3(
        &self,
        filters: FilterBank,
        d_output: &BlockedTensor,
    ) -> BlockedTensor {
        assert_eq!(d_output.shape().channels, filters.n_out);
        let bias = vec![0.0; filters.n_in];
        self.winograd(filters, &bias, Turn::Half, Rectifier::None, d_output)
    }

    /// The gradient (O, I, 3, 3) with respect to the filters of [`Self::forward_3x3`], by F(3x3,
    /// 4x4).
    ///
    /// # Panics
    /// If the tensors have different pictures.
    #[must_use]
    pub fn filter_gradient_3x3(&self, input: &BlockedTensor, d_output: &BlockedTensor) -> Vec<f32> {
        assert_eq!(input.shape().pictures(), d_output.shape().pictures());
        if self.has_wide_panels() {
            self.filter_gradient::<WIDE>(input, d_output)
        } else {
            self.filter_gradient::<1>(input, d_output)
        }
    }

    /// The convolution of `input` (N, I/16, H, W, 16) with filters (O, I, 1, 1): at each position,
    /// a matrix times the channels. `bias` is (O).
    ///
    /// # Panics
    /// If lengths do not match.
    #[must_use]
    pub fn forward_1x1(
        &self,
        filters: FilterBank,
        bias: &[f32],
        input: &BlockedTensor,
    ) -> BlockedTensor {
        assert_eq!(input.shape().channels, filters.n_in);
        assert_eq!(bias.len(), filters.n_out);
        self.pointwise(bias, input, filters, |out, channel| {
            out * filters.n_in + channel
        })
    }

    /// The gradient with respect to the input of [`Self::forward_1x1`]: the same with the matrix
    /// transposed.
    ///
    /// # Panics
    /// If lengths do not match.
    #[must_use]
    pub fn input_gradient_1x1(
        &self,
        filters: FilterBank,
        d_output: &BlockedTensor,
    ) -> BlockedTensor {
        assert_eq!(d_output.shape().channels, filters.n_out);
        let bias = vec![0.0; filters.n_in];
        self.pointwise(&bias, d_output, filters, |channel, out| {
            out * filters.n_in + channel
        })
    }

    /// The gradient (O, I, 1, 1) with respect to the filters of [`Self::forward_1x1`].
    ///
    /// # Panics
    /// If the tensors have different pictures.
    #[must_use]
    pub fn filter_gradient_1x1(&self, input: &BlockedTensor, d_output: &BlockedTensor) -> Vec<f32> {
        assert_eq!(input.shape().pictures(), d_output.shape().pictures());
        if self.has_wide_panels() {
            filter_gradient::<WIDE>(self.instructions, input, d_output)
        } else {
            filter_gradient::<1>(self.instructions, input, d_output)
        }
    }

    fn has_wide_panels(&self) -> bool {
        self.instructions.has_many_registers()
    }

    fn winograd(
        &self,
        filters: FilterBank,
        bias: &[f32],
        turn: Turn,
        rectifier: Rectifier,
        input: &BlockedTensor,
    ) -> BlockedTensor {
        let weights = Weights {
            filters: filters.values,
            bias,
            n_in: input.shape().channels,
            turn,
        };
        let epilogue = Epilogue {
            relu: rectifier == Rectifier::Relu,
            pool: false,
        };
        let packed = std::mem::take(&mut self.kept().packed);
        let convolution = Convolution::for_one_call(self.instructions, packed, weights, epilogue);
        let mut output = BlockedTensor::zeros(input.shape().with_channels(bias.len()));
        convolution.run(
            input.vectors(),
            input.shape().pictures(),
            output.vectors_mut(),
            rayon::current_num_threads(),
            &self.workspaces,
            &share,
        );
        self.kept().packed = convolution.into_packed();
        output
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn filter_gradient<const W: usize>(
        &self,
        input: &BlockedTensor,
        d_output: &BlockedTensor,
    ) -> Vec<f32> {
        let gradient = FilterGradient::<W> {
            instructions: self.instructions,
            workspaces: &self.workspaces,
            input,
            d_output,
        };
        let mut memory = std::mem::take(&mut self.kept().gradient);
        let gradient = gradient.run(&mut memory);
        self.kept().gradient = memory;
        gradient
    }

    /// `place(output channel, input channel)` is the index of a filter for this product.
    fn pointwise(
        &self,
        bias: &[f32],
        input: &BlockedTensor,
        filters: FilterBank,
        place: impl Fn(usize, usize) -> usize + Sync,
    ) -> BlockedTensor {
        let values = &filters.values[..filters.n_in * filters.n_out];
        let n_in = input.shape().channels;
        let filter = |out, channel| values[place(out, channel)];
        if self.has_wide_panels() {
            let convolution = Pointwise::<WIDE>::new(self.instructions, n_in, bias, filter);
            convolution.run(input, &self.workspaces)
        } else {
            let convolution = Pointwise::<1>::new(self.instructions, n_in, bias, filter);
            convolution.run(input, &self.workspaces)
        }
    }
}

/// Divides work among the threads of rayon's current pool.
fn share(n_pieces: usize, work: &(dyn Fn(usize) + Sync)) {
    use rayon::prelude::*;
    (0..n_pieces).into_par_iter().with_max_len(1).for_each(work);
}
