//! Compares trunks: the same heads in the same folds of the same pictures, on the codes of several
//! trunks.

use std::collections::HashSet;

use super::error::TrainError;
use super::options::TrainOptions;
use super::view::View;
use super::{Comparison, HeadResult, train};
use crate::codes::{Pool, Store};
use crate::evaluate::{Design, Difference, log_losses};
use crate::progress::Watch;

/// The results of heads on the codes of one trunk.
#[derive(Clone, Debug)]
pub struct JudgedTrunk {
    /// Index of its store among the given ones.
    pub store: usize,
    /// How the heads read its codes.
    pub view: View,
    /// The heads, evaluated in folds.
    pub comparison: Comparison,
    /// Index of the head with the smallest log loss, which represents the trunk.
    pub best: usize,
    /// Log loss of each picture (N) with that head.
    losses: Vec<f64>,
}

/// The difference between two trunks.
#[derive(Clone, Debug)]
pub struct TrunkDifference {
    /// Mean log loss of the first trunk minus that of the second.
    pub log_loss: f64,
    /// Its standard error, picture by picture.
    pub standard_error: f64,
    /// Accuracy of the first trunk minus that of the second.
    pub accuracy: Difference,
}

impl JudgedTrunk {
    /// The head that represents the trunk.
    #[must_use]
    pub fn head(&self) -> &HeadResult {
        &self.comparison.heads[self.best]
    }

    /// Mean log loss of that head.
    #[must_use]
    pub fn log_loss(&self) -> f64 {
        self.losses.iter().sum::<f64>() / self.losses.len() as f64
    }

    /// The difference from another trunk that was evaluated on the same pictures.
    ///
    /// # Errors
    /// [`TrainError::Evaluate`], never for trunks of one call of [`judge_trunks`].
    pub fn difference(&self, other: &Self) -> Result<TrunkDifference, TrainError> {
        let pairs = self.losses.iter().zip(&other.losses);
        let differences: Vec<f64> = pairs.map(|(ours, theirs)| ours - theirs).collect();
        let design = Design {
            groups: self.comparison.groups.as_deref(),
            dealings: &self.comparison.dealings,
        };
        let [ours, theirs] = [self, other].map(|trunk| {
            let runs = trunk.head().runs.as_ref();
            runs.expect("heads that were trained here know their runs")
        });
        Ok(TrunkDifference {
            log_loss: self.log_loss() - other.log_loss(),
            standard_error: Design {
                dealings: &[],
                ..design
            }
            .standard_error(&differences),
            accuracy: Difference::new(ours, theirs, &design)?,
        })
    }
}

/// Evaluates the heads of `options` in folds of each store: on whole codes and, if these have
/// height and width, on their means. Probabilities are calibrated. `judged` is called for each
/// trunk as soon as it is done.
///
/// # Errors
/// [`TrainError::Mismatch`] if the stores do not hold the same labelled pictures; as [`train`].
pub fn judge_trunks(
    stores: &[Store],
    options: &TrainOptions,
    watch: &dyn Watch,
    mut judged: impl FnMut(&JudgedTrunk),
) -> Result<Vec<JudgedTrunk>, TrainError> {
    if let [first, others @ ..] = stores {
        others
            .iter()
            .try_for_each(|other| check_pictures(first, other))?;
    }
    let options = TrainOptions {
        calibrate: true,
        ..options.clone()
    };
    let mut trunks = Vec::new();
    for (place, store) in stores.iter().enumerate() {
        for pool in pools(store) {
            let pooled = store.pooled(pool)?;
            let comparison = train(&pooled, None, &options, watch)?.comparison;
            let losses = comparison.heads.iter().map(|head| {
                let losses = log_losses(head.probabilities.view(), &comparison.labels);
                losses.collect::<Vec<_>>()
            });
            let mean = |losses: &[f64]| losses.iter().sum::<f64>();
            let (best, losses) = losses
                .enumerate()
                .min_by(|(_, a), (_, b)| mean(a).total_cmp(&mean(b)))
                .expect("training gives a head or an error");
            let trunk = JudgedTrunk {
                store: place,
                view: View {
                    last_layers: None,
                    pool,
                    scaling: options.scaling,
                },
                comparison,
                best,
                losses,
            };
            judged(&trunk);
            trunks.push(trunk);
        }
    }
    Ok(trunks)
}

/// The recommended trunk: the fastest of those whose log loss exceeds the smallest by at most a
/// standard error. `rates` holds the pictures per second of each of `trunks`.
///
/// # Errors
/// As [`JudgedTrunk::difference`].
///
/// # Panics
/// If there are no trunks, or if the number of rates differs.
pub fn best_trunk(trunks: &[JudgedTrunk], rates: &[f64]) -> Result<usize, TrainError> {
    assert_eq!(trunks.len(), rates.len(), "a rate for each trunk");
    let by_loss = |&a: &usize, &b: &usize| trunks[a].log_loss().total_cmp(&trunks[b].log_loss());
    let smallest = (0..trunks.len()).min_by(by_loss);
    let smallest = smallest.expect("there is a trunk");
    let mut chosen = smallest;
    for (place, trunk) in trunks.iter().enumerate() {
        let behind = trunk.difference(&trunks[smallest])?;
        if behind.log_loss <= behind.standard_error && rates[place] > rates[chosen] {
            chosen = place;
        }
    }
    Ok(chosen)
}

/// Which poolings are tried.
fn pools(store: &Store) -> Vec<Pool> {
    let codes = store.codes_identity();
    match codes.pool == Pool::None && codes.output.shape.len() == 3 {
        true => vec![Pool::None, Pool::Avg],
        false => vec![codes.pool],
    }
}

/// Refuses stores with other pictures, classes, labels or groups.
fn check_pictures(first: &Store, other: &Store) -> Result<(), TrainError> {
    let pictures = |store: &Store| -> Vec<_> {
        let rows = store.pictures().iter();
        rows.map(|row| (row.path.clone(), row.label, row.blake3))
            .collect()
    };
    if first.classes() == other.classes() && pictures(first) == pictures(other) {
        return Ok(());
    }
    let there: HashSet<_> = pictures(first).into_iter().collect();
    let missing = pictures(other)
        .iter()
        .filter(|row| !there.contains(*row))
        .count();
    Err(TrainError::Mismatch {
        train: first.dir().to_owned(),
        validation: other.dir().to_owned(),
        reason: format!(
            "they are not of the same pictures in the same order ({} and {} pictures, {missing} of the second are \
             not in the first); extract both from the same folder",
            first.pictures().len(),
            other.pictures().len()
        ),
    })
}
