//! A folder that a verb makes, and that never replaces another.

use std::path::Path;

use anyhow::anyhow;
use cnn_codes_files::{Draft, DraftError, Existing, Kind};

/// Begins a folder that `option` names. What is there already is left as it is: a verb that uses this has no
/// --overwrite, which the advice to other verbs names.
pub fn begin(target: &Path, kind: Kind, option: &str) -> anyhow::Result<Draft> {
    Draft::begin(target, kind, Existing::Keep).map_err(|error| match error {
        DraftError::Exists { target } | DraftError::Foreign { target, .. } => anyhow!(
            "{} exists already, and is left as it is; choose another {option}, or move it away",
            target.display()
        ),
        other => other.into(),
    })
}
