//! The stores for training and evaluation.

use std::collections::HashSet;

use super::error::{FitError, TrainError};
use super::result::Overlap;
use crate::codes::{PictureRow, Store};
use crate::head::scaling::Scaling;
use crate::head::{HeadError, Samples};

/// The stores of one training.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stores<'s> {
    pub(super) train: &'s Store,
    /// The validation store; without it, the heads are evaluated in folds of `train`.
    pub(super) validation: Option<&'s Store>,
}

impl<'s> Stores<'s> {
    /// The store whose pictures evaluate the heads.
    pub(super) fn judging(self) -> &'s Store {
        self.validation.unwrap_or(self.train)
    }

    fn all(self) -> impl Iterator<Item = &'s Store> {
        [Some(self.train), self.validation].into_iter().flatten()
    }

    /// Refuses stores on which no head can be trained or evaluated.
    pub(super) fn check(self) -> Result<(), TrainError> {
        self.all().try_for_each(check_labels)?;
        if let Some(validation) = self.validation {
            check_pair(self.train, validation)?;
            self.overlap()?;
        }
        check_classes(self.train)
    }

    /// Evaluated pictures of a validation store whose files or groups are also in the training
    /// store, if there are any.
    ///
    /// # Errors
    /// [`TrainError::SamePictures`] if all pictures are.
    pub(super) fn overlap(self) -> Result<Option<Overlap>, TrainError> {
        let Some(validation) = self.validation else {
            return Ok(None);
        };
        let trained: HashSet<_> = self.train.pictures().iter().map(|row| row.blake3).collect();
        let groups = self.train.pictures().iter();
        let groups: HashSet<_> = groups.filter_map(|row| row.group.as_deref()).collect();
        let judged = validation.pictures();
        let is_trained = |row: &usize| {
            let PictureRow { blake3, group, .. } = &judged[*row];
            trained.contains(blake3) || group.as_deref().is_some_and(|name| groups.contains(name))
        };
        let rows: Vec<_> = (0..judged.len()).filter(is_trained).collect();
        match rows.len() {
            0 => Ok(None),
            n if n == judged.len() => Err(TrainError::SamePictures {
                train: self.train.dir().to_owned(),
                validation: validation.dir().to_owned(),
            }),
            _ => Ok(Some(Overlap { rows })),
        }
    }

    /// Refuses stores that were written to after they were opened.
    pub(super) fn check_unchanged(self) -> Result<(), TrainError> {
        Ok(self.all().try_for_each(Store::check_unchanged)?)
    }

    /// Refuses codes that could not be read during training.
    pub(super) fn check_read(
        self,
        train: &Samples<'s>,
        validation: Option<&Samples<'s>>,
    ) -> Result<(), TrainError> {
        let samples = std::iter::once(train).chain(validation);
        self.all().zip(samples).try_for_each(|(store, samples)| {
            let read = samples.codes().check();
            read.map_err(|error| FitError::from(error).on(store.dir()))
        })
    }
}

/// The labelled codes of a store.
pub(super) fn samples(store: &Store) -> Result<Samples<'_>, TrainError> {
    Samples::of_store(store).map_err(|error| FitError::from(error).on(store.dir()))
}

/// The codes of `store`, with a scaling that was fitted to another store.
pub(super) fn scaled<'s>(
    store: &Store,
    samples: &Samples<'s>,
    scaling: &Scaling,
) -> Result<Samples<'s>, TrainError> {
    let scaled = samples.scaled(scaling.clone());
    scaled.map_err(|error| FitError::from(error).on(store.dir()))
}

/// Refuses a store of unlabelled pictures.
fn check_labels(store: &Store) -> Result<(), TrainError> {
    match store.labels() {
        Some(_) => Ok(()),
        None => Err(FitError::from(HeadError::Unlabelled).on(store.dir())),
    }
}

/// Refuses stores whose codes mean different things, or whose classes differ.
fn check_pair(train: &Store, validation: &Store) -> Result<(), TrainError> {
    let (ours, theirs) = (&train.manifest().store, &validation.manifest().store);
    let reason = match ours.codes.difference(&theirs.codes) {
        Some(difference) => format!("{difference}; extract both with the same options"),
        None if ours.classes != theirs.classes => format!(
            "the classes differ: {} and {}; both need the same class folders",
            ours.classes.join(", "),
            theirs.classes.join(", ")
        ),
        None => return Ok(()),
    };
    Err(TrainError::Mismatch {
        train: train.dir().to_owned(),
        validation: validation.dir().to_owned(),
        reason,
    })
}

/// Refuses a store with only one class, and names the class.
pub(super) fn check_classes(train: &Store) -> Result<(), TrainError> {
    let counts = &train.manifest().counts;
    let mut present = (train.classes().iter())
        .zip(&counts.per_class)
        .filter(|&(_, &n)| n > 0);
    match (present.next(), present.next()) {
        (Some((class, _)), None) => Err(TrainError::OneClass {
            store: train.dir().to_owned(),
            class: class.clone(),
        }),
        _ => Ok(()),
    }
}
