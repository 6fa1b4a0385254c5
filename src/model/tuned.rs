//! A trunk with tuned weights: the published file, and the weights that differ from it, stored
//! beside a head.
//!
//! ```text
//! tail.json           the tensors of the graph between which the tuned layers lie
//! tail.safetensors    their weights, with the names and shapes of the ONNX file
//! ```

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use cnn_codes_tail::{Tail, TailError};
use ort_winograd::OnnxModel;
use serde::{Deserialize, Serialize};

use crate::files::{Existing, FileDraft, regular};

/// The name of the weights' file inside a HEAD.
const WEIGHTS: &str = "tail.safetensors";
/// The name of the file inside a HEAD that says which layers the weights belong to.
const PLACE: &str = "tail.json";
/// Version of tail.json.
const FORMAT: u32 = 1;

/// Tuned weights of the last layers of a trunk.
#[derive(Clone, PartialEq)]
pub struct TunedTail {
    place: Place,
    /// The contents of a safetensors file.
    weights: Bytes,
}

/// The contents of tail.json.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    format: u32,
    /// The tensor after which the layers begin, such as `block4_pool`.
    from: String,
    /// The tensor that they end with, such as `block5_pool`.
    to: String,
}

/// Why tuned weights beside a head cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TunedTailError {
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// tail.json is damaged.
    #[error("{} cannot be used: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl std::fmt::Debug for TunedTail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TunedTail")
            .field("place", &self.place)
            .field("bytes", &self.weights.len())
            .finish()
    }
}

impl TunedTail {
    /// The weights of a tail.
    ///
    /// # Errors
    /// [`TailError::Safetensors`].
    pub fn of(tail: &Tail) -> Result<Self, TailError> {
        Ok(Self {
            place: Place {
                format: FORMAT,
                from: tail.from().to_owned(),
                to: tail.to().to_owned(),
            },
            weights: tail.to_safetensors()?.into(),
        })
    }

    /// The tuned weights in a HEAD; `None` if its trunk is the published one.
    ///
    /// # Errors
    /// [`TunedTailError`], with the file.
    pub fn beside(head: &Path) -> Result<Option<Self>, TunedTailError> {
        let path = head.join(PLACE);
        let text = match regular::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text.map_err(|source| TunedTailError::Read {
                path: path.clone(),
                source,
            })?,
        };
        let damaged = |reason: String| TunedTailError::Damaged {
            path: path.clone(),
            reason,
        };
        let place: Place =
            serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
        if place.format != FORMAT {
            let found = place.format;
            return Err(damaged(format!(
                "it has format {found}, and this version reads format {FORMAT}"
            )));
        }
        let path = head.join(WEIGHTS);
        let weights = regular::read(&path);
        let weights = weights.map_err(|source| TunedTailError::Read { path, source })?;
        Ok(Some(Self {
            place,
            weights: weights.into(),
        }))
    }

    /// The tensor after which the tuned layers begin, such as `block4_pool`.
    #[must_use]
    pub fn from(&self) -> &str {
        &self.place.from
    }

    /// Writes both files into a folder.
    ///
    /// # Errors
    /// [`TunedTailError::Write`].
    pub fn write_into(&self, folder: &Path) -> Result<(), TunedTailError> {
        let place = serde_json::to_vec_pretty(&self.place).unwrap_or_default();
        for (name, bytes) in [(WEIGHTS, &self.weights[..]), (PLACE, &place)] {
            let path = folder.join(name);
            FileDraft::write_in(folder, &path, bytes)
                .and_then(|draft| draft.publish(Existing::Replace))
                .map_err(|source| TunedTailError::Write { path, source })?;
        }
        Ok(())
    }

    /// The tail with these weights, taken from the published model.
    ///
    /// # Errors
    /// [`TailError`] if the model has no such layers.
    pub fn tail(&self, published: &OnnxModel) -> Result<Tail, TailError> {
        let mut tail = Tail::read(published, &self.place.from, &self.place.to)?;
        tail.load_safetensors(&self.weights)?;
        Ok(tail)
    }

    /// The published model with these weights instead of its own.
    ///
    /// # Errors
    /// As [`TunedTail::tail`].
    pub fn in_model(&self, mut published: OnnxModel) -> Result<OnnxModel, TailError> {
        self.tail(&published)?.write_into(&mut published)?;
        Ok(published)
    }
}
