//! provenance.json: the provenance of heads.

use std::ffi::OsStr;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::codes::Store;

/// Version of provenance.json that this code writes and reads.
pub(super) const FORMAT: u32 = 1;

/// The contents of provenance.json: the provenance of heads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Provenance {
    pub(super) format: u32,
    /// The program that trained the heads, with its version.
    pub created_by: String,
    /// The command that trained them, if there was one.
    pub command: Option<String>,
    /// The store that they were trained on.
    pub train: StoreProvenance,
    /// The store that they were evaluated on; `None` if they were evaluated in folds.
    pub validation: Option<StoreProvenance>,
    /// Share of the variance of the mapped codes along both axes of the map, 0 to 1.
    pub explained_variance: [f64; 2],
}

/// A store, and how it was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct StoreProvenance {
    /// The directory: its absolute path, or only the last component.
    pub store: String,
    /// The folder that the pictures' paths are relative to, if it is known and may be recorded.
    pub root: Option<String>,
    /// Number of rows.
    pub pictures: usize,
    /// The picture decoder, as recorded in store.json.
    pub decoder: String,
    /// The version of ONNX Runtime, as recorded in store.json.
    pub onnxruntime: String,
    /// The execution provider, as recorded in store.json.
    pub provider: String,
    /// Whose kernels computed the convolutions.
    pub kernels: String,
}

impl StoreProvenance {
    /// `root` is the folder of its pictures, if the store does not name it.
    pub(super) fn of(store: &Store, root: Option<&Path>) -> Self {
        let manifest = &store.manifest().store;
        let root = root.map(absolute).or_else(|| manifest.root.clone());
        Self {
            store: absolute(store.dir()),
            root,
            pictures: store.pictures().len(),
            decoder: manifest.decoder.clone(),
            onnxruntime: manifest.onnxruntime.clone(),
            provider: manifest.provider.clone(),
            kernels: manifest.kernels.clone(),
        }
    }
}

fn last_component(path: &str) -> &str {
    let name = Path::new(path).file_name().and_then(OsStr::to_str);
    name.unwrap_or("store")
}

fn absolute(path: &Path) -> String {
    let absolute = std::path::absolute(path);
    absolute.as_deref().unwrap_or(path).display().to_string()
}

impl Provenance {
    /// For heads that this version trains.
    pub(super) fn new(
        command: Option<String>,
        train: StoreProvenance,
        validation: Option<StoreProvenance>,
        explained_variance: [f64; 2],
    ) -> Self {
        Self {
            format: FORMAT,
            created_by: concat!("cnn-codes ", env!("CARGO_PKG_VERSION")).to_owned(),
            command,
            train,
            validation,
            explained_variance,
        }
    }

    /// Removes the locations of folders: a store keeps the last component of its path, and the
    /// pictures' folder is removed. The caller must adapt the command.
    pub fn forget_folders(&mut self) {
        for store in std::iter::once(&mut self.train).chain(&mut self.validation) {
            store.root = None;
            store.store = last_component(&store.store).to_owned();
        }
    }

    /// The contents of provenance.json.
    #[must_use]
    pub(super) fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("provenance is plain data")
    }

    /// The folder of the evaluated pictures, if it is known.
    #[must_use]
    pub fn root(&self) -> Option<&Path> {
        let judged = self.validation.as_ref().unwrap_or(&self.train);
        judged.root.as_deref().map(Path::new)
    }
}
