//! Heads trained with the old and with the new labels, compared in pairs.

use super::doubts::largest;
use crate::codes::{Corrections, Store};
use crate::evaluate::{Correctness, Design, Difference, EvaluateError};
use crate::head::logistic::{Logistic, LogisticOptions};
use crate::head::saved::SavedHead;
use crate::head::scaling::ScalingKind;
use crate::head::splits::stratified_folds;
use crate::head::{Head, HeadError, Samples};
use crate::progress::Watch;
use crate::train::cross_validation::fit_and_judge;
use crate::train::error::{FitError, TrainError};
use crate::train::progress::Stage;
use crate::train::scaled::scale;
use crate::train::stores::samples;
use crate::train::workers::work;

/// How often folds are dealt.
const DEALINGS: u64 = 3;
/// Number of folds per dealing.
const FOLDS: usize = 5;

/// The effect of corrections: two logistic regressions trained in the same folds, one with the old
/// labels and one with the new. Both are evaluated on the same pictures by the new labels.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LabelChange {
    /// Pictures whose class changed.
    pub changed: usize,
    /// Pictures that are no longer used for training.
    pub set_aside: usize,
    /// Pictures that had no label, and are now used for training.
    pub added: usize,
    /// Pictures used for evaluation: those with both an old and a new class.
    pub judged: usize,
    /// Errors of the old head by the old labels, a mean over dealings of folds.
    pub errors_by_old_labels: f64,
    /// Errors of the old head by the new labels.
    pub errors_before: f64,
    /// Errors of the new head by the new labels.
    pub errors_after: f64,
    /// Accuracy of the new head minus that of the old, both by the new labels.
    pub difference: Difference,
}

impl LabelChange {
    /// Posterior probability, 0 to 1, that the new head is better than the old one, by any amount,
    /// with a flat prior.
    #[must_use]
    pub fn chance_better(&self) -> f64 {
        let half = self.difference.p_value / 2.0;
        match self.difference.difference < 0.0 {
            true => half,
            false => 1.0 - half,
        }
    }
}

/// Pictures used for training before or after, with their old and new classes.
struct Pictures {
    store: Store,
    /// Old class of each picture (N); `None` if it was not used for training.
    before: Vec<Option<usize>>,
    /// New class of each picture (N).
    after: Vec<Option<usize>>,
}

/// Which labels train a head.
#[derive(Clone, Copy)]
enum With {
    Before,
    After,
}

/// Evaluates the effect of corrections: `before` against `after`, on the pictures of `stores` as
/// they were extracted; some may have no labels. `heads` determines how the codes are read, and the
/// classes. Corrections are compared by picture, not by line.
///
/// # Errors
/// [`TrainError::Corrections`] for an unknown class; [`TrainError::Store`] if the stores do not
/// match; [`TrainError::Head`] if there are too few pictures for folds, or the codes cannot be
/// read; [`TrainError::Stopped`].
pub fn judge_labels(
    stores: &[&Store],
    heads: &SavedHead,
    before: &Corrections,
    after: &Corrections,
    watch: &dyn Watch,
) -> Result<LabelChange, TrainError> {
    let pictures = Pictures::of(stores, heads, before, after)?;
    let on_store = |error: FitError| error.on(pictures.store.dir());
    let samples = samples(&pictures.store)?;
    let logistic = heads.get::<Logistic>().map(|saved| saved.options);
    let judging = Judging {
        samples: &samples,
        pictures: &pictures,
        logistic: logistic.unwrap_or_default(),
        scaling: heads.scaling.kind(),
    };
    let judged = pictures.judged();
    let dealings =
        (0..DEALINGS).map(|seed| stratified_folds(samples.labels(), samples.groups(), FOLDS, seed));
    let dealings: Vec<_> = dealings
        .collect::<Result<_, HeadError>>()
        .map_err(|error| on_store(error.into()))?;
    let n_fits = 2 * FOLDS * dealings.len();
    let stage = Stage::begin(watch, "judging the labels", n_fits);
    let predicted = judging.predicted(&dealings, &stage).map_err(on_store)?;
    let read = samples.codes().check();
    read.map_err(|error| on_store(error.into()))?;

    let by = |with: With, labels: &[Option<usize>]| -> Vec<Vec<bool>> {
        let of_run = |run: &[Vec<usize>; 2]| {
            let right = |&row: &usize| labels[row] == Some(run[with as usize][row]);
            judged.iter().map(right).collect()
        };
        predicted.iter().map(of_run).collect()
    };
    let first = Correctness::new(by(With::After, &pictures.after))?;
    let second = Correctness::new(by(With::Before, &pictures.after))?;
    let old = Correctness::new(by(With::Before, &pictures.before))?;
    let of_judged = |of: &[usize]| -> Vec<usize> { judged.iter().map(|&row| of[row]).collect() };
    let groups = samples.groups().map(of_judged);
    let dealings: Vec<_> = dealings.iter().map(|dealing| of_judged(dealing)).collect();
    let design = Design {
        groups: groups.as_deref(),
        dealings: &dealings,
    };
    let errors = |right: &Correctness| {
        let wrong = right.runs().iter().flatten().filter(|&&right| !right);
        wrong.count() as f64 / right.runs().len() as f64
    };
    Ok(LabelChange {
        judged: judged.len(),
        errors_by_old_labels: errors(&old),
        errors_before: errors(&second),
        errors_after: errors(&first),
        difference: Difference::new(&first, &second, &design)?,
        changed: pictures
            .count(|before, after| before.is_some() && after.is_some() && before != after),
        set_aside: pictures.count(|before, after| before.is_some() && after.is_none()),
        added: pictures.count(|before, after| before.is_none() && after.is_some()),
    })
}

impl Pictures {
    fn of(
        stores: &[&Store],
        heads: &SavedHead,
        before: &Corrections,
        after: &Corrections,
    ) -> Result<Self, TrainError> {
        let mut pictures: Option<Self> = None;
        for store in stores {
            let [was, is] = [before, after].map(|said| said.labels(store, &heads.classes));
            let (was, is) = (was?, is?);
            let rows = was.iter().zip(&is).enumerate();
            let rows: Vec<_> = rows
                .filter_map(|(row, (was, is))| Some((row, is.or(*was)?)))
                .collect();
            let here = Self {
                store: store.labelled(&heads.classes, &rows),
                before: rows.iter().map(|&(row, _)| was[row]).collect(),
                after: rows.iter().map(|&(row, _)| is[row]).collect(),
            };
            pictures = Some(match pictures {
                None => here,
                Some(first) => Self {
                    store: first.store.with(&here.store)?,
                    before: [first.before, here.before].concat(),
                    after: [first.after, here.after].concat(),
                },
            });
        }
        let pictures = pictures.ok_or(EvaluateError::Empty)?;
        Ok(Self {
            store: pictures.store.taken_as(&heads.codes)?,
            ..pictures
        })
    }

    /// Rows with both an old and a new class.
    fn judged(&self) -> Vec<usize> {
        let both = |row: &usize| self.before[*row].is_some() && self.after[*row].is_some();
        (0..self.before.len()).filter(both).collect()
    }

    fn labels(&self, with: With) -> &[Option<usize>] {
        match with {
            With::Before => &self.before,
            With::After => &self.after,
        }
    }

    /// Number of pictures, by their old and new classes.
    fn count(&self, of: fn(Option<usize>, Option<usize>) -> bool) -> usize {
        let pairs = self.before.iter().zip(&self.after);
        pairs.filter(|&(&before, &after)| of(before, after)).count()
    }
}

/// The data and options of the comparison.
struct Judging<'a, 's> {
    samples: &'a Samples<'s>,
    pictures: &'a Pictures,
    logistic: LogisticOptions,
    scaling: ScalingKind,
}

impl Judging<'_, '_> {
    /// The predictions (N) in each dealing with the old and with the new labels, each by a head
    /// that was not trained on the picture.
    fn predicted(
        &self,
        dealings: &[Vec<usize>],
        stage: &Stage,
    ) -> Result<Vec<[Vec<usize>; 2]>, FitError> {
        let mut jobs = Vec::new();
        for (run, dealing) in dealings.iter().enumerate() {
            for fold in 0..FOLDS {
                jobs.extend([With::Before, With::After].map(|with| (run, dealing, fold, with)));
            }
        }
        let bytes = Logistic::training_bytes(self.samples, &self.logistic);
        let of_jobs = work(&jobs, bytes, |&(_, dealing, fold, with)| {
            self.of_fold(dealing, fold, with, stage)
        })?;
        let nothing = || [(); 2].map(|()| vec![0; self.samples.len()]);
        let mut predicted: Vec<_> = dealings.iter().map(|_| nothing()).collect();
        for (&(run, _, _, with), of_fold) in jobs.iter().zip(of_jobs) {
            for (row, class) in of_fold {
                predicted[run][with as usize][row] = class;
            }
        }
        Ok(predicted)
    }

    /// Rows of the fold, and the predictions of a head that was trained outside it.
    fn of_fold(
        &self,
        dealing: &[usize],
        fold: usize,
        with: With,
        stage: &Stage,
    ) -> Result<Vec<(usize, usize)>, FitError> {
        let labels = self.pictures.labels(with);
        let trained = (0..labels.len()).filter(|&row| dealing[row] != fold);
        let (rows, labels): (Vec<_>, Vec<_>) =
            trained.filter_map(|row| Some((row, labels[row]?))).unzip();
        if rows.is_empty() {
            let (samples, features) = (0, self.samples.n_features());
            return Err(HeadError::Empty { samples, features }.into());
        }
        let train = self.samples.select(&rows).relabelled(&labels);
        let train = scale(&train, self.scaling)?;
        let inside: Vec<_> = (0..dealing.len())
            .filter(|&row| dealing[row] == fold)
            .collect();
        let judged = self.samples.select(&inside).scaled(train.scaling)?;
        let mut logits =
            fit_and_judge::<Logistic>(&train.samples, &judged, &[self.logistic], stage)?;
        let logits = logits.swap_remove(0)?;
        let classes = logits.rows().into_iter().map(|row| largest(row, None).0);
        Ok(inside.into_iter().zip(classes).collect())
    }
}
