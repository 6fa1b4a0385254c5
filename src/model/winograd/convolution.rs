//! A 3 x 3 convolution with transformed filters.

use std::ops::Range;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rayon::prelude::*;

use super::lanes::{LANES, Vector};
use super::products::{FilterRow, GROUP, InputBlock, PANEL, Products};
use super::tiles::{Ending, Output, Shape, TransformInput, TransformOutput};
use super::transform::{POINTS, filters};
use crate::processor::Instructions;

/// Tiles that are worked on at a time: 4 groups, and a row of tiles of a picture 224 wide.
///
/// Their transforms stay in the second-level cache for up to 64 channels, and filters are read
/// once for so many.
const BLOCK: usize = 4 * GROUP;

/// Blocks for each thread from which on it does not matter that they cannot be dealt out evenly.
const MANY: usize = 8;

/// Blocks of input channels from which on filters are fetched ahead: those of fewer channels stay
/// in the second-level cache, or near.
const FETCHED_AHEAD: usize = 16;

/// Output channels of a panel.
const PANEL_CHANNELS: usize = PANEL * LANES;

/// Weights (O, I, 3, 3) and bias (O) of a convolution of stride 1 with a border of 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weights<'a> {
    /// In C order.
    pub(super) filters: &'a [f32],
    /// One for each output channel.
    pub(super) bias: &'a [f32],
    /// Input channels, I.
    pub(super) n_in: usize,
}

/// A convolution whose filters are transformed.
#[derive(Debug)]
pub(super) struct Convolution {
    /// For each panel, point and input channel.
    filters: Lines<FilterRow>,
    /// For each block of output channels.
    bias: Vec<Vector>,
    n_in_blocks: usize,
    ending: Ending,
    instructions: Instructions,
}

impl Convolution {
    /// Transforms the filters.
    ///
    /// # Panics
    /// If the weights' lengths do not fit each other.
    pub(super) fn new(weights: Weights, ending: Ending) -> Self {
        Self::with(Instructions::of_this_processor(), weights, ending)
    }

    pub(super) fn with(instructions: Instructions, weights: Weights, ending: Ending) -> Self {
        let (n_in, n_out) = (weights.n_in, weights.bias.len());
        assert_eq!(weights.filters.len(), n_out * n_in * 9);
        let n_in_blocks = n_in.div_ceil(LANES);
        let panel_rows = POINTS * n_in_blocks * LANES;
        let mut filters = Lines::zeros(n_out.div_ceil(PANEL_CHANNELS) * panel_rows);
        let panels = filters.items_mut().par_chunks_exact_mut(panel_rows);
        panels.enumerate().for_each(|(panel, rows)| {
            transform_filters(weights, panel * PANEL_CHANNELS, rows);
        });
        Self {
            filters,
            bias: blocks_of(weights.bias),
            n_in_blocks,
            ending,
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

    /// Bytes of the transformed filters.
    pub(super) fn filter_bytes(&self) -> usize {
        size_of_val(self.filters.items())
    }

    /// Shape of the output for an input of `shape`.
    pub(super) fn output_shape(&self, shape: Shape) -> Shape {
        if self.ending.pool {
            Shape {
                height: shape.height / 2,
                width: shape.width / 2,
                ..shape
            }
        } else {
            shape
        }
    }

    /// Convolves `input` (N, C/16, H, W, 16) into `output`, the same of [`Self::output_shape`].
    ///
    /// `share` gets the number of pieces of work, and a function that does one of them, which may
    /// be called from several threads at once. However the work is shared, the numbers are the
    /// same: each sum is over all input channels in their order.
    ///
    /// # Panics
    /// If the slices are not as long as their shapes say.
    pub(super) fn run(
        &self,
        input: &[Vector],
        shape: Shape,
        output: &mut [Vector],
        n_threads: usize,
        scratch: &Scratch,
        share: impl FnOnce(usize, &(dyn Fn(usize) + Sync)),
    ) {
        assert_eq!(
            input.len(),
            shape.n * self.n_in_blocks * shape.plane(),
            "the input is as long as its shape says"
        );
        let output = Output::new(output, self.output_shape(shape), self.n_out_blocks());
        let plan = Plan::new(shape.n_tiles(), self.n_panels(), n_threads.max(1));
        share(plan.n_pieces(), &|piece| {
            let mut place = scratch.take();
            self.run_piece(&plan, piece, input, shape, &output, &mut place);
            scratch.give_back(place);
        });
    }

    fn n_panels(&self) -> usize {
        self.bias.len().div_ceil(PANEL)
    }

    fn run_piece(
        &self,
        plan: &Plan,
        piece: usize,
        input: &[Vector],
        shape: Shape,
        output: &Output,
        place: &mut Place,
    ) {
        let (first_tile, n_tiles) = plan.tiles(piece);
        let n_groups = n_tiles.div_ceil(GROUP);
        let n_blocks = self.n_in_blocks;
        // Odd, so that the points' vectors of one tile fall on different sets of the cache.
        let stride = (n_groups * n_blocks) | 1;
        let inputs = place.inputs.at_least(POINTS * stride);
        let mut clock = Clock::start();
        self.instructions.run(TransformInput {
            input,
            shape,
            first_tile,
            n_tiles,
            n_blocks,
            output: inputs,
            stride,
        });
        clock.add_to(&mut place.busy.input);
        let products_stride = n_tiles + 1;
        let products = place.products.at_least(POINTS * products_stride);
        let rows = n_blocks * LANES;
        for panel in plan.panels(piece) {
            let filters = &self.filters.items()[panel * POINTS * rows..];
            for point in 0..POINTS {
                // After the last point, the next panel's first.
                let next = filters.get((point + 1) * rows..(point + 2) * rows);
                self.instructions.run(Products {
                    input: &inputs[point * stride..][..n_groups * n_blocks],
                    filters: &filters[point * rows..][..rows],
                    output: &mut products[point * products_stride..][..n_tiles],
                    next: next
                        .filter(|_| n_blocks >= FETCHED_AHEAD)
                        .unwrap_or_default(),
                });
            }
            clock.add_to(&mut place.busy.products);
            let first_block = panel * PANEL;
            let last_block = self.bias.len().min(first_block + PANEL);
            self.instructions.run(TransformOutput {
                products,
                stride: products_stride,
                shape,
                first_tile,
                n_tiles,
                first_block,
                bias: &self.bias[first_block..last_block],
                ending: self.ending,
                output,
            });
            clock.add_to(&mut place.busy.output);
        }
    }
}

/// Transforms the filters of a panel, which begins with the output channel `first`, into a row for
/// each point and input channel.
fn transform_filters(weights: Weights, first: usize, rows: &mut [FilterRow]) {
    let n_in = weights.n_in;
    let (all, _) = weights.filters.as_chunks::<9>();
    let panel = &all[first * n_in..all.len().min((first + PANEL_CHANNELS) * n_in)];
    let n_rows = rows.len() / POINTS;
    for channel in 0..n_in {
        for (block, outs) in panel.chunks(LANES * n_in).enumerate() {
            let mut weight = [[[0.0; LANES]; 3]; 3];
            for (lane, out) in outs.chunks_exact(n_in).enumerate() {
                for (at, &value) in out[channel].iter().enumerate() {
                    weight[at / 3][at % 3][lane] = f64::from(value);
                }
            }
            for (point, values) in filters(&weight).as_flattened().iter().enumerate() {
                rows[point * n_rows + channel][block] = values.map(|value| value as f32);
            }
        }
    }
}

/// Numbers in vectors, with zeros at the end.
pub(super) fn blocks_of(values: &[f32]) -> Vec<Vector> {
    values
        .chunks(LANES)
        .map(|values| {
            let mut vector = [0.0; LANES];
            vector[..values.len()].copy_from_slice(values);
            vector
        })
        .collect()
}

/// How work is cut into pieces: blocks of tiles, as many as can be dealt out evenly, and where they
/// cannot, parts of the panels, each with a transform of the inputs of its own.
#[derive(Debug)]
struct Plan {
    n_tiles: usize,
    n_blocks: usize,
    n_panels: usize,
    n_parts: usize,
}

impl Plan {
    fn new(n_tiles: usize, n_panels: usize, n_threads: usize) -> Self {
        let n_blocks = n_tiles.div_ceil(BLOCK);
        let is_even = n_blocks.is_multiple_of(n_threads) || n_blocks >= MANY * n_threads;
        Self {
            n_tiles,
            n_blocks,
            n_panels,
            n_parts: if is_even { 1 } else { n_threads.min(n_panels) },
        }
    }

    fn n_pieces(&self) -> usize {
        self.n_blocks * self.n_parts
    }

    /// The first tile of a piece, and how many it has.
    fn tiles(&self, piece: usize) -> (usize, usize) {
        let tiles = slice(self.n_tiles, piece / self.n_parts, self.n_blocks);
        (tiles.start, tiles.len())
    }

    fn panels(&self, piece: usize) -> Range<usize> {
        slice(self.n_panels, piece % self.n_parts, self.n_parts)
    }
}

/// The `index`-th of `of` slices of 0 to n, none more than one longer than another.
fn slice(n: usize, index: usize, of: usize) -> Range<usize> {
    index * n / of..(index + 1) * n / of
}

/// Working memory of threads, kept for the next call.
#[derive(Debug, Default)]
pub(super) struct Scratch(Mutex<Vec<Place>>);

impl Scratch {
    /// Time that was spent so far, summed over threads that are not at work.
    pub(super) fn busy(&self) -> Busy {
        let places = self.0.lock().unwrap_or_else(|error| error.into_inner());
        places.iter().fold(Busy::default(), |sum, place| Busy {
            input: sum.input + place.busy.input,
            products: sum.products + place.busy.products,
            output: sum.output + place.busy.output,
        })
    }

    fn take(&self) -> Place {
        let mut places = self.0.lock().unwrap_or_else(|error| error.into_inner());
        places.pop().unwrap_or_default()
    }

    fn give_back(&self, place: Place) {
        let mut places = self.0.lock().unwrap_or_else(|error| error.into_inner());
        places.push(place);
    }
}

/// Working memory of one thread.
#[derive(Debug, Default)]
struct Place {
    inputs: Lines<InputBlock>,
    products: Lines<FilterRow>,
    busy: Busy,
}

/// Time of the stages of the fused convolutions, summed over threads.
#[derive(Clone, Copy, Debug, Default)]
pub struct Busy {
    /// Transforming inputs.
    pub input: Duration,
    /// Multiplying.
    pub products: Duration,
    /// Transforming outputs, with bias, ReLU and pooling.
    pub output: Duration,
}

/// Tells stages apart.
struct Clock(Instant);

impl Clock {
    fn start() -> Self {
        Self(Instant::now())
    }

    /// Adds the time since the last call.
    fn add_to(&mut self, sum: &mut Duration) {
        let now = Instant::now();
        *sum += now - std::mem::replace(&mut self.0, now);
    }
}

/// An array that begins at a cache line.
#[derive(Debug)]
pub(super) struct Lines<T> {
    lines: Vec<Line>,
    items: std::marker::PhantomData<T>,
}

#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Line(Vector);

/// Arrays of vectors.
pub(super) trait Vectors: Copy {}
impl<const N: usize> Vectors for [Vector; N] {}

impl<T> Default for Lines<T> {
    fn default() -> Self {
        Self {
            lines: Vec::new(),
            items: std::marker::PhantomData,
        }
    }
}

impl<T: Vectors> Lines<T> {
    pub(super) fn zeros(len: usize) -> Self {
        let lines = size_of::<T>() / size_of::<Line>();
        Self {
            lines: vec![Line([0.0; LANES]); len * lines],
            items: std::marker::PhantomData,
        }
    }

    pub(super) fn items(&self) -> &[T] {
        let len = size_of_val(self.lines.as_slice()) / size_of::<T>();
        // SAFETY: a `T` is an array of vectors, of whole lines, and every number is initialized.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), len) }
    }

    pub(super) fn items_mut(&mut self) -> &mut [T] {
        let len = size_of_val(self.lines.as_slice()) / size_of::<T>();
        // SAFETY: as in `items`, and borrowed for writing.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), len) }
    }

    /// The first `len` items, after growing where they are fewer. What they hold is left over.
    fn at_least(&mut self, len: usize) -> &mut [T] {
        if self.items().len() < len {
            *self = Self::zeros(len);
        }
        &mut self.items_mut()[..len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_have_every_tile_and_panel_once_and_are_dealt_out_evenly() {
        for (n_tiles, n_panels, n_threads) in [
            (64, 16, 2),
            (16, 16, 2),
            (196, 8, 3),
            (150, 1, 4),
            (12544, 2, 2),
            (0, 3, 2),
            (5, 2, 9),
        ] {
            let plan = Plan::new(n_tiles, n_panels, n_threads);
            let mut seen = vec![0; n_tiles * n_panels];
            for piece in 0..plan.n_pieces() {
                let (first, n) = plan.tiles(piece);
                assert!((1..=BLOCK).contains(&n), "{plan:?}");
                for tile in first..first + n {
                    for panel in plan.panels(piece) {
                        seen[tile * n_panels + panel] += 1;
                    }
                }
            }
            assert_eq!(seen, vec![1; n_tiles * n_panels], "{plan:?}");
            let is_even = plan.n_pieces().is_multiple_of(n_threads);
            assert!(is_even || plan.n_pieces() > 8 * n_threads || n_panels < n_threads);
        }
    }
}
