//! linfa, watched.

use linfa::traits::Fit;
use linfa::{DatasetBase, ParamGuard};
use linfa_logistic::MultiLogisticRegression;
use ndarray::{Array1, Array2};

use super::LogisticOptions;
use super::objective::Problem;
use crate::head::{HeadError, quiet};

/// How often linfa is started, at most. A new start forgets the curvature that L-BFGS has
/// collected, and so leaves a line search in which it is stuck.
const MAX_STARTS: usize = 8;

/// linfa's own tolerance on the gradient: never met, so that it goes on until the loss no longer
/// changes. When to be content is decided here.
const LINFA_TOLERANCE: f64 = 1e-14;

/// How far below the tolerance the solver goes: rounding the weights to f32 takes some of it back.
const MARGIN: f64 = 0.1;

/// What linfa found, in the problem's coordinates.
#[derive(Debug)]
pub(super) struct Solution {
    /// Weights (R, K).
    pub(super) weights: Array2<f64>,
    /// Intercepts (K).
    pub(super) intercepts: Array1<f64>,
    /// How often linfa was started.
    pub(super) starts: usize,
    /// What linfa said, or panicked with, at its last start.
    pub(super) complaint: Option<String>,
}

/// Lets linfa solve the problem, again from where it stopped for as long as that helps.
///
/// # Errors
/// [`HeadError::Solver`] if linfa failed at its first start.
pub(super) fn solve(problem: &Problem, options: &LogisticOptions) -> Result<Solution, HeadError> {
    let mut best = start(problem);
    let mut best_value = problem.value(&best.weights, &best.intercepts);
    while best.starts < MAX_STARTS {
        let result = run_linfa(problem, &best, options);
        best.starts += 1;
        let (weights, intercepts) = match result {
            Ok(parameters) => parameters,
            Err(reason) if best.starts == 1 => {
                return Err(HeadError::Solver {
                    reason,
                    l2: options.l2,
                });
            }
            Err(reason) => {
                best.complaint = Some(reason);
                break;
            }
        };
        let value = problem.value(&weights, &intercepts);
        let better = value.objective < best_value.objective
            || value.relative_gradient() < best_value.relative_gradient();
        if better {
            (best.weights, best.intercepts, best_value) = (weights, intercepts, value);
        }
        if !better || value.relative_gradient() <= MARGIN * options.gradient_tolerance {
            break;
        }
    }
    Ok(best)
}

/// No weights, and the classes' log frequencies: the optimum without codes.
fn start(problem: &Problem) -> Solution {
    let mut counts = Array1::<f64>::zeros(problem.n_classes);
    for &label in &problem.labels {
        counts[label] += 1.0;
    }
    let intercepts = counts.mapv(|count| (count / problem.labels.len() as f64).ln());
    Solution {
        weights: Array2::zeros((problem.codes.ncols(), problem.n_classes)),
        intercepts,
        starts: 0,
        complaint: None,
    }
}

fn run_linfa(
    problem: &Problem,
    from: &Solution,
    options: &LogisticOptions,
) -> Result<(Array2<f64>, Array1<f64>), String> {
    let mut initial = from.weights.clone();
    initial
        .push_row(from.intercepts.view())
        .map_err(|error| error.to_string())?;
    let labels = Array1::from_vec(problem.labels.clone());
    let data = DatasetBase::new(problem.codes.view(), labels);
    let parameters = MultiLogisticRegression::default()
        .alpha(problem.l2)
        .max_iterations(options.max_iterations)
        .gradient_tolerance(LINFA_TOLERANCE)
        .initial_params(initial)
        .check()
        .map_err(|error| error.to_string())?;
    let model = quiet::catch(|| parameters.fit(&data))?.map_err(|error| error.to_string())?;
    let finite = model
        .params()
        .iter()
        .chain(model.intercept())
        .all(|value| value.is_finite());
    if !finite {
        return Err("its parameters are not finite".to_owned());
    }
    Ok((model.params().clone(), model.intercept().clone()))
}
