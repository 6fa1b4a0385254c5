//! provenance.json and pictures.csv: what the report tells beside the heads and their results.

use std::ffi::OsStr;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::principal_components::principal_components;
use crate::codes::Store;
use crate::head::Samples;

/// Version of provenance.json that this code writes and reads.
pub(super) const FORMAT: u32 = 1;

/// Most pictures whose codes are mapped: time and memory go with their square.
const MAX_MAPPED: usize = 1000;

/// The contents of provenance.json: where heads come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    pub(super) format: u32,
    /// The program that trained the heads, with its version.
    pub(super) created_by: String,
    /// The command that trained them, where it was one.
    pub(super) command: Option<String>,
    /// The store that they were trained on.
    pub(super) train: StoreProvenance,
    /// The store that they were judged on; nothing where they were judged in folds.
    pub(super) validation: Option<StoreProvenance>,
    /// Share of the variance of the mapped codes along both axes of the map, 0 to 1.
    pub(super) explained_variance: [f64; 2],
}

/// A store, and what made it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreProvenance {
    /// The directory, absolute, or its last component alone.
    pub(super) store: String,
    /// The folder that the pictures' paths are relative to, where it is known and may be told.
    pub(super) root: Option<String>,
    /// Rows.
    pub(super) pictures: usize,
    pub(super) decoder: String,
    pub(super) onnxruntime: String,
    pub(super) provider: String,
    /// Whose kernels did the convolutions.
    pub(super) kernels: String,
}

/// What pictures.csv has of a judged picture.
#[derive(Clone, Debug, PartialEq)]
pub struct JudgedPicture {
    /// BLAKE3 of the file.
    pub(super) blake3: blake3::Hash,
    /// Place on the map: the code's first two principal components; nothing beyond the cap.
    pub(super) place: Option<[f64; 2]>,
}

impl StoreProvenance {
    fn of(store: &Store, root: Option<&Path>) -> Self {
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
    /// Notes where heads come from, and maps the codes that judged them: `judged` are those of
    /// `validation`, or of `train` where there is none, as the heads saw them.
    #[must_use]
    pub fn new(
        train: &Store,
        validation: Option<&Store>,
        judged: &Samples,
        command: Option<String>,
        pictures: Option<&Path>,
    ) -> (Self, Vec<JudgedPicture>) {
        let n = judged.len();
        let n_mapped = n.min(MAX_MAPPED);
        let mapped: Vec<_> = (0..n_mapped).map(|index| index * n / n_mapped).collect();
        let components = principal_components(judged.codes(), &mapped);
        let rows = validation.unwrap_or(train).pictures();
        let mut judged: Vec<_> = rows
            .iter()
            .map(|row| JudgedPicture {
                blake3: row.blake3,
                place: None,
            })
            .collect();
        for (&row, scores) in mapped.iter().zip(components.scores.rows()) {
            judged[row].place = Some([scores[0], scores[1]]);
        }
        let root_of_train = pictures.filter(|_| validation.is_none());
        let provenance = Self {
            format: FORMAT,
            created_by: concat!("cnn-codes ", env!("CARGO_PKG_VERSION")).to_owned(),
            command,
            train: StoreProvenance::of(train, root_of_train),
            validation: validation.map(|store| StoreProvenance::of(store, pictures)),
            explained_variance: components.explained,
        };
        (provenance, judged)
    }

    /// Leaves out where folders are: a store keeps its last component, the pictures' folder
    /// nothing. The command is the caller's to word.
    pub fn forget_folders(&mut self) {
        for store in std::iter::once(&mut self.train).chain(&mut self.validation) {
            store.root = None;
            store.store = last_component(&store.store).to_owned();
        }
    }

    /// The contents of provenance.json.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("provenance is plain data")
    }

    /// Where the judged pictures are, if that is known.
    #[must_use]
    pub fn root(&self) -> Option<&Path> {
        let judged = self.validation.as_ref().unwrap_or(&self.train);
        judged.root.as_deref().map(Path::new)
    }
}

/// Writes a table with the columns row, blake3, component_1 and component_2, a row for each judged
/// picture; components are empty where a picture is not on the map.
///
/// # Errors
/// What `out` answers.
pub fn write_judged_pictures(pictures: &[JudgedPicture], out: impl io::Write) -> io::Result<()> {
    let mut table = csv::Writer::from_writer(out);
    table.write_record(JUDGED_COLUMNS)?;
    for (row, picture) in pictures.iter().enumerate() {
        let [first, second] = picture.place.map_or_else(Default::default, |place| {
            place.map(|score| score.to_string())
        });
        let blake3 = picture.blake3.to_hex();
        table.write_record([&row.to_string(), blake3.as_str(), &first, &second])?;
    }
    table.flush()
}

/// The columns of pictures.csv.
const JUDGED_COLUMNS: [&str; 4] = ["row", "blake3", "component_1", "component_2"];
