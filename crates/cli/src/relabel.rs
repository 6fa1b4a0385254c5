//! Labels that people corrected, on their way into a training.

use std::path::PathBuf;

use anyhow::Context;
use cnn_codes::codes::{Corrected, Corrections, Store};

use crate::{say, shown};

/// Labels that people corrected.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Labels that were corrected")]
pub struct RelabelArguments {
    /// CSV table of corrected labels, as `review` writes it: path, blake3, old, new, when, why. Pictures whose new
    /// class is empty are left out. Stores and pictures are not changed
    #[arg(long, value_name = "FILE")]
    pub relabel: Option<PathBuf>,
    /// Store of unlabelled pictures: train also on those that --relabel gives a class
    #[arg(long, value_name = "STORE", requires = "relabel")]
    pub more: Option<PathBuf>,
}

impl RelabelArguments {
    /// Reads the table, where there is one.
    pub fn read(&self) -> anyhow::Result<Option<Corrections>> {
        let table = self.relabel.as_deref();
        let read = table.map(Corrections::read).transpose();
        Ok(read?)
    }
}

/// The stores of a training with their labels corrected, and what was done to them told.
pub fn corrected(
    train: &Store,
    more: Option<&Store>,
    validation: Option<&Store>,
    corrections: &Corrections,
) -> anyhow::Result<(Store, Option<Store>)> {
    let classes = train.classes();
    let (mut corrected, done) = corrections.apply(train, classes)?;
    tell(train, &done);
    if let Some(more) = more {
        let (labelled, done) = corrections.apply(more, classes)?;
        tell(more, &done);
        corrected = corrected.with(&labelled)?;
    }
    let mut judging = None;
    if let Some(validation) = validation {
        let (store, done) = corrections.apply(validation, validation.classes())?;
        if done.changed + done.set_aside > 0 {
            tell(validation, &done);
            say(
                "  these are validation pictures: errors are counted by the corrected labels from now on",
            );
        }
        judging = Some(store);
    }
    let stores = [Some(train), more, validation];
    let known: usize = stores
        .into_iter()
        .flatten()
        .map(|store| corrections.n_in(store))
        .sum();
    let all = corrections.n_pictures();
    if known < all {
        say(&format!(
            "{} of {all} corrected pictures are in none of these stores: their path or their bytes are different",
            all - known
        ));
    }
    Ok((corrected, judging))
}

fn tell(store: &Store, done: &Corrected) {
    let parts = [
        (done.changed, "changed"),
        (done.labelled, "given"),
        (done.confirmed, "confirmed"),
        (done.set_aside, "set aside"),
    ];
    let parts = parts.iter().filter(|(n, _)| *n > 0);
    let parts: Vec<_> = parts.map(|(n, what)| format!("{n} {what}")).collect();
    if !parts.is_empty() {
        say(&format!(
            "labels of {}: {}",
            shown(store.dir()),
            parts.join(", ")
        ));
    }
}

/// Writes the table that heads were trained with beside them.
pub fn write_beside(corrections: &Corrections, folder: &std::path::Path) -> anyhow::Result<()> {
    let path = folder.join(cnn_codes::codes::CORRECTIONS);
    corrections
        .write(&path)
        .context("the labels that it was trained with")
}
