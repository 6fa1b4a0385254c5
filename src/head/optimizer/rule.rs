//! How a gradient changes the weights, one by one.

/// Gradients below this count as zero, and so do running means of them; they would change nothing.
///
/// Smaller ones lead to subnormal numbers, which make processors many times slower: with `caffe`
/// codes, once nearly all probabilities are 0 or 1, training took a quarter longer. A mean without
/// new gradients would also become subnormal, because it shrinks at every step.
pub(in crate::head) const NEGLIGIBLE: f32 = 1e-18;

/// An update rule, with S numbers of state for each weight.
///
/// Every weight is updated on its own. So a rule can be applied to the weights in blocks, in any
/// order and on any thread, and each block's gradient can be used while it is still in cache.
///
/// Implementations are `#[inline(always)]`, so that the calling kernels compile them for their own
/// instructions.
pub(in crate::head) trait Rule<const S: usize>: Sync {
    /// The new weight and its new state, from the old ones and the gradient.
    fn step(&self, weight: f32, gradient: f32, state: [f32; S]) -> (f32, [f32; S]);

    /// Updates a run of weights with their gradients and their states, all of the same length.
    #[inline(always)]
    fn update(&self, weights: &mut [f32], gradient: &[f32], state: [&mut [f32]; S]) {
        let n = weights.len();
        // Slices of a length that the compiler knows to be that of the weights.
        let gradient = &gradient[..n];
        let state = state.map(|state| &mut state[..n]);
        for index in 0..n {
            let before = std::array::from_fn(|number| state[number][index]);
            let (weight, after) = self.step(weights[index], gradient[index], before);
            weights[index] = weight;
            for number in 0..S {
                state[number][index] = after[number];
            }
        }
    }
}

/// A rule with weight decay: w = w - rate w comes before it, with the learning rate included in
/// `rate`.
#[derive(Debug)]
pub(in crate::head) struct Decayed<'a, R> {
    pub(in crate::head) rule: &'a R,
    pub(in crate::head) rate: f32,
}

impl<const S: usize, R: Rule<S>> Rule<S> for Decayed<'_, R> {
    #[inline(always)]
    fn step(&self, weight: f32, gradient: f32, state: [f32; S]) -> (f32, [f32; S]) {
        self.rule.step(weight - self.rate * weight, gradient, state)
    }
}

/// `value`, or 0 if its absolute value is below `least`.
#[inline(always)]
pub(super) fn zero_below(least: f32, value: f32) -> f32 {
    if value.abs() < least { 0.0 } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::optimizer::{Adam, AdamMeans, Momentum, RmsProp, Sgd};

    #[test]
    fn decay_goes_before_the_rule() {
        let rule = Sgd::new(0.5);
        let decayed = Decayed {
            rule: &rule,
            rate: 0.25,
        };
        // 8 - 0.25 * 8 = 6, and 6 - 0.5 * 2 = 5.
        assert_eq!(decayed.step(8.0, 2.0, []), (5.0, []));
    }

    /// Steps with no gradient, after one with a gradient of 1e-6.
    fn fade<const S: usize>(rule: &impl Rule<S>, steps: usize) {
        let (mut weight, mut state) = rule.step(0.01, 1e-6, [0.0; S]);
        for _ in 0..steps {
            (weight, state) = rule.step(weight, 0.0, state);
            assert!(
                state.iter().all(|number| !number.is_subnormal()),
                "{state:?}"
            );
        }
        assert_eq!(state, [0.0; S]);
        assert!(weight.is_normal());
    }

    #[test]
    fn state_that_fades_becomes_zero_and_is_never_subnormal() {
        fade(&RmsProp::new(2e-4, 0.9, 1e-7), 2_000);
        fade(&Adam::new(1e-3, AdamMeans::default(), 1), 100_000);
        fade(&Momentum::new(0.01, 0.9), 2_000);
        fade(&Sgd::new(0.01), 10);
    }
}
