//! The twin's gradients against finite differences of what it computes.

use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::networks::{Case, cases};
use super::twin::{Array, Twin};
use crate::Tail;

/// On either side of a number: so small that the third derivative does not matter, and so large that
/// rounding of 1e-16 does not.
const STEP: f64 = 1e-5;

/// Numbers of each tensor that are tried.
const TRIED: usize = 25;

fn array(shape: [usize; 4], rng: &mut impl Rng) -> Array {
    let mut array = Array::zeros(shape);
    for value in &mut array.values {
        *value = rng.gen_range(-1.0..1.0);
    }
    array
}

/// The sum of all outputs, each times a number.
fn loss(twin: &Twin, input: &Array, factors: &Array) -> f64 {
    let values = twin.forward(input.clone());
    let outputs = twin.output(&values).values.iter();
    outputs
        .zip(&factors.values)
        .map(|(y, factor)| y * factor)
        .sum()
}

#[test]
fn gradients_are_the_slopes_of_the_loss_for_every_layer_and_network() {
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(9);
    for Case { name, model, batch } in cases() {
        let tail = Tail::read(&model, "x", "y").unwrap();
        let mut twin = Twin::of(&tail);
        let mut input = array(batch, rng);
        let values = twin.forward(input.clone());
        let factors = array(twin.output(&values).shape, rng);
        let (d_weights, d_input) = twin.backward(&values, factors.clone());
        let check = |what: &str, gradient: f64, above: f64, below: f64| {
            let slope = (above - below) / (2.0 * STEP);
            let off = (gradient - slope).abs();
            assert!(
                off < 1e-7 * (1.0 + slope.abs()),
                "{name}, {what}: {gradient} for {slope}"
            );
        };
        for (tensor, gradient) in d_weights.iter().enumerate() {
            for _ in 0..TRIED {
                let place = rng.gen_range(0..gradient.len());
                let weight = twin.weights[tensor][place];
                let mut at = |weight: f64| {
                    twin.weights[tensor][place] = weight;
                    loss(&twin, &input, &factors)
                };
                let (above, below) = (at(weight + STEP), at(weight - STEP));
                at(weight);
                let what = format!("tensor {tensor}");
                check(&what, gradient[place], above, below);
            }
        }
        for _ in 0..TRIED {
            let place = rng.gen_range(0..input.values.len());
            let value = input.values[place];
            let mut at = |value: f64| {
                input.values[place] = value;
                loss(&twin, &input, &factors)
            };
            let (above, below) = (at(value + STEP), at(value - STEP));
            at(value);
            check("input", d_input.values[place], above, below);
        }
    }
}
