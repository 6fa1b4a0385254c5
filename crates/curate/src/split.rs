//! Splits labelled pictures into train/, validation/ and test/, each with a folder for every class.
//!
//! ```text
//! pictures -> groups ------------> deal ------------> write
//!             copies, patients     every class by     DIR/train/CLASS/...
//!             stay together        its shares         DIR/split.csv
//! ```

mod deal;
mod error;
mod grouping;
mod write;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use self::error::SplitError;
pub use self::grouping::{Grouping, group, group_name};
use cnn_codes::dataset::Pictures;
use cnn_codes::named;
use cnn_codes::progress::Watch;
use cnn_codes_files::{Draft, Existing, Kind};

/// The name of DIR's kind in messages, and the file that identifies it.
pub const KIND: Kind = Kind {
    name: "split",
    marker: TABLE,
};

/// The table of all pictures, inside DIR: path, label, part, group.
pub const TABLE: &str = "split.csv";

/// A part of the split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// Pictures for training heads.
    Train,
    /// Pictures for evaluating heads while choices are made.
    Validation,
    /// Pictures for the final evaluation.
    Test,
}

named!(Part, "part", Train => "train", Validation => "validation", Test => "test");

/// The share of every class in each part.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shares {
    train: f64,
    validation: f64,
    test: f64,
}

/// Rounding error allowed in the sum of the shares.
const ROUNDING: f64 = 1e-9;

/// Four fifths for training, the rest for validation.
impl Default for Shares {
    fn default() -> Self {
        let (train, test) = (Self::TRAIN, 0.0);
        let validation = 1.0 - train;
        Self {
            train,
            validation,
            test,
        }
    }
}

impl Shares {
    /// The default share of training.
    pub const TRAIN: f64 = 0.8;

    /// Without a share of its own, validation gets the rest.
    ///
    /// # Errors
    /// [`SplitError::Shares`] unless the shares are at least 0 with a sum of at most 1, and at
    /// least two parts have a share.
    pub fn new(train: f64, validation: Option<f64>, test: Option<f64>) -> Result<Self, SplitError> {
        let test = test.unwrap_or(0.0);
        let rest = 1.0 - train - test;
        let rest = if rest.abs() < ROUNDING { 0.0 } else { rest };
        let validation = validation.unwrap_or(rest);
        let all = [train, validation, test];
        let is_sound = all.iter().all(|share| (0.0..=1.0).contains(share))
            && all.iter().sum::<f64>() <= 1.0 + ROUNDING
            && all.iter().filter(|share| **share > 0.0).count() >= 2;
        if !is_sound {
            return Err(SplitError::Shares {
                train,
                validation,
                test,
            });
        }
        Ok(Self {
            train,
            validation,
            test,
        })
    }

    /// The share of pictures that go to no part: the rest up to 1.
    fn left_out(&self) -> f64 {
        let rest = 1.0 - self.train - self.validation - self.test;
        if rest < ROUNDING { 0.0 } else { rest }
    }

    /// The parts with a share above 0, and their shares.
    fn parts(&self) -> Vec<(Part, f64)> {
        let all = [
            (Part::Train, self.train),
            (Part::Validation, self.validation),
            (Part::Test, self.test),
        ];
        all.into_iter().filter(|(_, share)| *share > 0.0).collect()
    }
}

/// How pictures are placed into their folders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Placement {
    /// As copies.
    #[default]
    Copy,
    /// As hard links. They take no more space, and a picture stays until both names are removed; a
    /// change in place changes both. DIR must be on the same file system as the pictures.
    HardLink,
}

/// Options of a split.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct SplitOptions {
    /// The share of each part.
    pub shares: Shares,
    /// The seed for dealing pictures.
    pub seed: u64,
    /// How pictures are placed.
    pub placement: Placement,
}

/// The result of a split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// Number of pictures of each class, in the order of the classes, in each part with a share.
    pub per_part: BTreeMap<Part, Vec<usize>>,
    /// Number of pictures in no part.
    pub n_left_out: usize,
    /// Where the finished split of an earlier run is kept, if that run was killed before it
    /// published it.
    pub kept_before: Option<PathBuf>,
}

/// Refuses an `out` that exists or lies among the pictures, before any work.
///
/// # Errors
/// [`SplitError::Exists`], [`SplitError::Inside`] or [`SplitError::Draft`].
pub fn check_out(pictures: &Pictures, out: &Path) -> Result<(), SplitError> {
    write::check_apart(&pictures.root, out)?;
    Draft::check(out, KIND, Existing::Keep).map_err(SplitError::of_draft)
}

/// Deals `pictures` into parts and writes them to `out`, whole or not at all.
///
/// Pictures of one group of `grouping` go to one part. Each part gets its share of every class, as
/// far as groups allow, and at least one picture. The same pictures, groups, shares and seed give
/// the same split. `watch` sees how many pictures are placed, and may stop the job.
///
/// # Errors
/// [`SplitError`]; nothing is then written at `out`, and an existing directory is unchanged. A
/// finished split that could not be published is kept beside it: the error says where.
///
/// # Panics
/// If `grouping` does not belong to these pictures.
pub fn split(
    pictures: &Pictures,
    grouping: &Grouping,
    options: &SplitOptions,
    out: &Path,
    watch: &dyn Watch,
) -> Result<Split, SplitError> {
    check_out(pictures, out)?;
    write::check_paths(pictures)?;
    let parts = deal::deal(pictures, grouping, &options.shares, options.seed)?;
    let draft = Draft::begin(out, KIND, Existing::Keep).map_err(SplitError::of_draft)?;
    write::write(
        pictures,
        grouping,
        &parts,
        options.placement,
        draft.path(),
        watch,
    )?;
    let mut split = Split {
        per_part: BTreeMap::new(),
        n_left_out: 0,
        kept_before: draft.kept_before().map(Path::to_owned),
    };
    draft.publish()?;
    for (part, _) in options.shares.parts() {
        split.per_part.insert(part, vec![0; pictures.classes.len()]);
    }
    for (picture, part) in pictures.listed.iter().zip(parts) {
        match part.and_then(|part| split.per_part.get_mut(&part)) {
            Some(counts) => counts[picture.label.unwrap_or(0)] += 1,
            None => split.n_left_out += 1,
        }
    }
    Ok(split)
}
