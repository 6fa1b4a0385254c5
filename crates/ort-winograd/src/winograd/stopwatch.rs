//! Measures the stages of a convolution with the feature `stage-times`; without it, no instruction
//! is spent.

use std::time::Duration;
#[cfg(feature = "stage-times")]
use std::time::Instant;

/// Time spent in the stages of the Winograd convolutions, summed over threads.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct StageTimes {
    /// Transforming inputs.
    pub input: Duration,
    /// Transforming filters, unless that is done once.
    pub filters: Duration,
    /// Multiplying.
    pub products: Duration,
    /// Transforming outputs, with bias, ReLU and pooling.
    pub output: Duration,
}

impl std::ops::Add for StageTimes {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            input: self.input + other.input,
            filters: self.filters + other.filters,
            products: self.products + other.products,
            output: self.output + other.output,
        }
    }
}

impl std::ops::Sub for StageTimes {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            input: self.input - earlier.input,
            filters: self.filters - earlier.filters,
            products: self.products - earlier.products,
            output: self.output - earlier.output,
        }
    }
}

/// Measures stages separately.
pub(super) struct Stopwatch {
    #[cfg(feature = "stage-times")]
    last: Instant,
}

#[cfg(feature = "stage-times")]
impl Stopwatch {
    pub(super) fn start() -> Self {
        let last = Instant::now();
        Self { last }
    }

    /// Adds the time since the last call.
    pub(super) fn lap(&mut self, sum: &mut Duration) {
        let now = Instant::now();
        *sum += now - std::mem::replace(&mut self.last, now);
    }
}

#[cfg(not(feature = "stage-times"))]
impl Stopwatch {
    #[inline(always)]
    pub(super) fn start() -> Self {
        Self {}
    }

    #[inline(always)]
    pub(super) fn lap(&mut self, _: &mut Duration) {}
}
