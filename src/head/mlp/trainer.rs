//! A network and its optimizer, step by step.

use ndarray::{ArrayView2, ArrayViewMut2};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::loss::Loss;
use super::network::Pass;
use super::{Dense, Mlp, MlpOptions};
use crate::head::optimizer::{Adam, Momentum, RmsProp, Rule, Sgd, UpdateRule};
use crate::head::{HeadError, Samples};

/// The results of one step; both are for the weights before the step, with dropout.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct BatchResult {
    /// Mean loss of the batch.
    pub loss: f64,
    /// Number of correctly classified samples.
    pub correct: usize,
}

/// Streams of random numbers from one seed, 2^128 numbers apart. An option that uses more or fewer
/// numbers of one stream does not change the others.
pub(super) struct Streams {
    pub(super) weights: Xoshiro256PlusPlus,
    pub(super) order: Xoshiro256PlusPlus,
    dropout: Xoshiro256PlusPlus,
    pub(super) views: Xoshiro256PlusPlus,
}

impl Streams {
    pub(super) fn new(seed: u64) -> Self {
        let weights = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut order = weights.clone();
        order.jump();
        let mut dropout = order.clone();
        dropout.jump();
        let mut views = dropout.clone();
        views.jump();
        Self {
            weights,
            order,
            dropout,
            views,
        }
    }
}

/// A network in training, step by step: [`Mlp::fit`] is a loop around it.
#[derive(Debug)]
pub(crate) struct Trainer {
    mlp: Mlp,
    options: MlpOptions,
    loss: Loss,
    /// The rule's numbers for each parameter: one set of layers per number.
    state: Vec<Vec<Dense>>,
    pass: Pass,
    batch_size: usize,
    dropout_rng: Xoshiro256PlusPlus,
    steps: usize,
    steps_per_epoch: usize,
}

impl Trainer {
    /// Prepares `mlp` for steps on parts of `train`. Its number of samples determines the steps of
    /// an epoch, and its labels the class weights.
    ///
    /// # Errors
    /// [`HeadError::InvalidOption`] if an option is out of range; [`HeadError::FeatureMismatch`] or
    /// [`HeadError::ClassMismatch`] if the samples do not fit the network.
    pub(crate) fn new(mlp: Mlp, options: &MlpOptions, train: &Samples) -> Result<Self, HeadError> {
        options.validate()?;
        mlp.check(train)?;
        let mlp = mlp.aligned();
        let zeros = || mlp.layers().iter().map(Dense::zeros_like).collect();
        let n_states = options.optimizer.rule.n_states();
        Ok(Self {
            loss: Loss::new(&options.loss, train),
            state: std::iter::repeat_with(zeros).take(n_states).collect(),
            pass: Pass::new(&mlp, 0),
            batch_size: 0,
            dropout_rng: Streams::new(options.seed).dropout,
            steps: 0,
            steps_per_epoch: train.len().div_ceil(options.batch_size),
            options: options.clone(),
            mlp,
        })
    }

    /// Trains on one batch: codes (B, D) and labels (B), each below K.
    ///
    /// # Panics
    /// If the shapes do not fit the network; [`Mlp::fit`] has checked them before.
    pub(crate) fn step(&mut self, codes: ArrayView2<f32>, labels: &[usize]) -> BatchResult {
        assert_eq!(
            codes.dim(),
            (labels.len(), self.mlp.n_features()),
            "shape of a batch"
        );
        if labels.len() > self.batch_size {
            self.batch_size = labels.len();
            self.pass = Pass::new(&self.mlp, self.batch_size);
        }
        let (dropout, rng) = (self.options.dropout, &mut self.dropout_rng);
        self.pass
            .forward(&self.mlp, codes, |hidden| drop_units(hidden, dropout, rng));
        let (loss, correct) = self.pass.training_loss(labels, &self.loss);
        let dropout_scale = 1.0 / (1.0 - dropout);
        self.pass
            .backward(&self.mlp, labels, &self.loss, dropout_scale);
        self.update(codes);
        BatchResult {
            loss: loss / labels.len() as f64,
            correct,
        }
    }

    /// Makes the rule of this step, and applies it with the gradients of the last pass.
    fn update(&mut self, codes: ArrayView2<f32>) {
        let rate = self.learning_rate();
        self.steps += 1;
        match self.options.optimizer.rule {
            UpdateRule::RmsProp { rho, epsilon } => {
                self.apply(codes, rate, &RmsProp::new(rate, rho, epsilon));
            }
            UpdateRule::Adam(means) | UpdateRule::AdamW(means) => {
                self.apply(codes, rate, &Adam::new(rate, means, self.steps));
            }
            UpdateRule::Sgd { momentum } if momentum > 0.0 => {
                self.apply(codes, rate, &Momentum::new(rate, momentum));
            }
            UpdateRule::Sgd { .. } => self.apply(codes, rate, &Sgd::new(rate)),
        }
    }

    fn apply<const S: usize>(&mut self, codes: ArrayView2<f32>, rate: f64, rule: &impl Rule<S>) {
        let decay = (rate * self.options.optimizer.weight_decay) as f32;
        let state: &mut [_; S] = self
            .state
            .as_mut_slice()
            .try_into()
            .expect("there are as many as the rule asks for");
        let state = state.each_mut().map(Vec::as_mut_slice);
        self.pass.descend(&mut self.mlp, codes, state, rule, decay);
    }

    /// The learning rate of the next step.
    #[must_use]
    pub(crate) fn learning_rate(&self) -> f64 {
        let optimizer = &self.options.optimizer;
        let (step, epochs) = (self.steps, self.options.epochs);
        optimizer
            .schedule
            .rate(optimizer.learning_rate, step, self.steps_per_epoch, epochs)
    }

    /// The current network.
    #[must_use]
    pub(crate) fn mlp(&self) -> &Mlp {
        &self.mlp
    }

    /// The current network, without the rule's state.
    #[must_use]
    pub(crate) fn into_mlp(self) -> Mlp {
        self.mlp
    }
}

/// Inverted dropout of hidden (B, H): each unit is dropped with probability `rate`, and the others
/// are divided by 1 - rate, so that the mean stays the same and prediction needs no change.
fn drop_units(mut hidden: ArrayViewMut2<f32>, rate: f32, rng: &mut impl Rng) {
    if rate == 0.0 {
        return;
    }
    let scale = 1.0 / (1.0 - rate);
    hidden.mapv_inplace(|value| {
        if rng.r#gen::<f32>() < rate {
            0.0
        } else {
            value * scale
        }
    });
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    #[test]
    fn dropout_keeps_the_mean_and_leaves_out_its_share() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        let mut hidden = Array2::from_elem((400, 250), 3.0);
        drop_units(hidden.view_mut(), 0.2, &mut rng);
        let dropped = hidden.iter().filter(|&&value| value == 0.0).count() as f64 / 1e5;
        // Five standard deviations of a binomial share of 100,000.
        assert!(
            (dropped - 0.2).abs() < 5.0 * (0.2f64 * 0.8 / 1e5).sqrt(),
            "{dropped}"
        );
        assert!(hidden.iter().all(|&value| value == 0.0 || value == 3.75));
        let mean = hidden.iter().map(|&value| f64::from(value)).sum::<f64>() / 1e5;
        assert!((mean - 3.0).abs() < 0.04, "{mean}");
    }

    #[test]
    fn a_unit_that_is_left_out_does_not_learn() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(2);
        let start = Mlp::glorot_uniform(&[6, 64, 2], &mut rng).unwrap();
        let options = MlpOptions::default();
        let codes = Array2::from_elem((1, 6), 0.5);
        let samples = Samples::new(codes.view(), &[1], 2).unwrap();
        let mut trainer = Trainer::new(start.clone(), &options, &samples).unwrap();
        trainer.step(codes.view(), &[1]);
        let changed = |unit: usize| {
            let column = |mlp: &Mlp| mlp.layers()[0].weights.column(unit).to_owned();
            column(trainer.mlp()) != column(&start)
        };
        let alive = |unit: usize| start.layers()[0].weights.column(unit).sum() > 0.0;
        let n_alive = (0..64).filter(|&unit| alive(unit)).count();
        let n_changed = (0..64).filter(|&unit| changed(unit)).count();
        assert!((0..64).all(|unit| alive(unit) || !changed(unit)));
        assert!(
            n_changed > 0 && n_changed < n_alive,
            "{n_changed} of {n_alive}"
        );
    }

    #[test]
    fn the_streams_of_a_seed_differ_and_repeat() {
        let first = |seed| {
            let mut streams = Streams::new(seed);
            [
                streams.weights.r#gen::<u64>(),
                streams.order.r#gen(),
                streams.dropout.r#gen(),
            ]
        };
        let [weights, order, dropout] = first(7);
        assert!(weights != order && order != dropout && weights != dropout);
        assert_eq!(first(7), first(7));
        assert_ne!(first(7), first(8));
    }
}
