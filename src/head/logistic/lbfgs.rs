//! argmin's L-BFGS on our own objective, watched.
//!
//! It is the optimiser that linfa-logistic has inside. On its own it serves what linfa does not
//! take: weights of classes, codes that are read in passes, and a start from another optimum.

use std::cell::RefCell;
use std::ops::ControlFlow;

use argmin::core::{CostFunction, Error, Executor, Gradient};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;
use ndarray::Array1;

use super::Searched;
use super::objective::{Problem, Value};
use crate::quiet;

/// Steps from which the curvature is estimated; linfa's number.
const HISTORY: usize = 10;

/// A new start forgets the curvature that was collected, and so leaves a line search in which it is
/// stuck; more of them than this did not help in any problem seen.
const MAX_STARTS: usize = 8;

/// Where a search has come to.
pub(super) struct Found {
    pub(super) parameters: Array1<f64>,
    /// How often it was started.
    pub(super) starts: usize,
    /// How often F and its gradient were computed.
    pub(super) evaluations: u64,
    pub(super) end: End,
}

/// Why a search came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The relative gradient is as small as was asked for.
    Converged,
    /// No step leads further down.
    Stuck,
    /// There were as many evaluations as are allowed.
    Exhausted,
    /// Someone asked for it.
    Stopped,
}

/// Goes down from `from` until [`Value::relative_gradient`] is at most `goal`.
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
        // The curvature of the losses is at most half of their weight times the mean square norm of
        // codes with a 1 appended, which is 2: so the first step does not overshoot.
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
        // A panic, or an error, is an end like others: what was best is kept by the watch.
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
        // A step that changes nothing is the last.
        .with_tolerance_cost(f64::MIN_POSITIVE)?;
    Executor::new(Watched(watch), solver)
        .configure(|state| state.param(from))
        .ctrlc(false)
        .timer(false)
        .run()?;
    Ok(())
}

/// The problem as argmin sees it: F times a factor.
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

/// Sees every evaluation, keeps the best, and ends the search with an error.
struct Watch<'p, 'c> {
    problem: &'p Problem<'p, 'c>,
    factor: f64,
    goal: f64,
    max_evaluations: u64,
    evaluations: u64,
    /// argmin asks for F and for its gradient apart, one after the other.
    last: Evaluated,
    /// The best where that is not the last.
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
            // NaN is below nothing.
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
