//! Gradient descent on batches, with momentum and without.

use super::rule::{NEGLIGIBLE, Rule, zero_below};

/// [`UpdateRule::Sgd`](super::UpdateRule::Sgd) without momentum, which has no state.
#[derive(Clone, Copy, Debug)]
pub(in crate::head) struct Sgd {
    learning_rate: f32,
}

impl Sgd {
    /// Makes the rule from checked options, in the precision of the weights.
    pub(in crate::head) fn new(learning_rate: f64) -> Self {
        Self {
            learning_rate: learning_rate as f32,
        }
    }
}

impl Rule<0> for Sgd {
    #[inline(always)]
    fn step(&self, weight: f32, gradient: f32, _: [f32; 0]) -> (f32, [f32; 0]) {
        let g = zero_below(NEGLIGIBLE, gradient);
        (weight - self.learning_rate * g, [])
    }
}

/// [`UpdateRule::Sgd`](super::UpdateRule::Sgd) with momentum; the state is m.
#[derive(Clone, Copy, Debug)]
pub(in crate::head) struct Momentum {
    learning_rate: f32,
    momentum: f32,
}

impl Momentum {
    /// Makes the rule from checked options, in the precision of the weights.
    pub(in crate::head) fn new(learning_rate: f64, momentum: f64) -> Self {
        Self {
            learning_rate: learning_rate as f32,
            momentum: momentum as f32,
        }
    }
}

impl Rule<1> for Momentum {
    #[inline(always)]
    fn step(&self, weight: f32, gradient: f32, [m]: [f32; 1]) -> (f32, [f32; 1]) {
        let g = zero_below(NEGLIGIBLE, gradient);
        let m = self.momentum * zero_below(NEGLIGIBLE, m) - self.learning_rate * g;
        (weight + m, [m])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_by_hand() {
        assert_eq!(Sgd::new(0.5).step(3.0, -0.5, []), (3.25, []));
        let rule = Momentum::new(0.5, 0.25);
        // m = -0.5 * 2 = -1; then m = 0.25 * -1 - 0.5 * -1 = 0.25.
        let (weight, state) = rule.step(3.0, 2.0, [0.0]);
        assert_eq!((weight, state), (2.0, [-1.0]));
        assert_eq!(rule.step(weight, -1.0, state), (2.25, [0.25]));
    }
}
