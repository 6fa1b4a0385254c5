//! Multinomial logistic regression with an L2 penalty: the baseline, solved by linfa and argmin.
//!
//! The objective, for codes x (D) and weights W (D, K), intercepts b (K):
//!
//! ```text
//! F(W, b) = sum over samples of -w[label] ln softmax(x W + b)[label]  +  l2 / 2 * sum of W^2
//! ```
//!
//! where w (K) are 1, or the weights of [`ClassWeights::Balanced`].
//!
//! # How `l2` maps to scikit-learn
//! With the same codes and class weights, and three or more classes, the optimum is that of
//! `LogisticRegression(C=1 / l2)`. With two classes scikit-learn has one vector of weights instead
//! of two, and the optimum is that of `C=2 / l2`. Neither penalises intercepts.
//!
//! # How it is solved
//! linfa-logistic's L-BFGS does not report whether it converged, and fails on badly scaled codes:
//! it may stop at once, or panic in its line search (linfa issue 334). So it gets a problem with
//! the same optimum that it solves well, and its result is checked here.
//!
//! 1. The codes are centred, which changes only the intercepts, and divided by their root mean
//!    square norm s; with l2 / s^2 as the strength, weights come out s times as large.
//! 2. With fewer samples than features, the codes are projected onto the span of the samples, with
//!    at most N - 1 coordinates instead of D.
//! 3. linfa solves this in f64, starting from zero weights and the classes' log frequencies as
//!    intercepts. Then argmin's L-BFGS, the optimiser inside linfa, continues on the objective as
//!    computed here, until the gradient is small enough.
//! 4. The weights are transformed back and rounded to f32, and F and its gradient are computed from
//!    the original codes: [`Convergence`] describes the final parameters.
//!
//! linfa supports neither class weights nor a start from another optimum. In these cases L-BFGS
//! works alone: with [`ClassWeights::Balanced`] if class sizes differ, and in `Logistic::fit_path`
//! for all strengths but the strongest.
//!
//! # Codes larger than memory
//! If the matrix of step 2, or the codes in f64 with at least as many samples as features, would
//! take more than 128 MiB, L-BFGS gets F and its gradient from passes over the codes, a few rows at
//! a time, with all sums in f64. Memory then depends on N only by a few numbers per sample; L-BFGS
//! keeps about 30 vectors of D K numbers.

mod head;
mod lbfgs;
mod objective;
pub(super) mod products;
mod solver;
mod training;

use std::fmt;
use std::ops::ControlFlow;

use ndarray::{Array1, Array2, ArrayView2, s};
use serde::{Deserialize, Serialize};

use self::lbfgs::End;
use self::training::Training;
use super::invalid::{invalid, positive};
use super::{ClassWeights, CodesView, Convergence, HeadError, PREDICTED_ROWS, Samples};
use crate::progress::{Progress, Watch};

/// Largest matrix of a problem: the codes of 4,096 samples in their span. A solution in the span
/// takes about three such matrices.
const MAX_MATRIX_BYTES: usize = 128 << 20;

/// Options of the logistic regression.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LogisticOptions {
    /// Strength of the penalty, above 0; scikit-learn's C is 1 / `l2`, with two classes 2 / `l2`
    /// (see the module).
    pub l2: f64,
    /// Maximum iterations of linfa, and then maximum evaluations of F and its gradient. An
    /// evaluation is a pass over the codes if they exceed the matrix limit.
    pub max_iterations: u64,
    /// The weights of the classes in the loss.
    #[serde(default)]
    pub class_weights: ClassWeights,
    /// The fit has converged when the norm of F's gradient is at most this share of
    /// sqrt(2 l2 F). F is then, relatively, at most its square above the optimum, because F is
    /// strongly convex in W: F - F* <= |gradient|^2 / (2 l2).
    ///
    /// Both are for codes of root mean square norm 1, so that the gradient's entries for the
    /// intercepts, which have no penalty, are as large as the others.
    pub gradient_tolerance: f64,
}

impl Default for LogisticOptions {
    fn default() -> Self {
        Self {
            l2: 1.0,
            max_iterations: 1000,
            class_weights: ClassWeights::None,
            gradient_tolerance: 1e-3,
        }
    }
}

impl LogisticOptions {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`HeadError::InvalidOption`] for the first option that is out of range.
    pub(crate) fn validate(&self) -> Result<(), HeadError> {
        positive("L2 strength", self.l2)?;
        positive("gradient tolerance", self.gradient_tolerance)?;
        if self.max_iterations == 0 {
            return Err(invalid("maximum of iterations", 0, "at least 1"));
        }
        Ok(())
    }
}

/// State of the search for one optimum.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Searched {
    /// Evaluations of F and its gradient so far.
    evaluations: u64,
    /// F at the current parameters; it may rise between steps.
    objective: f64,
    /// As [`Convergence::gradient_norm`], before the parameters are rounded to f32.
    gradient_norm: f64,
}

impl fmt::Display for Searched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            objective,
            gradient_norm,
            ..
        } = self;
        write!(
            f,
            "objective {objective:.4}, relative gradient {gradient_norm:.1e}"
        )
    }
}

/// A fitted regression, and whether it converged.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LogisticFit {
    /// The model; usable even if it has not converged.
    pub model: Logistic,
    /// Whether it is at the optimum.
    pub convergence: Convergence,
}

/// Multinomial logistic regression: softmax(x W + b).
#[derive(Clone, Debug, PartialEq)]
pub struct Logistic {
    /// Weights W (D, K), for the original codes.
    weights: Array2<f32>,
    /// Intercepts b (K).
    intercepts: Array1<f32>,
}

impl Logistic {
    /// Fits the regression, as described in the module.
    ///
    /// A class without training samples gets the probability 0.
    ///
    /// # Errors
    /// [`HeadError::InvalidOption`] or [`HeadError::OneClass`] before any work;
    /// [`HeadError::Solver`] if no finite parameters were found. An unfinished fit is not an error;
    /// [`LogisticFit::convergence`] reports it.
    #[cfg(test)]
    pub(crate) fn fit(
        train: &Samples,
        options: &LogisticOptions,
    ) -> Result<LogisticFit, HeadError> {
        let fits = Self::fit_path(train, &[options.l2], options, &())?;
        let first = fits.into_iter().flatten().next();
        Ok(first.expect("the first strength is always fitted"))
    }

    /// Fits the regression with each of several L2 strengths, instead of that in `options`. This is
    /// much faster than one by one.
    ///
    /// The fits start with the strongest, each from the optimum of the one before. They are
    /// returned in the order of `strengths`.
    ///
    /// `watch` sees every evaluation of F by L-BFGS, with the maximum as the total. If it stops the
    /// job, the current fit ends with its best parameters so far, and the remaining ones are
    /// `None`.
    ///
    /// # Errors
    /// As [`Logistic::fit`], for the first strength that fails.
    pub(crate) fn fit_path(
        train: &Samples,
        strengths: &[f64],
        options: &LogisticOptions,
        watch: &dyn Watch,
    ) -> Result<Vec<Option<LogisticFit>>, HeadError> {
        fit_path(train, strengths, options, watch, MAX_MATRIX_BYTES)
    }

    /// Approximate memory in bytes of a fit on `train`: three matrices, or as much if the codes are
    /// read in passes.
    #[must_use]
    pub(crate) fn fitting_bytes(train: &Samples) -> usize {
        3 * training::matrix_bytes(train).min(MAX_MATRIX_BYTES)
    }

    /// Makes a model of weights (D, K) and intercepts (K).
    ///
    /// # Errors
    /// [`HeadError::Layers`] if their shapes differ, or if they are empty or not finite.
    pub fn from_weights(weights: Array2<f32>, intercepts: Array1<f32>) -> Result<Self, HeadError> {
        let (n_features, n_classes) = weights.dim();
        let mut values = weights.iter().chain(&intercepts);
        let reason = if n_features == 0 || n_classes == 0 || n_classes != intercepts.len() {
            let n_intercepts = intercepts.len();
            format!("weights ({n_features}, {n_classes}) and intercepts ({n_intercepts})")
        } else if !values.all(|value| value.is_finite()) {
            "they hold NaN or infinity".to_owned()
        } else {
            let weights = weights.as_standard_layout().into_owned();
            return Ok(Self {
                weights,
                intercepts,
            });
        };
        Err(HeadError::Layers { reason })
    }

    /// Weights (D, K).
    #[must_use]
    pub fn weights(&self) -> ArrayView2<'_, f32> {
        self.weights.view()
    }

    /// Intercepts (K).
    #[must_use]
    pub fn intercepts(&self) -> &Array1<f32> {
        &self.intercepts
    }

    /// Number of features, D.
    #[must_use]
    pub(crate) fn n_features(&self) -> usize {
        self.weights.nrows()
    }

    /// Number of classes, K.
    #[must_use]
    pub(crate) fn n_classes(&self) -> usize {
        self.intercepts.len()
    }

    /// Logits (N, K) = x W + b of codes (N, D).
    ///
    /// # Errors
    /// [`HeadError::FeatureMismatch`] if the codes have another D.
    pub(crate) fn logits(&self, codes: &CodesView) -> Result<Array2<f32>, HeadError> {
        let (expected, actual) = (self.n_features(), codes.n_features());
        if expected != actual {
            return Err(HeadError::FeatureMismatch { expected, actual });
        }
        let mut logits = Array2::zeros((codes.n_rows(), self.n_classes()));
        codes.for_each_chunk(PREDICTED_ROWS, |first, codes| {
            let mut logits = logits.slice_mut(s![first..first + codes.nrows(), ..]);
            logits.assign(&(codes.dot(&self.weights) + &self.intercepts));
        });
        codes.check()?;
        Ok(logits)
    }
}

/// [`Logistic::fit_path`] with matrices of at most `max_matrix_bytes`.
fn fit_path(
    train: &Samples,
    strengths: &[f64],
    options: &LogisticOptions,
    watch: &dyn Watch,
    max_matrix_bytes: usize,
) -> Result<Vec<Option<LogisticFit>>, HeadError> {
    let of_strength = |l2| LogisticOptions { l2, ..*options };
    for &l2 in strengths {
        of_strength(l2).validate()?;
    }
    train.require_two_classes()?;
    let codes = train.codes();
    let observe = &mut |searched: &Searched| {
        let progress = Progress {
            done: usize::try_from(searched.evaluations).unwrap_or(usize::MAX),
            total: usize::try_from(options.max_iterations).unwrap_or(usize::MAX),
            ..Progress::default()
        };
        watch.progress(progress, searched);
        // If codes could not be read, later results are discarded.
        match (codes.check(), watch.or_stopped()) {
            (Ok(()), Ok(())) => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        }
    };
    let training = Training::new(train, options.class_weights, max_matrix_bytes);
    let mut order: Vec<_> = (0..strengths.len()).collect();
    order.sort_by(|&one, &other| strengths[other].total_cmp(&strengths[one]));
    let mut fits: Vec<_> = strengths.iter().map(|_| None).collect();
    let mut near = None;
    for index in order {
        let options = of_strength(strengths[index]);
        let problem = training.problem(training.points(), options.l2);
        let solution = solver::solve(&problem, near, &options, observe);
        codes.check()?;
        let is_stopped = solution.end == End::Stopped;
        fits[index] = Some(training.finish(&solution, &options)?);
        // The model and its convergence used the codes once more.
        codes.check()?;
        near = Some(solution.parameters);
        if is_stopped {
            break;
        }
    }
    Ok(fits)
}

#[cfg(test)]
mod tests;
