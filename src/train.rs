//! Stores to trained heads and their comparison, in a HEAD directory.
//!
//! ```text
//! options            what is trained, how, how it is judged
//! stores             the stores, and whether heads can be trained and judged on them
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
mod stores;
mod training;
mod tuning;
mod workers;

use std::path::{Path, PathBuf};

use self::error::FitError;
use self::judgement::Judges;
use self::stores::Stores;
use self::training::{Trained, Training};
use crate::codes::Store;
use crate::files::Draft;
use crate::head::Samples;
use crate::head::saved::{self, SavedHead, SavedHeadError};
use crate::report::{Comparison, JudgedPicture, PairedTests, Provenance, write_judgement};

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
/// is begun, and the heads so far are judged and left at `out`. Where they would replace another
/// head, they are left beside it.
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
    let stores = Stores { train, validation };
    stores.check()?;
    let on_train = |error: FitError| error.on(train.dir());
    options.validate().map_err(|error| on_train(error.into()))?;
    let draft = Draft::begin(out, saved::KIND, options.existing)?;
    let samples = stores::samples(train)?;
    let validation_samples = validation.map(stores::samples).transpose()?;
    let training = Training {
        samples: &samples,
        options,
        progress,
    };
    let scaled = training.scale().map_err(on_train)?;
    let scaled_validation = validation
        .zip(validation_samples)
        .map(|(store, samples)| stores::scaled(store, &samples, &scaled.scaling))
        .transpose()?;
    let trained = training.train(&scaled.samples, scaled_validation.as_ref());
    // Before what came of it is believed, be it heads or an error.
    stores.check_unchanged()?;
    let mut trained = trained.map_err(on_train)?;

    let head = SavedHead {
        codes: train.codes_identity().clone(),
        classes: train.classes().to_vec(),
        scaling: scaled.scaling,
        mlp: trained.mlp.take(),
        logistic: trained.logistic.take(),
    };
    let history = std::mem::take(&mut trained.history);
    let judged = scaled_validation.as_ref().unwrap_or(&scaled.samples);
    let comparison = compare(&training, stores, judged.labels(), trained)?;
    let origin = Origin::of(stores, judged, options);
    stores.check_read(&scaled.samples, scaled_validation.as_ref())?;
    stores.check_unchanged()?;
    let tell = |dir: &Path| {
        if head.mlp.is_some() {
            saved::write_history(dir, &history)?;
        }
        origin.write(dir, &comparison)
    };
    leave(draft, &head, comparison.interrupted, tell)?;
    Ok(comparison)
}

/// Judges the heads on the pictures with these `labels`, in the order of the store that judges.
fn compare(
    training: &Training,
    stores: Stores,
    labels: &[usize],
    trained: Trained,
) -> Result<Comparison, TrainError> {
    let judges = Judges {
        labels,
        folds: trained.folds.as_deref(),
    };
    let heads = trained.unjudged.into_iter().map(|head| judges.judge(head));
    let heads = heads.collect::<Result<Vec<_>, _>>()?;
    Ok(Comparison {
        classes: stores.train.classes().to_vec(),
        pictures: stores
            .judging()
            .pictures()
            .iter()
            .map(|row| row.path.to_string())
            .collect(),
        labels: labels.to_vec(),
        n_train: training.samples.len(),
        paired: PairedTests::of(&heads)?,
        heads,
        failed: trained.failed,
        interrupted: training.progress.is_stopped(),
        folds: trained.folds,
    })
}

/// Where heads come from, for the files that tell of them.
struct Origin {
    provenance: Provenance,
    judged: Vec<JudgedPicture>,
    /// The folder of the judged pictures, also where no file may name it.
    root: Option<PathBuf>,
}

impl Origin {
    /// `judged` are the codes that judged the heads, as the heads saw them.
    fn of(stores: Stores, judged: &Samples, options: &TrainOptions) -> Self {
        let (mut provenance, judged) = Provenance::new(
            stores.train,
            stores.validation,
            judged,
            options.command.clone(),
            options.pictures.as_deref(),
        );
        let root = provenance.root().map(Path::to_owned);
        if !options.names_folders {
            provenance.forget_folders();
        }
        Self {
            provenance,
            judged,
            root,
        }
    }

    fn write(&self, dir: &Path, comparison: &Comparison) -> Result<(), TrainError> {
        let root = self.root.as_deref();
        Ok(write_judgement(
            dir,
            comparison,
            &self.provenance,
            &self.judged,
            root,
        )?)
    }
}

/// Writes all files of HEAD and publishes it; `tell` writes the files besides the heads. A trained
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
