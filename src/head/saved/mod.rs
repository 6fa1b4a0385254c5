//! HEAD: a directory with trained heads and everything needed to use them.
//!
//! ```text
//! head.json                      format, trunk, recipe, classes, scaling, each head's configuration
//! mlp.safetensors                mlp.0.weight (D, H), mlp.0.bias (H), mlp.1.weight (H, K), mlp.1.bias (K)
//! logistic.safetensors           logistic.weight (D, K), logistic.bias (K)
//! nearest-centroid.safetensors   nearest-centroid.mean (D), .weight (D, K), .bias (K)
//! scaling.safetensors            scaling.mean and scaling.deviation (D), or scaling.largest (D)
//! evidence.safetensors           out-of-fold scores of the heads, directions of the training codes
//! history.csv                    the MLP's learning curve, a row for each epoch
//! ```
//!
//! Tensors are float32 in C order; a layer computes `x @ weight + bias`, with weights (in, out).
//! There is one `mlp.I` per layer, more with several hidden layers. Files of missing heads or
//! scalings are left out. No file holds a time: the same training writes the same bytes.

mod evidence;
mod manifest;
mod tensors;

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

pub(crate) use self::evidence::EVIDENCE;
pub use self::evidence::{Evidence, OutOfFoldScores};
pub use self::manifest::{HeadEntry, HeadManifest};
pub use self::tensors::Tensors;
use self::tensors::TensorsToWrite;
use crate::codes::CodesIdentity;
use crate::files::{Draft, DraftError, Existing, FileDraft, Kind, Open, fill, regular};
use crate::head::any::HeadVisitor;
use crate::head::scaling::{Scaling, ScalingKind};
use crate::head::{Convergence, Epoch, Head, HeadKind, Layer, OneHead};
use crate::picture::Views;

/// Version of the format that this code writes and reads.
pub(crate) const FORMAT: u32 = 2;
/// The file that makes a directory a HEAD.
pub const MANIFEST: &str = "head.json";
/// The scaling's statistics.
pub(crate) const SCALING: &str = "scaling.safetensors";
/// The MLP's learning curve.
pub(crate) const HISTORY: &str = "history.csv";
/// The kind of target of a [`Draft`] for a HEAD.
pub const KIND: Kind = Kind {
    name: "head",
    marker: MANIFEST,
};

/// Why a head could not be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SavedHeadError {
    /// The target exists already, or is not writable.
    #[error("{0}")]
    Draft(#[from] DraftError),
    /// A file could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The directory has no head.json.
    #[error("{} is not a head: it has no {MANIFEST}", dir.display())]
    NotAHead {
        /// The directory.
        dir: PathBuf,
    },
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
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
    #[error("{} cannot be used: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// Trained heads on one kind of codes.
#[derive(Clone, Debug, PartialEq)]
pub struct SavedHead {
    /// The codes that the heads take.
    pub codes: CodesIdentity,
    /// Class names (K) in the order of their indices.
    pub classes: Vec<String>,
    /// The views of a picture whose mean logits the heads use, and with which they were evaluated.
    pub views: Views,
    /// The scaling of codes before they reach a head.
    pub scaling: Scaling,
    /// The heads: one or more, at most one of a kind.
    pub heads: Vec<OneHead>,
    /// The default head; `None` for the first in the order of the kinds, as in older HEADs.
    pub recommended: Option<HeadKind>,
    /// Data about the heads and the training pictures; empty in older HEADs.
    pub evidence: Evidence,
}

/// A trained head of a known kind, with its options.
#[derive(Clone, Debug, PartialEq)]
pub struct Saved<H: Head> {
    /// The model.
    pub model: H,
    /// Its options.
    pub options: H::Options,
    /// Whether the fit found its optimum, if it has one.
    pub convergence: Option<Convergence>,
    /// The divisor of the logits before softmax; 1 if the head is not calibrated.
    pub temperature: f64,
}

/// The file of a head's weights, inside a HEAD directory.
#[must_use]
pub(crate) fn weights_file(kind: HeadKind) -> String {
    format!("{kind}.safetensors")
}

impl SavedHead {
    /// The head used if none is named: the recommended one, or the first one in the order of the
    /// kinds.
    #[must_use]
    pub fn default_kind(&self) -> HeadKind {
        if let Some(recommended) = self.recommended {
            return recommended;
        }
        let mut heads = self.in_order();
        heads.next().map_or(HeadKind::Mlp, OneHead::kind)
    }

    /// Which head is used if none is named, and why, in a sentence without a full stop; `None` if
    /// there is only one head.
    #[must_use]
    pub fn choice(&self) -> Option<String> {
        if self.heads.len() < 2 {
            return None;
        }
        let title = self.default_kind().title();
        Some(match self.recommended {
            Some(_) => format!(
                "of {} heads the {title} answers, which is recommended",
                self.heads.len()
            ),
            None => format!(
                "of {} heads the {title} answers, the first one: they are of a version that recommends none",
                self.heads.len()
            ),
        })
    }

    /// The head of this kind, if there is one.
    #[must_use]
    pub fn of_kind(&self, kind: HeadKind) -> Option<&OneHead> {
        self.heads.iter().find(|head| head.kind() == kind)
    }

    /// The head whose model is an `H`, such as [`Mlp`](crate::head::mlp::Mlp), if there is one.
    #[must_use]
    pub fn get<H: Head>(&self) -> Option<&Saved<H>> {
        self.heads.iter().find_map(OneHead::get)
    }

    /// The heads in the order of the kinds.
    fn in_order(&self) -> impl Iterator<Item = &OneHead> {
        let kinds = HeadKind::NAMES.iter().filter_map(|name| name.parse().ok());
        kinds.filter_map(|kind| self.of_kind(kind))
    }

    /// Everything about the heads but their weights.
    #[must_use]
    pub(crate) fn manifest(&self) -> HeadManifest {
        HeadManifest::of(self)
    }

    /// Writes the head to `dir`, which appears whole or not at all.
    ///
    /// # Errors
    /// [`SavedHeadError::Draft`] if `dir` exists, unless `existing` says to replace a HEAD;
    /// [`SavedHeadError::Write`] or [`SavedHeadError::Damaged`] as `SavedHead::write_into`.
    pub fn save(&self, dir: &Path, existing: Existing) -> Result<(), SavedHeadError> {
        let draft = Draft::begin(dir, KIND, existing)?;
        self.write_into(draft.path())?;
        Ok(draft.publish()?)
    }

    /// Writes the head's files into an existing directory, such as a [`Draft`] of [`KIND`] that
    /// also holds other files; head.json is written last.
    ///
    /// # Errors
    /// [`SavedHeadError::Damaged`] if the parts contradict each other, before anything is written;
    /// [`SavedHeadError::Write`] with the file.
    pub(crate) fn write_into(&self, dir: &Path) -> Result<(), SavedHeadError> {
        let manifest_path = dir.join(MANIFEST);
        self.validate().map_err(damaged(&manifest_path))?;
        for head in self.in_order() {
            write_layers(&head.layers(), &dir.join(weights_file(head.kind())))?;
        }
        write_scaling(&self.scaling, &dir.join(SCALING))?;
        self.evidence.write(&dir.join(EVIDENCE))?;
        // Written whole or not at all: a draft that has it is a HEAD, whenever its run was killed.
        let written = self.manifest().to_json().and_then(|json| {
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

    /// Reads a head as [`SavedHead::load`] does, from files that `open` opens, for instance out of
    /// an archive or from memory. They are requested by their paths in `dir`.
    ///
    /// # Errors
    /// As [`SavedHead::load`].
    pub fn load_from(dir: &Path, open: Open) -> Result<Self, SavedHeadError> {
        let HeadManifest {
            codes,
            classes,
            views,
            scaling,
            heads,
            recommended,
            ..
        } = HeadManifest::read_from(dir, open)?;
        let shape = (codes.code_len(), classes.len());
        let scaling = read_scaling(&dir.join(SCALING), open, scaling, shape.0)?;
        let kinds: Vec<_> = heads.iter().map(|head| head.options.kind()).collect();
        let evidence_path = dir.join(EVIDENCE);
        let evidence = Evidence::read(&evidence_path, open, &kinds)?;
        let checked = evidence.validate(&kinds, codes.output.channels());
        checked.map_err(damaged(&evidence_path))?;
        let read = |entry: HeadEntry| {
            let options = entry.options.clone();
            options.visit(Reading {
                dir,
                open,
                shape,
                entry,
            })
        };
        let head = Self {
            scaling,
            heads: heads.into_iter().map(read).collect::<Result<_, _>>()?,
            codes,
            classes,
            views,
            recommended,
            evidence,
        };
        let manifest_path = dir.join(MANIFEST);
        head.validate().map_err(damaged(&manifest_path))?;
        Ok(head)
    }

    /// The invariants of a HEAD, checked before writing and after reading.
    fn validate(&self) -> Result<(), String> {
        self.manifest().validate()?;
        let kinds = || self.heads.iter().map(OneHead::kind);
        if let Some(kind) = kinds().find(|&kind| kinds().filter(|&other| other == kind).count() > 1)
        {
            return Err(format!("it holds two heads of the kind {kind}"));
        }
        let shape = (self.codes.code_len(), self.classes.len());
        let statistics = self.scaling.n_features().unwrap_or(shape.0);
        if statistics != shape.0 {
            return Err(format!(
                "the scaling takes {statistics} features to {n_classes} classes, and the codes have \
                 {n_features} features and {n_classes} classes",
                n_features = shape.0,
                n_classes = shape.1
            ));
        }
        let kinds: Vec<_> = kinds().collect();
        let channels = self.codes.output.channels();
        self.evidence.validate(&kinds, channels)?;
        self.heads.iter().try_for_each(|head| head.check(shape))
    }
}

/// A head that is being read.
struct Reading<'a> {
    dir: &'a Path,
    open: Open<'a>,
    /// D and K.
    shape: (usize, usize),
    entry: HeadEntry,
}

impl HeadVisitor for Reading<'_> {
    type Output = Result<OneHead, SavedHeadError>;

    fn visit<H: Head>(self, options: &H::Options) -> Self::Output
    where
        OneHead: From<Saved<H>>,
    {
        let path = self.dir.join(weights_file(H::KIND));
        let mut tensors = Tensors::read(&path, self.open)?;
        let model = H::from_tensors(options, self.shape, &mut tensors)?;
        tensors.finish()?;
        Ok(OneHead::from(Saved {
            model,
            options: options.clone(),
            convergence: self.entry.convergence,
            temperature: self.entry.temperature,
        }))
    }
}

/// Writes the learning curve to history.csv in `dir`; the columns of held-out samples or validation
/// are empty if there are none.
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

/// Writes the arrays of a head's layers.
fn write_layers(layers: &[Layer], path: &Path) -> Result<(), SavedHeadError> {
    let mut tensors = TensorsToWrite::default();
    for layer in layers {
        match layer {
            Layer::Centre { name, mean } => tensors.vector(name, *mean),
            Layer::UnitLength => {}
            Layer::Dense {
                name,
                weights,
                bias,
            } => {
                tensors.matrix(&format!("{name}.weight"), *weights);
                tensors.vector(&format!("{name}.bias"), *bias);
            }
        }
    }
    tensors.write(path)
}

fn write_scaling(scaling: &Scaling, path: &Path) -> Result<(), SavedHeadError> {
    let mut tensors = TensorsToWrite::default();
    match scaling {
        Scaling::None | Scaling::L2 => return Ok(()),
        Scaling::Standard { mean, deviation } => {
            tensors.vector("scaling.mean", mean.view());
            tensors.vector("scaling.deviation", deviation.view());
        }
        Scaling::Max { largest } => tensors.vector("scaling.largest", largest.view()),
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

/// Writes a file, whole or not at all.
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
