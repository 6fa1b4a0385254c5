//! Logits for every training sample, from heads that were not trained on it.

use ndarray::Array2;

use super::error::FitError;
use super::progress::Stage;
use super::scaled::scale;
use super::workers::work;
use crate::head::scaling::ScalingKind;
use crate::head::splits::stratified_folds;
use crate::head::{Diverged, Fit, Head, HeadError, Samples};
use crate::progress::Stopped;

/// Logits (N, K) of samples by heads with some settings, or the error of a head that diverged.
pub(super) type Logits = Result<Array2<f32>, Diverged>;

/// Training samples in folds.
pub(super) struct Folds<'a> {
    folds: Vec<Fold<'a>>,
    /// The fold of each sample (N).
    pub(super) of_row: Vec<usize>,
    n_classes: usize,
}

/// One fold: the samples to train on, and the held-out rest.
struct Fold<'a> {
    /// Rows that are in the fold.
    rows: Vec<usize>,
    outside: Samples<'a>,
    inside: Samples<'a>,
}

impl<'a> Folds<'a> {
    /// Deals samples into folds; each fold is scaled by the statistics of the samples outside it.
    pub(super) fn new(
        samples: &Samples<'a>,
        n_folds: usize,
        scaling: ScalingKind,
        seed: u64,
    ) -> Result<Self, HeadError> {
        let of_row = stratified_folds(samples.labels(), samples.groups(), n_folds, seed)?;
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

    /// Rows (N) of this fold, and those outside it.
    pub(super) fn split(&self, fold: usize) -> (Vec<usize>, Vec<usize>) {
        (0..self.of_row.len()).partition(|&row| self.of_row[row] == fold)
    }

    /// Out-of-fold logits (N, K) of a head with each of these settings.
    pub(super) fn logits<H: Head>(
        &self,
        settings: &[H::Options],
        stage: &Stage,
    ) -> Result<Vec<Logits>, FitError> {
        self.logits_by_fold::<H>(&vec![settings.to_vec(); self.len()], stage)
    }

    /// The same, with separate settings for each fold, the same number for every fold.
    pub(super) fn logits_by_fold<H: Head>(
        &self,
        settings: &[Vec<H::Options>],
        stage: &Stage,
    ) -> Result<Vec<Logits>, FitError> {
        let at_a_time = |settings: &[H::Options]| match H::SHARES_WORK {
            true => settings.len().max(1),
            false => 1,
        };
        let of_fold = self.folds.iter().zip(settings);
        let jobs: Vec<_> = of_fold
            .flat_map(|(fold, settings)| {
                let parts = settings.chunks(at_a_time(settings));
                parts.map(move |settings| (fold, settings))
            })
            .collect();
        let bytes = jobs.iter().flat_map(|(fold, settings)| {
            let of_one = |options| H::training_bytes(&fold.outside, options);
            settings.iter().map(of_one)
        });
        let logits = work(&jobs, bytes.max().unwrap_or(0), |&(fold, settings)| {
            fit_and_judge::<H>(&fold.outside, &fold.inside, settings, stage)
        })?;
        let logits: Vec<_> = logits.into_iter().flatten().collect();
        let n_settings = logits.len() / self.len();
        let gathered = (0..n_settings).map(|index| {
            let by_fold = logits.iter().skip(index).step_by(n_settings);
            let by_fold: Result<Vec<_>, _> = by_fold.map(Result::as_ref).collect();
            by_fold
                .map(|logits| self.gather(&logits))
                .map_err(Clone::clone)
        });
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

/// Whether no head could know a row's class (N), because all rows of the class are in its own fold.
pub(super) fn never_learned(labels: &[usize], folds: &[usize]) -> Vec<bool> {
    let is_elsewhere = |(&label, &fold): (&usize, &usize)| {
        let mut others = labels.iter().zip(folds);
        others.any(|(&other, &elsewhere)| other == label && elsewhere != fold)
    };
    labels
        .iter()
        .zip(folds)
        .map(|row| !is_elsewhere(row))
        .collect()
}

/// Logits (N, K) on `judged` of a head with each of these settings, all trained on the same
/// samples.
pub(super) fn fit_seeds<H: Head>(
    train: &Samples,
    judged: &Samples,
    settings: &[H::Options],
    stage: &Stage,
) -> Result<Vec<Array2<f32>>, FitError> {
    let bytes = settings
        .iter()
        .map(|options| H::training_bytes(train, options));
    let jobs: Vec<_> = settings.chunks(1).collect();
    let logits = work(&jobs, bytes.max().unwrap_or(0), |settings| {
        fit_and_judge::<H>(train, judged, settings, stage)
    })?;
    let logits = logits.into_iter().flatten();
    logits.map(|logits| Ok(logits?)).collect()
}

/// Logits on `judged` of a head with each of these settings, trained on `train`.
pub(super) fn fit_and_judge<H: Head>(
    train: &Samples,
    judged: &Samples,
    settings: &[H::Options],
    stage: &Stage,
) -> Result<Vec<Logits>, FitError> {
    let fits = match H::fit_all(train, settings, stage) {
        Err(HeadError::Diverged(how)) => return Ok(vec![Err(how); settings.len()]),
        fits => fits?,
    };
    let judge = |fit: Fit<H>| {
        if fit.is_stopped || stage.is_stopped() {
            return Err(Stopped.into());
        }
        let logits = fit.model.logits_of(judged)?;
        stage.fitted();
        Ok(Ok(logits))
    };
    fits.into_iter().map(judge).collect()
}
