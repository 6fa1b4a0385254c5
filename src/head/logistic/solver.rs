//! Solves a problem: first with linfa, then with argmin's L-BFGS on our own objective.

use std::ops::ControlFlow;

use linfa::traits::Fit;
use linfa::{DatasetBase, ParamGuard};
use linfa_logistic::MultiLogisticRegression;
use ndarray::{Array1, ArrayView2, s};

use super::lbfgs::{self, End};
use super::objective::{Points, Problem, Value};
use super::{LogisticOptions, Searched};
use crate::quiet;

/// Factor by which the solver goes below the tolerance: some is lost by rounding the weights to
/// f32, and by the tolerance of the span.
const MARGIN: f64 = 0.01;

/// The same for passes over the codes, where the last tenth of the gradient takes a quarter of the
/// time.
const MARGIN_OF_PASSES: f64 = 0.3;

/// The solution, in the problem's coordinates.
#[derive(Debug)]
pub(super) struct Solution {
    pub(super) parameters: Array1<f64>,
    /// How often linfa and L-BFGS were started.
    pub(super) starts: usize,
    /// Number of evaluations of F and its gradient.
    pub(super) evaluations: u64,
    pub(super) end: End,
    /// linfa's message, or its panic's.
    pub(super) complaint: Option<String>,
}

/// Solves the problem, from the optimum of a similar one if there is one.
///
/// Without one, linfa goes first, if it can: on a matrix that has features, with unweighted
/// samples. It measures its tolerance at the start and computes losses with few digits, so it may
/// stop early. L-BFGS continues from there.
pub(super) fn solve(
    problem: &Problem,
    near: Option<Array1<f64>>,
    options: &LogisticOptions,
    observe: &mut dyn FnMut(&Searched) -> ControlFlow<()>,
) -> Solution {
    let is_warm = near.is_some();
    let mut from = near.unwrap_or_else(|| problem.start());
    let (mut linfa_starts, mut complaint) = (0, None);
    let margin = match problem.points {
        Points::Matrix(_) => MARGIN,
        Points::Codes { .. } => MARGIN_OF_PASSES,
    };
    let goal = margin * options.gradient_tolerance;
    let is_for_linfa = !is_warm && problem.is_unweighted() && problem.n_features() > 0;
    if let (Points::Matrix(codes), true) = (problem.points, is_for_linfa) {
        linfa_starts = 1;
        let (start, _) = problem.evaluate(&from);
        match run_linfa(problem, codes.view(), &from, &start, options, goal) {
            Ok(parameters) if problem.evaluate(&parameters).0.objective < start.objective => {
                from = parameters;
            }
            Ok(_) => complaint = Some("it found nothing better than its start".to_owned()),
            Err(reason) => complaint = Some(reason),
        }
    }
    let found = lbfgs::descend(problem, from, goal, options.max_iterations, observe);
    Solution {
        parameters: found.parameters,
        starts: linfa_starts + found.starts,
        evaluations: found.evaluations,
        end: found.end,
        complaint,
    }
}

/// # Errors
/// What linfa said, or panicked with.
fn run_linfa(
    problem: &Problem,
    codes: ArrayView2<f64>,
    from: &Array1<f64>,
    start: &Value,
    options: &LogisticOptions,
    goal: f64,
) -> Result<Array1<f64>, String> {
    let (weights, intercepts) = problem.split(from);
    let mut initial = weights.t().to_owned();
    initial
        .push_row(intercepts)
        .map_err(|error| error.to_string())?;
    let data = DatasetBase::new(codes, Array1::from_vec(problem.labels.to_vec()));
    let parameters = MultiLogisticRegression::default()
        .alpha(problem.l2)
        .max_iterations(options.max_iterations)
        .gradient_tolerance(start.gradient_at(goal))
        .initial_params(initial)
        .check()
        .map_err(|error| error.to_string())?;
    let model = quiet::catch(|| parameters.fit(&data))?.map_err(|error| error.to_string())?;
    let mut found = Array1::zeros(from.len());
    let n_weights = weights.len();
    let by_class = model.params().t();
    found
        .slice_mut(s![..n_weights])
        .assign(&Array1::from_iter(by_class.iter().copied()));
    found.slice_mut(s![n_weights..]).assign(model.intercept());
    if !found.iter().all(|value| value.is_finite()) {
        return Err("its parameters are not finite".to_owned());
    }
    Ok(found)
}
