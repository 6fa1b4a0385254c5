//! Optimizers: an update rule, a learning rate with its schedule, and weight decay.
//!
//! ```text
//! rule        how a gradient changes a weight; weight decay
//! rms_prop, adam, sgd    the rules of the choices in [`UpdateRule`]
//! schedule    the learning rate of each step
//! ```
//!
//! The formulas are those of Keras 3. Gradients are not clipped.

mod adam;
mod rms_prop;
mod rule;
mod schedule;
mod sgd;

use serde::{Deserialize, Serialize};

pub use self::schedule::{Schedule, ScheduleKind};
pub(super) use self::{
    adam::Adam,
    rms_prop::RmsProp,
    rule::{Decayed, NEGLIGIBLE, Rule},
    sgd::{Momentum, Sgd},
};
use super::HeadError;
use super::invalid::{below_one, invalid, positive};
use crate::named;

/// The optimizers by name; [`OptimizerOptions::of`] gives their settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// RMSprop, the tutorial's.
    #[default]
    RmsProp,
    /// Adam.
    Adam,
    /// Adam with weight decay.
    AdamW,
    /// Gradient descent on batches, optionally with momentum.
    Sgd,
}

named!(OptimizerKind, "optimizer",
    RmsProp => "rmsprop", Adam => "adam", AdamW => "adamw", Sgd => "sgd");

/// The update of a weight w by its gradient g, at a learning rate of r; state starts at 0.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "lowercase", deny_unknown_fields)]
pub enum UpdateRule {
    /// The gradient divided by the root of the running mean of its squares.
    ///
    /// ```text
    /// v = rho v + (1 - rho) g^2
    /// w = w - r g / sqrt(v + epsilon)
    /// ```
    ///
    /// No momentum, not centred. (T. Tieleman and G. Hinton, "Lecture 6.5 - rmsprop", 2012; PyTorch
    /// and older Keras add epsilon to the root instead.)
    RmsProp {
        /// Share of the running mean that is kept at each step: at least 0 and below 1.
        rho: f64,
        /// Added under the root, above 0.
        epsilon: f64,
    },
    /// The running mean of gradients, divided by the root of the running mean of their squares.
    ///
    /// ```text
    /// m = m + (1 - beta_1) (g - m)
    /// v = v + (1 - beta_2) (g^2 - v)
    /// w = w - alpha m / (sqrt(v) + epsilon),  alpha = r sqrt(1 - beta_2^t) / (1 - beta_1^t)
    /// ```
    ///
    /// t is the number of the step, from 1. (D. Kingma and J. Ba, "Adam: a method for stochastic
    /// optimization", 2015, end of section 2, with its epsilon hat; PyTorch uses the epsilon of
    /// algorithm 1.)
    Adam(AdamMeans),
    /// As Adam, with the weight decay that [`OptimizerOptions::of`] sets. (I. Loshchilov and F.
    /// Hutter, "Decoupled weight decay regularization", 2019.)
    AdamW(AdamMeans),
    /// Gradient descent on batches, without Nesterov momentum.
    ///
    /// ```text
    /// m = momentum m - r g
    /// w = w + m
    /// ```
    Sgd {
        /// Share of the last movement that is kept: at least 0 and below 1; 0 needs no state.
        momentum: f64,
    },
}

/// The running means of [`UpdateRule::Adam`] and [`UpdateRule::AdamW`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdamMeans {
    /// Share of the running mean of gradients that is kept: at least 0 and below 1.
    pub beta_1: f64,
    /// Share of the running mean of squares that is kept: at least 0 and below 1.
    pub beta_2: f64,
    /// Added to the root, above 0.
    pub epsilon: f64,
}

/// The defaults of Keras 3.
impl Default for AdamMeans {
    fn default() -> Self {
        Self {
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: UpdateRule::EPSILON,
        }
    }
}

impl UpdateRule {
    /// The default rho of RMSprop, as in Keras 3.
    pub const RHO: f64 = 0.9;
    /// The default epsilon of RMSprop, as in Keras 3.
    pub(crate) const EPSILON: f64 = 1e-7;
    /// The default momentum of gradient descent. Keras 3 has none.
    pub const MOMENTUM: f64 = 0.9;

    /// The kind of optimizer.
    #[cfg(test)]
    pub(crate) fn kind(&self) -> OptimizerKind {
        match self {
            Self::RmsProp { .. } => OptimizerKind::RmsProp,
            Self::Adam(_) => OptimizerKind::Adam,
            Self::AdamW(_) => OptimizerKind::AdamW,
            Self::Sgd { .. } => OptimizerKind::Sgd,
        }
    }

    /// Numbers of state that the rule stores for each weight, 4 bytes each: 0, 1 or 2.
    #[must_use]
    pub(crate) fn n_states(&self) -> usize {
        match *self {
            Self::Adam(_) | Self::AdamW(_) => 2,
            Self::RmsProp { .. } => 1,
            Self::Sgd { momentum } => usize::from(momentum > 0.0),
        }
    }

    fn validate(&self) -> Result<(), HeadError> {
        match *self {
            Self::RmsProp { rho, epsilon } => {
                below_one("rho", rho)?;
                positive("epsilon", epsilon)
            }
            Self::Adam(means) | Self::AdamW(means) => {
                let AdamMeans {
                    beta_1,
                    beta_2,
                    epsilon,
                } = means;
                below_one("beta 1", beta_1)?;
                below_one("beta 2", beta_2)?;
                positive("epsilon", epsilon)
            }
            Self::Sgd { momentum } => below_one("momentum", momentum),
        }
    }
}

/// Settings of an optimizer; the default is the tutorial's, RMSprop with a learning rate of 2e-4.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct OptimizerOptions {
    /// The update rule.
    pub rule: UpdateRule,
    /// Initial step size, above 0.
    pub learning_rate: f64,
    /// Share of each weight, times the learning rate, that a step subtracts before the rule:
    /// w = w - r weight_decay w. At least 0.
    ///
    /// It is decoupled: unlike a penalty in the loss, it is not scaled by the rule. Biases do not
    /// decay; in Keras they do unless `exclude_from_weight_decay` is called.
    pub weight_decay: f64,
    /// The learning rate of each step.
    pub schedule: Schedule,
}

impl Default for OptimizerOptions {
    fn default() -> Self {
        Self::of(OptimizerKind::default())
    }
}

impl OptimizerOptions {
    /// The defaults of Keras 3, except for RMSprop's learning rate, which is the tutorial's, and
    /// SGD's momentum, which Keras leaves out.
    ///
    /// | | learning rate | weight decay | others |
    /// |---|---|---|---|
    /// | RMSprop | 2e-4 | 0 | rho 0.9, epsilon 1e-7 |
    /// | Adam | 1e-3 | 0 | beta_1 0.9, beta_2 0.999, epsilon 1e-7 |
    /// | AdamW | 1e-3 | 0.004 | as Adam |
    /// | SGD | 0.01 | 0 | momentum 0.9 |
    #[must_use]
    pub fn of(kind: OptimizerKind) -> Self {
        let means = AdamMeans::default();
        let (rho, epsilon) = (UpdateRule::RHO, UpdateRule::EPSILON);
        let momentum = UpdateRule::MOMENTUM;
        let (rule, learning_rate, weight_decay) = match kind {
            OptimizerKind::RmsProp => (UpdateRule::RmsProp { rho, epsilon }, 2e-4, 0.0),
            OptimizerKind::Adam => (UpdateRule::Adam(means), 1e-3, 0.0),
            OptimizerKind::AdamW => (UpdateRule::AdamW(means), 1e-3, 0.004),
            OptimizerKind::Sgd => (UpdateRule::Sgd { momentum }, 0.01, 0.0),
        };
        Self {
            rule,
            learning_rate,
            weight_decay,
            schedule: Schedule::Constant,
        }
    }

    /// Checks the ranges.
    ///
    /// # Errors
    /// [`HeadError::InvalidOption`] for the first option that is out of range.
    pub(crate) fn validate(&self) -> Result<(), HeadError> {
        positive("learning rate", self.learning_rate)?;
        self.rule.validate()?;
        if !(self.weight_decay.is_finite() && self.weight_decay >= 0.0) {
            return Err(invalid(
                "weight decay",
                self.weight_decay,
                "a finite number, at least 0",
            ));
        }
        self.schedule.validate()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_sound_defaults_and_is_written_by_its_name() {
        for name in OptimizerKind::NAMES {
            let kind: OptimizerKind = name.parse().unwrap();
            let options = OptimizerOptions::of(kind);
            options.validate().unwrap();
            assert_eq!(options.rule.kind(), kind);
            let json = serde_json::to_value(options).unwrap();
            assert_eq!(json["rule"]["name"], *name);
            let read: OptimizerOptions = serde_json::from_value(json.clone()).unwrap();
            assert_eq!(read, options);
            let mut unknown = json;
            unknown["rule"]["nesterov"] = true.into();
            let error = serde_json::from_value::<OptimizerOptions>(unknown).unwrap_err();
            assert!(error.to_string().contains("nesterov"), "{error}");
        }
    }

    #[test]
    fn options_outside_their_range_are_named() {
        let message = |options: OptimizerOptions| options.validate().unwrap_err().to_string();
        let good = OptimizerOptions::default();
        let with_rule = |rule| message(OptimizerOptions { rule, ..good });
        let bad = message(OptimizerOptions {
            learning_rate: 0.0,
            ..good
        });
        assert!(bad.starts_with("learning rate is 0"), "{bad}");
        let bad = message(OptimizerOptions {
            weight_decay: -0.1,
            ..good
        });
        assert!(bad.starts_with("weight decay is -0.1"), "{bad}");
        let epsilon = f64::NAN;
        let bad = with_rule(UpdateRule::RmsProp { rho: 0.9, epsilon });
        assert!(bad.starts_with("epsilon is NaN"), "{bad}");
        let epsilon = 1e-7;
        let bad = with_rule(UpdateRule::RmsProp { rho: 1.0, epsilon });
        assert!(bad.starts_with("rho is 1"), "{bad}");
        let bad = with_rule(UpdateRule::AdamW(AdamMeans {
            beta_2: 1.5,
            ..AdamMeans::default()
        }));
        assert!(bad.starts_with("beta 2 is 1.5"), "{bad}");
        let bad = with_rule(UpdateRule::Sgd { momentum: -0.5 });
        assert!(bad.starts_with("momentum is -0.5"), "{bad}");
    }
}
