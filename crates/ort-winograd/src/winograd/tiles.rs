//! The tiles of a batch of pictures, and the transforms of a block of them.

use std::ops::Range;

use super::products::{InputBlock, MR, Row};
use super::transform::{POINTS, SIDE, STEP, input_1d, output_1d};
use crate::instructions::{InstructionSet, Kernel, LANES, Lanes, Vector};

/// Shape of a tensor (N, H, W) whose channels are in blocks of 16: (N, C/16, H, W, 16).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// Pictures.
    pub(super) n: usize,
    /// Rows.
    pub(super) height: usize,
    /// Columns.
    pub(super) width: usize,
}

impl Shape {
    /// Vectors in the plane of one picture and one block of channels.
    pub(super) fn plane(self) -> usize {
        self.height * self.width
    }

    fn tiles_down(self) -> usize {
        self.height.div_ceil(STEP)
    }

    fn tiles_across(self) -> usize {
        self.width.div_ceil(STEP)
    }

    /// Number of tiles of all pictures.
    pub(super) fn n_tiles(self) -> usize {
        self.n * self.tiles_down() * self.tiles_across()
    }

    /// The position of a tile, counted along the rows of one picture after the other.
    #[inline(always)]
    pub(super) fn tile(self, index: usize) -> Tile {
        let (rest, column) = (index / self.tiles_across(), index % self.tiles_across());
        Tile {
            picture: rest / self.tiles_down(),
            row: rest % self.tiles_down() * STEP,
            column: column * STEP,
        }
    }
}

/// The first output of a tile.
#[derive(Clone, Copy)]
pub(super) struct Tile {
    pub(super) picture: usize,
    pub(super) row: usize,
    pub(super) column: usize,
}

/// Transforms the inputs of consecutive tiles.
pub(super) struct TransformInput<'a> {
    /// (N, C/16, H, W, 16).
    pub(super) input: &'a [Vector],
    pub(super) shape: Shape,
    pub(super) first_tile: usize,
    pub(super) n_tiles: usize,
    /// C/16.
    pub(super) n_blocks: usize,
    /// The blocks that are needed.
    pub(super) blocks: Range<usize>,
    /// For each point, `stride` blocks: for each group of tiles, one for each of `blocks`.
    pub(super) output: &'a mut [InputBlock],
    pub(super) stride: usize,
}

impl Kernel for TransformInput<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: InstructionSet>(mut self) {
        // Tile by tile of one plane, so that its rows are read from front to back.
        for block in self.blocks.clone() {
            for index in 0..self.n_tiles {
                self.transform::<L>(block, index);
            }
        }
    }
}

impl TransformInput<'_> {
    /// Transforms 16 channels of the tile `index` from the first.
    #[inline(always)]
    fn transform<L: Lanes>(&mut self, block: usize, index: usize) {
        let Shape { height, width, .. } = self.shape;
        let tile = self.shape.tile(self.first_tile + index);
        let plane = tile.picture * self.n_blocks + block;
        let plane = &self.input[plane * self.shape.plane()..][..self.shape.plane()];
        let first = index / MR * self.blocks.len() + block - self.blocks.start;
        let output = &mut self.output[first..];
        let is_inside = tile.row > 0
            && tile.column > 0
            && tile.row + SIDE - 1 <= height
            && tile.column + SIDE - 1 <= width;
        if is_inside {
            let first = (tile.row - 1) * width + tile.column - 1;
            transform_input::<L>(&plane[first..], width, output, self.stride, index % MR);
        } else {
            let patch = padded(plane, self.shape, tile);
            transform_input::<L>(&patch, SIDE, output, self.stride, index % MR);
        }
    }
}

/// The inputs of a tile at the border, with zeros around the picture.
fn padded(plane: &[Vector], shape: Shape, tile: Tile) -> [Vector; POINTS] {
    let mut patch = [[0.0; LANES]; POINTS];
    for (y, row) in patch.chunks_exact_mut(SIDE).enumerate() {
        let y = (tile.row + y).wrapping_sub(1);
        for (x, vector) in row.iter_mut().enumerate() {
            let x = (tile.column + x).wrapping_sub(1);
            if y < shape.height && x < shape.width {
                *vector = plane[y * shape.width + x];
            }
        }
    }
    patch
}

/// Transforms one tile of 16 channels, whose rows are `width` vectors apart.
#[inline(always)]
fn transform_input<L: Lanes>(
    input: &[Vector],
    width: usize,
    output: &mut [InputBlock],
    stride: usize,
    row: usize,
) {
    let mut rows = [&[[0.0; LANES]; SIDE]; SIDE];
    for (row, input) in rows.iter_mut().zip(input.chunks(width)) {
        *row = input.first_chunk().expect("a tile is that wide");
    }
    // Loops instead of closures, which may be compiled separately and without the instructions.
    let mut columns = [[L::splat(0.0); SIDE]; SIDE];
    for x in 0..SIDE {
        let mut column = [L::splat(0.0); SIDE];
        for (value, row) in column.iter_mut().zip(rows) {
            *value = L::load(&row[x]);
        }
        for (columns, value) in columns.iter_mut().zip(input_1d(column)) {
            columns[x] = value;
        }
    }
    for (y, values) in columns.into_iter().enumerate() {
        for (x, value) in input_1d(values).into_iter().enumerate() {
            value.store(&mut output[(y * SIDE + x) * stride][row]);
        }
    }
}

/// The operations on sums before they are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Epilogue {
    /// Negative numbers become 0.
    pub(super) relu: bool,
    /// The maximum of each 2 x 2 is kept; an odd last row or column is dropped.
    pub(super) pool: bool,
}

/// Transforms the products of consecutive tiles with one panel of output channels.
pub(super) struct TransformOutput<'a, const W: usize> {
    /// For each point, `stride` rows: one for each tile.
    pub(super) products: &'a [Row<W>],
    pub(super) stride: usize,
    /// Shape of the input, which is the shape of the output before pooling.
    pub(super) shape: Shape,
    pub(super) first_tile: usize,
    pub(super) n_tiles: usize,
    /// The panel's first block of 16 output channels.
    pub(super) first_block: usize,
    /// For each existing block of the panel.
    pub(super) bias: &'a [Vector],
    pub(super) epilogue: Epilogue,
    pub(super) output: &'a Output<'a>,
}

impl<const W: usize> Kernel for TransformOutput<'_, W> {
    type Output = ();

    #[inline(always)]
    fn run<L: InstructionSet>(self) {
        for index in 0..self.n_tiles {
            let tile = self.shape.tile(self.first_tile + index);
            for (column, bias) in self.bias.iter().enumerate() {
                let values = transform_output::<L, W>(
                    &self.products[index..],
                    self.stride,
                    column,
                    L::load(bias),
                    self.epilogue.relu,
                );
                let block = self.first_block + column;
                if self.epilogue.pool {
                    self.store(tile, block, pooled(values));
                } else {
                    self.store(tile, block, values);
                }
            }
        }
    }
}

impl<const W: usize> TransformOutput<'_, W> {
    /// Stores the part of a tile inside the picture.
    #[inline(always)]
    fn store<L: Lanes, const S: usize>(&self, tile: Tile, block: usize, values: [[L; S]; S]) {
        let shape = self.output.shape;
        let (row, column) = (tile.row * S / STEP, tile.column * S / STEP);
        let plane = (tile.picture * self.output.n_blocks + block) * shape.plane();
        let n_across = shape.width.saturating_sub(column).min(S);
        for (y, values) in (row..shape.height).zip(values) {
            // SAFETY: blocks of work are sets of tiles and of output channels without a common
            // element, so no other thread has these vectors.
            let out = unsafe {
                self.output
                    .vectors(plane + y * shape.width + column, n_across)
            };
            for (out, value) in out.iter_mut().zip(values) {
                value.store(out);
            }
        }
    }
}

/// Output (4, 4) of one tile and 16 channels.
#[inline(always)]
fn transform_output<L: Lanes, const W: usize>(
    products: &[Row<W>],
    stride: usize,
    panel_column: usize,
    bias: L,
    relu: bool,
) -> [[L; STEP]; STEP] {
    let zero = L::splat(0.0);
    let mut columns = [[zero; SIDE]; STEP];
    for x in 0..SIDE {
        let mut column = [zero; SIDE];
        for (y, value) in column.iter_mut().enumerate() {
            *value = L::load(&products[(y * SIDE + x) * stride][panel_column]);
        }
        for (columns, value) in columns.iter_mut().zip(output_1d(column)) {
            columns[x] = value;
        }
    }
    let mut values = [[zero; STEP]; STEP];
    for (values, row) in values.iter_mut().zip(columns) {
        *values = output_1d(row);
        for value in values {
            *value = value.add(bias);
            if relu {
                *value = zero.max(*value);
            }
        }
    }
    values
}

/// The maximum of each 2 x 2.
#[inline(always)]
fn pooled<L: Lanes>(values: [[L; STEP]; STEP]) -> [[L; STEP / 2]; STEP / 2] {
    let mut pooled = [[values[0][0]; STEP / 2]; STEP / 2];
    for (y, row) in pooled.iter_mut().enumerate() {
        let [above, below] = [values[2 * y], values[2 * y + 1]];
        for (x, largest) in row.iter_mut().enumerate() {
            let above = above[2 * x].max(above[2 * x + 1]);
            *largest = above.max(below[2 * x].max(below[2 * x + 1]));
        }
    }
    pooled
}

/// An output tensor that several threads write to, each its own part.
pub(super) struct Output<'a> {
    vectors: *mut Vector,
    len: usize,
    pub(super) shape: Shape,
    pub(super) n_blocks: usize,
    borrowed: std::marker::PhantomData<&'a mut [Vector]>,
}

// SAFETY: a vector is only reached through `Output::vectors`, whose callers keep to their own.
unsafe impl Sync for Output<'_> {}

impl<'a> Output<'a> {
    /// `vectors` is (N, C/16, H, W) of `shape`.
    pub(super) fn new(vectors: &'a mut [Vector], shape: Shape, n_blocks: usize) -> Self {
        assert_eq!(vectors.len(), shape.n * n_blocks * shape.plane());
        Self {
            vectors: vectors.as_mut_ptr(),
            len: vectors.len(),
            shape,
            n_blocks,
            borrowed: std::marker::PhantomData,
        }
    }

    /// `n` vectors from `first` on.
    ///
    /// # Safety
    /// No two threads may access the same vector at a time.
    #[inline(always)]
    #[allow(clippy::mut_from_ref)]
    pub(super) unsafe fn vectors(&self, first: usize, n: usize) -> &mut [Vector] {
        assert!(first <= self.len && n <= self.len - first);
        // SAFETY: it lies inside what was borrowed, and is the caller's alone, who says so.
        unsafe { std::slice::from_raw_parts_mut(self.vectors.add(first), n) }
    }
}
