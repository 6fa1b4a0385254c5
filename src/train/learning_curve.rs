//! How accuracy grows with the number of training pictures.
//!
//! Each head is trained, with its final settings, on parts of the training pictures that keep the
//! shares of the classes and divide no group. This is repeated with other parts and other seeds.

use ndarray::Array2;

use super::cross_validation::{Logits, fit_and_judge};
use super::error::FitError;
use super::progress::Stage;
use super::result::{CurvePoint, GrowthOf, LearningCurve};
use super::scaled::scale;
use super::training::Training;
use super::workers::work;
use crate::evaluate::{Correctness, Design, Difference, Spread, is_right};
use crate::head::splits::{hold_out, stratified_folds};
use crate::head::{Head, HeadError, HeadKind, HeadVisitor, OneHead, Samples, probabilities};

/// Shares of the training pictures; the last two are compared.
const SHARES: [f64; 4] = [0.125, 0.25, 0.5, 1.0];

/// How often each share is repeated.
const REPEATS: u64 = 5;

/// What the curve of one head needs.
struct Curves<'a, 't, 's> {
    training: &'a Training<'t, 's>,
    /// The unscaled validation samples; without them, the heads are evaluated in folds.
    validation: Option<&'a Samples<'s>>,
}

/// One fit: a part of the training samples, its evaluation samples, and their rows.
struct Job<'s> {
    train: Vec<usize>,
    judged: Samples<'s>,
    rows: Vec<usize>,
    /// The run it belongs to.
    run: usize,
    /// Difference between its seed and the given one.
    more: u64,
}

/// The runs of one share of the training pictures.
struct Part<'s> {
    jobs: Vec<Job<'s>>,
    n_runs: usize,
    /// Folds of each run, if the heads are evaluated in folds.
    dealings: Vec<Vec<usize>>,
}

impl HeadVisitor for Curves<'_, '_, '_> {
    type Output = Result<(Vec<Correctness>, Vec<Vec<usize>>), FitError>;

    fn visit<H: Head>(self, options: &H::Options) -> Self::Output {
        let has_seed = H::seed(options).is_some();
        let parts = SHARES.map(|share| self.part(share, has_seed));
        let parts = parts.into_iter().collect::<Result<Vec<_>, _>>()?;
        let n_fits = parts.iter().map(|part| part.jobs.len()).sum();
        let title = format!("the learning curve of the {}", H::TITLE);
        let stage = Stage::begin(self.training.watch, &title, n_fits);
        let curve = parts
            .iter()
            .map(|part| self.judge::<H>(part, options, &stage));
        let curve = curve.collect::<Result<Vec<_>, _>>()?;
        let dealings = parts.into_iter().next_back().map(|part| part.dealings);
        Ok((curve, dealings.unwrap_or_default()))
    }
}

impl<'s> Curves<'_, '_, 's> {
    /// The fits on one share. The whole store is always the same; then runs differ only by seed.
    fn part(&self, share: f64, has_seed: bool) -> Result<Part<'s>, HeadError> {
        let samples = self.training.samples;
        let seed = |run: u64| self.training.options.seed.wrapping_add(run);
        let all: Vec<_> = (0..samples.len()).collect();
        let mut part = Part {
            jobs: Vec::new(),
            n_runs: 0,
            dealings: Vec::new(),
        };
        let n_runs = match self.validation.is_some() && share == 1.0 && !has_seed {
            true => 1,
            false => REPEATS,
        };
        for run in 0..n_runs {
            match self.validation {
                Some(validation) => part.jobs.push(Job {
                    train: some_of(samples, &all, share, seed(run))?,
                    judged: validation.clone(),
                    rows: (0..validation.len()).collect(),
                    run: run as usize,
                    more: run,
                }),
                None => {
                    let n_folds = self.training.options.folds;
                    let folds =
                        stratified_folds(samples.labels(), samples.groups(), n_folds, seed(run))?;
                    for fold in 0..n_folds {
                        let (inside, outside): (Vec<_>, Vec<_>) =
                            all.iter().partition(|&&row| folds[row] == fold);
                        part.jobs.push(Job {
                            train: some_of(samples, &outside, share, seed(run))?,
                            judged: samples.select(&inside),
                            rows: inside,
                            run: run as usize,
                            more: run,
                        });
                    }
                    part.dealings.push(folds);
                }
            }
            part.n_runs += 1;
        }
        Ok(part)
    }

    /// Which evaluated pictures each run has right.
    fn judge<H: Head>(
        &self,
        part: &Part<'s>,
        options: &H::Options,
        stage: &Stage,
    ) -> Result<Correctness, FitError> {
        let bytes = H::training_bytes(self.training.samples, options);
        let judged = work(&part.jobs, bytes, |job| -> Result<_, FitError> {
            let train = self.training.samples.select(&job.train);
            let train = scale(&train, self.training.options.scaling)?;
            let judged = job.judged.scaled(train.scaling)?;
            let options = H::reseeded(options, job.more).unwrap_or_else(|| options.clone());
            let mut logits = fit_and_judge::<H>(&train.samples, &judged, &[options], stage)?;
            let logits: Logits = logits.swap_remove(0);
            let logits: Array2<f32> = logits?;
            Ok(is_right(
                probabilities(logits, 1.0).view(),
                judged.labels(),
            )?)
        })?;
        let n = self
            .validation
            .map_or(self.training.samples.len(), Samples::len);
        let mut runs = vec![vec![false; n]; part.n_runs];
        for (job, right) in part.jobs.iter().zip(judged) {
            for (&row, right) in job.rows.iter().zip(right) {
                runs[job.run][row] = right;
            }
        }
        Ok(Correctness::new(runs)?)
    }
}

/// A share of these rows, with the same shares of the classes and undivided groups.
fn some_of(
    samples: &Samples,
    rows: &[usize],
    share: f64,
    seed: u64,
) -> Result<Vec<usize>, HeadError> {
    if share == 1.0 {
        return Ok(rows.to_vec());
    }
    let some = samples.select(rows);
    let (kept, _) = hold_out(some.labels(), some.groups(), 1.0 - share, seed)?;
    Ok(kept.into_iter().map(|row| rows[row]).collect())
}

impl<'s> Training<'_, 's> {
    /// The learning curve, if it was requested and training was not stopped.
    pub(super) fn wanted_curve(
        &self,
        heads: &[OneHead],
        validation: Option<&Samples<'s>>,
    ) -> Result<Option<LearningCurve>, FitError> {
        if !self.options.learning_curve || self.watch.is_stopped() {
            return Ok(None);
        }
        match self.learning_curve(heads, validation) {
            Err(FitError::Stopped(_)) => Ok(None),
            curve => curve.map(Some),
        }
    }

    /// The learning curve of heads that were trained on all samples.
    fn learning_curve(
        &self,
        heads: &[OneHead],
        validation: Option<&Samples<'s>>,
    ) -> Result<LearningCurve, FitError> {
        let judged = validation.unwrap_or(self.samples);
        let mut of_heads = Vec::new();
        for head in heads {
            let curves = Curves {
                training: self,
                validation,
            };
            let (curve, dealings) = head.entry().options.visit(curves)?;
            let [.., half, whole] = &curve[..] else {
                unreachable!("there are more shares than two")
            };
            let design = Design {
                groups: judged.groups(),
                dealings: &dealings,
            };
            let doubling = Difference::new(whole, half, &design)?;
            of_heads.push((head.kind(), curve, doubling));
        }
        // As many as the folds leave, if heads are evaluated in folds.
        let n_train = match validation {
            Some(_) => self.samples.len(),
            None => self.samples.len() - self.samples.len() / self.options.folds,
        };
        let accuracies = |curve: &[Correctness], index: usize| -> Option<Spread> {
            Spread::of(curve[index].accuracies())
        };
        let point = |(index, share): (usize, f64)| CurvePoint {
            pictures: (share * n_train as f64).round() as usize,
            accuracy: (of_heads.iter())
                .filter_map(|(kind, curve, _)| Some((*kind, accuracies(curve, index)?)))
                .collect(),
        };
        let growth = |(head, _, doubling): &(HeadKind, _, Difference)| GrowthOf {
            head: *head,
            doubling: *doubling,
        };
        Ok(LearningCurve {
            points: SHARES.into_iter().enumerate().map(point).collect(),
            growth: of_heads.iter().map(growth).collect(),
        })
    }
}
