//! head.json.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{FORMAT, MANIFEST, SavedHead, SavedHeadError, damaged, read_file};
use crate::codes::CodesIdentity;
use crate::files::{Open, regular};
use crate::head::logistic::{Convergence, LogisticOptions};
use crate::head::mlp::MlpOptions;
use crate::head::scaling::ScalingKind;

/// The contents of head.json: what the heads are, without their weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct HeadManifest {
    /// Version of the format, [`FORMAT`].
    format: u32,
    /// The program that wrote the head, with its version.
    created_by: String,
    /// What the codes are that the heads take.
    pub codes: CodesIdentity,
    /// Class names (K) in the order of their indices.
    pub classes: Vec<String>,
    /// What is done to codes before a head sees them.
    pub scaling: ScalingKind,
    /// The MLP, where one was trained.
    pub mlp: Option<MlpEntry>,
    /// The logistic regression, where one was trained.
    pub logistic: Option<LogisticEntry>,
}

/// What head.json has of an MLP.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MlpEntry {
    /// Its options, with the seed.
    pub options: MlpOptions,
    /// What logits are divided by before softmax; 1 where the head is not calibrated.
    pub temperature: f64,
}

/// What head.json has of a logistic regression.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogisticEntry {
    /// Its options.
    pub options: LogisticOptions,
    /// Whether the fit found its optimum.
    pub convergence: Convergence,
    /// What logits are divided by before softmax; 1 where the head is not calibrated.
    pub temperature: f64,
}

/// What every format has, so that another format is recognised before it is misread.
#[derive(Deserialize)]
struct AnyFormat {
    format: u32,
    #[serde(default)]
    created_by: String,
}

impl HeadManifest {
    pub(super) fn of(head: &SavedHead) -> Self {
        Self {
            format: FORMAT,
            created_by: concat!("cnn-codes ", env!("CARGO_PKG_VERSION")).to_owned(),
            codes: head.codes.clone(),
            classes: head.classes.clone(),
            scaling: head.scaling.kind(),
            mlp: head.mlp.as_ref().map(|mlp| MlpEntry {
                options: mlp.options.clone(),
                temperature: mlp.temperature,
            }),
            logistic: head.logistic.as_ref().map(|logistic| LogisticEntry {
                options: logistic.options,
                convergence: logistic.convergence.clone(),
                temperature: logistic.temperature,
            }),
        }
    }

    /// Reads head.json in `dir`, which may not be a head at all.
    ///
    /// # Errors
    /// [`SavedHeadError::NotAHead`], [`SavedHeadError::Format`], [`SavedHeadError::Read`] or
    /// [`SavedHeadError::Damaged`].
    pub fn read(dir: &Path) -> Result<Self, SavedHeadError> {
        Self::read_from(dir, &regular::open_boxed)
    }

    /// As [`HeadManifest::read`], from a file that `open` opens.
    ///
    /// # Errors
    /// As [`HeadManifest::read`].
    pub fn read_from(dir: &Path, open: Open) -> Result<Self, SavedHeadError> {
        let path = &dir.join(MANIFEST);
        let bytes = match read_file(path, open) {
            Err(SavedHeadError::Read { source, .. })
                if matches!(
                    source.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                return Err(SavedHeadError::NotAHead {
                    dir: dir.to_owned(),
                });
            }
            read => read?,
        };
        let wrong = |error: serde_json::Error| damaged(path)(error.to_string());
        let AnyFormat { format, created_by } = serde_json::from_slice(&bytes).map_err(wrong)?;
        if format != FORMAT {
            return Err(SavedHeadError::Format {
                path: path.to_owned(),
                found: format,
                created_by,
            });
        }
        let manifest: Self = serde_json::from_slice(&bytes).map_err(wrong)?;
        manifest.codes.validate().map_err(damaged(path))?;
        manifest.validate().map_err(damaged(path))?;
        Ok(manifest)
    }

    /// The invariants that hold without a look at the weights.
    pub(super) fn validate(&self) -> Result<(), String> {
        let n_classes = self.classes.len();
        if n_classes < 2 {
            return Err(format!(
                "it names {n_classes} classes, and a head needs two"
            ));
        }
        let mut names: Vec<_> = self.classes.iter().collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(format!("it names the class {:?} twice", pair[0]));
        }
        if self.mlp.is_none() && self.logistic.is_none() {
            return Err("it holds neither an MLP nor a logistic regression".to_owned());
        }
        let mlp = self.mlp.iter().map(|mlp| mlp.temperature);
        let logistic = self.logistic.iter().map(|logistic| logistic.temperature);
        if let Some(temperature) = mlp.chain(logistic).find(|&t| !(t.is_finite() && t > 0.0)) {
            return Err(format!(
                "a temperature is {temperature}, and has to be above 0"
            ));
        }
        Ok(())
    }
}
