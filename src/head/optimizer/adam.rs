//! Adam and AdamW.

use super::AdamMeans;
use super::rule::{NEGLIGIBLE, Rule, zero_below};

/// Squares, and means of squares, below this count as zero. Times 1 - beta_2, they would be
/// subnormal before they are as small as the square of [`NEGLIGIBLE`]. Beside an epsilon of 1e-7,
/// their root of 1e-15 is below f32's precision.
const NEGLIGIBLE_SQUARE: f32 = 1e-30;

/// [`UpdateRule::Adam`](super::UpdateRule::Adam) in one of its steps; the state is m and v.
#[derive(Clone, Copy, Debug)]
pub(in crate::head) struct Adam {
    alpha: f32,
    fresh_1: f32,
    fresh_2: f32,
    epsilon: f32,
}

impl Adam {
    /// Makes the rule from checked options for step number `step`, from 1, in the precision of the
    /// weights.
    pub(in crate::head) fn new(learning_rate: f64, means: AdamMeans, step: usize) -> Self {
        let AdamMeans {
            beta_1,
            beta_2,
            epsilon,
        } = means;
        let step = step as f64;
        let alpha = learning_rate * (1.0 - beta_2.powf(step)).sqrt() / (1.0 - beta_1.powf(step));
        Self {
            alpha: alpha as f32,
            fresh_1: (1.0 - beta_1) as f32,
            fresh_2: (1.0 - beta_2) as f32,
            epsilon: epsilon as f32,
        }
    }
}

impl Rule<2> for Adam {
    #[inline(always)]
    fn step(&self, weight: f32, gradient: f32, [m, v]: [f32; 2]) -> (f32, [f32; 2]) {
        let g = zero_below(NEGLIGIBLE, gradient);
        let m = zero_below(NEGLIGIBLE, m);
        let v = zero_below(NEGLIGIBLE_SQUARE, v);
        let m = m + self.fresh_1 * (g - m);
        let v = v + self.fresh_2 * (zero_below(NEGLIGIBLE_SQUARE, g * g) - v);
        let weight = weight - self.alpha * m / (v.sqrt() + self.epsilon);
        (weight, [m, v])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_steps_by_hand() {
        let means = AdamMeans {
            beta_1: 0.5,
            beta_2: 0.75,
            epsilon: 0.01,
        };
        let at = |step| Adam::new(0.1, means, step);
        // m = 0.1, v = 0.25 * 0.04 = 0.01, alpha = 0.1 * sqrt(0.25) / 0.5 = 0.1,
        // w = 1 - 0.1 * 0.1 / (0.1 + 0.01).
        let (weight, state) = at(1).step(1.0, 0.2, [0.0, 0.0]);
        assert!((state[0] - 0.1).abs() < 1e-8 && (state[1] - 0.01).abs() < 1e-8);
        assert!((weight - 0.909_091).abs() < 1e-6);
        // m = 0.1 + 0.5 * (-0.5) = -0.15, v = 0.01 + 0.25 * 0.15 = 0.0475,
        // alpha = 0.1 * sqrt(0.4375) / 0.75 = 0.0881917, w += 0.0881917 * 0.15 / 0.2279449.
        let (weight, state) = at(2).step(weight, -0.4, state);
        assert!((state[0] + 0.15).abs() < 1e-7 && (state[1] - 0.0475).abs() < 1e-7);
        assert!((weight - 0.967_126).abs() < 1e-6, "{weight}");
    }
}
