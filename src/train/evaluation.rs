//! Existing heads, evaluated on held-out pictures.

use std::path::Path;
use std::time::Duration;

use super::error::{FitError, TrainError};
use super::judgement::{Judges, Unjudged};
use super::result::{Comparison, Floor, HeadResult, Report};
use super::stores::{Stores, samples, scaled};
use crate::codes::Store;
use crate::evaluate::{Abstentions, Correctness, Design, Difference, Temperature};
use crate::head::nearest_centroid::NearestCentroid;
use crate::head::saved::SavedHead;
use crate::head::{Head, HeadError, HeadKind, Samples};

/// Evaluates the heads of a HEAD, whose report is `told`, on a store that was used neither to train
/// nor to choose them. Nothing is written.
///
/// If the training store is available, the result also lists pictures in both stores, and the
/// accuracy of the most frequent class and of the nearest centroid. `pictures` is the folder of the
/// evaluated pictures, if their store does not name it.
///
/// # Errors
/// [`TrainError::Mismatch`] if the store has other codes or classes, [`TrainError::SamePictures`] if the
/// heads were trained on all of its pictures, [`TrainError::Head`], [`TrainError::Store`],
/// [`TrainError::Evaluate`].
pub fn evaluate(
    heads: &SavedHead,
    told: &Report,
    store: &Store,
    training: Option<&Store>,
    pictures: Option<&Path>,
) -> Result<Report, TrainError> {
    check(heads, told, store)?;
    let on_store = |error: HeadError| FitError::from(error).on(store.dir());
    let overlap = match training {
        Some(train) => Stores {
            train,
            validation: Some(store),
        }
        .overlap()?,
        None => None,
    };
    let judged = scaled(store, &samples(store)?, &heads.scaling)?;
    let judges = Judges {
        labels: judged.labels(),
        design: Design {
            groups: judged.groups(),
            dealings: &[],
        },
    };
    let mut results: Vec<HeadResult> = Vec::new();
    for before in &told.comparison.heads {
        let Some(head) = heads.of_kind(before.kind) else {
            continue;
        };
        let logits = head.logits_of(&judged).map_err(on_store)?;
        let temperature = head.temperature();
        let range = before.calibration.and_then(|told| told.temperature_95);
        results.push(judges.judge(Unjudged {
            kind: before.kind,
            seed: before.seed,
            logits: vec![logits],
            temperature: (temperature != 1.0).then(|| Temperature {
                value: temperature,
                range_95: range.unwrap_or((temperature, temperature)),
            }),
            abstentions: before.abstentions.clone(),
            tuning: None,
            training_time: Duration::ZERO,
            remark: before.remark.clone(),
        })?);
    }
    let floors = match training {
        Some(train) => floors(heads, train, &judged, &judges)?,
        None => Vec::new(),
    };
    let read = judged.codes().check();
    read.map_err(on_store)?;
    store.check_unchanged()?;
    let comparison = Comparison {
        pictures: store
            .pictures()
            .iter()
            .map(|row| row.path.to_string())
            .collect(),
        labels: judged.labels().to_vec(),
        dealings: Vec::new(),
        groups: judged.groups().map(<[usize]>::to_vec),
        difference: difference(&results, &judges.design)?,
        is_of_before: false,
        test_store: None,
        heads: results,
        floors,
        failed: Vec::new(),
        overlap,
        learning_curve: None,
        views: None,
        interrupted: false,
        ..told.comparison.clone()
    };
    Ok(told.judged_anew(comparison, store, &judged, pictures))
}

/// Refuses a store whose codes or classes differ from the heads'.
fn check(heads: &SavedHead, told: &Report, store: &Store) -> Result<(), TrainError> {
    let reason = match heads.codes.difference(store.codes_identity()) {
        Some(difference) => format!("{difference}; extract both with the same options"),
        None if heads.classes != store.classes() => format!(
            "the classes differ: {} and {}; both need the same class folders",
            heads.classes.join(", "),
            store.classes().join(", ")
        ),
        None => return Ok(()),
    };
    Err(TrainError::Mismatch {
        train: told.provenance.train.store.clone().into(),
        validation: store.dir().to_owned(),
        reason,
    })
}

fn difference(results: &[HeadResult], design: &Design) -> Result<Option<Difference>, TrainError> {
    let [first, second] = results else {
        return Ok(None);
    };
    let right = |head: &HeadResult| Correctness::new(vec![head.evaluation.correct()]);
    Ok(Some(Difference::new(
        &right(first)?,
        &right(second)?,
        design,
    )?))
}

/// The results of the baselines, from the training store.
fn floors(
    heads: &SavedHead,
    train: &Store,
    judged: &Samples,
    judges: &Judges,
) -> Result<Vec<Floor>, TrainError> {
    let trained = scaled(train, &samples(train)?, &heads.scaling)?;
    let n_classes = trained.n_classes();
    let mut floors = vec![Floor::majority(
        trained.labels(),
        judges.labels,
        n_classes,
        &judges.design,
    )?];
    if heads.of_kind(HeadKind::NearestCentroid).is_none() {
        let centroid = NearestCentroid::fit(&trained)
            .and_then(|head| Head::logits(&head, judged.codes()))
            .map_err(|error| FitError::from(error).on(train.dir()))?;
        let judged = judges.judge(Unjudged {
            kind: HeadKind::NearestCentroid,
            seed: None,
            logits: vec![centroid],
            temperature: None,
            abstentions: Abstentions::default(),
            tuning: None,
            training_time: Duration::ZERO,
            remark: String::new(),
        })?;
        floors.push(Floor::of(judged.title(), &judged.evaluation));
    }
    Ok(floors)
}
