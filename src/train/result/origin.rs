//! The provenance of heads, for a HEAD's files.

use std::path::{Path, PathBuf};

use super::judged_pictures::{JudgedPicture, Mapped};
use super::provenance::{Provenance, StoreProvenance};
use crate::head::Samples;
use crate::train::stores::Stores;

/// Facts about a training that the caller provides, and what to leave out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Told {
    /// The command that started the training, if there was one.
    pub command: Option<String>,
    /// The folder that the evaluated pictures' paths are relative to; `None` for the one that their
    /// store names.
    pub pictures: Option<PathBuf>,
    /// Whether stores and pictures are recorded by their absolute paths. Otherwise stores are
    /// recorded by the last component of their paths, and the pictures' folder is left out.
    pub names_folders: bool,
}

/// No command, and the folders in the stores.
impl Default for Told {
    fn default() -> Self {
        Self {
            command: None,
            pictures: None,
            names_folders: true,
        }
    }
}

/// The provenance of heads, and the pictures that evaluated them.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Origin {
    /// The contents of provenance.json.
    pub provenance: Provenance,
    /// The contents of pictures.csv, in the order of the evaluation store's rows.
    pub pictures: Vec<JudgedPicture>,
    /// The folder of the evaluated pictures, if it is known, even if no file may record it.
    pub root: Option<PathBuf>,
}

impl Origin {
    /// Records the provenance of the heads, and maps the codes that evaluated them: `judged`, as
    /// the heads read them. This reads all of these codes.
    pub(in crate::train) fn of(stores: Stores, judged: &Samples, told: Told) -> Self {
        let mapped = Mapped::of(stores.judging(), judged);
        let given = told.pictures.as_deref();
        let of_train = given.filter(|_| stores.validation.is_none());
        let validation = stores.validation;
        let mut provenance = Provenance::new(
            told.command,
            StoreProvenance::of(stores.train, of_train),
            validation.map(|store| StoreProvenance::of(store, given)),
            mapped.explained_variance,
        );
        let root = provenance.root().map(Path::to_owned);
        if !told.names_folders {
            provenance.forget_folders();
        }
        Self {
            provenance,
            pictures: mapped.pictures,
            root,
        }
    }
}
