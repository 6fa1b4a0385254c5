//! head.json.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{FORMAT, SavedHead, SavedHeadError, damaged, read_file};
use crate::codes::CodesIdentity;
use crate::files::Open;
use crate::head::logistic::{Convergence, LogisticOptions};
use crate::head::mlp::MlpOptions;
use crate::head::scaling::ScalingKind;

/// The contents of head.json.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HeadManifest {
    /// Version of the format, [`FORMAT`].
    format: u32,
    /// The program that wrote the head, with its version.
    created_by: String,
    pub(super) codes: CodesIdentity,
    pub(super) classes: Vec<String>,
    pub(super) scaling: ScalingKind,
    pub(super) mlp: Option<MlpEntry>,
    pub(super) logistic: Option<LogisticEntry>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MlpEntry {
    pub(super) options: MlpOptions,
    pub(super) temperature: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogisticEntry {
    pub(super) options: LogisticOptions,
    pub(super) convergence: Convergence,
    pub(super) temperature: f64,
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

    /// Reads the manifest at `path` in `dir`, which may not be a head at all.
    pub(super) fn read(dir: &Path, path: &Path, open: Open) -> Result<Self, SavedHeadError> {
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
        Ok(manifest)
    }
}
