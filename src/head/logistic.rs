//! Multinomial logistic regression with an L2 penalty: the baseline, solved by linfa.
//!
//! The objective, for codes x (D) and weights W (D, K), intercepts b (K):
//!
//! ```text
//! F(W, b) = sum over samples of -ln softmax(x W + b)[label]  +  l2 / 2 * sum of W^2
//! ```
//!
//! # How `l2` maps to scikit-learn
//! On the same codes, three classes or more, the optimum is that of
//! `LogisticRegression(C=1 / l2)`. With two classes scikit-learn has one vector of weights in place
//! of two, and the optimum is that of `C=2 / l2`. Intercepts are not penalised in either.
//!
//! # How it is solved
//! linfa-logistic's L-BFGS neither says whether it converged nor survives badly scaled codes: it
//! may stop at once, or panic in its line search (linfa issue 334). So it is given a problem with
//! the same optimum that it solves well, and what it gives back is judged here.
//!
//! 1. The codes are centred, which changes only the intercepts, and divided by their root mean
//!    square norm s; with l2 / s^2 as the strength, weights come out s times as large.
//! 2. With fewer samples than features, the codes are turned into the span of the samples, at most
//!    N - 1 coordinates in place of D.
//! 3. linfa solves this in f64, from no weights and the classes' log frequencies as intercepts.
//!    Where it stops short it is started again from where it stopped, and if that does not help
//!    either, it is led down from stronger penalties.
//! 4. The weights are turned back and rounded to f32, and F and its gradient are computed from the
//!    codes themselves: [`Convergence`] is about the parameters that are used.

mod objective;
mod solver;

use ndarray::{Array1, Array2, ArrayView2, Axis, s};
use serde::{Deserialize, Serialize};

use super::optimizer::positive;
use super::softmax::probabilities;
use super::span::{Centred, Span};
use super::{CodesView, HeadError, Samples};
use objective::{Problem, Value};

/// Rows that prediction takes at a time.
const PREDICTED_ROWS: usize = 64;

/// Intercept of a class without training samples: its optimum is at minus infinity, and this is
/// low enough for a probability of 0, and finite.
const ABSENT_INTERCEPT: f32 = -1e30;

/// How the regression is fitted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogisticOptions {
    /// Strength of the penalty, above 0; scikit-learn's C is 1 / `l2` (see the module).
    pub l2: f64,
    /// Most iterations of linfa's L-BFGS at each of its starts.
    pub max_iterations: u64,
    /// The fit has converged when the norm of F's gradient is at most this share of
    /// sqrt(2 l2 F). F is then, relatively, at most its square above the optimum, because F is
    /// strongly convex in W: F - F* <= |gradient|^2 / (2 l2).
    ///
    /// Both are for codes of root mean square norm 1, in which the parts of the gradient that
    /// belong to the intercepts, which have no penalty, are of the same size as the others.
    pub gradient_tolerance: f64,
}

impl Default for LogisticOptions {
    fn default() -> Self {
        Self {
            l2: 1.0,
            max_iterations: 1000,
            gradient_tolerance: 1e-3,
        }
    }
}

impl LogisticOptions {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`HeadError::InvalidOption`] for the first option that is outside.
    pub fn validate(&self) -> Result<(), HeadError> {
        positive("L2 strength", self.l2)?;
        positive("gradient tolerance", self.gradient_tolerance)?;
        if self.max_iterations == 0 {
            return Err(HeadError::InvalidOption {
                option: "maximum of iterations",
                value: "0".to_owned(),
                expected: "at least 1",
            });
        }
        Ok(())
    }
}

/// Whether a fit found the optimum, by the loss and gradient of this crate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Convergence {
    /// Whether the gradient is as small as was asked for.
    pub converged: bool,
    /// F at the parameters found.
    pub objective: f64,
    /// Norm of F's gradient at the parameters found, as a share of sqrt(2 l2 F); see
    /// [`LogisticOptions::gradient_tolerance`].
    pub gradient_norm: f64,
    /// How often linfa was started.
    pub starts: usize,
    /// A sentence for people.
    pub explanation: String,
}

/// A fitted regression and how sure its optimum is.
#[derive(Clone, Debug, PartialEq)]
pub struct LogisticFit {
    /// The model; usable also where it has not converged.
    pub model: Logistic,
    /// Whether it is the optimum.
    pub convergence: Convergence,
}

/// Multinomial logistic regression: softmax(x W + b).
#[derive(Clone, Debug, PartialEq)]
pub struct Logistic {
    /// Weights W (D, K), for codes as they are.
    weights: Array2<f32>,
    /// Intercepts b (K).
    intercepts: Array1<f32>,
}

impl Logistic {
    /// Fits the regression; see the module for how.
    ///
    /// A class without training samples gets the probability 0.
    ///
    /// # Errors
    /// [`HeadError::InvalidOption`] or [`HeadError::OneClass`] before any work;
    /// [`HeadError::Solver`] if linfa gave nothing at all. A fit that stopped short is no error: it
    /// is said in [`LogisticFit::convergence`].
    pub fn fit(train: &Samples, options: &LogisticOptions) -> Result<LogisticFit, HeadError> {
        options.validate()?;
        train.require_two_classes()?;
        let classes = PresentClasses::of(train);
        let centred = Centred::new(train.codes().clone());
        let scale = usable_scale(centred.rms_norm);
        let span = (train.len() < train.n_features()).then(|| Span::of(&centred));
        let problem = Problem {
            codes: match &span {
                Some(span) => &span.coordinates / scale,
                None => centred.dense(scale),
            },
            labels: classes.labels.clone(),
            n_classes: classes.present.len(),
            l2: options.l2 / (scale * scale),
        };
        let solution = solver::solve(&problem, options)?;
        let weights = match &span {
            Some(span) => span.weights(&centred, solution.weights.view()),
            None => solution.weights,
        } / scale;
        let model = classes.model(&centred, &weights, &solution.intercepts);
        let value = model.value(&centred, &classes, options.l2, scale);
        if !value.objective.is_finite() {
            let reason = "the loss at its parameters is not finite".to_owned();
            return Err(HeadError::Solver {
                reason,
                l2: options.l2,
            });
        }
        let convergence = judge(&value, solution.starts, solution.complaint, options);
        Ok(LogisticFit { model, convergence })
    }

    /// Takes weights (D, K) and intercepts (K).
    ///
    /// # Errors
    /// [`HeadError::Layers`] if they do not fit together, are empty, or are not finite.
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

    /// D.
    #[must_use]
    pub fn n_features(&self) -> usize {
        self.weights.nrows()
    }

    /// K.
    #[must_use]
    pub fn n_classes(&self) -> usize {
        self.intercepts.len()
    }

    /// Probabilities (N, K) of codes (N, D); rows sum to 1.
    ///
    /// # Errors
    /// [`HeadError::FeatureMismatch`] if the codes have another D.
    pub fn predict_proba(&self, codes: ArrayView2<f32>) -> Result<Array2<f32>, HeadError> {
        Ok(probabilities(self.logits(&codes.into())?, 1.0))
    }

    /// Logits (N, K) = x W + b of codes (N, D).
    ///
    /// # Errors
    /// [`HeadError::FeatureMismatch`] if the codes have another D.
    pub fn logits(&self, codes: &CodesView) -> Result<Array2<f32>, HeadError> {
        let (expected, actual) = (self.n_features(), codes.n_features());
        if expected != actual {
            return Err(HeadError::FeatureMismatch { expected, actual });
        }
        let mut logits = Array2::zeros((codes.n_rows(), self.n_classes()));
        codes.for_each_chunk(PREDICTED_ROWS, |first, codes| {
            let mut logits = logits.slice_mut(s![first..first + codes.nrows(), ..]);
            logits.assign(&(codes.dot(&self.weights) + &self.intercepts));
        });
        Ok(logits)
    }

    /// F and its gradient on the training codes, for the classes that have samples.
    fn value(&self, centred: &Centred, classes: &PresentClasses, l2: f64, scale: f64) -> Value {
        let weights = self
            .weights
            .select(Axis(1), &classes.present)
            .mapv(f64::from);
        let intercepts = self
            .intercepts
            .select(Axis(0), &classes.present)
            .mapv(f64::from);
        let logits = centred.times(weights.view()) + (intercepts + centred.mean.dot(&weights));
        objective::value(logits, &classes.labels, &weights, l2, scale, |residuals| {
            centred.transposed_times(residuals)
        })
    }
}

/// The scale to divide codes by; codes that are all the same have none, and need none.
fn usable_scale(rms_norm: f64) -> f64 {
    if rms_norm > 0.0 { rms_norm } else { 1.0 }
}

/// The classes that have training samples, and the labels in their numbering.
struct PresentClasses {
    /// Class index of each.
    present: Vec<usize>,
    /// Labels (N) into `present`.
    labels: Vec<usize>,
    n_classes: usize,
}

impl PresentClasses {
    fn of(train: &Samples) -> Self {
        let counts = train.class_counts();
        let present: Vec<_> = (0..counts.len())
            .filter(|&class| counts[class] > 0)
            .collect();
        let mut position = vec![0; counts.len()];
        for (index, &class) in present.iter().enumerate() {
            position[class] = index;
        }
        Self {
            labels: train
                .labels()
                .iter()
                .map(|&label| position[label])
                .collect(),
            n_classes: counts.len(),
            present,
        }
    }

    /// The model for codes that are not centred, from weights (D, present classes) and intercepts
    /// for centred ones.
    fn model(
        &self,
        centred: &Centred,
        weights: &Array2<f64>,
        intercepts: &Array1<f64>,
    ) -> Logistic {
        let n_features = centred.codes().n_features();
        let rounded = weights.mapv(|value| value as f32);
        // From the rounded weights, so that rounding does not move the logits' mean.
        let intercepts = intercepts - &centred.mean.dot(&rounded.mapv(f64::from));
        let mut model = Logistic {
            weights: Array2::zeros((n_features, self.n_classes)),
            intercepts: Array1::from_elem(self.n_classes, ABSENT_INTERCEPT),
        };
        for (index, &class) in self.present.iter().enumerate() {
            model
                .weights
                .column_mut(class)
                .assign(&rounded.column(index));
            model.intercepts[class] = intercepts[index] as f32;
        }
        model
    }
}

fn judge(
    value: &Value,
    starts: usize,
    complaint: Option<String>,
    options: &LogisticOptions,
) -> Convergence {
    let tolerance = options.gradient_tolerance;
    let gradient_norm = value.relative_gradient();
    let converged = gradient_norm <= tolerance;
    let explanation = if converged {
        let gap = gradient_norm * gradient_norm;
        format!("converged: the objective is within {gap:.0e} of its optimum, relatively")
    } else {
        let complaint = complaint.map_or_else(String::new, |complaint| format!(" ({complaint})"));
        format!(
            "not converged after {starts} starts of linfa{complaint}: the relative gradient is \
             {gradient_norm:.1e}, and {tolerance:.0e} was asked for. \
             Raise the L2 strength (it is {}) or the maximum of iterations ({})",
            options.l2, options.max_iterations
        )
    };
    Convergence {
        converged,
        objective: value.objective,
        gradient_norm,
        starts,
        explanation,
    }
}
