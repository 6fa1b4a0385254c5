//! Trunks compared: the same heads in the same folds of the same pictures, on the codes of several trunks.

use std::collections::HashSet;

use super::error::TrainError;
use super::options::TrainOptions;
use super::view::View;
use super::{Comparison, HeadResult, train};
use crate::codes::{Pool, Store};
use crate::evaluate::{Design, Difference, log_losses};
use crate::progress::Watch;

/// How heads did on the codes of one trunk.
#[derive(Clone, Debug)]
pub struct JudgedTrunk {
    /// Place of its store among those that were given.
    pub store: usize,
    /// What heads read of its codes.
    pub view: View,
    /// The heads, judged in folds.
    pub comparison: Comparison,
    /// Place among those of the head whose log loss is the smallest, by which the trunk is judged.
    pub best: usize,
    /// Log loss of each picture (N) by that head.
    losses: Vec<f64>,
}

/// How two trunks differ.
#[derive(Clone, Debug)]
pub struct TrunkDifference {
    /// Mean log loss of the first less that of the second.
    pub log_loss: f64,
    /// Its standard error, picture by picture.
    pub standard_error: f64,
    /// Accuracy of the first less that of the second.
    pub accuracy: Difference,
}

impl JudgedTrunk {
    /// The head by which the trunk is judged.
    #[must_use]
    pub fn head(&self) -> &HeadResult {
        &self.comparison.heads[self.best]
    }

    /// Mean log loss of that head.
    #[must_use]
    pub fn log_loss(&self) -> f64 {
        self.losses.iter().sum::<f64>() / self.losses.len() as f64
    }

    /// How it differs from another trunk that was judged on the same pictures.
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

/// Judges the heads of `options` in folds of each store: on whole codes, and, where these have height and width, on
/// their means. Probabilities are calibrated. `judged` is told of each trunk as soon as it is judged.
///
/// # Errors
/// [`TrainError::Mismatch`] if the stores are not of the same labelled pictures; as [`train`].
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

/// The trunk to take: the fastest of those whose log loss is not larger than the smallest by more than a
/// standard error. `rates` are the pictures per second of each trunk of `trunks`.
///
/// # Errors
/// As [`JudgedTrunk::difference`].
///
/// # Panics
/// If there are no trunks, or not as many rates.
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

/// What is tried over height and width.
fn pools(store: &Store) -> Vec<Pool> {
    let codes = store.codes_identity();
    match codes.pool == Pool::None && codes.output.shape.len() == 3 {
        true => vec![Pool::None, Pool::Avg],
        false => vec![codes.pool],
    }
}

/// Refuses stores of other pictures, classes, labels or groups.
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
