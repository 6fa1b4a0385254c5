//! Options of fine-tuning: what is tried, for how long, with which rates.

use std::fmt;

use cnn_codes_tail::{AdamMeans, OptimizerOptions, UpdateRule};
use serde::{Deserialize, Serialize};

use crate::head::{ClassWeights, HeadError, HeadKind, invalid};
use crate::named;

/// An update rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TuneRule {
    /// Gradient descent with a momentum of 0.9.
    Sgd,
    /// Adam with decoupled weight decay.
    #[default]
    AdamW,
}

named!(TuneRule, "optimizer", Sgd => "sgd", AdamW => "adamw");

/// One combination that is tried in the folds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// Peak learning rate of the tail's last layer.
    #[serde(serialize_with = "as_written")]
    pub rate: f32,
    /// Strength of the pull towards the weights at the start (L2-SP).
    #[serde(serialize_with = "as_written")]
    pub pull: f32,
}

/// A number as a person would write it: 0.01, not the float64 nearest to the float32.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
pub(super) fn as_written<S: serde::Serializer>(
    value: &f32,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let written: f64 = value.to_string().parse().unwrap_or(f64::from(*value));
    serializer.serialize_f64(written)
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rate {}, pull {}", self.rate, self.pull)
    }
}

/// Options for training tail and head.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TuneOptions {
    /// Which head of the HEAD to tune; `None` for the recommended head.
    pub head: Option<HeadKind>,
    /// The update rule.
    pub rule: TuneRule,
    /// Learning rates to try, for the tail's last layer.
    pub rates: Vec<f32>,
    /// Strengths of the pull to try.
    pub pulls: Vec<f32>,
    /// Learning rate of the head, as a multiple of the tail's.
    pub head_factor: f32,
    /// Factor from each layer's rate to that of the layer before it.
    pub layer_decay: f32,
    /// Mixtures of old and tuned weights to try: 1 means the tuned ones (WiSE-FT).
    pub mixtures: Vec<f32>,
    /// Passes over the pictures: the largest number that may be chosen, and the length of the
    /// schedule.
    pub epochs: usize,
    /// Pictures in a step.
    pub batch_size: usize,
    /// Share of all steps in which the rate rises from 0.
    pub warm_up: f32,
    /// The largest norm of the gradient, over all weights.
    pub clip: f32,
    /// Share of itself, times the rate, that a filter loses in each step.
    pub weight_decay: f32,
    /// Share of each label that is spread over all classes.
    pub label_smoothing: f64,
    /// The weights of the classes in training.
    pub class_weights: ClassWeights,
    /// Number of folds for the choice.
    pub folds: usize,
    /// Seed of the folds, of the order of the pictures, and of dropout.
    pub seed: u64,
}

impl Default for TuneOptions {
    fn default() -> Self {
        Self {
            head: None,
            rule: TuneRule::default(),
            rates: vec![1e-5, 1e-4],
            pulls: vec![0.01],
            head_factor: 1.0,
            layer_decay: 0.7,
            mixtures: vec![0.5, 1.0],
            epochs: 6,
            batch_size: 16,
            warm_up: 0.1,
            clip: 1.0,
            weight_decay: 0.0,
            label_smoothing: 0.0,
            class_weights: ClassWeights::None,
            folds: 3,
            seed: 0,
        }
    }
}

impl TuneOptions {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`HeadError::InvalidOption`] for the first option that is out of range.
    pub(super) fn validate(&self) -> Result<(), HeadError> {
        let positive = |value: &f32| value.is_finite() && *value > 0.0;
        let share = |value: &f32| (0.0..=1.0).contains(value);
        let wrong = |values: &[f32], is_right: fn(&f32) -> bool| {
            let first = values.iter().find(|value| !is_right(value)).copied();
            first.or(values.is_empty().then_some(f32::NAN))
        };
        let checks = [
            ("learning rate", wrong(&self.rates, positive), "above 0"),
            (
                "pull",
                wrong(&self.pulls, |value| value.is_finite() && *value >= 0.0),
                "0 or more",
            ),
            (
                "mixture",
                wrong(&self.mixtures, |value| *value > 0.0 && *value <= 1.0),
                "above 0, and 1 at most",
            ),
            (
                "factor of the head's rate",
                wrong(&[self.head_factor], |value| {
                    value.is_finite() && *value >= 0.0
                }),
                "0 or more",
            ),
            (
                "decay by layer",
                wrong(&[self.layer_decay], |value| *value > 0.0 && *value <= 1.0),
                "above 0, and 1 at most",
            ),
            ("warm-up", wrong(&[self.warm_up], share), "from 0 to 1"),
            ("longest gradient", wrong(&[self.clip], positive), "above 0"),
            (
                "weight decay",
                wrong(&[self.weight_decay], share),
                "from 0 to 1",
            ),
            (
                "label smoothing",
                wrong(&[self.label_smoothing as f32], |value| {
                    (0.0..1.0).contains(value)
                }),
                "at least 0 and below 1",
            ),
        ];
        for (name, wrong, expected) in checks {
            if let Some(value) = wrong {
                return Err(invalid(name, value, expected));
            }
        }
        for (name, value) in [
            ("number of epochs", self.epochs),
            ("batch size", self.batch_size),
        ] {
            if value == 0 {
                return Err(invalid(name, value, "1 or more"));
            }
        }
        Ok(())
    }

    /// All settings to try.
    pub(super) fn settings(&self) -> Vec<Setting> {
        let of_rate = |&rate: &f32| self.pulls.iter().map(move |&pull| Setting { rate, pull });
        self.rates.iter().flat_map(of_rate).collect()
    }

    pub(super) fn optimizer(&self, setting: Setting) -> OptimizerOptions {
        OptimizerOptions {
            rule: match self.rule {
                TuneRule::Sgd => UpdateRule::Sgd { momentum: 0.9 },
                TuneRule::AdamW => UpdateRule::AdamW(AdamMeans::default()),
            },
            weight_decay: self.weight_decay,
            pull: setting.pull,
        }
    }

    /// The factor on the rates in a step, of `n_steps`: up linearly, then down to 0 along a cosine
    /// (I. Loshchilov and F. Hutter, "SGDR", 2017, equation 5, without restarts).
    pub(super) fn schedule(&self, step: usize, n_steps: usize) -> f32 {
        let warm_up = (f64::from(self.warm_up) * n_steps as f64).round() as usize;
        if step < warm_up {
            return ((step + 1) as f64 / warm_up as f64) as f32;
        }
        let share = (step - warm_up) as f64 / (n_steps - warm_up).max(1) as f64;
        (0.5 * (1.0 + (std::f64::consts::PI * share).cos())) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_along_a_line_and_falls_along_a_cosine() {
        let options = TuneOptions {
            warm_up: 0.2,
            ..TuneOptions::default()
        };
        let factors: Vec<_> = (0..10).map(|step| options.schedule(step, 10)).collect();
        assert_eq!(factors[..3], [0.5, 1.0, 1.0]);
        assert!((factors[6] - 0.5).abs() < 1e-6);
        assert!(factors[3..].windows(2).all(|pair| pair[0] > pair[1]));
        assert!(factors[9] > 0.0);
        let none = TuneOptions {
            warm_up: 0.0,
            ..options
        };
        assert_eq!(none.schedule(0, 10), 1.0);
    }
}
