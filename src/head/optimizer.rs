//! Update rules: how a gradient changes the weights.
//!
//! A rule treats every weight on its own and keeps some numbers of state for each. It can so be
//! applied to the weights in blocks, in any order and on any thread, and each block's gradient
//! can be used while it is still in cache.

use serde::{Deserialize, Serialize};

use super::HeadError;

/// Gradients below this count as zero, and mean squares below its square.
///
/// Their squares would be subnormal numbers, on which processors are many times slower: with
/// `caffe` codes, once nearly all probabilities are 0 or 1, training took a quarter longer. Beside
/// an epsilon of 1e-7 they change nothing.
pub(super) const NEGLIGIBLE: f32 = 1e-18;

/// Settings of RMSprop; the default is the tutorial's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RmsPropOptions {
    /// Step size, above 0.
    pub learning_rate: f64,
    /// How much of the running mean of squares is kept at each step: at least 0 and below 1.
    pub rho: f64,
    /// Added under the root, above 0.
    pub epsilon: f64,
}

impl Default for RmsPropOptions {
    fn default() -> Self {
        Self {
            learning_rate: 2e-4,
            rho: 0.9,
            epsilon: 1e-7,
        }
    }
}

impl RmsPropOptions {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`HeadError::InvalidOption`] for the first that is outside.
    pub fn validate(&self) -> Result<(), HeadError> {
        positive("learning rate", self.learning_rate)?;
        if !(0.0..1.0).contains(&self.rho) {
            return Err(HeadError::InvalidOption {
                option: "rho",
                value: self.rho.to_string(),
                expected: "at least 0 and below 1",
            });
        }
        positive("epsilon", self.epsilon)
    }
}

/// Refuses what is not a finite number above zero.
pub(super) fn positive(option: &'static str, value: f64) -> Result<(), HeadError> {
    if value.is_finite() && value > 0.0 {
        return Ok(());
    }
    Err(HeadError::InvalidOption {
        option,
        value: value.to_string(),
        expected: "a finite number above 0",
    })
}

/// What is done with a gradient: weight by weight, with a number of state for each.
pub(super) trait Rule: Sync {
    /// Takes a run of weights with their gradients and their state, all of one length.
    ///
    /// Implementations are `#[inline(always)]`, so that the kernels around them compile them for
    /// the instructions that they use.
    fn update(&self, weights: &mut [f32], gradient: &[f32], state: &mut [f32]);
}

/// RMSprop as Keras 3 has it: no momentum, not centred, epsilon under the root.
///
/// ```text
/// v = rho v + (1 - rho) g^2
/// w = w - learning_rate g / sqrt(v + epsilon)
/// ```
///
/// v starts at 0. (T. Tieleman and G. Hinton, "Lecture 6.5 - rmsprop", 2012; PyTorch and older
/// Keras add epsilon to the root instead.)
#[derive(Clone, Copy, Debug)]
pub struct RmsProp {
    learning_rate: f32,
    rho: f32,
    epsilon: f32,
}

impl RmsProp {
    /// Makes the rule from checked options, in the precision of the weights.
    #[must_use]
    pub fn new(options: &RmsPropOptions) -> Self {
        Self {
            learning_rate: options.learning_rate as f32,
            rho: options.rho as f32,
            epsilon: options.epsilon as f32,
        }
    }

    /// Updates a run of weights from their gradients and their mean squares v, all of one length.
    #[inline(always)]
    pub fn update(&self, weights: &mut [f32], gradient: &[f32], mean_square: &mut [f32]) {
        debug_assert!(weights.len() == gradient.len() && weights.len() == mean_square.len());
        let fresh = 1.0 - self.rho;
        for ((w, &g), v) in weights.iter_mut().zip(gradient).zip(mean_square) {
            let g = if g.abs() < NEGLIGIBLE { 0.0 } else { g };
            let kept = if *v < NEGLIGIBLE * NEGLIGIBLE {
                0.0
            } else {
                self.rho * *v
            };
            *v = kept + fresh * g * g;
            *w -= self.learning_rate * g / (*v + self.epsilon).sqrt();
        }
    }
}

impl Rule for RmsProp {
    #[inline(always)]
    fn update(&self, weights: &mut [f32], gradient: &[f32], state: &mut [f32]) {
        // The method above, which is public.
        Self::update(self, weights, gradient, state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_steps_by_hand() {
        let rule = RmsProp::new(&RmsPropOptions {
            learning_rate: 0.1,
            rho: 0.5,
            epsilon: 0.01,
        });
        let (mut weights, mut mean_square) = ([1.0, -2.0], [0.0, 0.0]);
        // v = 0.5 * 0.2^2 = 0.02, w = 1 - 0.1 * 0.2 / sqrt(0.03); and with g = 0 nothing moves.
        rule.update(&mut weights, &[0.2, 0.0], &mut mean_square);
        assert!((mean_square[0] - 0.02).abs() < 1e-8);
        assert!((weights[0] - 0.884_53).abs() < 1e-6);
        assert_eq!((weights[1], mean_square[1]), (-2.0, 0.0));
        // v = 0.5 * 0.02 + 0.5 * 0.4^2 = 0.09, w += 0.1 * 0.4 / sqrt(0.1).
        rule.update(&mut weights, &[-0.4, 0.0], &mut mean_square);
        assert!((mean_square[0] - 0.09).abs() < 1e-8);
        assert!((weights[0] - 1.011_021).abs() < 1e-6);
    }

    #[test]
    fn options_outside_their_range_are_named() {
        let bad = |options: RmsPropOptions| options.validate().unwrap_err().to_string();
        let good = RmsPropOptions::default();
        good.validate().unwrap();
        assert!(
            bad(RmsPropOptions {
                learning_rate: 0.0,
                ..good
            })
            .starts_with("learning rate is 0")
        );
        assert!(bad(RmsPropOptions { rho: 1.0, ..good }).starts_with("rho is 1"));
        assert!(
            bad(RmsPropOptions {
                epsilon: f64::NAN,
                ..good
            })
            .starts_with("epsilon is NaN")
        );
    }
}
