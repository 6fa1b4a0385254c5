//! The mean and the spread of several results.

use serde::{Deserialize, Serialize};

/// The results of several runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The results, in the order of the runs; at least one.
    pub values: Vec<f64>,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation, with n - 1 in the denominator; 0 for one result.
    pub standard_deviation: f64,
}

impl Spread {
    /// Computes mean and standard deviation; `None` for no values.
    #[must_use]
    pub(crate) fn of(values: Vec<f64>) -> Option<Self> {
        let n = values.len() as f64;
        let mean = (!values.is_empty()).then(|| values.iter().sum::<f64>() / n)?;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let standard_deviation = (squares / (n - 1.0).max(1.0)).sqrt();
        Some(Self {
            values,
            mean,
            standard_deviation,
        })
    }

    /// The smallest of the results.
    #[must_use]
    pub fn min(&self) -> f64 {
        self.values.iter().copied().fold(f64::INFINITY, f64::min)
    }

    /// The largest of the results.
    #[must_use]
    pub fn max(&self) -> f64 {
        self.values
            .iter()
            .copied()
            .fold(f64::NEG_INFINITY, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let spread = Spread::of(vec![0.25, 0.5, 1.0, 0.25]).unwrap();
        // Mean 1/2; squares 1/16, 0, 1/4, 1/16: their sum over 3 is 1/8.
        assert_eq!(spread.mean, 0.5);
        assert!((spread.standard_deviation - 0.125f64.sqrt()).abs() < 1e-15);
        assert_eq!((spread.min(), spread.max()), (0.25, 1.0));
        assert_eq!(Spread::of(vec![0.9]).unwrap().standard_deviation, 0.0);
        assert_eq!(Spread::of(Vec::new()), None);
    }
}
