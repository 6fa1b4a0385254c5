//! The training pictures that are nearest to a picture.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::{Context, bail};
use cnn_codes::codes::{CORRECTIONS, Corrections, PictureRow, Store};
use cnn_codes::dataset::Pictures;
use cnn_codes::picture::memory::Budget;
use cnn_codes::predict::{Classifier, Prediction};
use cnn_codes::train::Report;
use serde::Serialize;

use crate::page::{SMALL, jpeg_of_row};
use crate::{remedy, say};

/// Neighbours of a picture that can be asked for.
pub const MOST_NEAR: usize = 10;

/// The training pictures of HEAD.
pub struct Training {
    rows: Vec<PictureRow>,
    classes: Vec<String>,
    pictures: Pictures,
    max_pixels: Option<u64>,
}

/// A training picture near to another one.
#[derive(Serialize)]
pub struct Near<'a> {
    /// By which its thumbnail is asked for.
    row: usize,
    path: &'a str,
    class: Option<&'a str>,
    /// Cosine distance of the means of both codes, 0 to 2.
    distance: f32,
}

impl Training {
    /// Those that HEAD names, where they are still there.
    fn of(head: &Path) -> anyhow::Result<Self> {
        let told = Report::read(head)?.provenance.train;
        let mut store = Store::open(Path::new(&told.store))?;
        let corrections = Corrections::read_if_there(&head.join(CORRECTIONS))?;
        if !corrections.all().is_empty() {
            let classes = store.classes().to_vec();
            store = corrections.apply(&store, &classes)?.0;
        }
        if store.pictures().len() != told.pictures {
            bail!(
                "{} is not the store that HEAD was trained on any more",
                store.dir().display()
            );
        }
        let manifest = store.manifest();
        let root = told.root.as_deref().or(manifest.store.root.as_deref());
        let root = root.map(Path::new).filter(|root| root.is_dir());
        Ok(Self {
            rows: store.pictures().to_vec(),
            classes: store.classes().to_vec(),
            pictures: Pictures {
                root: root.context("their folder is not there")?.to_owned(),
                ..Pictures::default()
            },
            max_pixels: manifest.store.max_pixels,
        })
    }

    /// The nearest of a prediction, at most `most`.
    pub fn near(&self, prediction: &Prediction, most: usize) -> Vec<Near<'_>> {
        let nearest = prediction.nearest.iter().flatten().take(most);
        let near = nearest.filter_map(|near| {
            let row = near.row(self.rows.len());
            let picture = self.rows.get(row)?;
            Some(Near {
                row,
                path: &picture.path,
                class: picture.label.map(|label| self.classes[label].as_str()),
                distance: near.distance,
            })
        });
        near.collect()
    }

    /// A small picture of a row as a JPEG, or why there is none.
    pub fn thumbnail(&self, row: usize, budget: &Budget) -> Result<Vec<u8>, String> {
        let picture = self.rows.get(row).ok_or("there is no such picture")?;
        jpeg_of_row(&self.pictures, picture, self.max_pixels, SMALL, budget)
    }
}

/// The training pictures of the head that answers, where they may be shown and are there.
#[derive(Clone, Default)]
pub struct Shown {
    training: Arc<RwLock<Option<Arc<Training>>>>,
    budget: Arc<Budget>,
}

impl Shown {
    /// Looks for the training pictures of a head that is to answer, and asks it for the nearest ones.
    pub fn with(&self, head: &Path, classifier: Classifier) -> Classifier {
        let training = match Training::of(head) {
            Ok(training) => Some(Arc::new(training)),
            Err(error) => {
                let why = remedy::message(error.as_ref());
                say(&format!(
                    "the nearest training pictures are not shown: {why}"
                ));
                None
            }
        };
        let is_there = training.is_some();
        *self
            .training
            .write()
            .unwrap_or_else(PoisonError::into_inner) = training;
        match is_there {
            true => classifier
                .clone()
                .with_nearest(MOST_NEAR)
                .unwrap_or(classifier),
            false => classifier,
        }
    }

    /// The training pictures.
    pub fn training(&self) -> Option<Arc<Training>> {
        self.training
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Memory for pictures that are decoded to be shown.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }
}
