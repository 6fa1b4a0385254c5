//! Where heads come from, for the files that tell of them.

use std::path::{Path, PathBuf};

use super::judged_pictures::{JudgedPicture, Mapped};
use super::provenance::{Provenance, StoreProvenance};
use crate::head::Samples;
use crate::train::stores::Stores;

/// What a caller tells of a training, and what is to be left out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Told {
    /// The command that asked for the training, where it was one.
    pub command: Option<String>,
    /// The folder that the judged pictures' paths are relative to; otherwise the one that their store
    /// names.
    pub pictures: Option<PathBuf>,
    /// Whether stores and pictures are named by their absolute paths; otherwise stores by their last
    /// components, and the pictures' folder not at all.
    pub names_folders: bool,
}

/// No command, and the folders that the stores name.
impl Default for Told {
    fn default() -> Self {
        Self {
            command: None,
            pictures: None,
            names_folders: true,
        }
    }
}

/// Where heads come from, and the pictures that judged them.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Origin {
    /// The contents of provenance.json.
    pub provenance: Provenance,
    /// The contents of pictures.csv, in the order of the judging store's rows.
    pub pictures: Vec<JudgedPicture>,
    /// The folder of the judged pictures, where it is known; also where no file may name it.
    pub root: Option<PathBuf>,
}

impl Origin {
    /// Notes where heads come from, and maps the codes that judged them: `judged`, as the heads saw
    /// them. The map reads all of these codes.
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
