//! The learning rate of each step.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use crate::head::HeadError;
use crate::head::invalid::invalid;
use crate::named;

/// The schedules by name; [`ScheduleKind::schedule`] gives their settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScheduleKind {
    /// The same rate in every step.
    #[default]
    Constant,
    /// Down to 0 along half a cosine wave.
    Cosine,
    /// Lower after a fixed number of epochs.
    Step,
}

named!(ScheduleKind, "schedule", Constant => "constant", Cosine => "cosine", Step => "step");

impl ScheduleKind {
    /// The schedule for a training of `epochs` epochs. [`Self::Step`] multiplies the rate by a
    /// tenth after each third of the epochs, rounded up, so there are at most two such steps.
    #[must_use]
    pub fn schedule(self, epochs: usize) -> Schedule {
        match self {
            Self::Constant => Schedule::Constant,
            Self::Cosine => Schedule::Cosine,
            Self::Step => Schedule::Step {
                factor: Schedule::STEP_FACTOR,
                every: epochs.div_ceil(3).max(1),
            },
        }
    }
}

/// How the learning rate changes during training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Schedule {
    /// It does not change.
    #[default]
    Constant,
    /// From the learning rate to 0 along half a cosine wave, step by step over all epochs, even if
    /// early stopping may end training sooner: Keras' `CosineDecay` with `alpha` 0.
    ///
    /// ```text
    /// rate = learning_rate (1 + cos(pi t / T)) / 2 in step t = 0, 1, ..., T - 1
    /// ```
    Cosine,
    /// Multiplied by `factor` after every `every` epochs.
    Step {
        /// Above 0 and at most 1.
        factor: f64,
        /// Number of epochs with the same rate, at least 1.
        every: usize,
    },
}

impl Schedule {
    /// The default factor of a step.
    pub const STEP_FACTOR: f64 = 0.1;

    /// The kind of schedule.
    #[cfg(test)]
    pub(crate) fn kind(&self) -> ScheduleKind {
        match self {
            Self::Constant => ScheduleKind::Constant,
            Self::Cosine => ScheduleKind::Cosine,
            Self::Step { .. } => ScheduleKind::Step,
        }
    }

    /// The rate in step number `step`, from 0, of a training of `epochs` with `steps_per_epoch`
    /// each. Later steps have the rate that follows the last one.
    #[must_use]
    pub(crate) fn rate(
        &self,
        learning_rate: f64,
        step: usize,
        steps_per_epoch: usize,
        epochs: usize,
    ) -> f64 {
        let steps_per_epoch = steps_per_epoch.max(1);
        match *self {
            Self::Constant => learning_rate,
            Self::Cosine => {
                let total = steps_per_epoch as f64 * epochs as f64;
                let done = (step as f64 / total).min(1.0);
                learning_rate * 0.5 * (1.0 + (PI * done).cos())
            }
            Self::Step { factor, every } => {
                let epoch = step / steps_per_epoch;
                learning_rate * factor.powf((epoch / every.max(1)) as f64)
            }
        }
    }

    pub(super) fn validate(&self) -> Result<(), HeadError> {
        let Self::Step { factor, every } = *self else {
            return Ok(());
        };
        if !(factor > 0.0 && factor <= 1.0) {
            return Err(invalid(
                "the learning rate's factor",
                factor,
                "above 0 and at most 1",
            ));
        }
        if every == 0 {
            return Err(invalid(
                "the number of epochs with one learning rate",
                every,
                "at least 1",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rates of six steps, two in each of three epochs, from 8.
    fn rates(schedule: Schedule) -> Vec<f64> {
        schedule.validate().unwrap();
        (0..6).map(|step| schedule.rate(8.0, step, 2, 3)).collect()
    }

    #[test]
    fn rates_by_hand() {
        assert_eq!(rates(Schedule::Constant), [8.0; 6]);
        let halved = Schedule::Step {
            factor: 0.5,
            every: 1,
        };
        assert_eq!(rates(halved), [8.0, 8.0, 4.0, 4.0, 2.0, 2.0]);
        let later = Schedule::Step {
            factor: 0.25,
            every: 2,
        };
        assert_eq!(rates(later), [8.0, 8.0, 8.0, 8.0, 2.0, 2.0]);
        // Cosines of 0, 30, 60, ... 150 degrees.
        let root = 3f64.sqrt() / 2.0;
        let cosines = [1.0, root, 0.5, 0.0, -0.5, -root];
        for (rate, cosine) in rates(Schedule::Cosine).into_iter().zip(cosines) {
            assert!((rate - 4.0 * (1.0 + cosine)).abs() < 1e-12, "{rate}");
        }
        assert_eq!(Schedule::Cosine.rate(8.0, 100, 2, 3), 0.0);
    }

    #[test]
    fn the_steps_of_a_training_are_at_most_two() {
        for epochs in 1..40 {
            let schedule = ScheduleKind::Step.schedule(epochs);
            let last = schedule.rate(1.0, 7 * epochs - 1, 7, epochs);
            assert!(last > 0.009, "{epochs}: {last}");
        }
        assert_eq!(
            ScheduleKind::Step.schedule(20),
            Schedule::Step {
                factor: 0.1,
                every: 7
            }
        );
    }

    #[test]
    fn every_kind_has_a_sound_schedule_and_is_written_by_its_name() {
        for name in ScheduleKind::NAMES {
            let kind: ScheduleKind = name.parse().unwrap();
            let schedule = kind.schedule(20);
            schedule.validate().unwrap();
            assert_eq!(schedule.kind(), kind);
            let json = serde_json::to_value(schedule).unwrap();
            assert_eq!(json["name"], *name);
            assert_eq!(serde_json::from_value::<Schedule>(json).unwrap(), schedule);
        }
    }

    #[test]
    fn steps_outside_their_range_are_named() {
        let message = |factor, every| {
            let schedule = Schedule::Step { factor, every };
            schedule.validate().unwrap_err().to_string()
        };
        assert!(message(0.0, 1).contains("factor is 0"));
        assert!(message(1.5, 1).contains("factor is 1.5"));
        assert!(message(f64::NAN, 1).contains("factor is NaN"));
        assert!(message(0.1, 0).contains("epochs with one learning rate is 0"));
    }
}
