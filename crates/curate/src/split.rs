//! Labelled pictures into train/, validation/ and test/, each with a folder for every class.
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

/// What DIR is called in messages, and the file that makes it one.
pub const KIND: Kind = Kind {
    name: "split",
    marker: TABLE,
};

/// The table of all pictures, inside DIR: path, label, part, group.
pub const TABLE: &str = "split.csv";

/// One of the folders that pictures are dealt into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// What heads are trained on.
    Train,
    /// What they are judged on while one still chooses.
    Validation,
    /// What they are judged on once, at the end.
    Test,
}

named!(Part, "part", Train => "train", Validation => "validation", Test => "test");

/// Which share of every class each part gets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shares {
    train: f64,
    validation: f64,
    test: f64,
}

/// What may be missing to 1, or be beyond it, by rounding.
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
    /// The share of training where nothing else is said.
    pub const TRAIN: f64 = 0.8;

    /// Validation gets what is left where its share is not given.
    ///
    /// # Errors
    /// [`SplitError::Shares`] unless the shares are 0 or more and 1 or less together, and at least
    /// two parts get something.
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

    /// The share of what goes nowhere: what the shares leave to 1.
    fn left_out(&self) -> f64 {
        let rest = 1.0 - self.train - self.validation - self.test;
        if rest < ROUNDING { 0.0 } else { rest }
    }

    /// The parts that get something, and their shares.
    fn parts(&self) -> Vec<(Part, f64)> {
        let all = [
            (Part::Train, self.train),
            (Part::Validation, self.validation),
            (Part::Test, self.test),
        ];
        all.into_iter().filter(|(_, share)| *share > 0.0).collect()
    }
}

/// How pictures come into their folders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Placement {
    /// As copies.
    #[default]
    Copy,
    /// As hard links: no more room is taken, and the pictures stay where either name is removed; to
    /// change one in place changes both. DIR has to be on the file system of the pictures.
    HardLink,
}

/// How pictures are split.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct SplitOptions {
    /// Which share each part gets.
    pub shares: Shares,
    /// Which pictures go where.
    pub seed: u64,
    /// How they get there.
    pub placement: Placement,
}

/// What a split did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// Pictures of each class, in the order of the classes, in each part that has a share.
    pub per_part: BTreeMap<Part, Vec<usize>>,
    /// Pictures that the shares leave for no part.
    pub n_left_out: usize,
    /// Where the finished split of an earlier run is kept, which was killed before it was in its place.
    pub kept_before: Option<PathBuf>,
}

/// Refuses an `out` that is not free or lies among the pictures, before there is any work.
///
/// # Errors
/// [`SplitError::Exists`], [`SplitError::Inside`] or [`SplitError::Draft`].
pub fn check_out(pictures: &Pictures, out: &Path) -> Result<(), SplitError> {
    write::check_apart(&pictures.root, out)?;
    Draft::check(out, KIND, Existing::Keep).map_err(SplitError::of_draft)
}

/// Deals `pictures` into parts and leaves them at `out`, whole or not at all.
///
/// Pictures of one group of `grouping` go to one part. Of every class each part gets its share, but
/// for what groups forbid, and one picture at least. The same pictures, groups, shares and seed give
/// the same split. `watch` is told how many pictures are placed, and may stop.
///
/// # Errors
/// [`SplitError`]; nothing is left at `out` then, and what was there is as it was. A split that is
/// finished, but could not be put in its place, is kept beside it: the error says where.
///
/// # Panics
/// If `grouping` is not of these pictures.
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
