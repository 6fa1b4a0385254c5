//! Whether a solver found an optimum.

use serde::{Deserialize, Serialize};

/// Whether a fit found the optimum, by the loss and gradient of this crate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Convergence {
    /// Whether the gradient is as small as required.
    pub converged: bool,
    /// Whether the fit was stopped by its watch before that.
    #[serde(default)]
    pub stopped: bool,
    /// F at the final parameters.
    pub objective: f64,
    /// Norm of F's gradient at the final parameters, as a share of sqrt(2 l2 F); see
    /// [`LogisticOptions::gradient_tolerance`](super::logistic::LogisticOptions::gradient_tolerance).
    pub gradient_norm: f64,
    /// How often linfa and L-BFGS were started.
    pub starts: usize,
    /// How often L-BFGS evaluated F and its gradient.
    #[serde(default)]
    pub evaluations: u64,
    /// A sentence for people.
    pub explanation: String,
}
