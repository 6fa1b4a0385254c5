//! The regression's own loss and gradient, in f64 and stabilised row by row.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, ArrayViewMut2, Axis, s};

use super::products;
use crate::head::span::Centred;

/// A problem with centred codes of norm 1, and samples in every class.
///
/// Its parameters are one vector: the weights, class by class (K, R), and the intercepts (K).
#[derive(Clone, Copy, Debug)]
pub(super) struct Problem<'a, 'c> {
    pub(super) points: Points<'a, 'c>,
    /// Labels (N) below K.
    pub(super) labels: &'a [usize],
    /// The factor on the losses of each class (K).
    pub(super) class_weights: &'a [f64],
    /// Strength of the penalty, for the scaled codes.
    pub(super) l2: f64,
}

/// The codes (N, R) of a problem.
#[derive(Clone, Copy, Debug)]
pub(super) enum Points<'a, 'c> {
    /// A matrix in C order.
    Matrix(&'a Array2<f64>),
    /// The original codes, centred and divided by `scale` when they are read: once for F and its
    /// gradient, a chunk of rows at a time.
    Codes {
        centred: &'a Centred<'c>,
        scale: f64,
    },
}

impl Points<'_, '_> {
    fn n_features(&self) -> usize {
        match self {
            Self::Matrix(codes) => codes.ncols(),
            Self::Codes { centred, .. } => centred.codes().n_features(),
        }
    }
}

impl Problem<'_, '_> {
    /// Number of classes, K.
    pub(super) fn n_classes(&self) -> usize {
        self.class_weights.len()
    }

    /// Number of features, R.
    pub(super) fn n_features(&self) -> usize {
        self.points.n_features()
    }

    /// Whether every sample counts once.
    pub(super) fn is_unweighted(&self) -> bool {
        self.class_weights.iter().all(|&weight| weight == 1.0)
    }

    /// Zero weights, and the classes' log frequencies: the optimum without codes.
    pub(super) fn start(&self) -> Array1<f64> {
        let mut totals = Array1::<f64>::zeros(self.n_classes());
        for &label in self.labels {
            totals[label] += self.class_weights[label];
        }
        let n_weights = self.n_classes() * self.n_features();
        let mut parameters = Array1::zeros(n_weights + self.n_classes());
        let total = totals.sum();
        let frequencies = totals.mapv(|weight| (weight / total).ln());
        parameters.slice_mut(s![n_weights..]).assign(&frequencies);
        parameters
    }

    /// The weights (K, R) and intercepts (K) among parameters.
    pub(super) fn split<'p>(
        &self,
        parameters: &'p Array1<f64>,
    ) -> (ArrayView2<'p, f64>, ArrayView1<'p, f64>) {
        let shape = (self.n_classes(), self.n_features());
        let (weights, intercepts) = parameters.view().split_at(Axis(0), shape.0 * shape.1);
        let weights = weights.into_shape_with_order(shape);
        (weights.expect("as many as the shape has"), intercepts)
    }

    /// F and its gradient, in the order of the parameters.
    pub(super) fn evaluate(&self, parameters: &Array1<f64>) -> (Value, Array1<f64>) {
        let (weights, intercepts) = self.split(parameters);
        let mut gradient = Array1::zeros(parameters.len());
        let (d_weights, mut d_intercepts) = gradient.view_mut().split_at(Axis(0), weights.len());
        let mut d_weights = d_weights
            .into_shape_with_order(weights.dim())
            .expect("as many as the shape has");
        let loss = match self.points {
            Points::Matrix(codes) => {
                let mut logits = Array2::zeros((codes.nrows(), self.n_classes()));
                products::logits(codes.view(), weights, logits.view_mut());
                let loss = self.loss(logits.view_mut(), intercepts, 0);
                products::add_gradient(codes.view(), logits.view(), d_weights.view_mut());
                d_intercepts += &logits.sum_axis(Axis(0));
                loss
            }
            Points::Codes { centred, scale } => {
                let weights = weights.mapv(|weight| weight / scale);
                let intercepts = &intercepts - &weights.dot(&centred.mean);
                let mut loss = 0.0;
                centred.for_each_chunk(|first, codes| {
                    let mut logits = Array2::zeros((codes.nrows(), self.n_classes()));
                    products::logits(codes, weights.view(), logits.view_mut());
                    loss += self.loss(logits.view_mut(), intercepts.view(), first);
                    products::add_gradient(codes.view(), logits.view(), d_weights.view_mut());
                    d_intercepts += &logits.sum_axis(Axis(0));
                });
                centred.centre_products(&mut d_weights, d_intercepts.view());
                d_weights.mapv_inplace(|value| value / scale);
                loss
            }
        };
        d_weights.scaled_add(self.l2, &weights);
        let squares = |values: ArrayView1<f64>| values.fold(0.0, |sum, value| sum + value * value);
        let n_weights = weights.len();
        let value = Value {
            objective: loss + 0.5 * self.l2 * squares(parameters.slice(s![..n_weights])),
            gradient_norm: squares(gradient.view()).sqrt(),
            l2: self.l2,
        };
        (value, gradient)
    }

    /// The sum of the losses for rows from `first` on; their logits without intercepts (rows, K)
    /// are replaced by residuals.
    fn loss(
        &self,
        mut logits: ArrayViewMut2<f64>,
        intercepts: ArrayView1<f64>,
        first: usize,
    ) -> f64 {
        let mut sum = 0.0;
        for (mut logits, &label) in logits.rows_mut().into_iter().zip(&self.labels[first..]) {
            logits += &intercepts;
            let logits = logits.as_slice_mut().expect("rows of C order");
            sum += loss_and_residuals(logits, label, self.class_weights[label]);
        }
        sum
    }
}

/// `weight` times -ln softmax(logits)[label]; the logits become its derivatives.
///
/// The other classes' part is summed separately from the label's own, so that small losses and
/// residuals keep all their digits.
fn loss_and_residuals(logits: &mut [f64], label: usize, weight: f64) -> f64 {
    let own = logits[label];
    let max = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut others = 0.0;
    for (class, logit) in logits.iter_mut().enumerate() {
        *logit = (*logit - max).exp();
        if class != label {
            others += *logit;
        }
    }
    let total = others + logits[label];
    let loss = if own == max {
        others.ln_1p()
    } else {
        max - own + total.ln()
    };
    for logit in logits.iter_mut() {
        *logit *= weight / total;
    }
    logits[label] = -weight * others / total;
    weight * loss
}

/// F at some parameters, with the numbers needed to check convergence.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value {
    pub(super) objective: f64,
    /// Norm of the whole gradient.
    gradient_norm: f64,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_losses_keep_their_digits() {
        // -ln(e^50 / (e^50 + e^0 + e^-1)) = ln(1 + e^-50 + e^-51)
        let mut logits = [50.0, 0.0, -1.0];
        let loss = loss_and_residuals(&mut logits, 0, 2.0);
        let others = (-50f64).exp() + (-51f64).exp();
        assert!((loss / (2.0 * others) - 1.0).abs() < 1e-15, "{loss}");
        assert!((logits[0] / (-2.0 * others) - 1.0).abs() < 1e-15);
        assert!((logits[1] / (2.0 * (-50f64).exp()) - 1.0).abs() < 1e-15);
    }

    #[test]
    fn the_gradient_is_that_of_finite_differences() {
        let codes = Array2::from_shape_fn((7, 4), |(i, j)| ((i * 5 + j * 3) % 7) as f32 - 2.0);
        let labels = [0, 1, 2, 0, 1, 2, 2];
        let centred = Centred::new(codes.view().into());
        let problem = Problem {
            points: Points::Codes {
                centred: &centred,
                scale: 3.0,
            },
            labels: &labels,
            class_weights: &[1.0, 0.5, 2.0],
            l2: 0.7,
        };
        let at = Array1::from_shape_fn(15, |i| ((i * 11) % 13) as f64 / 13.0 - 0.4);
        let (_, gradient) = problem.evaluate(&at);
        for index in 0..at.len() {
            let objective_at = |step: f64| {
                let mut moved = at.clone();
                moved[index] += step;
                problem.evaluate(&moved).0.objective
            };
            let difference = (objective_at(1e-5) - objective_at(-1e-5)) / 2e-5;
            let error = (difference - gradient[index]).abs();
            assert!(
                error < 1e-8,
                "{index}: {difference} and {}",
                gradient[index]
            );
        }
    }
}
