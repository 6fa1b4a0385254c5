//! The loops over a tile, compiled for several sets of instructions.
//!
//! This is plain Rust, which the compiler vectorises for the allowed instructions. Every
//! instruction set computes each number with the same operations in the same order. Products and
//! sums are rounded separately, because a fused multiply-add would be a function call on processors
//! without one. So the results are equal to the bit, and tests compare the others with the
//! baseline.

use ort_winograd::{InstructionSet, Kernel};

use super::prefetch::prefetch;
use super::tile::{Entry, Features, Tile};
use crate::head::optimizer::Rule;

/// Outputs that are processed together: few enough to stay in registers, as four vectors of
/// AVX-512.
const PANEL: usize = 64;

/// Rows of weights that are prefetched: about a hundred nanoseconds' work, and few enough to stay
/// in the first-level cache.
const ROWS_AHEAD: usize = 8;

/// sums (B, O) += input (B, F) weights (F, O).
pub(super) struct AddProducts<'a> {
    /// Working memory, for B rows.
    pub(super) tile: &'a mut Tile,
    pub(super) features: Features<'a>,
    pub(super) weights: &'a [f32],
    pub(super) sums: &'a mut [f32],
    pub(super) n_out: usize,
}

impl Kernel for AddProducts<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: InstructionSet>(self) {
        let n_out = self.n_out;
        self.tile.take(self.features);
        for (feature, weights) in self.weights.chunks_exact(n_out).enumerate() {
            let entries = self.tile.feature(feature);
            let (panels, rest) = weights.as_chunks::<PANEL>();
            for (index, &panel) in panels.iter().enumerate() {
                prefetch(&panels[index], ROWS_AHEAD * n_out);
                add_products_to_panel(entries, &panel, &mut self.sums[index * PANEL..], n_out);
            }
            let sums = &mut self.sums[panels.len() * PANEL..];
            add_products_to_panel(entries, rest, sums, n_out);
        }
    }
}

/// Applies `rule` with the gradient input^T (F, B) d_output (B, O).
pub(super) struct FusedUpdate<'a, R, const S: usize> {
    /// Working memory, for B rows.
    pub(super) tile: &'a mut Tile,
    pub(super) features: Features<'a>,
    /// (B, O).
    pub(super) d_output: &'a [f32],
    pub(super) to: Updated<'a, S>,
    pub(super) rule: &'a R,
}

impl<R: Rule<S>, const S: usize> Kernel for FusedUpdate<'_, R, S> {
    type Output = ();

    #[inline(always)]
    fn run<I: InstructionSet>(self) {
        fused_update(self.tile, self.features, self.d_output, self.to, self.rule);
    }
}

/// Weights (F, O) of these features, and the rule's S numbers for each, in S arrays.
pub(super) struct Updated<'a, const S: usize> {
    pub(super) weights: &'a mut [f32],
    pub(super) state: [&'a mut [f32]; S],
    pub(super) n_out: usize,
}

/// Iterates over all S arrays together, `len` numbers of each at a time. It does not end, so that
/// it can be zipped with the weights if S is 0.
#[inline(always)]
pub(super) fn chunks<const S: usize>(
    mut arrays: [&mut [f32]; S],
    len: usize,
) -> impl Iterator<Item = [&mut [f32]; S]> {
    std::iter::repeat_with(move || {
        arrays.each_mut().map(|rest| {
            let len = len.min(rest.len());
            rest.split_off_mut(..len).unwrap_or_default()
        })
    })
}

// Everything below is always inlined, to be compiled with the kernels' instructions.

/// `sums` begins at the panel's first number in the first row.
#[inline(always)]
fn add_products_to_panel(entries: &[Entry], weights: &[f32], sums: &mut [f32], n_out: usize) {
    for entry in entries {
        let sums = &mut sums[entry.row as usize * n_out..][..weights.len()];
        add_multiple(entry.value, weights, sums);
    }
}

/// [`FusedUpdate`] as a function, because the compiler assumes that arguments do not overlap.
#[inline(always)]
fn fused_update<const S: usize>(
    tile: &mut Tile,
    features: Features,
    d_output: &[f32],
    to: Updated<S>,
    rule: &impl Rule<S>,
) {
    tile.take(features);
    let n_out = to.n_out;
    let rows = to.weights.chunks_exact_mut(n_out);
    let rows = rows.zip(chunks(to.state, n_out));
    for (feature, (weights, state)) in rows.enumerate() {
        let entries = tile.feature(feature);
        let (panels, rest) = weights.as_chunks_mut::<PANEL>();
        let mut state = state.map(|state| state.as_chunks_mut::<PANEL>());
        let rest_start = panels.len() * PANEL;
        for (index, weights) in panels.iter_mut().enumerate() {
            let d_output = &d_output[index * PANEL..];
            let state = state.each_mut().map(|(panels, _)| &mut panels[index][..]);
            prefetch(weights, ROWS_AHEAD * n_out);
            state
                .iter()
                .for_each(|state| prefetch(state, ROWS_AHEAD * n_out));
            update_panel(entries, d_output, n_out, weights, state, rule);
        }
        let d_output = &d_output[rest_start..];
        let state = state.map(|(_, rest)| rest);
        update_panel(entries, d_output, n_out, rest, state, rule);
    }
}

/// `d_output` begins at the panel's first number in the first row.
#[inline(always)]
fn update_panel<const S: usize>(
    entries: &[Entry],
    d_output: &[f32],
    n_out: usize,
    weights: &mut [f32],
    state: [&mut [f32]; S],
    rule: &impl Rule<S>,
) {
    let mut gradient = [0.0; PANEL];
    let gradient = &mut gradient[..weights.len()];
    for entry in entries {
        let d_output = &d_output[entry.row as usize * n_out..][..gradient.len()];
        add_multiple(entry.value, d_output, gradient);
    }
    rule.update(weights, gradient, state);
}

/// sums += factor * values.
#[inline(always)]
fn add_multiple(factor: f32, values: &[f32], sums: &mut [f32]) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += factor * value;
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;
    use ort_winograd::Instructions;
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng};
    use rand_xoshiro::Xoshiro256PlusPlus;

    use super::*;
    use crate::head::fused_update::tile::TILE_FEATURES;
    use crate::head::optimizer::{Adam, AdamMeans, Decayed, Momentum, RmsProp, Sgd};

    /// Numbers of all sizes: half of them zeros, the others from subnormal to large, so that sums
    /// lose digits, squares overflow, and gradients are negligible.
    fn numbers(n: usize, rng: &mut impl Rng) -> Vec<f32> {
        let number = |_| match rng.gen_range(0..6) {
            0 => rng.gen_range(-1.0..1.0),
            1 => rng.gen_range(-1.0..1.0) * 10f32.powf(rng.gen_range(-44.0..9.0)),
            2 => rng.gen_range(-1e-19..1e-19),
            _ => 0.0,
        };
        (0..n).map(number).collect()
    }

    fn bits(values: &[f32]) -> Vec<u32> {
        values.iter().map(|value| value.to_bits()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn every_set_gives_the_bits_of_the_baseline_and_of_the_rule(
            batch in 1_usize..30,
            n_features in 1..=TILE_FEATURES,
            n_out in 1_usize..300,
            seed: u64,
        ) {
            let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
            let input = numbers(batch * n_features, rng);
            let input = Array2::from_shape_vec((batch, n_features), input).unwrap();
            let weights = numbers(n_features * n_out, rng);
            let mut state = [(); 2].map(|()| numbers(weights.len(), rng));
            for value in state.iter_mut().flatten() {
                *value = value.abs();
            }
            state[0][0] = f32::MIN_POSITIVE / 2.0;
            let problem = Problem {
                sums: numbers(batch * n_out, rng),
                d_output: numbers(batch * n_out, rng),
                input,
                weights,
                n_out,
            };
            let [first, second] = state;
            problem.check_products()?;
            problem.check_rule(&RmsProp::new(2e-4, 0.9, 1e-7), [first.clone()])?;
            let adam = Adam::new(1e-3, AdamMeans::default(), 1 + (seed % 1000) as usize);
            problem.check_rule(&adam, [first.clone(), second.clone()])?;
            problem.check_rule(&Decayed { rule: &adam, rate: 1e-3 }, [first.clone(), second])?;
            problem.check_rule(&Momentum::new(0.01, 0.9), [first])?;
            problem.check_rule(&Sgd::new(0.01), [])?;
        }
    }

    struct Problem {
        /// (B, F).
        input: Array2<f32>,
        /// (F, O).
        weights: Vec<f32>,
        /// (B, O).
        sums: Vec<f32>,
        /// (B, O).
        d_output: Vec<f32>,
        n_out: usize,
    }

    impl Problem {
        fn features(&self) -> Features<'_> {
            Features {
                input: self.input.as_slice().unwrap(),
                n_in: self.input.ncols(),
                first: 0,
            }
        }

        fn check_products(&self) -> Result<(), TestCaseError> {
            let (expected, _) =
                by_definition(&self.input, &self.weights, &self.sums, &self.d_output);
            let tile = &mut Tile::new(self.input.nrows());
            for set in Instructions::available() {
                let mut sums = self.sums.clone();
                set.run(AddProducts {
                    tile,
                    features: self.features(),
                    weights: &self.weights,
                    sums: &mut sums,
                    n_out: self.n_out,
                });
                prop_assert_eq!(bits(&sums), bits(&expected), "{:?}", set);
            }
            Ok(())
        }

        fn check_rule<const S: usize>(
            &self,
            rule: &impl Rule<S>,
            state: [Vec<f32>; S],
        ) -> Result<(), TestCaseError> {
            let (_, gradient) =
                by_definition(&self.input, &self.weights, &self.sums, &self.d_output);
            let (mut expected_weights, mut expected_state) = (self.weights.clone(), state.clone());
            for (index, &gradient) in gradient.iter().enumerate() {
                let before = std::array::from_fn(|number| state[number][index]);
                let (weight, after) = rule.step(self.weights[index], gradient, before);
                expected_weights[index] = weight;
                for (state, after) in expected_state.iter_mut().zip(after) {
                    state[index] = after;
                }
            }
            let tile = &mut Tile::new(self.input.nrows());
            for set in Instructions::available() {
                let (mut weights, mut state) = (self.weights.clone(), state.clone());
                let to = Updated {
                    weights: &mut weights,
                    state: state.each_mut().map(Vec::as_mut_slice),
                    n_out: self.n_out,
                };
                set.run(FusedUpdate {
                    tile,
                    features: self.features(),
                    d_output: &self.d_output,
                    to,
                    rule,
                });
                prop_assert_eq!(bits(&weights), bits(&expected_weights), "{:?}", set);
                for (state, expected) in state.iter().zip(&expected_state) {
                    prop_assert_eq!(bits(state), bits(expected), "{:?}", set);
                }
            }
            Ok(())
        }
    }

    /// sums (B, O) with the products added, and the gradient (F, O), with zeros left out.
    fn by_definition(
        input: &Array2<f32>,
        weights: &[f32],
        sums: &[f32],
        d_output: &[f32],
    ) -> (Vec<f32>, Vec<f32>) {
        let n_out = d_output.len() / input.nrows();
        let (mut sums, mut gradient) = (sums.to_vec(), vec![0.0; weights.len()]);
        for ((row, feature), &value) in input.indexed_iter().filter(|(_, value)| **value != 0.0) {
            for out in 0..n_out {
                let (in_batch, in_layer) = (row * n_out + out, feature * n_out + out);
                sums[in_batch] += value * weights[in_layer];
                gradient[in_layer] += value * d_output[in_batch];
            }
        }
        (sums, gradient)
    }
}
