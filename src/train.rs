//! From stores to trained, evaluated and compared heads.
//!
//! ```text
//! options            what is trained, how, and how it is evaluated
//! stores             the stores, and checks that heads can be trained and evaluated on them
//! cross_validation   logits for every sample, from heads that were not trained on it
//! tuning             settings chosen by cross-validation
//! view               the choice of pooling, layers and scaling of the codes, made in the same way
//! trunks             several trunks' codes of the same pictures, compared with the same heads
//! learning_curve     accuracy by the number of training pictures
//! scaled             samples read through a scaling fitted to them
//! progress           reports on stages, fits and epochs
//! judgement          logits -> probabilities -> results
//! training           the heads, chosen, trained and ready for evaluation
//! workers            many fits in parallel
//! result             results, provenance, and the files that hold them
//! evaluation         existing heads, evaluated on held-out pictures
//! trained            the result of a training, and how it is saved
//! label_errors       labels that the codes contradict
//! review             pictures worth reviewing, and the effect of corrected labels
//! ```
//!
//! A HEAD, as [`Trained::save`] writes it, holds:
//!
//! ```text
//! head.json, and a file of weights for each head (see `head::saved`)
//! history.csv        the MLP's learning curve
//! metrics.json       the comparison, for programs
//! predictions.csv    a row for each evaluated picture and head
//! provenance.json    the stores, the command, the variance explained by the map in pictures.csv
//! relabel.csv        the corrected labels used in training, if any (written by the program)
//! pictures.csv       hash of each evaluated picture and its position on the map of codes
//! report.html        everything for people, as rendered by the caller
//! ```
//!
//! # Which pictures evaluate the heads
//! Pictures that evaluate the heads choose nothing: not the settings, not the epoch, not the
//! temperature. With a validation store, all of these are chosen on the training store. Without
//! one, the heads are evaluated in folds of the training store. For each fold they are trained and
//! tuned on the other folds, with a temperature fitted to the other folds' logits. The heads that
//! are kept are then trained on the whole store. Groups of pictures are never divided.

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

/// Refuses stores and options with which no head can be trained, before any work; [`train`] also
/// calls it.
///
/// # Errors
/// [`TrainError`], for the first problem.
pub fn check(
    train: &Store,
    validation: Option<&Store>,
    options: &TrainOptions,
) -> Result<(), TrainError> {
    Stores { train, validation }.check()?;
    let checked = options.validate();
    checked.map_err(|error| FitError::from(error).on(train.dir()))
}

/// Trains the heads on `train`, and evaluates them on `validation`, or in folds of `train` without
/// it. Writes nothing.
///
/// The same stores, options and kind of processor give the same heads and predictions to the byte;
/// training times differ.
///
/// If a head fails, by diverging or because a dependency panics, the others are kept, and
/// [`Comparison::failed`] names the failed one.
///
/// If `watch` stops the job while a final head is trained, or later, nothing more is started, and
/// the heads trained so far are evaluated.
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
    // Checked before the result, heads or an error, is believed.
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

/// Evaluates the heads on these samples of the evaluation store.
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
