//! HEAD: a directory that holds trained heads and all that is needed to use them.
//!
//! ```text
//! head.json             format, trunk, recipe, classes, scaling, and each head's configuration
//! mlp.safetensors       mlp.0.weight (D, H), mlp.0.bias (H), mlp.1.weight (H, K), mlp.1.bias (K)
//! logistic.safetensors  logistic.weight (D, K), logistic.bias (K)
//! scaling.safetensors   scaling.mean and scaling.deviation (D), or scaling.largest (D)
//! history.csv           the MLP's learning curve, a row for each epoch
//! ```
//!
//! Tensors are float32 in C order; a layer gives `x @ weight + bias`, weights being (in, out).
//! There is an `mlp.I` for each layer, more with several hidden layers. A file is there only where
//! the head or the scaling is. No file holds a time: the same training leaves the same bytes.

mod manifest;
mod tensors;

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

pub use self::manifest::{HeadManifest, LogisticEntry, MlpEntry};
use self::tensors::{Tensors, TensorsToWrite};
use crate::codes::CodesIdentity;
use crate::files::{Draft, DraftError, Existing, FileDraft, Kind, Open, fill, regular};
use crate::head::HeadKind;
use crate::head::logistic::{Convergence, Logistic, LogisticOptions};
use crate::head::mlp::{Dense, Epoch, Mlp, MlpOptions};
use crate::head::scaling::{Scaling, ScalingKind};

/// Version of the format that this code writes and reads.
pub const FORMAT: u32 = 2;
/// The file without which a directory is no head.
pub const MANIFEST: &str = "head.json";
/// The MLP's weights.
pub const MLP: &str = "mlp.safetensors";
/// The logistic regression's weights.
pub const LOGISTIC: &str = "logistic.safetensors";
/// The scaling's statistics.
pub const SCALING: &str = "scaling.safetensors";
/// The MLP's learning curve.
pub const HISTORY: &str = "history.csv";
/// What a published HEAD is, for a [`Draft`].
pub const KIND: Kind = Kind {
    name: "head",
    marker: MANIFEST,
};

/// Why a head could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum SavedHeadError {
    /// The place is not free or not writable.
    #[error(transparent)]
    Draft(#[from] DraftError),
    /// A file could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// The directory has no head.json.
    #[error("{} is not a head: it has no {MANIFEST}; make one with `cnn-codes train-head --train STORE --out HEAD`", dir.display())]
    NotAHead {
        /// The directory.
        dir: PathBuf,
    },
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// The head was written in another format.
    #[error("{} has format {found}, and this version reads format {FORMAT}; train the head again, or use the version that wrote it ({created_by})", path.display())]
    Format {
        /// head.json.
        path: PathBuf,
        /// The format found.
        found: u32,
        /// The program that wrote it.
        created_by: String,
    },
    /// A file is damaged, or two files contradict each other.
    #[error("{} cannot be used: {reason}; train the head again with --overwrite", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// Trained heads on one kind of codes.
#[derive(Clone, Debug, PartialEq)]
pub struct SavedHead {
    /// What the codes are that the heads take.
    pub codes: CodesIdentity,
    /// Class names (K) in the order of their indices.
    pub classes: Vec<String>,
    /// What is done to codes before either head sees them.
    pub scaling: Scaling,
    /// The MLP, where one was trained.
    pub mlp: Option<SavedMlp>,
    /// The logistic regression, where one was trained.
    pub logistic: Option<SavedLogistic>,
}

/// An MLP and how it was trained.
#[derive(Clone, Debug, PartialEq)]
pub struct SavedMlp {
    /// The network.
    pub model: Mlp,
    /// Its options, with the seed.
    pub options: MlpOptions,
    /// What logits are divided by before softmax; 1 where the head is not calibrated.
    pub temperature: f64,
}

/// A logistic regression and how it was fitted.
#[derive(Clone, Debug, PartialEq)]
pub struct SavedLogistic {
    /// The model.
    pub model: Logistic,
    /// Its options.
    pub options: LogisticOptions,
    /// Whether the fit found its optimum.
    pub convergence: Convergence,
    /// What logits are divided by before softmax; 1 where the head is not calibrated.
    pub temperature: f64,
}

impl SavedHead {
    /// The head that is meant where none is named: the MLP where there is one, else the logistic
    /// regression.
    #[must_use]
    pub fn default_kind(&self) -> HeadKind {
        if self.mlp.is_some() {
            HeadKind::Mlp
        } else {
            HeadKind::Logistic
        }
    }

    /// What the heads are, without their weights.
    #[must_use]
    pub fn manifest(&self) -> HeadManifest {
        HeadManifest::of(self)
    }

    /// Writes the head to `dir`, which appears whole or not at all.
    ///
    /// # Errors
    /// [`SavedHeadError::Draft`] if `dir` is not free, unless `existing` says to replace a head;
    /// [`SavedHeadError::Write`] or [`SavedHeadError::Damaged`] as [`SavedHead::write_into`].
    pub fn save(&self, dir: &Path, existing: Existing) -> Result<(), SavedHeadError> {
        let draft = Draft::begin(dir, KIND, existing)?;
        self.write_into(draft.path())?;
        Ok(draft.publish()?)
    }

    /// Writes the head's files into a directory that is there, such as a [`Draft`] of [`KIND`]
    /// that holds other files as well; head.json is the last of them.
    ///
    /// # Errors
    /// [`SavedHeadError::Damaged`] if the parts contradict each other, before anything is written;
    /// [`SavedHeadError::Write`] with the file.
    pub fn write_into(&self, dir: &Path) -> Result<(), SavedHeadError> {
        let manifest_path = dir.join(MANIFEST);
        self.validate().map_err(damaged(&manifest_path))?;
        if let Some(SavedMlp { model, .. }) = &self.mlp {
            write_mlp(model, &dir.join(MLP))?;
        }
        if let Some(SavedLogistic { model, .. }) = &self.logistic {
            let mut tensors = TensorsToWrite::default();
            tensors.matrix("logistic.weight", model.weights());
            tensors.vector("logistic.bias", model.intercepts());
            tensors.write(&dir.join(LOGISTIC))?;
        }
        write_scaling(&self.scaling, &dir.join(SCALING))?;
        // Whole or not there: a draft that has it is a head, whenever its run was killed.
        let json = serde_json::to_vec_pretty(&self.manifest()).map_err(io::Error::from);
        let written = json.and_then(|mut json| {
            json.push(b'\n');
            FileDraft::write_in(dir, &manifest_path, &json)?.publish(Existing::Replace)
        });
        written.map_err(write_error(&manifest_path))
    }

    /// Reads the head at `dir`, and checks its files against each other.
    ///
    /// # Errors
    /// [`SavedHeadError::NotAHead`], [`SavedHeadError::Format`], [`SavedHeadError::Read`] or
    /// [`SavedHeadError::Damaged`], with the file.
    pub fn load(dir: &Path) -> Result<Self, SavedHeadError> {
        Self::load_from(dir, &regular::open_boxed)
    }

    /// Reads a head as [`SavedHead::load`] does, from files that `open` opens: those of an archive
    /// or of memory, say. They are asked for by their paths in `dir`.
    ///
    /// # Errors
    /// As [`SavedHead::load`].
    pub fn load_from(dir: &Path, open: Open) -> Result<Self, SavedHeadError> {
        let manifest_path = dir.join(MANIFEST);
        let HeadManifest {
            codes,
            classes,
            scaling,
            mlp,
            logistic,
            ..
        } = HeadManifest::read_from(dir, open)?;
        let shape = (codes.code_len(), classes.len());
        let read_mlp = |MlpEntry {
                            options,
                            temperature,
                        }| {
            let sizes = options.sizes(shape.0, shape.1);
            let model = read_mlp(&dir.join(MLP), open, &sizes)?;
            Ok::<_, SavedHeadError>(SavedMlp {
                model,
                options,
                temperature,
            })
        };
        let read_logistic = |LogisticEntry {
                                 options,
                                 convergence,
                                 temperature,
                             }| {
            let model = read_logistic(&dir.join(LOGISTIC), open, shape)?;
            Ok::<_, SavedHeadError>(SavedLogistic {
                model,
                options,
                convergence,
                temperature,
            })
        };
        let head = Self {
            scaling: read_scaling(&dir.join(SCALING), open, scaling, shape.0)?,
            mlp: mlp.map(read_mlp).transpose()?,
            logistic: logistic.map(read_logistic).transpose()?,
            codes,
            classes,
        };
        head.validate().map_err(damaged(&manifest_path))?;
        Ok(head)
    }

    /// The invariants of a head, before writing and after reading.
    fn validate(&self) -> Result<(), String> {
        let (n_features, n_classes) = (self.codes.code_len(), self.classes.len());
        self.manifest().validate()?;
        let statistics = self.scaling.n_features().unwrap_or(n_features);
        check_shape(
            "the scaling",
            (statistics, n_classes),
            (n_features, n_classes),
        )?;
        if let Some(SavedLogistic { model, options, .. }) = &self.logistic {
            options.validate().map_err(|error| error.to_string())?;
            let shape = (model.n_features(), model.n_classes());
            check_shape("the logistic regression", shape, (n_features, n_classes))?;
        }
        if let Some(SavedMlp { model, options, .. }) = &self.mlp {
            options.validate().map_err(|error| error.to_string())?;
            let shape = (model.n_features(), model.n_classes());
            check_shape("the MLP", shape, (n_features, n_classes))?;
            let outputs = model.layers().iter().map(|layer| layer.bias.len());
            if !outputs.eq(options.sizes(n_features, n_classes).into_iter().skip(1)) {
                return Err(format!(
                    "the MLP's layers are not those of hidden {:?}",
                    options.hidden
                ));
            }
        }
        Ok(())
    }
}

/// Writes the learning curve to history.csv in `dir`; without held-out samples or validation their
/// columns are empty.
///
/// # Errors
/// [`SavedHeadError::Write`] with the file.
pub fn write_history(dir: &Path, history: &[Epoch]) -> Result<(), SavedHeadError> {
    let text = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    write_file(&dir.join(HISTORY), |file| {
        writeln!(
            file,
            "epoch,learning_rate,loss,accuracy,held_out_loss,held_out_accuracy,val_loss,val_acc"
        )?;
        history.iter().try_for_each(|epoch| {
            let Epoch {
                epoch,
                learning_rate,
                loss,
                accuracy,
                held_out_loss,
                held_out_accuracy,
                val_loss,
                val_accuracy,
            } = *epoch;
            write!(file, "{epoch},{learning_rate},{loss},{accuracy}")?;
            for value in [held_out_loss, held_out_accuracy, val_loss, val_accuracy] {
                write!(file, ",{}", text(value))?;
            }
            writeln!(file)
        })
    })
}

fn check_shape(
    what: &str,
    (features, classes): (usize, usize),
    (n_features, n_classes): (usize, usize),
) -> Result<(), String> {
    if (features, classes) == (n_features, n_classes) {
        return Ok(());
    }
    Err(format!(
        "{what} takes {features} features to {classes} classes, and the codes have \
         {n_features} features and {n_classes} classes"
    ))
}

fn write_mlp(mlp: &Mlp, path: &Path) -> Result<(), SavedHeadError> {
    let mut tensors = TensorsToWrite::default();
    for (index, layer) in mlp.layers().iter().enumerate() {
        tensors.matrix(&format!("mlp.{index}.weight"), layer.weights.view());
        tensors.vector(&format!("mlp.{index}.bias"), &layer.bias);
    }
    tensors.write(path)
}

fn read_mlp(path: &Path, open: Open, sizes: &[usize]) -> Result<Mlp, SavedHeadError> {
    let mut tensors = Tensors::read(path, open)?;
    let mut layers = Vec::new();
    for (index, pair) in sizes.windows(2).enumerate() {
        layers.push(Dense {
            weights: tensors.matrix(&format!("mlp.{index}.weight"), (pair[0], pair[1]))?,
            bias: tensors.vector(&format!("mlp.{index}.bias"), pair[1])?,
        });
    }
    tensors.finish()?;
    Mlp::from_weights(layers).map_err(|error| damaged(path)(error.to_string()))
}

fn read_logistic(
    path: &Path,
    open: Open,
    shape: (usize, usize),
) -> Result<Logistic, SavedHeadError> {
    let mut tensors = Tensors::read(path, open)?;
    let weights = tensors.matrix("logistic.weight", shape)?;
    let intercepts = tensors.vector("logistic.bias", shape.1)?;
    tensors.finish()?;
    Logistic::from_weights(weights, intercepts).map_err(|error| damaged(path)(error.to_string()))
}

fn write_scaling(scaling: &Scaling, path: &Path) -> Result<(), SavedHeadError> {
    let mut tensors = TensorsToWrite::default();
    match scaling {
        Scaling::None | Scaling::L2 => return Ok(()),
        Scaling::Standard { mean, deviation } => {
            tensors.vector("scaling.mean", mean);
            tensors.vector("scaling.deviation", deviation);
        }
        Scaling::Max { largest } => tensors.vector("scaling.largest", largest),
    }
    tensors.write(path)
}

fn read_scaling(
    path: &Path,
    open: Open,
    kind: ScalingKind,
    n_features: usize,
) -> Result<Scaling, SavedHeadError> {
    let mut tensors = match kind {
        ScalingKind::None => return Ok(Scaling::None),
        ScalingKind::L2 => return Ok(Scaling::L2),
        ScalingKind::Standard | ScalingKind::Max => Tensors::read(path, open)?,
    };
    let mut vector = |name| tensors.vector(name, n_features);
    let (scaling, divisors) = if kind == ScalingKind::Max {
        let largest = vector("scaling.largest")?;
        (
            Scaling::Max {
                largest: largest.clone(),
            },
            largest,
        )
    } else {
        let (mean, deviation) = (vector("scaling.mean")?, vector("scaling.deviation")?);
        let divisors = deviation.clone();
        (Scaling::Standard { mean, deviation }, divisors)
    };
    tensors.finish()?;
    if divisors.iter().any(|&divisor| divisor <= 0.0) {
        return Err(damaged(path)("a divisor is not above 0".to_owned()));
    }
    Ok(scaling)
}

/// Writes a file, or leaves none.
fn write_file(
    path: &Path,
    write: impl FnOnce(&mut io::BufWriter<File>) -> io::Result<()>,
) -> Result<(), SavedHeadError> {
    let written = File::create(path).and_then(|file| fill(file, path, write));
    written.map_err(write_error(path))
}

fn write_error(path: &Path) -> impl FnOnce(io::Error) -> SavedHeadError + use<> {
    let path = path.to_owned();
    |source| SavedHeadError::Write { path, source }
}

fn read_file(path: &Path, open: Open) -> Result<Vec<u8>, SavedHeadError> {
    let mut bytes = Vec::new();
    open(path)
        .and_then(|mut file| file.read_to_end(&mut bytes))
        .map_err(|source| SavedHeadError::Read {
            path: path.to_owned(),
            source,
        })?;
    Ok(bytes)
}

fn damaged(path: &Path) -> impl Fn(String) -> SavedHeadError {
    move |reason| SavedHeadError::Damaged {
        path: path.to_owned(),
        reason,
    }
}
