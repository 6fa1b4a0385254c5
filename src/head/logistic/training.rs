//! From samples to a problem, and from its solution to a checked model.

use ndarray::{Array1, Array2, ArrayView2, Axis};

use super::lbfgs::End;
use super::objective::{Points, Problem, Value};
use super::solver::Solution;
use super::{Logistic, LogisticFit, LogisticOptions};
use crate::head::span::{Centred, Span};
use crate::head::{ABSENT_BIAS, ClassWeights, Convergence, HeadError, Samples};

/// What the fits of all strengths share.
pub(super) struct Training<'a> {
    classes: PresentClasses,
    centred: Centred<'a>,
    /// Root mean square norm of the centred codes; 1 if they are all equal.
    scale: f64,
    space: Space,
}

/// The coordinates in which a problem is solved.
enum Space {
    /// The span of the samples.
    Span(Span),
    /// The codes (N, D) as a matrix, centred and scaled.
    Features(Array2<f64>),
    /// The original codes, read in passes.
    Passes,
}

/// Bytes of the matrix that a problem is solved with: (N, N) in the span, or the codes (N, D).
pub(super) fn matrix_bytes(train: &Samples) -> usize {
    let (n, d) = (train.len() * train.n_views(), train.n_features());
    n.saturating_mul(n.min(d)).saturating_mul(size_of::<f64>())
}

impl<'a> Training<'a> {
    pub(super) fn new(
        train: &Samples<'a>,
        class_weights: ClassWeights,
        max_matrix_bytes: usize,
    ) -> Self {
        let (train, n_views) = (&train.of_views(), train.n_views());
        let centred = Centred::new(train.codes().clone());
        let scale = match centred.rms_norm {
            norm if norm > 0.0 => norm,
            _ => 1.0,
        };
        let space = if matrix_bytes(train) > max_matrix_bytes {
            Space::Passes
        } else if train.len() < train.n_features() {
            Space::Span(Span::of(&centred, scale))
        } else {
            Space::Features(centred.dense(scale))
        };
        Self {
            classes: PresentClasses::of(train, class_weights, n_views),
            centred,
            scale,
            space,
        }
    }

    pub(super) fn points(&self) -> Points<'_, 'a> {
        match &self.space {
            Space::Span(span) => Points::Matrix(&span.coordinates),
            Space::Features(codes) => Points::Matrix(codes),
            Space::Passes => self.codes(),
        }
    }

    /// The original codes, read in passes.
    fn codes(&self) -> Points<'_, 'a> {
        Points::Codes {
            centred: &self.centred,
            scale: self.scale,
        }
    }

    /// `l2` is the strength for the original codes.
    pub(super) fn problem<'p>(&'p self, points: Points<'p, 'a>, l2: f64) -> Problem<'p, 'a> {
        Problem {
            points,
            labels: &self.classes.labels,
            class_weights: &self.classes.weights,
            l2: l2 / (self.scale * self.scale),
        }
    }

    /// The model of a solution, with its convergence.
    pub(super) fn finish(
        &self,
        solution: &Solution,
        options: &LogisticOptions,
    ) -> Result<LogisticFit, HeadError> {
        let problem = self.problem(self.points(), options.l2);
        let (weights, intercepts) = problem.split(&solution.parameters);
        let weights = match &self.space {
            Space::Span(span) => span.weights(&self.centred, weights) / self.scale,
            Space::Features(_) | Space::Passes => weights.mapv(|weight| weight / self.scale),
        };
        let weights = weights.mapv(|weight| weight as f32);
        // From the rounded weights, so that rounding does not shift the logits' mean.
        let offsets = weights.mapv(f64::from).dot(&self.centred.mean);
        let model = self
            .classes
            .model(weights.view(), &(&intercepts - &offsets));
        let value = self.value(&model, options.l2);
        if !value.objective.is_finite() {
            let reason = match &solution.complaint {
                Some(complaint) => format!("the loss is not finite (linfa said: {complaint})"),
                None => "the loss is not finite".to_owned(),
            };
            let l2 = options.l2;
            return Err(HeadError::Solver { reason, l2 });
        }
        let convergence = judge(&value, solution, options);
        Ok(LogisticFit { model, convergence })
    }

    /// F and its gradient on the training codes, for the classes that have samples.
    fn value(&self, model: &Logistic, l2: f64) -> Value {
        let present = &self.classes.present;
        let weights = model.weights.select(Axis(1), present).mapv(f64::from);
        let intercepts = model.intercepts.select(Axis(0), present).mapv(f64::from);
        let intercepts = intercepts + self.centred.mean.dot(&weights);
        let by_class = weights.t();
        let scaled = by_class.iter().map(|weight| weight * self.scale);
        let parameters: Array1<f64> = scaled.chain(intercepts).collect();
        self.problem(self.codes(), l2).evaluate(&parameters).0
    }
}

/// The classes that have training samples, and the labels in their numbering.
struct PresentClasses {
    /// Class index of each.
    present: Vec<usize>,
    /// Weight of a sample of each.
    weights: Vec<f64>,
    /// Labels (N), as indices into `present`.
    labels: Vec<usize>,
    n_classes: usize,
}

impl PresentClasses {
    /// For views, of which each has weight 1 / `n_views`.
    fn of(train: &Samples, class_weights: ClassWeights, n_views: usize) -> Self {
        let counts = train.class_counts();
        let present: Vec<_> = (0..counts.len())
            .filter(|&class| counts[class] > 0)
            .collect();
        let mut position = vec![0; counts.len()];
        for (index, &class) in present.iter().enumerate() {
            position[class] = index;
        }
        let weights = class_weights.of_counts(&counts);
        Self {
            weights: present
                .iter()
                .map(|&class| weights[class] / n_views as f64)
                .collect(),
            labels: train
                .labels()
                .iter()
                .map(|&label| position[label])
                .collect(),
            n_classes: counts.len(),
            present,
        }
    }

    /// The model of all classes, from weights (present classes, D) and intercepts for the original
    /// codes.
    fn model(&self, weights: ArrayView2<f32>, intercepts: &Array1<f64>) -> Logistic {
        let mut model = Logistic {
            weights: Array2::zeros((weights.ncols(), self.n_classes)),
            intercepts: Array1::from_elem(self.n_classes, ABSENT_BIAS),
        };
        for (index, &class) in self.present.iter().enumerate() {
            model.weights.column_mut(class).assign(&weights.row(index));
            model.intercepts[class] = intercepts[index] as f32;
        }
        model
    }
}

fn judge(value: &Value, solution: &Solution, options: &LogisticOptions) -> Convergence {
    let gradient_norm = value.relative_gradient();
    let converged = gradient_norm <= options.gradient_tolerance;
    let explanation = if converged {
        let gap = gradient_norm * gradient_norm;
        format!(
            "converged: by its gradient, the objective is about {gap:.0e} above its optimum, relatively"
        )
    } else {
        why_not_converged(gradient_norm, solution, options)
    };
    Convergence {
        converged,
        stopped: !converged && solution.end == End::Stopped,
        objective: value.objective,
        gradient_norm,
        starts: solution.starts,
        evaluations: solution.evaluations,
        explanation,
    }
}

fn why_not_converged(gradient_norm: f64, solution: &Solution, options: &LogisticOptions) -> String {
    let evaluations = solution.evaluations;
    let what = match solution.end {
        End::Stopped => "it was stopped",
        End::Exhausted => "the maximum of iterations was reached",
        End::Stuck => "no step led further down",
        End::Converged => "rounding the weights to float32 moved them off the optimum",
    };
    let linfa = match &solution.complaint {
        Some(complaint) => format!(", and linfa said: {complaint}"),
        None => String::new(),
    };
    let tolerance = options.gradient_tolerance;
    let advice = match solution.end {
        End::Stopped => "Let it run on".to_owned(),
        End::Exhausted => format!(
            "Raise the maximum of iterations ({}) or the L2 strength ({})",
            options.max_iterations, options.l2
        ),
        End::Stuck | End::Converged => {
            format!("Raise the L2 strength ({}), or scale the codes", options.l2)
        }
    };
    format!(
        "not converged: {what} after {evaluations} evaluations of the objective{linfa}. The relative \
         gradient is {gradient_norm:.1e}, and {tolerance:.0e} was asked for. {advice}"
    )
}
