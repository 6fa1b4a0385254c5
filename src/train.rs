//! Stores to trained heads, judged and compared.
//!
//! ```text
//! options            what is trained, how, how it is judged
//! stores             the stores, and whether heads can be trained and judged on them
//! cross_validation   logits for every sample, from heads that were not trained on it
//! tuning             settings chosen by those
//! view               what heads read of the codes, chosen likewise
//! trunks             several trunks' codes of the same pictures, judged by the same heads
//! learning_curve     accuracy by the number of training pictures
//! scaled             samples read through a scaling of their own
//! progress           what is told of stages, fits and epochs
//! judgement          logits -> probabilities -> results
//! training           the heads, chosen, trained and ready to be judged
//! workers            many fits at once
//! result             results, where heads come from, and the files that tell it
//! evaluation         heads that are there, judged on pictures that were kept aside
//! trained            all that a training gives, and how it is saved
//! label_errors       labels that the codes speak against
//! review             what is worth a look by a person, and what corrected labels changed
//! ```
//!
//! HEAD, where [`Trained::save`] writes it, holds:
//!
//! ```text
//! head.json, and a file of weights for each head (see `head::saved`)
//! history.csv        the MLP's learning curve
//! metrics.json       the comparison, for programs
//! predictions.csv    a row for each judged picture and head
//! provenance.json    the stores, the command, what the map of pictures.csv explains
//! relabel.csv        the corrected labels it was trained with, where there were any (written by the program)
//! pictures.csv       hash of each judged picture and its place on the map of codes
//! report.html        all of it, for people, as the caller renders it
//! ```
//!
//! # What is judged on what
//! The pictures that judge the heads choose nothing: not the settings, not the epoch, not the
//! temperature. With a validation store all of these are chosen on the training store. Without one
//! the heads are judged in folds of the training store, each by heads that were trained and tuned on the
//! other folds, with a temperature that was fitted to the other folds' logits; and the heads that are kept
//! are then trained on all of it. Groups of pictures are never divided.

mod cross_validation;
mod error;
mod evaluation;
mod judgement;
mod label_errors;
mod learning_curve;
mod options;
mod progress;
mod result;
mod review;
mod scaled;
mod stores;
mod trained;
mod training;
mod trunks;
mod tuning;
mod view;
mod without_views;
mod workers;

use self::error::FitError;
use self::judgement::Judges;
use self::stores::Stores;
use self::training::{Training, Unsaved};
use self::without_views::brought_by_views;
use crate::codes::Store;
use crate::evaluate::{Design, Difference};
use crate::head::saved::SavedHead;
use crate::head::{Neighbours, Samples};
use crate::progress::Watch;

pub use self::error::TrainError;
pub use self::evaluation::evaluate;
pub use self::label_errors::{LabelError, LabelErrorOptions, Reason, label_errors};
pub use self::options::TrainOptions;
pub use self::result::{
    BroughtOf, Calibration, Comparison, CurvePoint, FailedHead, Floor, GrowthOf, HeadResult,
    JudgedPicture, LearningCurve, Origin, Overlap, Provenance, REPORT, Recommendation, Report,
    ReportError, StoreProvenance, Told, Trial, Tuning, ViewsBrought, percent,
};
pub use self::review::{Doubt, LabelChange, Why, doubts, doubts_of, judge_labels, next_to_label};
pub use self::trained::Trained;
pub use self::trunks::{JudgedTrunk, TrunkDifference, best_trunk, judge_trunks};
pub use self::view::{View, ViewChoice, are_means_better, choose_view};

/// Refuses stores and options that no head can be trained with, before any work; [`train`] does so
/// itself.
///
/// # Errors
/// [`TrainError`], for the first that is wrong.
pub fn check(
    train: &Store,
    validation: Option<&Store>,
    options: &TrainOptions,
) -> Result<(), TrainError> {
    Stores { train, validation }.check()?;
    let checked = options.validate();
    checked.map_err(|error| FitError::from(error).on(train.dir()))
}

/// Trains the heads on `train`, and judges them on `validation`, or in folds of `train` where there is
/// none. Writes nothing.
///
/// The same stores, options and kind of processor give the same heads and predictions to the byte;
/// training times differ.
///
/// A head that fails, by diverging or by a panic of a dependency, does not take the others along:
/// those are kept, and [`Comparison::failed`] tells of the first.
///
/// When `watch` asks to stop while a head that is kept is trained, or after that, nothing more is
/// begun, and the heads so far are judged.
///
/// # Errors
/// [`TrainError`].
pub fn train<'s>(
    train: &'s Store,
    validation: Option<&'s Store>,
    options: &TrainOptions,
    watch: &dyn Watch,
) -> Result<Trained<'s>, TrainError> {
    check(train, validation, options)?;
    let stores = Stores { train, validation };
    let on_train = |error: FitError| error.on(train.dir());
    let samples = stores::samples(train)?;
    let validation_samples = validation.map(stores::samples).transpose()?;
    let training = Training {
        samples: &samples,
        options,
        watch,
    };
    let scaled = training.scale().map_err(on_train)?;
    let scaled_validation = validation
        .zip(validation_samples.as_ref())
        .map(|(store, samples)| stores::scaled(store, samples, &scaled.scaling))
        .transpose()?;
    let unsaved = training.train(&scaled.samples, scaled_validation.as_ref());
    let unsaved = unsaved.and_then(|unsaved| {
        let curve = training.wanted_curve(&unsaved.heads, validation_samples.as_ref())?;
        Ok(Unsaved {
            learning_curve: curve,
            ..unsaved
        })
    });
    // Before what came of it is believed, be it heads or an error.
    stores.check_unchanged()?;
    let mut unsaved = unsaved.map_err(on_train)?;

    let history = std::mem::take(&mut unsaved.history);
    let heads = std::mem::take(&mut unsaved.heads);
    let mut evidence = std::mem::take(&mut unsaved.evidence);
    let channels = train.codes_identity().output.channels();
    evidence.neighbours =
        Neighbours::of(&samples, channels).map_err(|error| on_train(error.into()))?;
    let judged = scaled_validation.as_ref().unwrap_or(&scaled.samples);
    let mut comparison = compare(&training, stores, judged, unsaved)?;
    comparison.views = brought_by_views(stores, options, &comparison.heads, watch)?;
    comparison.interrupted = watch.is_stopped();
    stores.check_read(&scaled.samples, scaled_validation.as_ref())?;
    stores.check_unchanged()?;
    let heads = SavedHead {
        codes: train.codes_identity().clone(),
        classes: train.classes().to_vec(),
        views: stores.judging().views(),
        scaling: scaled.scaling,
        evidence,
        recommended: comparison.recommended.as_ref().map(|told| told.head),
        heads,
    };
    Ok(Trained {
        heads,
        history,
        comparison,
        stores,
        judged: judged.clone(),
    })
}

/// Judges the heads on these samples, of the store that judges.
fn compare(
    training: &Training,
    stores: Stores,
    judged: &Samples,
    unsaved: Unsaved,
) -> Result<Comparison, TrainError> {
    let labels = judged.labels();
    let design = Design {
        groups: judged.groups(),
        dealings: &unsaved.dealings,
    };
    let judges = Judges { labels, design };
    let heads = unsaved.unjudged.into_iter().map(|head| judges.judge(head));
    let heads = heads.collect::<Result<Vec<_>, _>>()?;
    let trained = training.samples;
    let mut floors = vec![Floor::majority(
        trained.labels(),
        labels,
        trained.n_classes(),
        &design,
    )?];
    if let Some(head) = unsaved.floor.and_then(|head| judges.judge(head).ok()) {
        floors.push(Floor::of(head.title(), &head.evaluation));
    }
    let difference = match heads.as_slice() {
        [first, second] => match (&first.runs, &second.runs) {
            (Some(first), Some(second)) => Some(Difference::new(first, second, &design)?),
            _ => None,
        },
        _ => None,
    };
    let kinds: Vec<_> = heads.iter().map(|head| head.kind).collect();
    let n_groups = |groups: Option<&[usize]>| Some(groups?.iter().max()? + 1);
    Ok(Comparison {
        classes: stores.train.classes().to_vec(),
        pictures: stores
            .judging()
            .pictures()
            .iter()
            .map(|row| row.path.to_string())
            .collect(),
        labels: labels.to_vec(),
        groups: judged.groups().map(<[usize]>::to_vec),
        n_train: trained.len(),
        n_train_groups: n_groups(trained.groups()),
        difference,
        is_of_before: false,
        test_store: None,
        floors,
        overlap: stores.overlap()?,
        learning_curve: unsaved.learning_curve,
        views: None,
        recommended: Recommendation::of(&kinds, unsaved.log_losses),
        heads,
        failed: unsaved.failed,
        interrupted: training.watch.is_stopped(),
        dealings: unsaved.dealings,
    })
}
