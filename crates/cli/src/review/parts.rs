//! The stores of a HEAD, and their pictures.

use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};
use cnn_codes::codes::{CORRECTIONS, PictureRow, Store};
use cnn_codes::dataset::{Picture, Pictures, Place};
use cnn_codes::head::saved::SavedHead;
use cnn_codes::picture::memory::Budget;
use cnn_codes::train::{Report, StoreProvenance};
use serde::{Deserialize, Serialize};

use super::Arguments;
use crate::page::jpeg_of_row;
use crate::{say, shown};

/// What a store is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Heads are trained on it.
    Train,
    /// Heads are judged on it: its labels are changed on purpose only.
    Validation,
    /// Its pictures have no labels yet.
    Unlabelled,
}

/// A store and its pictures.
pub struct Part {
    pub role: Role,
    pub store: Store,
    /// Where its pictures are, if they are there.
    pub pictures: Option<Pictures>,
}

/// The stores of a HEAD: that which trains first.
pub struct Parts {
    pub head: PathBuf,
    pub all: Vec<Part>,
}

impl Parts {
    /// Opens the stores that HEAD names, or others that are named in their place.
    pub fn open(arguments: &Arguments) -> anyhow::Result<Self> {
        let told = Report::read(&arguments.head)?.provenance;
        let heads = SavedHead::load(&arguments.head)?;
        let given = arguments.train.as_deref();
        let train = open(given, &told.train, "--train")?;
        let pictures = arguments.pictures.as_deref();
        let mut all = vec![Part::new(Role::Train, train, pictures)];
        if let Some(of_head) = &told.validation {
            let given = arguments.validation.as_deref();
            let store = open(given, of_head, "--validation")?;
            all.push(Part::new(Role::Validation, store, None));
        } else if arguments.validation.is_some() {
            bail!("HEAD was judged in folds, without a validation store; leave --validation out");
        }
        if let Some(path) = &arguments.unlabelled {
            all.push(Part::new(Role::Unlabelled, Store::open(path)?, None));
        }
        for Part { store, role, .. } in &all {
            check(store, *role, &heads)?;
        }
        Ok(Self {
            head: arguments.head.clone(),
            all,
        })
    }

    /// The table of corrections: as it was given, or beside the training store.
    pub fn relabel(&self, arguments: &Arguments) -> PathBuf {
        let beside = || {
            let store = self.train().store.dir();
            let store = std::path::absolute(store).unwrap_or(store.to_owned());
            store.with_file_name(CORRECTIONS)
        };
        arguments.relabel.clone().unwrap_or_else(beside)
    }

    /// The part that trains.
    pub fn train(&self) -> &Part {
        &self.all[0]
    }

    pub fn of(&self, role: Role) -> Option<&Part> {
        self.all.iter().find(|part| part.role == role)
    }

    /// Where a picture is.
    pub fn find(&self, path: &str, blake3: blake3::Hash) -> Option<(Role, usize)> {
        self.all.iter().find_map(|part| {
            let is_it = |row: &PictureRow| &*row.path == path && row.blake3 == blake3;
            let row = part.store.pictures().iter().position(is_it)?;
            Some((part.role, row))
        })
    }
}

impl Part {
    fn new(role: Role, store: Store, given: Option<&Path>) -> Self {
        let named = store.manifest().store.root.as_deref().map(Path::new);
        let root = given.or(named).filter(|root| root.is_dir());
        if root.is_none() {
            say(&format!(
                "the pictures of {} are not where they were, and are not shown",
                shown(store.dir())
            ));
        }
        let pictures = root.map(|root| Pictures {
            root: root.to_owned(),
            classes: store.classes().to_vec(),
            ..Pictures::default()
        });
        Self {
            role,
            store,
            pictures,
        }
    }

    /// The picture of a row as a JPEG, its longer side at most `longest` pixels; otherwise why there is none.
    pub fn jpeg(&self, row: usize, longest: u32, budget: &Budget) -> Result<Vec<u8>, String> {
        let Some(pictures) = &self.pictures else {
            return Err("the folder of the pictures is not known; --pictures names it".to_owned());
        };
        let max_pixels = self.store.manifest().store.max_pixels;
        let picture = &self.store.pictures()[row];
        jpeg_of_row(pictures, picture, max_pixels, longest, budget)
    }

    /// The picture of a row, as its file.
    pub fn picture(&self, row: usize) -> Picture {
        Picture {
            path: self.store.pictures()[row].path.clone(),
            label: None,
            place: Place::File,
            group: None,
        }
    }
}

/// Opens a store: the given one, or where HEAD says that it was.
fn open(given: Option<&Path>, told: &StoreProvenance, option: &str) -> anyhow::Result<Store> {
    let path = given.unwrap_or(Path::new(&told.store));
    Store::open(path).map_err(|error| match given {
        Some(_) => error.into(),
        None => anyhow!("{error}; HEAD names this store, and {option} names another place of it"),
    })
}

/// Refuses a store whose codes or classes are not those of the heads.
fn check(store: &Store, role: Role, heads: &SavedHead) -> anyhow::Result<()> {
    let taken = store.taken_as(&heads.codes)?;
    let name = shown(store.dir());
    if let Some(difference) = heads.codes.difference(&taken.manifest().store.codes) {
        bail!("{name} does not belong to HEAD: {difference}");
    }
    match role {
        Role::Unlabelled if !store.classes().is_empty() => {
            bail!("{name} has labels: --unlabelled takes a store of pictures without classes")
        }
        Role::Train | Role::Validation if store.classes() != heads.classes => bail!(
            "{name} does not belong to HEAD: its classes are {}, and HEAD's are {}",
            store.classes().join(", "),
            heads.classes.join(", ")
        ),
        _ => Ok(()),
    }
}
