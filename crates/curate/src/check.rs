//! What is wrong with a set of pictures, before anything is trained on it.
//!
//! Every picture is read and decoded once: broken, tiny, extremely long and blank ones are found on
//! the way, colour modes and classes are counted. Copies, to the byte or not, are found afterwards
//! (by `duplicates`), and judged by where they are: in one class, in two classes (one of the labels
//! is wrong), or in two inputs (what is judged on one is no news to what was trained on the other).

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

/// Pictures that are looked at side by side before the caller hears of it.
const CHUNK: usize = 64;

/// When a picture is remarkable.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct CheckOptions {
    /// A picture with a shorter side (pixels) is tiny.
    pub min_side: u32,
    /// A picture with a longer side more than so many times the shorter is extremely long.
    pub max_aspect: f64,
    /// How large a picture may be; a larger one is broken.
    pub limits: DecodeLimits,
    /// Threads to decode with.
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

/// What a check found.
#[derive(Debug)]
pub struct Checked {
    /// The inputs, in the order given.
    pub inputs: Vec<CheckedInput>,
    /// What is wrong with single pictures or with an input, by kind and in the pictures' order.
    pub findings: Vec<Finding>,
    /// Pictures that show the same, those that do harm first.
    pub duplicates: Vec<DuplicateGroup>,
    /// Groups of pictures that show the same; a picture's number is its place in the inputs, one
    /// after the other.
    groups: Groups,
}

/// What an input holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedInput {
    /// The folder, the table or the archives, as they are called in messages.
    pub name: String,
    /// Classes in their order; one without a name for unlabelled pictures.
    pub classes: Vec<CheckedClass>,
    /// Pictures of this input that are copies of pictures of inputs before it.
    pub n_leaked: usize,
}

/// What a class of an input holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckedClass {
    /// The class.
    pub name: String,
    /// Pictures that can be decoded.
    pub usable: usize,
    /// Pictures that cannot.
    pub broken: usize,
    /// Usable pictures by the colours that their files have.
    pub color_modes: BTreeMap<&'static str, usize>,
    /// Usable pictures that are all grey, whatever their files could hold.
    pub colorless: usize,
}

impl Checked {
    /// The number of the first of the pictures that show the same as a picture, which may be its
    /// own; pictures are numbered as they come in the inputs, one after the other.
    ///
    /// # Panics
    /// If there is no such picture.
    #[must_use]
    pub fn group_of(&self, picture: usize) -> usize {
        let picture = u32::try_from(picture).expect("a picture's number");
        self.groups.of(picture) as usize
    }

    /// How many findings there are of each kind, the kinds in their order; groups of duplicates
    /// count once for each kind that they are of.
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

/// Looks at all pictures of `inputs`, and compares all of them, also across inputs.
///
/// The same pictures give the same result with any number of threads.
///
/// # Errors
/// [`CheckError`]; a picture that cannot be read is a finding and no error.
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

/// Looks at pictures side by side, as far as the memory goes that they share.
fn look_at_all(chunk: &[(&Pictures, &Picture)], limits: DecodeLimits) -> Vec<Look> {
    side_by_side(chunk, |(pictures, picture), room| {
        look::look(pictures, picture, limits, room)
    })
}
