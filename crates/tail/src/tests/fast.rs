//! The fast layers against the twin, with every set of instructions and several numbers of threads.

use ort_winograd::Instructions;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::networks::{Case, cases};
use super::twin::{Array, Twin};
use crate::{Batch, Gradients, InputGradient, Tail};

/// In units of the largest number of a tensor: 100 times what float32 rounds by, as sums go over hundreds of terms
/// and through several layers.
const TOLERANCE: f64 = 1e-5;

fn numbers(n: usize, rng: &mut impl Rng) -> Vec<f32> {
    (0..n).map(|_| rng.gen_range(-1.0..1.0)).collect()
}

fn array(shape: [usize; 4], values: &[f32]) -> Array {
    Array {
        shape,
        values: values.iter().map(|&value| f64::from(value)).collect(),
    }
}

fn assert_near(what: &str, values: &[f32], expected: &[f64]) {
    assert_eq!(values.len(), expected.len(), "{what}");
    let size = expected
        .iter()
        .fold(0.0_f64, |size, value| size.max(value.abs()));
    for (value, expected) in values.iter().zip(expected) {
        let off = (f64::from(*value) - expected).abs();
        assert!(off <= TOLERANCE * size, "{what}: {value} for {expected}");
    }
}

fn run(tail: &Tail, batch: Batch, d_outputs: &[f32]) -> (Vec<f32>, Gradients) {
    let (outputs, tape) = tail.forward(batch).unwrap();
    let gradients = tail
        .backward(&tape, d_outputs, InputGradient::Wanted)
        .unwrap();
    (outputs, gradients)
}

#[test]
fn layers_and_networks_give_what_the_twin_gives_to_the_bit_on_any_machine() {
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(10);
    for Case { name, model, batch } in cases() {
        let tail = Tail::read(&model, "x", "y").unwrap();
        let values = numbers(batch.iter().product(), rng);
        let twin = Twin::of(&tail);
        let expected = twin.forward(array(batch, &values));
        let output = twin.output(&expected);
        let d_outputs = numbers(output.values.len(), rng);
        let (d_weights, d_input) = twin.backward(&expected, array(output.shape, &d_outputs));
        let input = Batch {
            shape: batch,
            values: &values,
        };
        let [_, height, width, channels] = batch;
        let shape = tail.output_shape([height, width, channels]).unwrap();
        assert_eq!(shape, output.shape[1..], "{name}");
        let mut first: Option<(Vec<f32>, Gradients)> = None;
        for (set, threads) in Instructions::available().flat_map(|s| [(s, 1), (s, 2), (s, 5)]) {
            let tail = tail.clone().with_instructions(set);
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            let pool = pool.build().unwrap();
            let results = pool.install(|| run(&tail, input, &d_outputs));
            let (outputs, gradients) = &results;
            assert_near(name, outputs, &output.values);
            assert_near(name, gradients.input.as_ref().unwrap(), &d_input.values);
            for (tensor, (gradient, expected)) in
                gradients.tensors.iter().zip(&d_weights).enumerate()
            {
                assert_near(&format!("{name}, tensor {tensor}"), gradient, expected);
            }
            assert_eq!(pool.install(|| tail.outputs(input)).unwrap(), *outputs);
            let first = first.get_or_insert_with(|| results.clone());
            assert!(results == *first, "{name}: {set:?} on {threads} threads");
        }
    }
}

#[test]
fn an_unwanted_gradient_to_the_input_changes_no_other() {
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(11);
    for Case { name, model, batch } in cases() {
        let tail = Tail::read(&model, "x", "y").unwrap();
        let values = numbers(batch.iter().product(), rng);
        let input = Batch {
            shape: batch,
            values: &values,
        };
        let (outputs, tape) = tail.forward(input).unwrap();
        let d_outputs = numbers(outputs.len(), rng);
        let [with, without] = [InputGradient::Wanted, InputGradient::Unwanted]
            .map(|input| tail.backward(&tape, &d_outputs, input).unwrap());
        assert_eq!(with.tensors, without.tensors, "{name}");
        assert_eq!(without.input, None, "{name}");
    }
}
