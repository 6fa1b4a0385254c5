//! Stores to trained heads and their comparison, in a HEAD directory.
//!
//! ```text
//! options            what is trained, how, how it is judged
//! splits             stratified folds; a share that is held out
//! cross_validation   logits for every sample, from heads that were not trained on it
//! tuning             settings chosen by those
//! fit                one fit of each head
//! judgement          logits -> probabilities -> results
//! training           the heads, chosen, trained and ready to be judged
//! workers            many fits at once
//! doubts             labels that the codes speak against
//! ```
//!
//! HEAD holds:
//!
//! ```text
//! head.json, mlp.safetensors, logistic.safetensors   the heads (see `head::saved`)
//! history.csv        the MLP's learning curve
//! metrics.json       the comparison, for programs
//! predictions.csv    a row for each judged picture and head
//! provenance.json    the stores, the command, what the map of pictures.csv explains
//! pictures.csv       hash of each judged picture and its place on the map of codes
//! report.html        all of it, for people, made of the files before
//! ```
//!
//! # What is judged on what
//! The pictures that judge the heads choose nothing: not the settings, not the epoch, not the
//! temperature. With a validation store all of these are chosen on the training store. Without one
//! the heads are judged in folds of the training store, each by heads that were trained, tuned and
//! calibrated on the other folds, and the heads that are kept are then trained on all of it.

mod cross_validation;
mod doubts;
mod error;
mod fit;
mod judgement;
mod options;
mod progress;
mod splits;
mod training;
mod tuning;
mod workers;

use std::path::Path;

use self::error::FitError;
use self::judgement::Judges;
use self::training::Training;
use crate::codes::{Manifest, Store};
use crate::files::Draft;
use crate::head::saved::{self, SavedHead, SavedHeadError};
use crate::head::{HeadError, Samples};
use crate::report::{Comparison, PairedTests, Provenance, write_judgement};

pub use self::doubts::{Doubt, DoubtOptions, Reason, doubts};
pub use self::error::TrainError;
pub use self::options::{HeadOptions, TrainOptions};
pub use self::progress::Progress;

/// Trains the heads on `train`, judges them on `validation`, or in folds of `train` where there is
/// none, and leaves all of it at `out`.
///
/// The same stores, options and kind of processor give the same heads and predictions to the byte;
/// metrics.json differs in its training times.
///
/// A head that fails, by diverging or by a panic of a dependency, does not take the other along:
/// that one is left, and [`Comparison::failed`] tells of the first.
///
/// When `progress` asks to stop while the MLP that is kept is trained, or after that, nothing more
/// is begun, and what is there is judged and left; beside `out`, if a head is there that it would
/// replace.
///
/// # Errors
/// [`TrainError`]; `out` is then as it was before, and a head that was trained is kept beside it.
pub fn train<'s>(
    train: &'s Store,
    validation: Option<&'s Store>,
    options: &TrainOptions,
    out: &Path,
    progress: &dyn Progress,
) -> Result<Comparison, TrainError> {
    for store in [Some(train), validation].into_iter().flatten() {
        check_labels(store)?;
    }
    if let Some(validation) = validation {
        check_pair(train, validation)?;
    }
    check_classes(train)?;
    let on_train = |error: FitError| error.on(train.dir());
    options.validate().map_err(|error| on_train(error.into()))?;
    let draft = Draft::begin(out, saved::KIND, options.existing)?;
    let samples = samples(train)?;
    let validation_samples = validation.map(self::samples).transpose()?;
    let training = Training {
        samples: &samples,
        options,
        progress,
    };
    let scaled = training.scale().map_err(on_train)?;
    let scaled_validation = match (validation, validation_samples) {
        (Some(store), Some(samples)) => {
            let scaled = samples.scaled(scaled.scaling.clone());
            Some(scaled.map_err(|error| FitError::from(error).on(store.dir()))?)
        }
        _ => None,
    };
    let trained = training.train(&scaled.samples, scaled_validation.as_ref());
    // Before what came of it is believed, be it heads or an error.
    check_unchanged(train, validation)?;
    let trained = trained.map_err(on_train)?;

    let judges = Judges {
        labels: scaled_validation.as_ref().unwrap_or(&samples).labels(),
        folds: trained.folds.as_deref(),
    };
    let heads = trained.unjudged.into_iter().map(|head| judges.judge(head));
    let heads = heads.collect::<Result<Vec<_>, _>>()?;
    let comparison = Comparison {
        classes: train.manifest().classes.clone(),
        pictures: paths(validation.unwrap_or(train)),
        labels: judges.labels.to_vec(),
        n_train: samples.len(),
        paired: PairedTests::of(&heads)?,
        heads,
        failed: trained.failed,
        interrupted: progress.is_stopped(),
        folds: trained.folds,
    };
    let head = SavedHead {
        codes: train.manifest().codes.clone(),
        classes: train.manifest().classes.clone(),
        scaling: scaled.scaling,
        mlp: trained.mlp,
        logistic: trained.logistic,
    };
    let (mut provenance, judged_pictures) = Provenance::new(
        train,
        validation,
        scaled_validation.as_ref().unwrap_or(&scaled.samples),
        options.command.clone(),
        options.pictures.as_deref(),
    );
    let root = provenance.root().map(Path::to_owned);
    if !options.names_folders {
        provenance.forget_folders();
    }
    check_read(train, &scaled.samples)?;
    if let (Some(store), Some(samples)) = (validation, &scaled_validation) {
        check_read(store, samples)?;
    }
    check_unchanged(train, validation)?;
    let tell = |dir: &Path| -> Result<(), TrainError> {
        if head.mlp.is_some() {
            saved::write_history(dir, &trained.history)?;
        }
        Ok(write_judgement(
            dir,
            &comparison,
            &provenance,
            &judged_pictures,
            root.as_deref(),
        )?)
    };
    leave(draft, &head, comparison.interrupted, tell)?;
    Ok(comparison)
}

/// Writes all files of HEAD and publishes it; `tell` writes those that tell of the heads. A trained
/// head is never thrown away: where the rest fails, or where it is half-trained and would replace
/// another, it is kept beside HEAD.
fn leave(
    draft: Draft,
    head: &SavedHead,
    is_interrupted: bool,
    tell: impl FnOnce(&Path) -> Result<(), TrainError>,
) -> Result<(), TrainError> {
    if let Err(error) = head.write_into(draft.path()) {
        return Err(keep_elsewhere(head, error));
    }
    if let Err(error) = tell(draft.path()) {
        return Err(TrainError::Kept {
            why: Box::new(error),
            kept: draft.set_aside(),
        });
    }
    if is_interrupted && draft.replaces() {
        return Err(TrainError::Interrupted {
            out: draft.target().to_owned(),
            kept: draft.set_aside(),
        });
    }
    Ok(draft.publish()?)
}

/// Keeps a head in the system's folder for temporary files, as its own disk takes no more.
fn keep_elsewhere(head: &SavedHead, error: SavedHeadError) -> TrainError {
    let folder = tempfile::Builder::new().prefix("cnn-codes-head-").tempdir();
    match folder {
        Ok(folder) if head.write_into(folder.path()).is_ok() => TrainError::Kept {
            why: Box::new(error.into()),
            kept: folder.keep(),
        },
        _ => error.into(),
    }
}

/// Refuses stores that were written to since they were opened.
fn check_unchanged(train: &Store, validation: Option<&Store>) -> Result<(), TrainError> {
    let mut stores = [Some(train), validation].into_iter().flatten();
    Ok(stores.try_for_each(Store::check_unchanged)?)
}

/// Refuses what was made of codes that could not be read.
fn check_read(store: &Store, samples: &Samples) -> Result<(), TrainError> {
    let read = samples.codes().check();
    read.map_err(|error| FitError::from(error).on(store.dir()))
}

fn samples(store: &Store) -> Result<Samples<'_>, TrainError> {
    Samples::of_store(store).map_err(|error| FitError::from(error).on(store.dir()))
}

/// Refuses a store of unlabelled pictures.
fn check_labels(store: &Store) -> Result<(), TrainError> {
    match store.labels() {
        Some(_) => Ok(()),
        None => Err(FitError::from(HeadError::Unlabelled).on(store.dir())),
    }
}

fn paths(store: &Store) -> Vec<String> {
    let rows = store.pictures().iter();
    rows.map(|row| row.path.to_string()).collect()
}

/// Refuses stores whose codes mean different things, or whose classes differ.
fn check_pair(train: &Store, validation: &Store) -> Result<(), TrainError> {
    let (ours, theirs) = (train.manifest(), validation.manifest());
    let reason = match ours.codes.difference(&theirs.codes) {
        Some(difference) => format!("{difference}; extract both with the same options"),
        None if ours.classes != theirs.classes => format!(
            "the classes differ: {} and {}; both need the same class folders",
            ours.classes.join(", "),
            theirs.classes.join(", ")
        ),
        None => return Ok(()),
    };
    Err(TrainError::Mismatch {
        train: train.dir().to_owned(),
        validation: validation.dir().to_owned(),
        reason,
    })
}

/// Refuses a store of one class by the class's name.
fn check_classes(train: &Store) -> Result<(), TrainError> {
    let Manifest {
        classes, counts, ..
    } = train.manifest();
    let mut present = classes
        .iter()
        .zip(&counts.per_class)
        .filter(|&(_, &n)| n > 0);
    match (present.next(), present.next()) {
        (Some((class, _)), None) => Err(TrainError::OneClass {
            store: train.dir().to_owned(),
            class: class.clone(),
        }),
        _ => Ok(()),
    }
}
