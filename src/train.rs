//! Two stores to trained heads and their comparison, in a HEAD directory.
//!
//! ```text
//! head.json, mlp.safetensors, logistic.safetensors   the heads (see `head::saved`)
//! history.csv        the MLP's learning curve
//! metrics.json       the comparison, for programs
//! predictions.csv    a row for each validation picture and head
//! ```

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ndarray::Array2;

use crate::codes::{Manifest, Store};
use crate::draft::{Draft, DraftError, Existing};
use crate::evaluate::{EvaluateError, Evaluation, mcnemar_exact};
use crate::head::logistic::{Logistic, LogisticOptions};
use crate::head::mlp::{Epoch, Mlp, MlpOptions, Monitored, TrainedMlp, Watch};
use crate::head::saved::{self, SavedHead, SavedHeadError, SavedLogistic, SavedMlp};
use crate::head::scaling::{Scaling, ScalingKind};
use crate::head::{HeadError, Samples, probabilities};
use crate::report::{Comparison, HeadResult, write_predictions};

/// The comparison for programs, inside a HEAD directory.
pub const METRICS: &str = "metrics.json";
/// Every validation picture and head, inside a HEAD directory.
pub const PREDICTIONS: &str = "predictions.csv";

/// What to train, and how.
#[derive(Clone, Debug)]
pub struct TrainOptions {
    /// The MLP, unless it is left out.
    pub mlp: Option<MlpOptions>,
    /// The logistic regression, unless it is left out.
    pub logistic: Option<LogisticOptions>,
    /// How the codes are scaled before training, by statistics of the training store alone.
    pub scaling: ScalingKind,
    /// What to do about a HEAD that is there already.
    pub existing: Existing,
}

/// Why nothing was trained, or nothing was left.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The stores do not belong together.
    #[error("{} and {} do not belong together: {reason}", train.display(), validation.display())]
    Mismatch {
        /// The training store.
        train: PathBuf,
        /// The validation store.
        validation: PathBuf,
        /// What differs, and what to do about it.
        reason: String,
    },
    /// A store's pictures have no labels.
    #[error("the pictures of {} have no labels, so a head can neither be trained nor judged on them; extract them from class folders, or from a table with labels", store.display())]
    Unlabelled {
        /// The store.
        store: PathBuf,
    },
    /// The training store holds one class only.
    #[error("{} has pictures of one class only, '{class}'; a head needs two or more", store.display())]
    OneClass {
        /// The training store.
        store: PathBuf,
        /// The class.
        class: String,
    },
    /// A store's codes, or the options, cannot be used for training.
    #[error("{}: {source}", store.display())]
    Head {
        /// The training or the validation store.
        store: PathBuf,
        /// What is wrong.
        source: HeadError,
    },
    /// A head's predictions cannot be judged.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    /// HEAD is not free or not writable.
    #[error(transparent)]
    Draft(#[from] DraftError),
    /// A head could not be saved.
    #[error(transparent)]
    Save(#[from] SavedHeadError),
    /// A table could not be written.
    #[error("cannot write {}: {source}; nothing was left behind", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
}

/// The codes of both stores, checked.
struct Data<'a> {
    train: Samples<'a>,
    validation: Samples<'a>,
}

/// Trains the heads on `train`, judges them on `validation`, and leaves all of it at `out`.
///
/// The validation codes are never trained on. The same stores, options and kind of processor give
/// the same heads and predictions to the byte; metrics.json differs in its training times.
///
/// # Errors
/// [`TrainError`]; `out` is then as it was before.
pub fn train(
    train: &Store,
    validation: &Store,
    options: &TrainOptions,
    out: &Path,
    on_epoch: &mut dyn FnMut(&Epoch),
) -> Result<Comparison, TrainError> {
    let labels = (labels(train)?, labels(validation)?);
    check_pair(train, validation)?;
    check_classes(train)?;
    let draft = Draft::begin(out, saved::KIND, options.existing)?;
    let (mut train_codes, mut validation_codes) = (train.read_codes(), validation.read_codes());
    let failed = |source| TrainError::Head {
        store: train.dir().to_owned(),
        source,
    };
    let scaling = Scaling::fit(options.scaling, &samples(train, &train_codes, labels.0)?);
    if options.scaling != ScalingKind::None {
        // What is not finite after scaling is said of the store that it comes from.
        samples(validation, &validation_codes, labels.1)?;
        train_codes = scaling.apply(train_codes.view()).map_err(failed)?;
        validation_codes = scaling.apply(validation_codes.view()).map_err(failed)?;
    }
    let data = Data {
        train: samples(train, &train_codes, labels.0)?,
        validation: samples(validation, &validation_codes, labels.1)?,
    };
    let mut head = SavedHead {
        codes: train.manifest().codes.clone(),
        classes: train.manifest().classes.clone(),
        scaling,
        mlp: None,
        logistic: None,
    };
    let mut results = Vec::new();
    if let Some(options) = &options.mlp {
        let (fit, time) = timed(|| fit_mlp(&data, options, on_epoch)).map_err(failed)?;
        let proba = fit.mlp.logits(data.validation.codes()).map_err(failed)?;
        let proba = probabilities(proba, 1.0);
        results.push(judge("mlp", proba, &data, time, mlp_remark(&fit, options))?);
        saved::write_history(draft.path(), &fit.history)?;
        head.mlp = Some(SavedMlp {
            model: fit.mlp,
            options: options.clone(),
        });
    }
    if let Some(options) = &options.logistic {
        let (fit, time) = timed(|| Logistic::fit(&data.train, options)).map_err(failed)?;
        let proba = fit.model.logits(data.validation.codes()).map_err(failed)?;
        let proba = probabilities(proba, 1.0);
        let remark = fit.convergence.explanation.clone();
        results.push(judge("logistic", proba, &data, time, remark)?);
        head.logistic = Some(SavedLogistic {
            model: fit.model,
            options: *options,
            convergence: fit.convergence,
        });
    }
    let comparison = compare(train.manifest(), validation, &data, results)?;
    head.write_into(draft.path())?;
    write(&draft.path().join(PREDICTIONS), |file| {
        write_predictions(&comparison, file)
    })?;
    write(&draft.path().join(METRICS), |mut file| {
        writeln!(file, "{:#}", comparison.to_json())
    })?;
    draft.publish()?;
    Ok(comparison)
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

fn labels(store: &Store) -> Result<&[usize], TrainError> {
    store.labels().ok_or_else(|| TrainError::Unlabelled {
        store: store.dir().to_owned(),
    })
}

fn samples<'a>(
    store: &Store,
    codes: &'a Array2<f32>,
    labels: &'a [usize],
) -> Result<Samples<'a>, TrainError> {
    let n_classes = store.manifest().classes.len();
    Samples::new(codes.view(), labels, n_classes).map_err(|source| TrainError::Head {
        store: store.dir().to_owned(),
        source,
    })
}

/// Tells of epochs, and lets training go on.
struct OnEpoch<'a>(&'a mut dyn FnMut(&Epoch));

impl Watch for OnEpoch<'_> {
    fn epoch(&mut self, epoch: &Epoch) {
        (self.0)(epoch);
    }
}

fn fit_mlp(
    data: &Data,
    options: &MlpOptions,
    on_epoch: &mut dyn FnMut(&Epoch),
) -> Result<TrainedMlp, HeadError> {
    let monitored = Monitored {
        validation: Some(&data.validation),
        ..Monitored::default()
    };
    Mlp::fit(&data.train, &monitored, options, &mut OnEpoch(on_epoch))
}

fn timed<T, E>(work: impl FnOnce() -> Result<T, E>) -> Result<(T, Duration), E> {
    let start = Instant::now();
    let done = work()?;
    Ok((done, start.elapsed()))
}

fn mlp_remark(fit: &TrainedMlp, options: &MlpOptions) -> String {
    let last = fit.history.last();
    let loss = last.map_or(f64::NAN, |epoch| epoch.loss);
    format!(
        "trained for {} epochs, seed {}; last training loss {loss:.4}",
        fit.history.len(),
        options.seed
    )
}

fn judge(
    name: &'static str,
    probabilities: Array2<f32>,
    data: &Data,
    training_time: Duration,
    remark: String,
) -> Result<HeadResult, TrainError> {
    Ok(HeadResult {
        name,
        evaluation: Evaluation::new(probabilities.view(), data.validation.labels())?,
        probabilities,
        training_time,
        remark,
    })
}

fn compare(
    train: &Manifest,
    validation: &Store,
    data: &Data,
    heads: Vec<HeadResult>,
) -> Result<Comparison, TrainError> {
    let mcnemar = match heads.as_slice() {
        [a, b] => Some(mcnemar_exact(
            &a.evaluation.correct(),
            &b.evaluation.correct(),
        )?),
        _ => None,
    };
    Ok(Comparison {
        classes: train.classes.clone(),
        pictures: validation
            .pictures()
            .iter()
            .map(|row| row.path.to_string())
            .collect(),
        labels: data.validation.labels().to_vec(),
        n_train: train.counts.pictures,
        heads,
        mcnemar,
    })
}

/// Creates a file, fills it and syncs it.
fn write(path: &Path, fill: impl FnOnce(&File) -> io::Result<()>) -> Result<(), TrainError> {
    File::create_new(path)
        .and_then(|file| fill(&file).and_then(|()| file.sync_all()))
        .map_err(|source| TrainError::Write {
            path: path.to_owned(),
            source,
        })
}
