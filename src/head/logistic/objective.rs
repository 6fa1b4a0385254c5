//! The regression's own loss and gradient, in f64 and stabilised row by row.

use ndarray::{Array1, Array2, ArrayView2, Axis};

use super::solver::Solution;

/// A problem as linfa gets it: centred and scaled codes, and classes that all have samples.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    /// Codes (N, R).
    pub(super) codes: Array2<f64>,
    /// Labels (N) below K.
    pub(super) labels: Vec<usize>,
    /// K.
    pub(super) n_classes: usize,
    /// Strength of the penalty, for these codes.
    pub(super) l2: f64,
}

impl Problem {
    /// [`Value::relative_gradient`] at a solution.
    pub(super) fn share_at(&self, solution: &Solution) -> f64 {
        let value = self.value(&solution.weights, &solution.intercepts);
        value.relative_gradient()
    }

    /// F and its gradient at weights (R, K) and intercepts (K).
    pub(super) fn value(&self, weights: &Array2<f64>, intercepts: &Array1<f64>) -> Value {
        let logits = self.codes.dot(weights) + intercepts;
        value(logits, &self.labels, weights, self.l2, 1.0, |residuals| {
            self.codes.t().dot(&residuals)
        })
    }
}

/// F at some parameters, with what is needed to judge them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value {
    pub(super) objective: f64,
    /// Norm of the whole gradient, for codes divided by their scale.
    gradient_norm: f64,
    /// Strength of the penalty for such codes.
    l2: f64,
}

impl Value {
    /// The gradient's norm over sqrt(2 l2 F): its square bounds (F - F*) / F.
    ///
    /// F is strongly convex in W: F - F* <= |gradient|^2 / (2 l2). The number has no unit, and is
    /// the same in every scale of the codes.
    pub(super) fn relative_gradient(&self) -> f64 {
        if self.gradient_norm == 0.0 {
            return 0.0;
        }
        (self.gradient_norm / self.gradient_at(1.0)).min(f64::MAX)
    }

    /// The norm of a gradient of this relative size, at this objective; always above 0.
    pub(super) fn gradient_at(&self, relative: f64) -> f64 {
        (relative * (2.0 * self.l2 * self.objective).sqrt()).max(f64::MIN_POSITIVE)
    }
}

/// F and its gradient from logits (N, K) and weights (R, K).
///
/// `transposed_times` multiplies the transposed centred codes (R, N) by residuals (N, K), where a
/// residual is p - y. Codes `scale` times as large have gradients `scale` times as large; dividing
/// by it gives codes of norm 1, for which gradients of weights and intercepts compare.
pub(super) fn value(
    mut logits: Array2<f64>,
    labels: &[usize],
    weights: &Array2<f64>,
    l2: f64,
    scale: f64,
    transposed_times: impl FnOnce(ArrayView2<f64>) -> Array2<f64>,
) -> Value {
    let mut loss = 0.0;
    for (mut row, &label) in logits.rows_mut().into_iter().zip(labels) {
        let max = row.fold(f64::NEG_INFINITY, |max, &logit| max.max(logit));
        let log_sum = max + row.fold(0.0, |sum, &logit| sum + (logit - max).exp()).ln();
        loss += log_sum - row[label];
        row.mapv_inplace(|logit| (logit - log_sum).exp());
        // 1 - p of the true class as the sum of the others: no digits cancel.
        row[label] = 0.0;
        row[label] = -row.sum();
    }
    let residuals = logits;
    let d_intercepts = residuals.sum_axis(Axis(0));
    let d_weights = transposed_times(residuals.view()) + weights * l2;
    let squares = |values: &mut dyn Iterator<Item = &f64>| values.map(|v| v * v).sum::<f64>();
    let weight_part = squares(&mut d_weights.iter()) / (scale * scale);
    Value {
        objective: loss + 0.5 * l2 * squares(&mut weights.iter()),
        gradient_norm: (weight_part + squares(&mut d_intercepts.iter())).sqrt(),
        l2: l2 / (scale * scale),
    }
}
