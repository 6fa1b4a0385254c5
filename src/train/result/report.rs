//! The report of a HEAD: of a training, or read from a HEAD's files.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ndarray::Array2;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::files::{JUDGED_PICTURES, METRICS, PREDICTIONS, PROVENANCE, write_judgement};
use super::judged_pictures::Mapped;
use super::provenance::{FORMAT, StoreProvenance};
use super::{
    Calibration, Comparison, FailedHead, Floor, HeadResult, JudgedPicture, LearningCurve, Origin,
    Overlap, Provenance, Recommendation, Tuning, ViewsBrought,
};
use crate::codes::Store;
use crate::evaluate::{
    Abstention, Abstentions, Answered, Correctness, Design, Difference, EvaluateError, Evaluation,
    Spread,
};
use crate::files::{Open, regular};
use crate::head::saved::{self, HISTORY, HeadManifest, SavedHead, SavedHeadError};
use crate::head::{Epoch, HeadKind, Samples};
use crate::train::{TrainError, Trained};

/// Why the report could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The heads cannot be read.
    #[error("{0}")]
    Head(#[from] SavedHeadError),
    /// A file that the report needs does not exist.
    #[error("{} is not there, and the report is made of it", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A file is damaged, or two files contradict each other.
    #[error("{} cannot be used: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// The report of a HEAD, without the pictures themselves.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// The heads' results.
    pub comparison: Comparison,
    /// The MLP's learning curve; empty without an MLP.
    pub history: Vec<Epoch>,
    /// The evaluated pictures, in row order.
    pub pictures: Vec<JudgedPicture>,
    /// The provenance of the heads.
    pub provenance: Provenance,
    /// Everything about the heads but their weights.
    pub heads: HeadManifest,
}

/// The part of metrics.json that is read; the rest follows from the predictions.
#[derive(Deserialize)]
struct Metrics {
    training_pictures: usize,
    interrupted: bool,
    heads: BTreeMap<String, HeadMetrics>,
    #[serde(default)]
    training_groups: Option<usize>,
    /// Older HEADs have one or none.
    #[serde(default)]
    floors: Vec<Floor>,
    #[serde(default)]
    floor: Option<Floor>,
    /// Older HEADs have another test, which is computed again.
    #[serde(default)]
    difference: Option<Difference>,
    #[serde(default)]
    in_both_stores: Option<Overlap>,
    #[serde(default)]
    learning_curve: Option<LearningCurve>,
    #[serde(default)]
    views: Option<ViewsBrought>,
    #[serde(default)]
    recommended: Option<Recommendation>,
    /// Why heads could not be trained, by name.
    #[serde(default)]
    failed: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct HeadMetrics {
    #[serde(default)]
    seed: Option<u64>,
    accuracy_by_fold: Option<Spread>,
    errors_by_seed: Option<Spread>,
    tuning: Option<Tuning>,
    calibration: Option<Calibration>,
    #[serde(default)]
    abstentions: Vec<Abstention>,
    #[serde(default)]
    risk_coverage: Vec<Answered>,
    training_seconds: f64,
    remark: String,
}

/// predictions.csv, head by head.
struct Predictions {
    classes: Vec<String>,
    pictures: Vec<String>,
    labels: Vec<usize>,
    groups: Vec<Option<usize>>,
    /// Fold of each picture, for each dealing.
    folds: Vec<Vec<usize>>,
    heads: Vec<HeadPredictions>,
}

/// One head's predictions for each picture.
struct HeadPredictions {
    name: String,
    /// Row after row.
    probabilities: Vec<f32>,
    /// Share of the runs in which it was right, if it was recorded.
    right: Vec<Option<f64>>,
}

/// Columns of predictions.csv before the probabilities.
#[derive(Deserialize)]
struct PredictionRow {
    row: usize,
    path: String,
    label: String,
    #[serde(default)]
    group: Option<usize>,
    fold: String,
    head: String,
    #[serde(default)]
    right: Option<f64>,
}

impl Report {
    /// The report of newly trained heads.
    #[must_use]
    pub(crate) fn of(trained: &Trained, origin: &Origin) -> Self {
        Self {
            comparison: trained.comparison.clone(),
            history: trained.history.clone(),
            pictures: origin.pictures.clone(),
            provenance: origin.provenance.clone(),
            heads: trained.heads.manifest(),
        }
    }

    /// Reads the files of the HEAD at `dir`, all but the weights, and checks them against each other.
    ///
    /// # Errors
    /// [`ReportError`], with the file.
    pub fn read(dir: &Path) -> Result<Self, ReportError> {
        Self::read_from(dir, &regular::open_boxed)
    }

    /// Reads a HEAD as [`Report::read`] does, from files that `open` opens; see
    /// [`SavedHead::load_from`](crate::head::saved::SavedHead::load_from).
    ///
    /// # Errors
    /// As [`Report::read`].
    pub fn read_from(dir: &Path, open: Open) -> Result<Self, ReportError> {
        let heads = HeadManifest::read_from(dir, open)?;
        let comparison = read_comparison(dir, open, &heads.classes)?;
        let history = match heads.of_kind(HeadKind::Mlp) {
            Some(_) => read_history(&dir.join(HISTORY), open)?,
            None => Vec::new(),
        };
        let path = dir.join(JUDGED_PICTURES);
        let pictures = read_judged_pictures(&path, open)?;
        if pictures.len() != comparison.pictures.len() {
            let [here, there] = [pictures.len(), comparison.pictures.len()];
            let reason = format!("it has {here} pictures, and {PREDICTIONS} has {there}");
            return Err(damaged(&path)(reason));
        }
        let path = dir.join(PROVENANCE);
        let provenance: Provenance = read_json(&path, open)?;
        if provenance.format != FORMAT {
            let found = provenance.format;
            let reason = format!("it has format {found}, and this version reads format {FORMAT}");
            return Err(damaged(&path)(reason));
        }
        Ok(Self {
            comparison,
            history,
            pictures,
            provenance,
            heads,
        })
    }

    /// The report of the same heads, evaluated again on `store`; `judged` holds its samples as the
    /// heads read them.
    pub(in crate::train) fn judged_anew(
        &self,
        comparison: Comparison,
        store: &Store,
        judged: &Samples,
        pictures: Option<&Path>,
    ) -> Self {
        let mapped = Mapped::of(store, judged);
        let mut provenance = self.provenance.clone();
        provenance.validation = Some(StoreProvenance::of(store, pictures));
        provenance.explained_variance = mapped.explained_variance;
        Self {
            comparison,
            history: self.history.clone(),
            pictures: mapped.pictures,
            provenance,
            heads: self.heads.clone(),
        }
    }

    /// The same report for other heads, which a command made from `train`. If the heads themselves
    /// changed, `tuned` has the confidences that their answers need, and the training of the old
    /// heads is left out.
    pub(crate) fn retold(
        mut self,
        heads: &SavedHead,
        tuned: Option<&Abstentions>,
        command: Option<String>,
        train: &Store,
    ) -> Self {
        self.heads = heads.manifest();
        self.comparison.recommended = None;
        if let Some(abstentions) = tuned {
            self.history.clear();
            for head in &mut self.comparison.heads {
                head.abstentions = abstentions.clone();
                head.remark.clear();
            }
        }
        self.comparison.n_train = train.pictures().len();
        self.provenance.command = command;
        self.provenance.train = StoreProvenance::of(train, None);
        self
    }

    /// Writes the report files of a HEAD, all but report.html.
    ///
    /// # Errors
    /// [`TrainError::Write`] or [`TrainError::Save`], with the file.
    pub(crate) fn write_into(&self, dir: &Path) -> Result<(), TrainError> {
        if self.heads.of_kind(HeadKind::Mlp).is_some() {
            saved::write_history(dir, &self.history)?;
        }
        let origin = Origin {
            provenance: self.provenance.clone(),
            pictures: self.pictures.clone(),
            root: self.provenance.root().map(Path::to_owned),
        };
        write_judgement(dir, &self.comparison, &origin)
    }

    /// The folder of the evaluated pictures, if the HEAD records it.
    #[must_use]
    pub fn pictures_folder(&self) -> Option<PathBuf> {
        self.provenance.root().map(Path::to_owned)
    }

    /// Removes the locations of folders from the report, and the command that trained the heads.
    pub fn forget_folders(&mut self) {
        self.provenance.forget_folders();
        self.provenance.command = None;
    }
}

fn read_comparison(dir: &Path, open: Open, classes: &[String]) -> Result<Comparison, ReportError> {
    let path = dir.join(PREDICTIONS);
    let predictions = read_predictions(&path, open)?;
    let metrics_path = dir.join(METRICS);
    let mut metrics: Metrics = read_json(&metrics_path, open)?;
    if predictions.classes != classes {
        return Err(damaged(&path)("its classes are not the head's".to_owned()));
    }
    let shape = (predictions.pictures.len(), classes.len());
    let groups: Option<Vec<_>> = predictions.groups.iter().copied().collect();
    if groups.iter().flatten().any(|&group| group >= shape.0) {
        return Err(damaged(&path)(
            "it has more groups than pictures".to_owned(),
        ));
    }
    let dealings = dealings(&predictions.folds).map_err(damaged(&path))?;
    let design = Design {
        groups: groups.as_deref(),
        dealings: &dealings,
    };
    let mut heads = Vec::new();
    for told in predictions.heads {
        let name = &told.name;
        let lacks = || damaged(&path)(format!("{name} lacks predictions of some pictures"));
        let probabilities =
            Array2::from_shape_vec(shape, told.probabilities).map_err(|_| lacks())?;
        let metrics = metrics.heads.remove(name).ok_or_else(|| {
            damaged(&metrics_path)(format!("it lacks the head {name} of {PREDICTIONS}"))
        })?;
        let head = metrics.judged(
            name,
            probabilities,
            told.right,
            &predictions.labels,
            &design,
        );
        heads.push(head.map_err(damaged(&metrics_path))?);
    }
    let is_of_before = metrics.difference.is_none() && heads.len() == 2;
    let difference = match metrics.difference {
        Some(told) => Some(told),
        None => difference(&heads, &design).map_err(|error| damaged(&path)(error.to_string()))?,
    };
    let n_pictures = predictions.labels.len();
    if let Some(Overlap { rows }) = &metrics.in_both_stores
        && (rows.len() >= n_pictures
            || !rows.is_sorted_by(|a, b| a < b)
            || rows.last() >= Some(&n_pictures))
    {
        return Err(damaged(&metrics_path)(
            "its pictures of both stores are not there".to_owned(),
        ));
    }
    Ok(Comparison {
        classes: predictions.classes,
        pictures: predictions.pictures,
        labels: predictions.labels,
        groups,
        dealings,
        n_train: metrics.training_pictures,
        n_train_groups: metrics.training_groups,
        failed: (metrics.failed.into_iter())
            .map(|(name, reason)| FailedHead { name, reason })
            .collect(),
        difference,
        is_of_before,
        test_store: None,
        heads,
        floors: metrics.floors.into_iter().chain(metrics.floor).collect(),
        overlap: metrics.in_both_stores,
        learning_curve: metrics.learning_curve,
        views: metrics.views,
        recommended: metrics.recommended,
        interrupted: metrics.interrupted,
    })
}

/// The difference of two heads of an older HEAD, from the single run of each.
fn difference(heads: &[HeadResult], design: &Design) -> Result<Option<Difference>, EvaluateError> {
    let [first, second] = heads else {
        return Ok(None);
    };
    let of = |head: &HeadResult| Correctness::new(vec![head.evaluation.correct()]);
    Difference::new(&of(first)?, &of(second)?, design).map(Some)
}

/// Folds by dealing, from folds by picture.
fn dealings(of_pictures: &[Vec<usize>]) -> Result<Vec<Vec<usize>>, String> {
    let n = of_pictures.first().map_or(0, Vec::len);
    if of_pictures.iter().any(|folds| folds.len() != n) {
        return Err("pictures are in different numbers of folds".to_owned());
    }
    let dealing =
        |index: usize| -> Vec<usize> { of_pictures.iter().map(|folds| folds[index]).collect() };
    let dealings: Vec<_> = (0..n).map(dealing).collect();
    let is_sound = |folds: &Vec<usize>| folds.iter().all(|&fold| fold < folds.len());
    match dealings.iter().all(is_sound) {
        true => Ok(dealings),
        false => Err("it has more folds than pictures".to_owned()),
    }
}

impl HeadMetrics {
    fn judged(
        self,
        name: &str,
        probabilities: Array2<f32>,
        right: Vec<Option<f64>>,
        labels: &[usize],
        design: &Design,
    ) -> Result<HeadResult, String> {
        let kind: HeadKind = name.parse().map_err(|error| format!("{error}"))?;
        let name = kind.name();
        if let Some(Tuning { trials, chosen, .. }) = &self.tuning
            && *chosen >= trials.len()
        {
            return Err(format!("{name} was tuned to a trial that is not there"));
        }
        let training_time = Duration::try_from_secs_f64(self.training_seconds);
        let evaluation = Evaluation::new(probabilities.view(), labels, &design.first())
            .map_err(|error| error.to_string())?;
        let of_one = || {
            evaluation
                .correct()
                .into_iter()
                .map(|right| f64::from(u8::from(right)))
        };
        let right: Option<Vec<f64>> = right.into_iter().collect();
        Ok(HeadResult {
            kind,
            name,
            seed: self.seed,
            right: right.unwrap_or_else(|| of_one().collect()),
            runs: None,
            evaluation,
            probabilities,
            by_fold: self.accuracy_by_fold,
            by_seed: self.errors_by_seed,
            tuning: self.tuning,
            calibration: self.calibration,
            abstentions: Abstentions {
                told: self.abstentions,
                curve: self.risk_coverage,
            },
            training_time: training_time.map_err(|error| error.to_string())?,
            remark: self.remark,
        })
    }
}

fn read_predictions(path: &Path, open: Open) -> Result<Predictions, ReportError> {
    let mut table = open_table(path, open)?;
    let broken = |error: csv::Error| damaged(path)(error.to_string());
    let header = table.headers().map_err(broken)?.clone();
    let classes: Vec<String> = header
        .iter()
        .filter_map(|column| column.strip_prefix("probability of "))
        .map(str::to_owned)
        .collect();
    let n_fixed = header.len() - classes.len();
    let mut predictions = Predictions {
        classes,
        pictures: Vec::new(),
        labels: Vec::new(),
        groups: Vec::new(),
        folds: Vec::new(),
        heads: Vec::new(),
    };
    for (line, record) in table.records().enumerate() {
        let record = record.map_err(broken)?;
        let row: PredictionRow = record.deserialize(Some(&header)).map_err(broken)?;
        let numbers = record.iter().skip(n_fixed).map(str::parse);
        let added = match numbers.collect::<Result<Vec<f32>, _>>() {
            Ok(probabilities) => predictions.add(row, probabilities),
            Err(error) => Err(error.to_string()),
        };
        added.map_err(|reason| damaged(path)(format!("line {}: {reason}", line + 2)))?;
    }
    if predictions.pictures.is_empty() {
        return Err(damaged(path)("it has no predictions".to_owned()));
    }
    Ok(predictions)
}

impl Predictions {
    fn add(&mut self, line: PredictionRow, probabilities: Vec<f32>) -> Result<(), String> {
        let label = self.classes.iter().position(|class| *class == line.label);
        let label = label.ok_or_else(|| format!("'{}' is none of the classes", line.label))?;
        if self.heads.last().is_none_or(|head| head.name != line.head) {
            self.heads.push(HeadPredictions {
                name: line.head,
                probabilities: Vec::new(),
                right: Vec::new(),
            });
        }
        let is_first = self.heads.len() == 1;
        let head = self.heads.last_mut().expect("there is one now");
        if line.row != head.right.len() {
            return Err(format!("it calls itself row {}", line.row));
        }
        if is_first {
            self.pictures.push(line.path);
            self.labels.push(label);
            self.groups.push(line.group);
            self.folds.push(numbers(&line.fold)?);
        } else if self.labels.get(line.row) != Some(&label) {
            return Err("two heads have different labels for it".to_owned());
        }
        head.right.push(line.right);
        head.probabilities.extend(probabilities);
        Ok(())
    }
}

/// Numbers separated by `;`; an empty text gives none.
fn numbers(text: &str) -> Result<Vec<usize>, String> {
    let parts = text.split(';').filter(|part| !part.is_empty());
    let numbers = parts.map(str::parse).collect::<Result<_, _>>();
    numbers.map_err(|error| format!("fold {text:?}: {error}"))
}

/// A row of history.csv.
#[derive(Deserialize)]
struct HistoryRow {
    epoch: usize,
    learning_rate: f64,
    loss: f64,
    accuracy: f64,
    held_out_loss: Option<f64>,
    held_out_accuracy: Option<f64>,
    val_loss: Option<f64>,
    val_acc: Option<f64>,
}

fn read_history(path: &Path, open: Open) -> Result<Vec<Epoch>, ReportError> {
    let rows = open_table(path, open)?.into_deserialize::<HistoryRow>();
    let epochs = rows.map(|row| {
        let row = row.map_err(|error| damaged(path)(error.to_string()))?;
        Ok(Epoch {
            epoch: row.epoch,
            learning_rate: row.learning_rate,
            loss: row.loss,
            accuracy: row.accuracy,
            held_out_loss: row.held_out_loss,
            held_out_accuracy: row.held_out_accuracy,
            val_loss: row.val_loss,
            val_accuracy: row.val_acc,
        })
    });
    epochs.collect()
}

/// A row of pictures.csv.
#[derive(Deserialize)]
struct JudgedRow {
    blake3: String,
    component_1: Option<f64>,
    component_2: Option<f64>,
}

fn read_judged_pictures(path: &Path, open: Open) -> Result<Vec<JudgedPicture>, ReportError> {
    let rows = open_table(path, open)?.into_deserialize::<JudgedRow>();
    let pictures = rows.map(|row| {
        let row = row.map_err(|error| damaged(path)(error.to_string()))?;
        let blake3 = blake3::Hash::from_hex(&row.blake3);
        let place = row.component_1.zip(row.component_2);
        let place = place.filter(|(first, second)| first.is_finite() && second.is_finite());
        Ok(JudgedPicture {
            blake3: blake3.map_err(|error| damaged(path)(error.to_string()))?,
            place: place.map(Into::into),
        })
    });
    pictures.collect()
}

/// Reads the whole table before its rows are parsed: if the header cannot be read, serde yields no
/// rows and no error.
fn open_table(path: &Path, open: Open) -> Result<csv::Reader<io::Cursor<Vec<u8>>>, ReportError> {
    Ok(csv::Reader::from_reader(io::Cursor::new(read_all(
        path, open,
    )?)))
}

fn read_all(path: &Path, open: Open) -> Result<Vec<u8>, ReportError> {
    let mut bytes = Vec::new();
    open(path)
        .and_then(|mut file| file.read_to_end(&mut bytes))
        .map_err(reading(path))?;
    Ok(bytes)
}

fn read_json<T: DeserializeOwned>(path: &Path, open: Open) -> Result<T, ReportError> {
    let text = read_all(path, open)?;
    serde_json::from_slice(&text).map_err(|error| damaged(path)(error.to_string()))
}

fn reading(path: &Path) -> impl FnOnce(io::Error) -> ReportError {
    let path = path.to_owned();
    move |source| match source.kind() {
        io::ErrorKind::NotFound => ReportError::Missing { path },
        _ => ReportError::Read { path, source },
    }
}

fn damaged(path: &Path) -> impl Fn(String) -> ReportError {
    move |reason| ReportError::Damaged {
        path: path.to_owned(),
        reason,
    }
}
