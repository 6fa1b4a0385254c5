//! Both kernels against the definition of a convolution in float64, with every set of instructions.

use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::convolution::{Convolution, FilterTransforms};
use super::direct::DirectConvolution;
use super::layout::{from_block, to_block};
use super::tiles::{Epilogue, Shape};
use super::weights::{Turn, Weights};
use super::workspace::Workspaces;
use crate::instructions::{Instructions, LANES, Vector};

const BOTH: [FilterTransforms; 2] = [FilterTransforms::Once, FilterTransforms::WhenUsed];

/// Numbers of the kinds that a network may meet.
#[derive(Clone, Copy, Debug)]
enum Numbers {
    /// From -1 to 1.
    Plain,
    /// Half of them subnormal or 0.
    Subnormal,
    /// Up to 1e30.
    Large,
}

impl Numbers {
    fn some(self, n: usize, rng: &mut impl Rng) -> Vec<f32> {
        let number = |_| match self {
            Self::Plain => rng.gen_range(-1.0..1.0),
            Self::Subnormal => rng.gen_range(-1.0_f32..1.0) * [1e-38, 0.0][rng.gen_range(0..2)],
            Self::Large => rng.gen_range(-1.0..1.0) * 10_f32.powf(rng.gen_range(20.0..30.0)),
        };
        (0..n).map(number).collect()
    }
}

/// A convolution, its input and what it must give.
struct Problem {
    n_in: usize,
    n_out: usize,
    shape: Shape,
    epilogue: Epilogue,
    filters: Vec<f32>,
    bias: Vec<f32>,
    /// (N, I, H, W).
    input: Vec<f32>,
}

impl Problem {
    fn new(sizes: [usize; 5], epilogue: Epilogue, numbers: Numbers, seed: u64) -> Self {
        let [n, n_in, n_out, height, width] = sizes;
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
        Self {
            n_in,
            n_out,
            shape: Shape { n, height, width },
            epilogue,
            filters: Numbers::Plain.some(n_out * n_in * 9, rng),
            bias: numbers.some(n_out, rng),
            input: numbers.some(n * n_in * height * width, rng),
        }
    }

    fn weights(&self) -> Weights<'_> {
        Weights {
            filters: &self.filters,
            bias: &self.bias,
            n_in: self.n_in,
            turn: Turn::None,
        }
    }

    /// Output (N, O, H, W) by definition, and the largest sum of the terms' sizes.
    fn by_definition(&self) -> (Vec<f64>, f64) {
        let (mut sums, mut size) = (Vec::new(), 0.0_f64);
        let Shape { n, height, width } = self.shape;
        for picture in 0..n {
            for out in 0..self.n_out {
                for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
                    let (sum, terms) = self.at(picture, out, y, x);
                    size = size.max(terms);
                    sums.push(if self.epilogue.relu {
                        sum.max(0.0)
                    } else {
                        sum
                    });
                }
            }
        }
        if !self.epilogue.pool {
            return (sums, size);
        }
        let mut pooled = Vec::new();
        for plane in sums.chunks_exact(height * width) {
            for (y, x) in (0..height / 2).flat_map(|y| (0..width / 2).map(move |x| (y, x))) {
                let at = |dy, dx| plane[(2 * y + dy) * width + 2 * x + dx];
                pooled.push(at(0, 0).max(at(0, 1)).max(at(1, 0)).max(at(1, 1)));
            }
        }
        (pooled, size)
    }

    /// A sum, and the sum of the sizes of its terms.
    fn at(&self, picture: usize, out: usize, y: usize, x: usize) -> (f64, f64) {
        let Shape { height, width, .. } = self.shape;
        let mut sum = f64::from(self.bias[out]);
        let mut size = sum.abs();
        for channel in 0..self.n_in {
            for (dy, dx) in (0..3).flat_map(|dy| (0..3).map(move |dx| (dy, dx))) {
                let (y, x) = ((y + dy).wrapping_sub(1), (x + dx).wrapping_sub(1));
                if y < height && x < width {
                    let plane = picture * self.n_in + channel;
                    let value = self.input[(plane * height + y) * width + x];
                    let filter = self.filters[((out * self.n_in + channel) * 3 + dy) * 3 + dx];
                    let term = f64::from(value) * f64::from(filter);
                    sum += term;
                    size += term.abs();
                }
            }
        }
        (sum, size)
    }

    fn blocked_input(&self) -> Vec<Vector> {
        let positions = self.shape.plane();
        let blocks = self.n_in.div_ceil(LANES);
        let mut blocked = vec![[0.0; LANES]; self.shape.n * blocks * positions];
        let pictures = self.input.chunks_exact(self.n_in * positions);
        for (input, blocked) in pictures.zip(blocked.chunks_exact_mut(blocks * positions)) {
            let channels = input.chunks(LANES * positions);
            for (channels, block) in channels.zip(blocked.chunks_exact_mut(positions)) {
                to_block(channels, positions, block);
            }
        }
        blocked
    }

    /// Output of the fused kernel, as (N, O, H, W).
    fn by_winograd(
        &self,
        instructions: Instructions,
        n_threads: usize,
        transforms: FilterTransforms,
    ) -> Vec<f32> {
        let convolution =
            Convolution::with(instructions, self.weights(), self.epilogue, transforms);
        let shape = convolution.output_shape(self.shape);
        let blocks = convolution.n_out_blocks();
        let mut output = vec![[f32::NAN; LANES]; shape.n * blocks * shape.plane()];
        convolution.run(
            &self.blocked_input(),
            self.shape,
            &mut output,
            n_threads,
            &Workspaces::default(),
            &|pieces, work| share(n_threads, pieces, work),
        );
        self.unblocked(&output, shape, blocks)
    }

    fn directly(&self, instructions: Instructions, n_threads: usize) -> Vec<f32> {
        let convolution = DirectConvolution::with(instructions, self.weights(), self.epilogue.relu);
        let blocks = convolution.n_out_blocks();
        let mut output = vec![[f32::NAN; LANES]; self.shape.n * blocks * self.shape.plane()];
        convolution.run(&self.input, self.shape, &mut output, |pieces, work| {
            share(n_threads, pieces, work);
        });
        self.unblocked(&output, self.shape, blocks)
    }

    fn unblocked(&self, output: &[Vector], shape: Shape, blocks: usize) -> Vec<f32> {
        let positions = shape.plane();
        let mut unblocked = vec![f32::NAN; shape.n * self.n_out * positions];
        if positions == 0 {
            return unblocked;
        }
        let pictures = output.chunks_exact(blocks * positions);
        for (output, unblocked) in pictures.zip(unblocked.chunks_exact_mut(self.n_out * positions))
        {
            let channels = unblocked.chunks_mut(LANES * positions);
            for (channels, block) in channels.zip(output.chunks_exact(positions)) {
                from_block(block, positions, channels);
            }
        }
        unblocked
    }

    /// Within `tolerance` of the definition, in units of the largest sum of sizes, and the same bits
    /// with every set of instructions and number of threads.
    fn check(
        &self,
        tolerance: f64,
        run: impl Fn(Instructions, usize) -> Vec<f32>,
    ) -> Result<(), TestCaseError> {
        let (expected, size) = self.by_definition();
        let mut first: Option<Vec<u32>> = None;
        for (instructions, n_threads) in
            Instructions::available().flat_map(|set| [(set, 1), (set, 3)])
        {
            let output = run(instructions, n_threads);
            prop_assert_eq!(output.len(), expected.len());
            for (&value, &expected) in output.iter().zip(&expected) {
                // What float32 cannot tell from 0 is allowed besides.
                let allowed = tolerance * size + 40.0 * f64::from(f32::from_bits(1));
                let off = (f64::from(value) - expected).abs();
                prop_assert!(
                    off <= allowed,
                    "{value} for {expected}, off by {}",
                    off / size
                );
            }
            let bits = bits(&output);
            let first = first.get_or_insert_with(|| bits.clone());
            prop_assert_eq!(&bits, &*first, "{:?}", instructions);
        }
        Ok(())
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn share(n_threads: usize, pieces: usize, work: &(dyn Fn(usize) + Sync)) {
    let next = AtomicUsize::new(0);
    let run = || {
        while let Some(piece) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|&p| p < pieces) {
            work(piece);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..n_threads {
            scope.spawn(run);
        }
        run();
    });
}

fn numbers() -> impl Strategy<Value = Numbers> {
    prop_oneof![
        Just(Numbers::Plain),
        Just(Numbers::Subnormal),
        Just(Numbers::Large)
    ]
}

fn epilogue() -> impl Strategy<Value = Epilogue> {
    (any::<bool>(), any::<bool>()).prop_map(|(relu, pool)| Epilogue { relu, pool })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    // Rounding in float32 is 6e-8; what the transforms add to it is bounded here at 100 times that.
    #[test]
    fn the_fused_kernel_is_a_convolution(
        n in 1_usize..4, n_in in 1_usize..40, n_out in 1_usize..70,
        height in 1_usize..20, width in 1_usize..34,
        epilogue in epilogue(), numbers in numbers(), seed: u64,
    ) {
        let problem = Problem::new([n, n_in, n_out, height, width], epilogue, numbers, seed);
        problem.check(6e-6, |set, threads| {
            let [transformed, packed] = BOTH.map(|transforms| {
                problem.by_winograd(set, threads, transforms)
            });
            assert!(bits(&transformed) == bits(&packed), "shared by tiles or by panels");
            packed
        })?;
    }

    #[test]
    fn the_direct_kernel_is_a_convolution(
        n in 1_usize..3, n_in in 1_usize..5, n_out in 1_usize..70,
        height in 1_usize..20, width in 1_usize..34,
        relu: bool, numbers in numbers(), seed: u64,
    ) {
        let epilogue = Epilogue { relu, pool: false };
        let problem = Problem::new([n, n_in, n_out, height, width], epilogue, numbers, seed);
        problem.check(1e-6, |set, threads| problem.directly(set, threads))?;
    }
}

#[test]
fn a_picture_has_the_same_bits_in_any_batch() {
    let epilogue = Epilogue {
        relu: true,
        pool: true,
    };
    let batch = Problem::new([7, 20, 36, 13, 17], epilogue, Numbers::Plain, 5);
    let output = batch.by_winograd(Instructions::detect(), 2, FilterTransforms::Once);
    let (input_len, output_len) = (batch.input.len() / 7, output.len() / 7);
    for (input, output) in batch.input.chunks(input_len).zip(output.chunks(output_len)) {
        let alone = Problem {
            shape: Shape {
                n: 1,
                ..batch.shape
            },
            input: input.to_vec(),
            filters: batch.filters.clone(),
            bias: batch.bias.clone(),
            ..batch
        };
        for transforms in BOTH {
            let alone = alone.by_winograd(Instructions::detect(), 1, transforms);
            assert_eq!(alone, output);
        }
    }
}

#[test]
fn more_tiles_than_are_held_at_a_time_make_no_difference() {
    let sizes = [5, 3, 33, 40, 44];
    let problem = Problem::new(sizes, Epilogue::default(), Numbers::Plain, 7);
    for instructions in Instructions::available() {
        let transformed = problem.by_winograd(instructions, 1, FilterTransforms::Once);
        for n_threads in [1, 2, 5] {
            let packed = problem.by_winograd(instructions, n_threads, FilterTransforms::WhenUsed);
            assert_eq!(packed, transformed, "{instructions:?}, {n_threads} threads");
        }
    }
}

#[test]
fn nan_stays_nan_through_relu_and_pooling() {
    let epilogue = Epilogue {
        relu: true,
        pool: true,
    };
    let mut problem = Problem::new([1, 16, 16, 8, 8], epilogue, Numbers::Plain, 1);
    problem.input[0] = f32::NAN;
    for instructions in Instructions::available() {
        for transforms in BOTH {
            assert!(problem.by_winograd(instructions, 1, transforms)[0].is_nan());
        }
    }
}
