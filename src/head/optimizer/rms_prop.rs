//! RMSprop.

use super::rule::{NEGLIGIBLE, Rule, zero_below};

/// [`UpdateRule::RmsProp`](super::UpdateRule::RmsProp); the state is v.
#[derive(Clone, Copy, Debug)]
pub(in crate::head) struct RmsProp {
    learning_rate: f32,
    rho: f32,
    epsilon: f32,
}

impl RmsProp {
    /// Makes the rule from checked options, in the precision of the weights.
    pub(in crate::head) fn new(learning_rate: f64, rho: f64, epsilon: f64) -> Self {
        Self {
            learning_rate: learning_rate as f32,
            rho: rho as f32,
            epsilon: epsilon as f32,
        }
    }
}

impl Rule<1> for RmsProp {
    #[inline(always)]
    fn step(&self, weight: f32, gradient: f32, [v]: [f32; 1]) -> (f32, [f32; 1]) {
        let g = zero_below(NEGLIGIBLE, gradient);
        let kept = self.rho * zero_below(NEGLIGIBLE * NEGLIGIBLE, v);
        let v = kept + (1.0 - self.rho) * g * g;
        let weight = weight - self.learning_rate * g / (v + self.epsilon).sqrt();
        (weight, [v])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_steps_by_hand() {
        let rule = RmsProp::new(0.1, 0.5, 0.01);
        let (mut weights, mut v) = ([1.0, -2.0], [0.0, 0.0]);
        // v = 0.5 * 0.2^2 = 0.02, w = 1 - 0.1 * 0.2 / sqrt(0.03); and with g = 0 nothing moves.
        rule.update(&mut weights, &[0.2, 0.0], [&mut v]);
        assert!((v[0] - 0.02).abs() < 1e-8);
        assert!((weights[0] - 0.884_53).abs() < 1e-6);
        assert_eq!((weights[1], v[1]), (-2.0, 0.0));
        // v = 0.5 * 0.02 + 0.5 * 0.4^2 = 0.09, w += 0.1 * 0.4 / sqrt(0.1).
        rule.update(&mut weights, &[-0.4, 0.0], [&mut v]);
        assert!((v[0] - 0.09).abs() < 1e-8);
        assert!((weights[0] - 1.011_021).abs() < 1e-6);
    }
}
