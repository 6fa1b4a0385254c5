//! Trains and evaluates the same heads without views, to measure the effect of the views.

use super::error::{FitError, TrainError};
use super::judgement::Judges;
use super::options::TrainOptions;
use super::result::{BroughtOf, HeadResult, ViewsBrought};
use super::stores::{self, Stores};
use super::training::Training;
use crate::evaluate::{Design, Difference};
use crate::progress::Watch;

/// The effect of views on these heads; `None` if the stores hold no views, or training is stopped.
pub(super) fn brought_by_views(
    stores: Stores,
    options: &TrainOptions,
    with: &[HeadResult],
    watch: &dyn Watch,
) -> Result<Option<ViewsBrought>, TrainError> {
    let views = [stores.train.views(), stores.judging().views()];
    if views.iter().all(|views| views.is_none()) || watch.is_stopped() {
        return Ok(None);
    }
    let train = stores.train.without_views();
    let validation = stores.validation.map(|store| store.without_views());
    let on_train = |error: FitError| error.on(train.dir());
    let samples = stores::samples(&train)?;
    let training = Training {
        samples: &samples,
        options,
        watch,
    };
    let scaled = training.scale().map_err(on_train)?;
    let judged = match &validation {
        Some(store) => Some(stores::scaled(
            store,
            &stores::samples(store)?,
            &scaled.scaling,
        )?),
        None => None,
    };
    let unsaved = match training.train(&scaled.samples, judged.as_ref()) {
        // The heads with views exist already, and nothing else was requested.
        Err(FitError::Stopped(_)) => return Ok(None),
        unsaved => unsaved.map_err(on_train)?,
    };
    let judged = judged.as_ref().unwrap_or(&scaled.samples);
    let design = Design {
        groups: judged.groups(),
        dealings: &unsaved.dealings,
    };
    let judges = Judges {
        labels: judged.labels(),
        design,
    };
    let mut heads = Vec::new();
    for head in unsaved.unjudged {
        let without = judges.judge(head)?;
        if let Some(with) = with.iter().find(|with| with.kind == without.kind) {
            heads.extend(brought(with, &without, &judges.design)?);
        }
    }
    Ok(Some(ViewsBrought {
        trained: views[0].to_string(),
        judged: views[1].to_string(),
        heads,
    }))
}

/// One head compared with the same head without views; `None` if one of them was stopped before its
/// last run.
fn brought(
    with: &HeadResult,
    without: &HeadResult,
    design: &Design,
) -> Result<Option<BroughtOf>, TrainError> {
    let (Some(right_with), Some(right_without)) = (&with.runs, &without.runs) else {
        return Ok(None);
    };
    if right_with.runs().len() != right_without.runs().len() {
        return Ok(None);
    }
    let pairs = || right_with.runs()[0].iter().zip(&right_without.runs()[0]);
    Ok(Some(BroughtOf {
        head: with.kind,
        errors_without: without.evaluation.errors,
        errors_with: with.evaluation.errors,
        wrong_to_right: pairs()
            .filter(|&(&with, &without)| with && !without)
            .count(),
        right_to_wrong: pairs()
            .filter(|&(&with, &without)| !with && without)
            .count(),
        difference: Difference::new(right_with, right_without, design)?,
    }))
}
