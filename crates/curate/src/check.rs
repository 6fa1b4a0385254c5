//! Checks a set of pictures before anything is trained on it.
//!
//! Every picture is read and decoded once. This finds broken, tiny, extremely long and blank
//! pictures, and counts colour modes and classes. Copies, exact or not, are found afterwards (by
//! `copies`), and classified by where they are: in one class, in two classes (one of the labels is
//! wrong), or in two inputs (if a head is trained on one, the other cannot evaluate it).

mod error;
mod finding;
mod look;
mod survey;

use std::collections::BTreeMap;

pub use self::error::CheckError;
pub use self::finding::{DuplicateGroup, Finding, FindingKind, Likeness, Member, PictureName};
use self::look::Look;
use self::survey::Survey;
use crate::copies::Groups;
use cnn_codes::dataset::{Picture, Pictures};
use cnn_codes::picture::memory::side_by_side;
use cnn_codes::picture::{ColorMode, DecodeLimits};
use cnn_codes::progress::{Progress, Watch};

/// Pictures that are checked in parallel between two progress reports.
const CHUNK: usize = 64;

/// When a picture counts as a finding.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct CheckOptions {
    /// A picture with a shorter side (pixels) is tiny.
    pub min_side: u32,
    /// A picture whose longer side exceeds this many times the shorter is extremely long.
    pub max_aspect: f64,
    /// How large a picture may be; a larger one counts as broken.
    pub limits: DecodeLimits,
    /// Number of threads for decoding.
    pub threads: usize,
}

impl Default for CheckOptions {
    fn default() -> Self {
        Self {
            min_side: 32,
            max_aspect: 4.0,
            limits: DecodeLimits::default(),
            threads: 1,
        }
    }
}

/// The result of a check.
#[derive(Debug)]
pub struct Checked {
    /// The inputs, in the given order.
    pub inputs: Vec<CheckedInput>,
    /// Problems of single pictures or of an input, by kind and in the order of the pictures.
    pub findings: Vec<Finding>,
    /// Groups of pictures that show the same; the most harmful groups come first.
    pub duplicates: Vec<DuplicateGroup>,
    /// Groups of pictures that show the same. A picture's number counts through all inputs in
    /// order.
    groups: Groups,
}

/// The contents of an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedInput {
    /// The folder, the table or the archives, as named in messages.
    pub name: String,
    /// Classes in order; for unlabelled pictures, one class without a name.
    pub classes: Vec<CheckedClass>,
    /// Pictures of this input that are copies of pictures in earlier inputs.
    pub n_leaked: usize,
}

/// The contents of a class of an input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckedClass {
    /// The name of the class.
    pub name: String,
    /// Pictures that can be decoded.
    pub usable: usize,
    /// Pictures that cannot be decoded.
    pub broken: usize,
    /// Usable pictures by the colour mode of their files.
    pub color_modes: BTreeMap<&'static str, usize>,
    /// Usable pictures that are entirely grey, whatever their colour mode.
    pub colorless: usize,
}

impl Checked {
    /// The number of the first picture that shows the same as `picture`, which may be `picture`
    /// itself. Pictures are numbered through all inputs in order.
    ///
    /// # Panics
    /// If the picture does not exist.
    #[must_use]
    pub fn group_of(&self, picture: usize) -> usize {
        let picture = u32::try_from(picture).expect("a picture's number");
        self.groups.of(picture) as usize
    }

    /// The number of findings of each kind, in the order of the kinds. A group of duplicates counts
    /// once for each of its kinds.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<FindingKind, usize> {
        let single = self.findings.iter().map(|finding| finding.kind);
        let groups = self.duplicates.iter().flat_map(|group| group.kinds.clone());
        let mut counts = BTreeMap::new();
        for kind in single.chain(groups) {
            *counts.entry(kind).or_insert(0) += 1;
        }
        counts
    }
}

/// Checks all pictures of `inputs`, and compares all of them, also across inputs.
///
/// The same pictures give the same result with any number of threads.
///
/// # Errors
/// [`CheckError`]; a picture that cannot be read is a finding, not an error.
pub fn check(
    inputs: &[(String, Pictures)],
    options: &CheckOptions,
    watch: &dyn Watch,
) -> Result<Checked, CheckError> {
    let threads = options.threads;
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .map_err(|source| CheckError::Threads { threads, source })?;
    let mut survey = Survey::new(inputs, options)?;
    let pictures = inputs.iter().flat_map(|(_, pictures)| {
        let each = pictures.listed.iter();
        each.map(move |picture| (pictures, picture))
    });
    let mut pictures = pictures.peekable();
    let mut progress = Progress {
        total: inputs.iter().map(|(_, input)| input.listed.len()).sum(),
        ..Progress::default()
    };
    while pictures.peek().is_some() {
        let chunk: Vec<_> = pictures.by_ref().take(CHUNK).collect();
        for look in pool.install(|| look_at_all(&chunk, options.limits)) {
            progress.failures += usize::from(look.looked.is_err());
            survey.take(look)?;
        }
        progress.done += chunk.len();
        watch.progress(progress, &"");
        watch.or_stopped()?;
    }
    pool.install(|| survey.finish())
}

/// Checks pictures in parallel, as far as their shared memory allows.
fn look_at_all(chunk: &[(&Pictures, &Picture)], limits: DecodeLimits) -> Vec<Look> {
    side_by_side(chunk, |(pictures, picture), room| {
        look::look(pictures, picture, limits, room)
    })
}
