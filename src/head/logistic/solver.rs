//! linfa, watched.

use linfa::traits::Fit;
use linfa::{DatasetBase, ParamGuard};
use linfa_logistic::MultiLogisticRegression;
use ndarray::{Array1, Array2};

use super::LogisticOptions;
use super::objective::Problem;
use crate::head::HeadError;
use crate::quiet;

/// How often linfa is started, at most. A new start forgets the curvature that L-BFGS has
/// collected, and so leaves a line search in which it is stuck.
const MAX_STARTS: usize = 8;

/// Power of ten of the strongest penalty from which linfa is led down.
const STRONGEST: i32 = 5;

/// How far below the tolerance the solver goes: rounding the weights to f32 takes some of it back.
/// Much further and linfa spends most of its time in line searches that rounding has made blind.
const MARGIN: f64 = 0.01;

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

/// Lets linfa solve the problem.
///
/// On few samples of large codes its line search overshoots from a start without weights and then
/// finds no way back. It is then led down from stronger penalties, tenfold each, where one optimum
/// is a start for the next.
///
/// # Errors
/// [`HeadError::Solver`] if linfa failed at the first start of both ways.
pub(super) fn solve(problem: &Problem, options: &LogisticOptions) -> Result<Solution, HeadError> {
    let direct = descend(problem, start(problem), options);
    match direct {
        Ok(solution) if problem.share_at(&solution) <= options.gradient_tolerance => Ok(solution),
        direct => {
            let led = descend_from_stronger(problem, options);
            let failed = |reason| HeadError::Solver {
                reason,
                l2: options.l2,
            };
            match (direct, led) {
                (Ok(direct), Ok(led)) => Ok(better(problem, direct, led)),
                (Ok(one), Err(_)) | (Err(_), Ok(one)) => Ok(one),
                (Err(reason), Err(_)) => Err(failed(reason)),
            }
        }
    }
}

/// Solves with penalties that end at the problem's own, each from the optimum of the one before.
fn descend_from_stronger(problem: &Problem, options: &LogisticOptions) -> Result<Solution, String> {
    let mut problem = problem.clone();
    let own = problem.l2;
    let mut at = start(&problem);
    for exponent in (0..=STRONGEST).rev() {
        problem.l2 = own * 10_f64.powi(exponent);
        at = descend(&problem, at, options)?;
    }
    Ok(at)
}

fn better(problem: &Problem, one: Solution, other: Solution) -> Solution {
    if problem.share_at(&other) < problem.share_at(&one) {
        other
    } else {
        one
    }
}

/// Lets linfa go on from `best`, again from where it stopped for as long as that helps.
///
/// # Errors
/// linfa's reason if it failed at its first start.
fn descend(
    problem: &Problem,
    mut best: Solution,
    options: &LogisticOptions,
) -> Result<Solution, String> {
    let mut best_value = problem.value(&best.weights, &best.intercepts);
    for restart in 0..MAX_STARTS {
        // From the objective here, which is above that at the optimum: if the share turns out too
        // large there, the next start asks for less.
        let tolerance = best_value.gradient_at(MARGIN * options.gradient_tolerance);
        let result = run_linfa(problem, &best, options.max_iterations, tolerance);
        best.starts += 1;
        let (weights, intercepts) = match result {
            Ok(parameters) => parameters,
            Err(reason) if restart == 0 => return Err(reason),
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
    max_iterations: u64,
    gradient_tolerance: f64,
) -> Result<(Array2<f64>, Array1<f64>), String> {
    let mut initial = from.weights.clone();
    initial
        .push_row(from.intercepts.view())
        .map_err(|error| error.to_string())?;
    let labels = Array1::from_vec(problem.labels.clone());
    let data = DatasetBase::new(problem.codes.view(), labels);
    let parameters = MultiLogisticRegression::default()
        .alpha(problem.l2)
        .max_iterations(max_iterations)
        .gradient_tolerance(gradient_tolerance)
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
