//! argmin's L-BFGS on our own objective, with a watch.
//!
//! linfa-logistic uses the same optimiser. Directly, it handles what linfa does not support: class
//! weights, codes that are read in passes, and a start from another optimum.

use std::cell::RefCell;
use std::ops::ControlFlow;

use argmin::core::{CostFunction, Error, Executor, Gradient};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;
use ndarray::Array1;

use super::Searched;
use super::objective::{Problem, Value};
use crate::quiet;

/// Number of steps from which the curvature is estimated, as in linfa.
const HISTORY: usize = 10;

/// A restart discards the collected curvature, and so escapes a stuck line search. More restarts
/// than this helped in no observed problem.
const MAX_STARTS: usize = 8;

/// The result of a search.
pub(super) struct Found {
    pub(super) parameters: Array1<f64>,
    /// Number of starts.
    pub(super) starts: usize,
    /// Number of evaluations of F and its gradient.
    pub(super) evaluations: u64,
    pub(super) end: End,
}

/// Why a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The relative gradient is as small as required.
    Converged,
    /// No step decreases F further.
    Stuck,
    /// The allowed number of evaluations was reached.
    Exhausted,
    /// The watch stopped it.
    Stopped,
}

/// Descends from `from` until [`Value::relative_gradient`] is at most `goal`.
pub(super) fn descend(
    problem: &Problem,
    from: Array1<f64>,
    goal: f64,
    max_evaluations: u64,
    observe: &mut dyn FnMut(&Searched) -> ControlFlow<()>,
) -> Found {
    let weight_of_all: f64 = problem
        .labels
        .iter()
        .map(|&label| problem.class_weights[label])
        .sum();
    let mut watch = Watch {
        problem,
        // The curvature of the losses is at most half their weight times the mean square norm of
        // codes with a 1 appended, which is 2. So the first step does not overshoot.
        factor: 1.0 / (weight_of_all + problem.l2),
        goal,
        max_evaluations,
        evaluations: 0,
        last: Evaluated::at(problem, from),
        best: None,
        end: None,
        observe,
    };
    watch.judge_last();
    let watch = RefCell::new(watch);
    let mut starts = 0;
    while starts < MAX_STARTS && watch.borrow().end.is_none() {
        starts += 1;
        let from = watch.borrow().best().clone();
        // A panic or an error ends the search too; the watch has kept the best parameters.
        let _ = quiet::catch(|| run(&watch, from.parameters));
        if watch.borrow().best().value.objective >= from.value.objective {
            break;
        }
    }
    let watch = watch.into_inner();
    let best = watch.best().clone();
    Found {
        parameters: best.parameters,
        starts,
        evaluations: watch.evaluations,
        end: watch.end.unwrap_or(End::Stuck),
    }
}

fn run(watch: &RefCell<Watch>, from: Array1<f64>) -> Result<(), Error> {
    let solver = LBFGS::new(MoreThuenteLineSearch::new(), HISTORY)
        .with_tolerance_grad(0.0)?
        // A step without a change is the last.
        .with_tolerance_cost(f64::MIN_POSITIVE)?;
    Executor::new(Watched(watch), solver)
        .configure(|state| state.param(from))
        .ctrlc(false)
        .timer(false)
        .run()?;
    Ok(())
}

/// The problem for argmin: F times a factor.
struct Watched<'w, 'p, 'c>(&'w RefCell<Watch<'p, 'c>>);

impl CostFunction for Watched<'_, '_, '_> {
    type Param = Array1<f64>;
    type Output = f64;

    fn cost(&self, at: &Array1<f64>) -> Result<f64, Error> {
        let mut watch = self.0.borrow_mut();
        let factor = watch.factor;
        Ok(factor * watch.evaluate(at)?.value.objective)
    }
}

impl Gradient for Watched<'_, '_, '_> {
    type Param = Array1<f64>;
    type Gradient = Array1<f64>;

    fn gradient(&self, at: &Array1<f64>) -> Result<Array1<f64>, Error> {
        let mut watch = self.0.borrow_mut();
        let factor = watch.factor;
        Ok(&watch.evaluate(at)?.gradient * factor)
    }
}

/// Sees every evaluation, keeps the best one, and ends the search with an error.
struct Watch<'p, 'c> {
    problem: &'p Problem<'p, 'c>,
    factor: f64,
    goal: f64,
    max_evaluations: u64,
    evaluations: u64,
    /// argmin asks for F and for its gradient separately, one after the other.
    last: Evaluated,
    /// The best evaluation, if it is not the last.
    best: Option<Evaluated>,
    end: Option<End>,
    observe: &'p mut dyn FnMut(&Searched) -> ControlFlow<()>,
}

impl Watch<'_, '_> {
    fn best(&self) -> &Evaluated {
        self.best.as_ref().unwrap_or(&self.last)
    }

    fn evaluate(&mut self, at: &Array1<f64>) -> Result<&Evaluated, Error> {
        if self.last.parameters != at {
            let evaluated = Evaluated::at(self.problem, at.clone());
            let previous = std::mem::replace(&mut self.last, evaluated);
            let best = self.best.take().unwrap_or(previous);
            // NaN compares as false.
            let is_better = self.last.value.objective < best.value.objective;
            self.best = (!is_better).then_some(best);
            self.judge_last();
        }
        match self.end {
            Some(end) => Err(Error::msg(format!("{end:?}"))),
            None => Ok(&self.last),
        }
    }

    fn judge_last(&mut self) {
        self.evaluations += 1;
        let value = self.last.value;
        let gradient_norm = value.relative_gradient();
        let searched = Searched {
            evaluations: self.evaluations,
            objective: value.objective,
            gradient_norm,
        };
        let wish = (self.observe)(&searched);
        if gradient_norm <= self.goal {
            self.best = None;
            self.end = Some(End::Converged);
        } else if wish.is_break() {
            self.end = Some(End::Stopped);
        } else if self.evaluations >= self.max_evaluations {
            self.end = Some(End::Exhausted);
        }
    }
}

#[derive(Clone)]
struct Evaluated {
    parameters: Array1<f64>,
    value: Value,
    gradient: Array1<f64>,
}

impl Evaluated {
    fn at(problem: &Problem, parameters: Array1<f64>) -> Self {
        let (value, gradient) = problem.evaluate(&parameters);
        Self {
            parameters,
            value,
            gradient,
        }
    }
}
