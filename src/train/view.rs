//! The choice of how heads read codes: whole, or their mean or maximum over height and width; of
//! all layers or only the last ones; and with which scaling.
//!
//! It is made on the training store alone, like the choice of settings: by the log loss of a
//! logistic regression in folds. This head's optimum is found, so codes are compared and not
//! trainings. What suits it suits the other heads, and on a few hundred pictures this choice
//! matters more than the head.

use super::TrainError;
use super::cross_validation::{Folds, never_learned};
use super::error::FitError;
use super::options::TrainOptions;
use super::progress::Stage;
use super::result::Trial;
use super::stores;
use super::tuning::{Candidate, TuningJudge};
use crate::codes::{Pool, Store, StoreError};
use crate::head::logistic::{Logistic, LogisticOptions};
use crate::head::scaling::ScalingKind;
use crate::head::{Head, HeadOptions};
use crate::progress::Watch;

/// The most pictures for which means are tried without being requested. With more pictures, whole
/// codes are seldom worse, and the comparison takes as long as the training.
const FEW_PICTURES: usize = 5_000;

/// How heads read a store's codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// The pooling over height and width.
    pub pool: Pool,
    /// How many of the layers are read, counted from the last; `None` for all.
    pub last_layers: Option<usize>,
    /// How the result is scaled.
    pub scaling: ScalingKind,
}

/// How the view was chosen.
#[derive(Clone, Debug)]
pub struct ViewChoice {
    /// The view.
    pub view: View,
    /// The best trial of each view, starting with the given view.
    pub trials: Vec<(View, Trial)>,
}

impl std::fmt::Display for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let codes = match self.pool {
            Pool::None if self.last_layers.is_some() => "codes",
            Pool::None => "whole codes",
            Pool::Avg => "means over height and width",
            Pool::Max => "maxima over height and width",
        };
        let scaled = match self.scaling {
            ScalingKind::None => "",
            ScalingKind::Standard => ", each feature to mean 0 and deviation 1",
            ScalingKind::L2 => ", each code to length 1",
            ScalingKind::Max => ", each feature to at most 1",
        };
        match self.last_layers {
            None => write!(f, "{codes}{scaled}"),
            Some(1) => write!(f, "{codes} of the last layer{scaled}"),
            Some(n) => write!(f, "{codes} of the last {n} layers{scaled}"),
        }
    }
}

impl View {
    /// The store with its codes in this view.
    ///
    /// # Errors
    /// As [`Store::pooled`] and [`Store::with_layers`].
    pub fn of(self, store: &Store) -> Result<Store, StoreError> {
        let store = match store.codes_identity().pool == self.pool {
            true => store.clone(),
            false => store.pooled(self.pool)?,
        };
        match self.last_layers {
            Some(n) => {
                let layers = store.layers();
                store.with_layers(&layers[layers.len().saturating_sub(n)..])
            }
            None => Ok(store),
        }
    }
}

/// Chooses a view of `store` in its folds. The given view is the store's own codes with the scaling
/// of `options`. It is only replaced by a view that is better by more than a standard error, with
/// the best of its L2 strengths.
///
/// For codes that are vectors, only the scaling can be chosen; for those of several layers, also
/// the last layers.
///
/// # Errors
/// As [`train`](super::train).
pub fn choose_view(
    store: &Store,
    options: &TrainOptions,
    watch: &dyn Watch,
) -> Result<ViewChoice, TrainError> {
    let given = given_view(store, options);
    let strengths = Logistic::candidates(&logistic(options));
    judge(store, options, views(store, given), &strengths, watch)
}

/// Whether means over height and width would beat the given whole codes by more than a standard
/// error, with the given L2 strength. This takes two fits per fold. `None` if the codes have no
/// height and width, or are of more than 5,000 pictures.
///
/// # Errors
/// As [`train`](super::train).
pub fn are_means_better(
    store: &Store,
    options: &TrainOptions,
    watch: &dyn Watch,
) -> Result<Option<ViewChoice>, TrainError> {
    let given = given_view(store, options);
    if !has_places(store) || store.pictures().len() > FEW_PICTURES {
        return Ok(None);
    }
    let means = View {
        pool: Pool::Avg,
        ..given
    };
    let choice = judge(
        store,
        options,
        vec![given, means],
        &[logistic(options)],
        watch,
    )?;
    Ok((choice.view == means).then_some(choice))
}

/// The view without a choice.
fn given_view(store: &Store, options: &TrainOptions) -> View {
    View {
        pool: store.codes_identity().pool,
        last_layers: None,
        scaling: options.scaling,
    }
}

/// The options of the logistic regression for the comparison.
fn logistic(options: &TrainOptions) -> LogisticOptions {
    let given = options.heads.iter().find_map(|head| match head {
        HeadOptions::Logistic(options) => Some(*options),
        _ => None,
    });
    given.unwrap_or_else(LogisticOptions::default)
}

/// Evaluates views with each of these strengths in folds, and chooses; the first view and strength
/// are the given ones.
fn judge(
    store: &Store,
    options: &TrainOptions,
    views: Vec<View>,
    strengths: &[LogisticOptions],
    watch: &dyn Watch,
) -> Result<ViewChoice, TrainError> {
    super::check(store, None, options)?;
    let on_store = |error: FitError| error.on(store.dir());
    let n_fits = views.len() * strengths.len() * options.folds;
    let stage = Stage::begin(watch, "choosing a view of the codes", n_fits);
    let (mut candidates, mut judge) = (Vec::new(), None);
    for view in views {
        let viewed = view.of(store).map_err(TrainError::from)?;
        let samples = stores::samples(&viewed)?;
        let folds = Folds::new(&samples, options.folds, view.scaling, options.seed);
        let folds = folds.map_err(|error| on_store(error.into()))?;
        let logits = folds
            .logits::<Logistic>(strengths, &stage)
            .map_err(on_store)?;
        for (strength, logits) in strengths.iter().zip(logits) {
            candidates.push(Candidate {
                options: view,
                setting: format!("{view}, {}", Logistic::setting(strength)),
                logits: vec![logits],
            });
        }
        judge.get_or_insert_with(|| never_learned(samples.labels(), &folds.of_row));
    }
    let groups = store.groups();
    let judge = TuningJudge {
        labels: store.labels().unwrap_or_default(),
        groups: groups.as_deref(),
        unknown: judge.unwrap_or_default(),
        calibrates: options.calibrate,
    };
    let of_trial: Vec<View> = candidates
        .iter()
        .map(|candidate| candidate.options)
        .collect();
    let chosen = judge.choose(candidates).map_err(on_store)?;
    store.check_unchanged()?;
    let mut trials: Vec<(View, Trial)> = Vec::new();
    for (view, trial) in of_trial.into_iter().zip(chosen.tuning.trials) {
        match trials.iter_mut().find(|(known, _)| *known == view) {
            Some((_, best)) if loss(&trial) < loss(best) => *best = trial,
            Some(_) => {}
            None => trials.push((view, trial)),
        }
    }
    Ok(ViewChoice {
        view: chosen.options,
        trials,
    })
}

fn loss(trial: &Trial) -> f64 {
    trial.log_loss.unwrap_or(f64::INFINITY)
}

/// All views of a store, starting with the given one.
fn views(store: &Store, given: View) -> Vec<View> {
    let pools = match has_places(store) {
        true => vec![Pool::None, Pool::Avg, Pool::Max],
        false => vec![given.pool],
    };
    let scalings = [ScalingKind::None, ScalingKind::L2, ScalingKind::Standard];
    let fewer = 1..store.layers().len();
    let layers: Vec<_> = std::iter::once(None).chain(fewer.rev().map(Some)).collect();
    let all = pools.into_iter().flat_map(|pool| {
        let layers = layers.iter();
        layers.flat_map(move |&last_layers| {
            scalings.map(move |scaling| View {
                pool,
                last_layers,
                scaling,
            })
        })
    });
    let others = all.filter(|view| *view != given);
    std::iter::once(given).chain(others).collect()
}

/// Whether codes have height and width.
fn has_places(store: &Store) -> bool {
    let codes = store.codes_identity();
    codes.pool == Pool::None && codes.output.shape.len() == 3
}
