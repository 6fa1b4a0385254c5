//! Logits for every training sample, from heads that were not trained on it.

use ndarray::Array2;

use super::error::FitError;
use super::fit::{fit_mlp, scale, stop_if_asked};
use super::progress::{OneOfMany, Progress};
use super::splits::stratified_folds;
use super::workers::work;
use crate::head::logistic::{Logistic, LogisticOptions};
use crate::head::mlp::{Ended, MlpOptions};
use crate::head::scaling::ScalingKind;
use crate::head::{HeadError, Samples};

/// Training samples in folds.
pub(super) struct Folds<'a> {
    folds: Vec<Fold<'a>>,
    /// The fold of each sample (N).
    pub(super) of_row: Vec<usize>,
    n_classes: usize,
}

/// One fold: what heads are trained on, and the rest, which they are judged on.
struct Fold<'a> {
    /// Rows that are in the fold.
    rows: Vec<usize>,
    outside: Samples<'a>,
    inside: Samples<'a>,
}

impl<'a> Folds<'a> {
    /// Deals samples into folds, each scaled by the statistics of the samples outside of it.
    pub(super) fn new(
        samples: &Samples<'a>,
        n_folds: usize,
        scaling: ScalingKind,
        seed: u64,
    ) -> Result<Self, HeadError> {
        let of_row = stratified_folds(samples.labels(), n_folds, seed)?;
        let fold = |fold| {
            let (inside, outside): (Vec<_>, Vec<_>) =
                (0..samples.len()).partition(|&row| of_row[row] == fold);
            let scaled = scale(&samples.select(&outside), scaling)?;
            Ok(Fold {
                inside: samples.select(&inside).scaled(scaled.scaling)?,
                outside: scaled.samples,
                rows: inside,
            })
        };
        Ok(Self {
            folds: (0..n_folds).map(fold).collect::<Result<_, HeadError>>()?,
            n_classes: samples.n_classes(),
            of_row,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.folds.len()
    }

    /// Rows (N) of this fold, and those outside of it.
    pub(super) fn split(&self, fold: usize) -> (Vec<usize>, Vec<usize>) {
        (0..self.of_row.len()).partition(|&row| self.of_row[row] == fold)
    }

    /// Out-of-fold logits (N, K) of an MLP with each of these options, or how it diverged.
    pub(super) fn mlp_logits(
        &self,
        options: &[MlpOptions],
        share: f64,
        progress: &dyn Progress,
    ) -> Result<Vec<Result<Array2<f32>, HeadError>>, FitError> {
        self.mlp_logits_by_fold(&vec![options.to_vec(); self.len()], share, progress)
    }

    /// The same, where each fold has options of its own, as many as every other.
    pub(super) fn mlp_logits_by_fold(
        &self,
        options: &[Vec<MlpOptions>],
        share: f64,
        progress: &dyn Progress,
    ) -> Result<Vec<Result<Array2<f32>, HeadError>>, FitError> {
        let of_fold = self.folds.iter().zip(options);
        let jobs: Vec<_> = of_fold
            .flat_map(|(fold, options)| options.iter().map(move |options| (fold, options)))
            .collect();
        let bytes = jobs
            .iter()
            .map(|(fold, options)| options.training_bytes(&fold.outside));
        let bytes = bytes.max().unwrap_or(0);
        let logits = work(&jobs, bytes, |&(fold, options)| {
            fit_one_of_many(&fold.outside, &fold.inside, options, share, progress)
        })?;
        let n_options = jobs.len() / self.len();
        let by_fold = |index| logits.iter().skip(index).step_by(n_options);
        let gathered = (0..n_options).map(|index| {
            let by_fold: Result<Vec<_>, _> = by_fold(index).map(Result::as_ref).collect();
            by_fold
                .map(|logits| self.gather(&logits))
                .map_err(Clone::clone)
        });
        Ok(gathered.collect())
    }

    /// Out-of-fold logits (N, K) of a regression with each of these L2 strengths.
    pub(super) fn logistic_logits(
        &self,
        strengths: &[f64],
        options: &LogisticOptions,
        progress: &dyn Progress,
    ) -> Result<Vec<Array2<f32>>, FitError> {
        self.logistic_logits_by_fold(&vec![strengths.to_vec(); self.len()], options, progress)
    }

    /// The same, where each fold has strengths of its own, as many as every other.
    pub(super) fn logistic_logits_by_fold(
        &self,
        strengths: &[Vec<f64>],
        options: &LogisticOptions,
        progress: &dyn Progress,
    ) -> Result<Vec<Array2<f32>>, FitError> {
        let jobs: Vec<_> = self.folds.iter().zip(strengths).collect();
        let bytes = Logistic::fitting_bytes(&self.folds[0].outside);
        let logits = work(&jobs, bytes, |(fold, strengths)| {
            let stop_if_asked = &mut stop_if_asked(progress);
            let fits = Logistic::fit_path(&fold.outside, strengths, options, stop_if_asked)?;
            let mut logits = Vec::new();
            for fit in fits {
                let fit = fit.filter(|fit| !fit.convergence.stopped && !progress.is_stopped());
                let fit = fit.ok_or(FitError::Stopped)?;
                logits.push(fit.model.logits(fold.inside.codes())?);
                progress.fitted();
            }
            Ok::<_, FitError>(logits)
        })?;
        let n_strengths = strengths.first().map_or(0, Vec::len);
        let by_fold = |index| logits.iter().map(move |logits| &logits[index]);
        let gathered =
            (0..n_strengths).map(|index| self.gather(&by_fold(index).collect::<Vec<_>>()));
        Ok(gathered.collect())
    }

    /// Logits (N, K) of all samples from those of each fold.
    fn gather(&self, by_fold: &[&Array2<f32>]) -> Array2<f32> {
        let mut all = Array2::zeros((self.of_row.len(), self.n_classes));
        for (fold, logits) in self.folds.iter().zip(by_fold) {
            for (&row, logits) in fold.rows.iter().zip(logits.rows()) {
                all.row_mut(row).assign(&logits);
            }
        }
        all
    }
}

/// Logits (N, K) on `judged` of an MLP with each of these options, trained on the same samples.
pub(super) fn fit_seeds(
    train: &Samples,
    judged: &Samples,
    options: &[MlpOptions],
    share: f64,
    progress: &dyn Progress,
) -> Result<Vec<Array2<f32>>, FitError> {
    let bytes = options
        .first()
        .map_or(0, |options| options.training_bytes(train));
    let logits = work(options, bytes, |options| {
        fit_one_of_many(train, judged, options, share, progress)
    })?;
    Ok(logits.into_iter().collect::<Result<_, HeadError>>()?)
}

/// Logits on `judged` of an MLP trained on `train`, or how it diverged.
fn fit_one_of_many(
    train: &Samples,
    judged: &Samples,
    options: &MlpOptions,
    share: f64,
    progress: &dyn Progress,
) -> Result<Result<Array2<f32>, HeadError>, FitError> {
    let fit = match fit_mlp(train, None, options, share, &mut OneOfMany(progress)) {
        Err(error @ HeadError::Diverged { .. }) => return Ok(Err(error)),
        fit => fit?,
    };
    if fit.ended == Ended::Interrupted {
        return Err(FitError::Stopped);
    }
    progress.fitted();
    Ok(Ok(fit.mlp.logits(judged.codes())?))
}
