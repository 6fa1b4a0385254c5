//! A 3 x 3 convolution by Winograd's minimal filtering.

use super::aligned_buffer::AlignedBuffer;
use super::by_panels::ByPanels;
use super::by_tiles::ByTiles;
use super::filters::{Filters as PackedFilter, PackedFilters};
use super::products::WIDE;
use super::tiles::{Epilogue, Output, Shape};
use super::weights::{Weights, blocks_of};
use super::workspace::Workspaces;
use crate::instructions::{Instructions, LANES, Vector};

/// When filters are transformed, a trade-off between memory and time. The outputs are the same to
/// the bit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FilterTransforms {
    /// Once, when the model is rewritten: the fastest for many pictures. VGG16's filters take 235
    /// MB.
    #[default]
    Once,
    /// Filters of 256 input channels or more are transformed whenever they are used. This is the
    /// fastest for one picture, because less work precedes it. VGG16's filters take 65 MB, and
    /// batches take 5% longer with AVX-512.
    WhenUsed,
}

/// Blocks of input channels from which on the choice matters. With fewer, a filter is used for so
/// many tiles of a picture, and takes so little memory, that it is always transformed once.
const MANY_BLOCKS: usize = 16;

/// Divides work among threads: called with the number of pieces, and a function that does one of
/// them and may be called from several threads at once.
pub(super) type Share<'a> = dyn Fn(usize, &(dyn Fn(usize) + Sync)) + 'a;

/// A convolution with its filters in vectors.
#[derive(Debug)]
pub(super) struct Convolution {
    filters: Filters,
    /// Blocks of output channels in a panel.
    panel_width: usize,
    /// For each block of output channels.
    bias: Vec<Vector>,
    n_in_blocks: usize,
    epilogue: Epilogue,
    instructions: Instructions,
}

/// The filters, which also determine how the work is divided.
#[derive(Debug)]
enum Filters {
    /// For each panel, point and input channel, the vectors of a panel.
    Transformed(AlignedBuffer<[Vector; 1]>),
    /// A quarter of that memory.
    Packed(PackedFilters),
}

/// A call of a convolution.
pub(super) struct Call<'a> {
    pub(super) convolution: &'a Convolution,
    /// (N, C/16, H, W, 16).
    pub(super) input: &'a [Vector],
    pub(super) shape: Shape,
    pub(super) output: Output<'a>,
    pub(super) n_threads: usize,
    pub(super) workspaces: &'a Workspaces,
}

/// Blocks of output channels in a panel.
fn panel_width(instructions: Instructions) -> usize {
    match instructions.has_many_registers() {
        true => WIDE,
        false => 1,
    }
}

impl Convolution {
    /// Puts the filters into vectors, and transforms them unless that is done later.
    ///
    /// # Panics
    /// If the weights' lengths do not match.
    pub(super) fn new(weights: Weights, epilogue: Epilogue, transforms: FilterTransforms) -> Self {
        let are_many = weights.n_in.div_ceil(LANES) >= MANY_BLOCKS;
        let transforms = match transforms {
            FilterTransforms::WhenUsed if are_many => FilterTransforms::WhenUsed,
            _ => FilterTransforms::Once,
        };
        Self::with(Instructions::detect(), weights, epilogue, transforms)
    }

    pub(super) fn with(
        instructions: Instructions,
        weights: Weights,
        epilogue: Epilogue,
        transforms: FilterTransforms,
    ) -> Self {
        let panel_width = panel_width(instructions);
        let packed = PackedFilters::new(weights, panel_width);
        let filters = match (transforms, panel_width) {
            (FilterTransforms::WhenUsed, _) => Filters::Packed(packed),
            (_, WIDE) => Filters::Transformed(packed.transformed::<WIDE>(instructions)),
            (_, _) => Filters::Transformed(packed.transformed::<1>(instructions)),
        };
        Self::of(instructions, filters, weights, epilogue)
    }

    /// A convolution for a single call, whose filters are transformed when they are used. They are
    /// packed in memory that may come from [`Self::into_packed`].
    pub(super) fn for_one_call(
        instructions: Instructions,
        memory: AlignedBuffer<PackedFilter>,
        weights: Weights,
        epilogue: Epilogue,
    ) -> Self {
        let panel_width = panel_width(instructions);
        let filters = Filters::Packed(PackedFilters::within(memory, weights, panel_width));
        Self::of(instructions, filters, weights, epilogue)
    }

    /// The memory of the untransformed filters.
    pub(super) fn into_packed(self) -> AlignedBuffer<PackedFilter> {
        match self.filters {
            Filters::Packed(packed) => packed.into_buffer(),
            Filters::Transformed(_) => AlignedBuffer::default(),
        }
    }

    fn of(
        instructions: Instructions,
        filters: Filters,
        weights: Weights,
        epilogue: Epilogue,
    ) -> Self {
        Self {
            filters,
            panel_width: panel_width(instructions),
            bias: blocks_of(weights.bias),
            n_in_blocks: weights.n_in.div_ceil(LANES),
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

    pub(super) fn n_panels(&self) -> usize {
        self.bias.len().div_ceil(self.panel_width)
    }

    /// For each block of output channels.
    pub(super) fn bias(&self) -> &[Vector] {
        &self.bias
    }

    pub(super) fn epilogue(&self) -> Epilogue {
        self.epilogue
    }

    pub(super) fn instructions(&self) -> Instructions {
        self.instructions
    }

    /// Memory of the filters in bytes.
    pub(super) fn filter_bytes(&self) -> usize {
        match &self.filters {
            Filters::Transformed(filters) => size_of_val(filters.items()),
            Filters::Packed(filters) => filters.n_bytes(),
        }
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

    /// Convolves `input` (N, C/16, H, W, 16) into `output`, in the same layout with the shape of
    /// [`Self::output_shape`].
    ///
    /// The numbers do not depend on how the work is divided: each sum is over all input channels in
    /// order.
    ///
    /// # Panics
    /// If the slices' lengths are not those of their shapes.
    pub(super) fn run(
        &self,
        input: &[Vector],
        shape: Shape,
        output: &mut [Vector],
        n_threads: usize,
        workspaces: &Workspaces,
        share: &Share,
    ) {
        assert_eq!(
            input.len(),
            shape.n * self.n_in_blocks * shape.plane(),
            "the input is as long as its shape says"
        );
        let call = Call {
            convolution: self,
            input,
            shape,
            output: Output::new(output, self.output_shape(shape), self.n_out_blocks()),
            n_threads: n_threads.max(1),
            workspaces,
        };
        match (&self.filters, self.panel_width) {
            (Filters::Transformed(filters), WIDE) => ByTiles::<WIDE> { call, filters }.run(share),
            (Filters::Transformed(filters), _) => ByTiles::<1> { call, filters }.run(share),
            (Filters::Packed(filters), WIDE) => ByPanels::<WIDE> { call, filters }.run(share),
            (Filters::Packed(filters), _) => ByPanels::<1> { call, filters }.run(share),
        }
    }
}
