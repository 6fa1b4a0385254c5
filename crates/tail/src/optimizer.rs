//! Updates the weights of a tail by gradients.

use ort_winograd::{InstructionSet, Instructions, Kernel};
use rayon::prelude::*;

use crate::tail::Role;
use crate::{Gradients, Tail, TailError};

/// Gradients and running means below this count as zero: they would change nothing, and lead to
/// subnormal numbers, which make processors many times slower.
const NEGLIGIBLE: f32 = 1e-18;

/// The same for squares: times 1 - beta_2 they would be subnormal before they are as small as the
/// square of [`NEGLIGIBLE`].
const NEGLIGIBLE_SQUARE: f32 = 1e-30;

/// Weights that a thread processes at a time.
const SOME: usize = 1 << 14;

/// An update rule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum UpdateRule {
    /// Gradient descent with momentum: m = momentum m + g, w = w - rate m (I. Sutskever and others, "On the
    /// importance of initialization and momentum in deep learning", 2013, in PyTorch's form, in which the
    /// rate is that of the step).
    Sgd {
        /// From 0 to less than 1.
        momentum: f32,
    },
    /// Adam with decoupled weight decay: m = beta_1 m + (1 - beta_1) g, v = beta_2 v + (1 - beta_2)
    /// g^2, w = w - rate (m / (1 - beta_1^t)) / (sqrt(v / (1 - beta_2^t)) + epsilon) in step t = 1,
    /// 2, ... (D. Kingma and J. Ba, "Adam", 2015, algorithm 1; I. Loshchilov and F. Hutter,
    /// "Decoupled weight decay regularization", 2019, algorithm 2).
    AdamW(AdamMeans),
}

/// The running means of [`UpdateRule::AdamW`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamMeans {
    /// Share of the mean of gradients that is kept, from 0 to less than 1.
    pub beta_1: f32,
    /// Share of the mean of squares that is kept, from 0 to less than 1.
    pub beta_2: f32,
    /// Added to the root, above 0.
    pub epsilon: f32,
}

impl Default for AdamMeans {
    /// The values in the paper: 0.9, 0.999 and 1e-8.
    fn default() -> Self {
        Self {
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-8,
        }
    }
}

/// Options of an [`Optimizer`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OptimizerOptions {
    /// The update rule.
    pub rule: UpdateRule,
    /// Before each step, filters decay by this share times the rate: w = w - rate decay w. Biases
    /// do not decay.
    pub weight_decay: f32,
    /// The pull towards the initial weights: pull (w - start) is added to the gradient, the
    /// derivative of pull / 2 times the squared distance (X. Li, Y. Grandvalet, F. Davoine,
    /// "Explicit inductive bias for transfer learning with convolutional networks", 2018: L2-SP,
    /// equation 3). 0 for none.
    pub pull: f32,
}

impl Default for OptimizerOptions {
    /// SGD with momentum 0.9, without decay and pull.
    fn default() -> Self {
        Self {
            rule: UpdateRule::Sgd { momentum: 0.9 },
            weight_decay: 0.0,
            pull: 0.0,
        }
    }
}

/// A rule with its state, for all weights of a tail.
#[derive(Clone, Debug)]
pub struct Optimizer {
    options: OptimizerOptions,
    instructions: Instructions,
    /// For each tensor of weights: m, and v if the rule uses it.
    states: Vec<[Vec<f32>; 2]>,
    /// The initial weights, if there is a pull towards them.
    start: Vec<Vec<f32>>,
    roles: Vec<Role>,
    steps: i32,
}

impl Optimizer {
    /// An optimizer for the weights of `tail`; a pull goes towards their current values.
    #[must_use]
    pub fn new(tail: &Tail, options: OptimizerOptions) -> Self {
        let weights = tail.tensors.iter();
        let weights = weights.map(|tensor| (tensor.values.as_slice(), tensor.role));
        Self::of(weights, options, tail.instructions())
    }

    /// An optimizer for any tensors of weights, such as those of a head on a tail, given with their
    /// roles.
    #[must_use]
    pub fn of<'w>(
        weights: impl Iterator<Item = (&'w [f32], Role)>,
        options: OptimizerOptions,
        instructions: Instructions,
    ) -> Self {
        let has_squares = matches!(options.rule, UpdateRule::AdamW(_));
        let (mut states, mut start, mut roles) = (Vec::new(), Vec::new(), Vec::new());
        for (weights, role) in weights {
            let squares = if has_squares { weights.len() } else { 0 };
            states.push([vec![0.0; weights.len()], vec![0.0; squares]]);
            start.push(match options.pull {
                0.0 => Vec::new(),
                _ => weights.to_vec(),
            });
            roles.push(role);
        }
        Self {
            options,
            instructions,
            states,
            start,
            roles,
            steps: 0,
        }
    }

    /// The number of steps so far, and the running means of each tensor of weights: of gradients,
    /// and of their squares if the rule uses them.
    #[must_use]
    pub fn state(&self) -> (i32, &[[Vec<f32>; 2]]) {
        (self.steps, &self.states)
    }

    /// The running means of all tensors in order, to be filled with their values after `steps`. A
    /// stopped training is resumed in this way.
    pub fn restore(&mut self, steps: i32) -> impl Iterator<Item = &mut [f32]> {
        self.steps = steps;
        let states = self.states.iter_mut().flatten();
        states.map(Vec::as_mut_slice)
    }

    /// Updates the weights of `tail` by `gradients`, with a learning rate for each tensor of
    /// weights, such as [`Tail::layer_rates`] returns. Weights with rate 0 do not change.
    ///
    /// # Errors
    /// [`TailError::Length`] if the number of gradients or rates differs from that of the weights;
    /// these do not change then.
    pub fn step(
        &mut self,
        tail: &mut Tail,
        gradients: &Gradients,
        rates: &[f32],
    ) -> Result<(), TailError> {
        let mut weights: Vec<_> = tail.weights_mut().collect();
        self.step_weights(&mut weights, &gradients.tensors, rates)
    }

    /// The same for any tensors of weights, as given to [`Self::of`].
    ///
    /// # Errors
    /// As [`Self::step`].
    pub fn step_weights(
        &mut self,
        weights: &mut [&mut [f32]],
        gradients: &[Vec<f32>],
        rates: &[f32],
    ) -> Result<(), TailError> {
        self.check(weights, gradients, rates)?;
        self.steps = self.steps.saturating_add(1);
        let all = weights.iter_mut().zip(&mut self.states);
        let all = all.zip(gradients.iter().zip(&self.start));
        let each = self.roles.iter().zip(rates);
        for (((weights, [m, v]), (gradient, start)), (&role, &rate)) in all.zip(each) {
            if rate == 0.0 {
                continue;
            }
            let step = Step::new(self.options, role, rate, self.steps);
            let parts = weights.par_chunks_mut(SOME).zip(m.par_chunks_mut(SOME));
            let parts = parts.zip(gradient.par_chunks(SOME));
            // Missing arrays are empty.
            let n = gradient.len().div_ceil(SOME);
            let mut v: Vec<&mut [f32]> = v.chunks_mut(SOME).collect();
            v.resize_with(n, Default::default);
            let mut start: Vec<&[f32]> = start.chunks(SOME).collect();
            start.resize(n, &[]);
            let parts = parts.zip(v.into_par_iter().zip(start));
            parts.for_each(|(((weights, m), gradient), (v, start))| {
                self.instructions.run(StepOf {
                    step,
                    weights,
                    gradient,
                    start,
                    m,
                    v,
                });
            });
        }
        Ok(())
    }

    fn check(
        &self,
        weights: &[&mut [f32]],
        gradients: &[Vec<f32>],
        rates: &[f32],
    ) -> Result<(), TailError> {
        let n = self.states.len();
        let counts = [
            ("tensors of weights", weights.len()),
            ("tensors of gradients", gradients.len()),
            ("learning rates", rates.len()),
        ];
        let each = weights.iter().zip(gradients).zip(&self.states);
        let lengths = each.flat_map(|((weights, gradient), [m, _])| {
            [
                ("weights", m.len(), weights.len()),
                ("gradients", m.len(), gradient.len()),
            ]
        });
        let counts = counts.map(|(what, actual)| (what, n, actual));
        match counts
            .into_iter()
            .chain(lengths)
            .find(|(_, expected, actual)| expected != actual)
        {
            None => Ok(()),
            Some((what, expected, actual)) => Err(TailError::Length {
                what,
                expected,
                actual,
            }),
        }
    }
}

/// The numbers of one step of a rule.
#[derive(Clone, Copy)]
struct Step {
    /// The share by which weights decay.
    decay: f32,
    pull: f32,
    rule: RuleStep,
}

#[derive(Clone, Copy)]
enum RuleStep {
    Sgd {
        rate: f32,
        momentum: f32,
    },
    AdamW {
        /// Rate / (1 - beta_1^t).
        rate: f32,
        means: AdamMeans,
        /// 1 / sqrt(1 - beta_2^t).
        scale: f32,
    },
}

impl Step {
    fn new(options: OptimizerOptions, role: Role, rate: f32, step: i32) -> Self {
        let rule = match options.rule {
            UpdateRule::Sgd { momentum } => RuleStep::Sgd { rate, momentum },
            UpdateRule::AdamW(means) => {
                let kept = |beta: f32| f64::from(beta).powi(step);
                RuleStep::AdamW {
                    rate: (f64::from(rate) / (1.0 - kept(means.beta_1))) as f32,
                    means,
                    scale: (1.0 / (1.0 - kept(means.beta_2)).sqrt()) as f32,
                }
            }
        };
        let decays = role == Role::Filters;
        Self {
            decay: if decays {
                rate * options.weight_decay
            } else {
                0.0
            },
            pull: options.pull,
            rule,
        }
    }
}

/// A step for some weights.
struct StepOf<'a> {
    step: Step,
    weights: &'a mut [f32],
    gradient: &'a [f32],
    /// Empty without a pull.
    start: &'a [f32],
    m: &'a mut [f32],
    /// Empty if the rule does not use it.
    v: &'a mut [f32],
}

impl Kernel for StepOf<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: InstructionSet>(self) {
        let n = self.weights.len();
        // Slices of lengths that the compiler knows to be that of the weights.
        let (gradient, m) = (&self.gradient[..n], &mut self.m[..n]);
        let Step { decay, pull, rule } = self.step;
        let mut pulled = [0.0; 16];
        for first in (0..n).step_by(pulled.len()) {
            let some = first..n.min(first + pulled.len());
            let weights = &mut self.weights[some.clone()];
            let gradient = &gradient[some.clone()];
            let pulled = &mut pulled[..gradient.len()];
            pulled.copy_from_slice(gradient);
            if let Some(start) = self.start.get(some.clone()) {
                for ((g, w), start) in pulled.iter_mut().zip(&*weights).zip(start) {
                    *g += pull * (w - start);
                }
            }
            match rule {
                RuleStep::Sgd { rate, momentum } => {
                    for ((w, &mut g), m) in weights.iter_mut().zip(pulled).zip(&mut m[some]) {
                        let g = zero_below(NEGLIGIBLE, g);
                        *m = momentum * zero_below(NEGLIGIBLE, *m) + g;
                        *w = *w - decay * *w - rate * *m;
                    }
                }
                RuleStep::AdamW { rate, means, scale } => {
                    let state = m[some.clone()].iter_mut().zip(&mut self.v[some]);
                    for ((w, &mut g), (m, v)) in weights.iter_mut().zip(pulled).zip(state) {
                        let g = zero_below(NEGLIGIBLE, g);
                        let square = zero_below(NEGLIGIBLE_SQUARE, g * g);
                        *m = means.beta_1 * zero_below(NEGLIGIBLE, *m) + (1.0 - means.beta_1) * g;
                        *v = means.beta_2 * zero_below(NEGLIGIBLE_SQUARE, *v)
                            + (1.0 - means.beta_2) * square;
                        *w = *w - decay * *w - rate * *m / (v.sqrt() * scale + means.epsilon);
                    }
                }
            }
        }
    }
}

/// `value`, or 0 if its absolute value is below `least`.
#[inline(always)]
fn zero_below(least: f32, value: f32) -> f32 {
    if value.abs() < least { 0.0 } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: OptimizerOptions = OptimizerOptions {
        rule: UpdateRule::Sgd { momentum: 0.5 },
        weight_decay: 0.25,
        pull: 2.0,
    };

    /// A step with one weight, from m = 0.5 and v = 0.04, with every set of instructions.
    fn step(options: OptimizerOptions, role: Role, steps: i32, weight: f32) -> [f32; 3] {
        let results: Vec<_> = (Instructions::available())
            .map(|set| {
                let (mut weights, mut m, mut v) = ([weight; 35], [0.5; 35], [0.04; 35]);
                set.run(StepOf {
                    step: Step::new(options, role, 0.5, steps),
                    weights: &mut weights,
                    gradient: &[1.0; 35],
                    start: if options.pull == 0.0 { &[] } else { &[3.0; 35] },
                    m: &mut m,
                    v: &mut v,
                });
                assert!(weights.iter().all(|&other| other == weights[0]));
                [weights[34], m[34], v[34]]
            })
            .collect();
        assert!(
            results.iter().all(|result| *result == results[0]),
            "{results:?}"
        );
        results[0]
    }

    #[test]
    fn steps_by_hand() {
        // g = 1 + 2 (4 - 3) = 3, m = 0.5 * 0.5 + 3 = 3.25, w = 4 - 0.5 * 0.25 * 4 - 0.5 * 3.25.
        assert_eq!(step(OPTIONS, Role::Filters, 1, 4.0), [1.875, 3.25, 0.04]);
        assert_eq!(step(OPTIONS, Role::Bias, 1, 4.0), [2.375, 3.25, 0.04]);
        let means = AdamMeans {
            beta_1: 0.5,
            beta_2: 0.75,
            epsilon: 0.1,
        };
        let adam = OptimizerOptions {
            rule: UpdateRule::AdamW(means),
            pull: 0.0,
            ..OPTIONS
        };
        // m = 0.25 + 0.5 = 0.75, v = 0.03 + 0.25 = 0.28; in step 2 m / 0.75 = 1 and v / 0.4375 = 0.64, so
        // w = 4 - 0.5 * 0.25 * 4 - 0.5 * 1 / (0.8 + 0.1).
        let [weight, m, v] = step(adam, Role::Filters, 2, 4.0);
        assert!((weight - 2.944_444).abs() < 1e-5, "{weight}");
        assert!((m - 0.75).abs() < 1e-6 && (v - 0.28).abs() < 1e-6);
    }

    #[test]
    fn state_that_fades_becomes_zero_and_is_never_subnormal() {
        for rule in [
            UpdateRule::Sgd { momentum: 0.9 },
            UpdateRule::AdamW(AdamMeans::default()),
        ] {
            let options = OptimizerOptions {
                rule,
                ..OptimizerOptions::default()
            };
            let (mut weights, mut m, mut v) = ([1.0], [1e-6], [1e-12]);
            for steps in 1..60_000 {
                Instructions::detect().run(StepOf {
                    step: Step::new(options, Role::Filters, 0.01, steps),
                    weights: &mut weights,
                    gradient: &[0.0],
                    start: &[],
                    m: &mut m,
                    v: &mut v,
                });
                assert!(!m[0].is_subnormal() && !v[0].is_subnormal());
            }
            assert_eq!(m, [0.0]);
            assert!(matches!(rule, UpdateRule::Sgd { .. }) || v == [0.0]);
        }
    }
}
