//! Convolutions and their gradients against their definitions in float64, with every set of
//! instructions and several numbers of threads.

use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::blocked::{BlockedShape, BlockedTensor};
use super::training::{Convolutions, FilterBank, Rectifier};
use crate::instructions::Instructions;

/// A convolution with filters (O, I, side, side), its input and the gradient to its output.
struct Problem {
    side: usize,
    n_in: usize,
    n_out: usize,
    shape: BlockedShape,
    filters: Vec<f32>,
    bias: Vec<f32>,
    /// (N, H, W, I).
    input: Vec<f32>,
    /// (N, H, W, O).
    d_output: Vec<f32>,
}

/// What a [`Problem`] gives, in float64 and in the orders of the problem: sums, and the sums of their
/// terms' sizes.
struct Sums {
    output: Vec<[f64; 2]>,
    d_input: Vec<[f64; 2]>,
    d_filters: Vec<[f64; 2]>,
}

impl Problem {
    fn new(side: usize, [n, n_in, n_out, height, width]: [usize; 5], seed: u64) -> Self {
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut numbers =
            |n: usize| -> Vec<f32> { (0..n).map(|_| rng.gen_range(-1.0..1.0)).collect() };
        Self {
            side,
            n_in,
            n_out,
            shape: BlockedShape {
                n,
                channels: n_in,
                height,
                width,
            },
            filters: numbers(n_out * n_in * side * side),
            bias: numbers(n_out),
            input: numbers(n * height * width * n_in),
            d_output: numbers(n * height * width * n_out),
        }
    }

    fn by_definition(&self) -> Sums {
        let BlockedShape {
            n, height, width, ..
        } = self.shape;
        let (side, border) = (self.side, self.side / 2);
        let bias = self
            .bias
            .iter()
            .map(|&bias| [f64::from(bias), f64::from(bias.abs())]);
        let bias: Vec<_> = bias.collect();
        let mut sums = Sums {
            output: bias.repeat(n * height * width),
            d_input: vec![[0.0; 2]; self.input.len()],
            d_filters: vec![[0.0; 2]; self.filters.len()],
        };
        let pixels = (0..n * height).flat_map(|row| (0..width).map(move |x| (row, x)));
        for (row, x) in pixels {
            for (dy, dx) in (0..side).flat_map(|dy| (0..side).map(move |dx| (dy, dx))) {
                let y = (row % height + dy).wrapping_sub(border);
                let from_x = (x + dx).wrapping_sub(border);
                if y >= height || from_x >= width {
                    continue;
                }
                let from = ((row / height * height + y) * width + from_x) * self.n_in;
                let to = (row * width + x) * self.n_out;
                for out in 0..self.n_out {
                    for channel in 0..self.n_in {
                        let filter = ((out * self.n_in + channel) * side + dy) * side + dx;
                        let (g, i, o) = (self.filters[filter], from + channel, to + out);
                        add(&mut sums.output[o], g, self.input[i]);
                        add(&mut sums.d_input[i], g, self.d_output[o]);
                        add(&mut sums.d_filters[filter], self.input[i], self.d_output[o]);
                    }
                }
            }
        }
        sums
    }

    fn run(&self, instructions: Instructions) -> [Vec<f32>; 3] {
        let convolutions = Convolutions::with(instructions);
        let filters = FilterBank {
            values: &self.filters,
            n_out: self.n_out,
            n_in: self.n_in,
        };
        let input = BlockedTensor::from_channels_last(&self.input, self.shape);
        let out_shape = self.shape.with_channels(self.n_out);
        let d_output = BlockedTensor::from_channels_last(&self.d_output, out_shape);
        let c = &convolutions;
        let (output, d_input, d_filters) = match self.side {
            3 => (
                c.forward_3x3(filters, &self.bias, Rectifier::None, &input),
                c.input_gradient_3x3(filters, &d_output),
                c.filter_gradient_3x3(&input, &d_output),
            ),
            _ => (
                c.forward_1x1(filters, &self.bias, &input),
                c.input_gradient_1x1(filters, &d_output),
                c.filter_gradient_1x1(&input, &d_output),
            ),
        };
        [
            output.to_channels_last(),
            d_input.to_channels_last(),
            d_filters,
        ]
    }

    /// Within `tolerance` of the definition, in units of the largest sum of sizes, and of the same bits with
    /// every set of instructions on 1, 2 and 5 threads.
    fn check(&self, tolerance: f64) -> Result<(), TestCaseError> {
        let Sums {
            output,
            d_input,
            d_filters,
        } = self.by_definition();
        let mut first: Option<[Vec<f32>; 3]> = None;
        for (set, threads) in Instructions::available().flat_map(|s| [(s, 1), (s, 2), (s, 5)]) {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            let results = pool.build().unwrap().install(|| self.run(set));
            let all = results.iter().zip([&output, &d_input, &d_filters]);
            for (which, (values, expected)) in all.enumerate() {
                prop_assert_eq!(values.len(), expected.len());
                let size = expected
                    .iter()
                    .fold(0.0_f64, |size, [_, terms]| size.max(*terms));
                for (&value, [expected, _]) in values.iter().zip(expected) {
                    let off = (f64::from(value) - expected).abs();
                    prop_assert!(off <= tolerance * size, "{which}: {value} for {expected}");
                }
            }
            let first = first.get_or_insert_with(|| results.clone());
            prop_assert!(results == *first, "{set:?} on {threads} threads");
        }
        Ok(())
    }
}

fn add(sum: &mut [f64; 2], a: f32, b: f32) {
    let term = f64::from(a) * f64::from(b);
    *sum = [sum[0] + term, sum[1] + term.abs()];
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    // As of the convolution alone: 100 times the rounding of float32.
    #[test]
    fn a_3x3_convolution_and_its_gradients_are_their_definitions(
        n in 1_usize..4, n_in in 1_usize..40, n_out in 1_usize..70,
        height in 1_usize..12, width in 1_usize..14, seed: u64,
    ) {
        Problem::new(3, [n, n_in, n_out, height, width], seed).check(6e-6)?;
    }

    #[test]
    fn a_1x1_convolution_and_its_gradients_are_their_definitions(
        n in 1_usize..4, n_in in 1_usize..40, n_out in 1_usize..70,
        height in 1_usize..12, width in 1_usize..14, seed: u64,
    ) {
        Problem::new(1, [n, n_in, n_out, height, width], seed).check(1e-6)?;
    }
}

#[test]
fn many_tiles_and_channels_are_taken_in_parts() {
    // 150 tiles, 6 and 9 blocks of channels.
    Problem::new(3, [6, 82, 133, 18, 19], 3)
        .check(6e-6)
        .unwrap();
}
