//! What is wrong with a set of pictures, before anything is trained on it.
//!
//! Every picture is read and decoded once: broken, tiny, extremely long and blank ones are found on
//! the way, colour modes and classes are counted. Copies, to the byte or not, are found afterwards
//! (by `duplicates`), and judged by where they are: in one class, in two classes (one of the labels
//! is wrong), or in two inputs (what is judged on one is no news to what was trained on the other).

mod error;
mod finding;
mod look;

use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;

use rayon::prelude::*;

pub use self::error::CheckError;
pub use self::finding::{DuplicateGroup, Finding, FindingKind, Likeness, Member, PictureName};
use self::look::{Large, Look, Looked};
use super::duplicates::{Finder, Groups, Pair};
use super::{Picture, Pictures};
use crate::picture::ColorMode;

/// Pictures that are looked at side by side before the caller hears of it.
const CHUNK: usize = 64;

/// How many times as many pictures the largest class may have as the smallest.
const MAX_IMBALANCE: usize = 10;

/// When a picture is remarkable.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CheckOptions {
    /// A picture with a shorter side (pixels) is tiny.
    pub min_side: u32,
    /// A picture with a longer side more than so many times the shorter is extremely long.
    pub max_aspect: f64,
    /// Threads to decode with.
    pub threads: usize,
}

impl Default for CheckOptions {
    fn default() -> Self {
        Self {
            min_side: 32,
            max_aspect: 4.0,
            threads: 1,
        }
    }
}

/// How far a check is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckProgress {
    /// Pictures looked at.
    pub done: usize,
    /// Pictures in all.
    pub total: usize,
    /// Broken ones.
    pub failures: usize,
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
    progress: &mut dyn FnMut(CheckProgress) -> ControlFlow<()>,
) -> Result<Checked, CheckError> {
    let threads = options.threads;
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .map_err(|source| CheckError::Threads { threads, source })?;
    let mut survey = Survey::new(inputs, options)?;
    let pictures = inputs.iter().flat_map(|(_, pictures)| {
        let each = pictures.pictures.iter();
        each.map(move |picture| (pictures, picture))
    });
    let pictures: Vec<_> = pictures.collect();
    let mut state = CheckProgress {
        done: 0,
        total: pictures.len(),
        failures: 0,
    };
    for chunk in pictures.chunks(CHUNK) {
        for look in pool.install(|| look_at_all(chunk)) {
            state.failures += usize::from(look.looked.is_err());
            survey.take(look)?;
        }
        state.done += chunk.len();
        if progress(state).is_break() {
            return Err(CheckError::Stopped);
        }
    }
    pool.install(|| survey.finish())
}

/// Looks at pictures side by side, and then at the large ones among them one by one, so that memory
/// does not grow with the number of threads.
fn look_at_all(chunk: &[(&Pictures, &Picture)]) -> Vec<Look> {
    let looks: Vec<Option<Look>> = chunk
        .par_iter()
        .with_max_len(1)
        .map(|(pictures, picture)| look::look(pictures, picture, Large::Defer))
        .collect();
    let looks = looks.into_iter().zip(chunk);
    looks
        .filter_map(|(look, (pictures, picture))| {
            look.or_else(|| look::look(pictures, picture, Large::Decode))
        })
        .collect()
}

/// What is known so far.
struct Survey<'a> {
    inputs: &'a [(String, Pictures)],
    options: &'a CheckOptions,
    checked: Vec<CheckedInput>,
    findings: Vec<Finding>,
    /// BLAKE3 of each picture's bytes; nothing for one that could not be read.
    digests: Vec<Option<blake3::Hash>>,
    finder: Finder,
}

impl<'a> Survey<'a> {
    fn new(
        inputs: &'a [(String, Pictures)],
        options: &'a CheckOptions,
    ) -> Result<Self, CheckError> {
        let n_pictures = inputs.iter().map(|(_, input)| input.pictures.len()).sum();
        if u32::try_from(n_pictures).is_err() {
            return Err(CheckError::TooMany { n_pictures });
        }
        let mut findings = Vec::new();
        for (input, (_, pictures)) in inputs.iter().enumerate() {
            let broken = pictures.unusable.iter();
            findings.extend(broken.map(|failure| Finding {
                kind: FindingKind::Broken,
                picture: Some(PictureName {
                    input,
                    path: failure.path.clone(),
                    class: None,
                }),
                detail: failure.error.clone(),
            }));
        }
        Ok(Self {
            checked: inputs.iter().map(empty_input).collect(),
            digests: Vec::with_capacity(n_pictures),
            finder: Finder::new().map_err(scratch)?,
            inputs,
            options,
            findings,
        })
    }

    /// Takes up the next picture.
    fn take(&mut self, look: Look) -> Result<(), CheckError> {
        let number = self.digests.len();
        self.digests.push(look.digest);
        let (input, picture) = self.picture(number);
        let class = &mut self.checked[input].classes[picture.label.unwrap_or(0)];
        match look.looked {
            Ok(looked) => {
                class.usable += 1;
                class.colorless += usize::from(looked.thumbnail.is_colorless());
                *class
                    .color_modes
                    .entry(looked.color_mode.name())
                    .or_insert(0) += 1;
                self.judge(number, &looked);
                if !looked.thumbnail.is_blank() {
                    let number = u32::try_from(number).expect("checked at the start");
                    self.finder
                        .add(number, &looked.thumbnail)
                        .map_err(scratch)?;
                }
            }
            Err(error) => {
                class.broken += 1;
                self.find(number, FindingKind::Broken, error);
            }
        }
        Ok(())
    }

    fn judge(&mut self, number: usize, looked: &Looked) {
        let (width, height) = looked.dimensions;
        let (long, short) = (width.max(height), width.min(height));
        let size = || format!("{width} x {height} pixels");
        if short < self.options.min_side {
            self.find(number, FindingKind::Tiny, size());
        }
        if f64::from(long) > self.options.max_aspect * f64::from(short) {
            self.find(number, FindingKind::ExtremeAspect, size());
        }
        if looked.thumbnail.is_blank() {
            let detail = "next to nothing to see".to_owned();
            self.find(number, FindingKind::Blank, detail);
        }
    }

    fn find(&mut self, number: usize, kind: FindingKind, detail: String) {
        self.findings.push(Finding {
            kind,
            picture: Some(self.name(number)),
            detail,
        });
    }

    /// The input of a picture, and the picture.
    fn picture(&self, number: usize) -> (usize, &'a Picture) {
        let mut place = number;
        for (input, (_, pictures)) in self.inputs.iter().enumerate() {
            match pictures.pictures.get(place) {
                Some(picture) => return (input, picture),
                None => place -= pictures.pictures.len(),
            }
        }
        unreachable!("pictures are counted as they come")
    }

    fn name(&self, number: usize) -> PictureName {
        let (input, picture) = self.picture(number);
        let class = picture
            .label
            .map(|label| self.inputs[input].1.classes[label].clone());
        PictureName {
            input,
            path: picture.path.to_string(),
            class,
        }
    }

    fn finish(mut self) -> Result<Checked, CheckError> {
        let n = u32::try_from(self.digests.len()).expect("checked at the start");
        let mut groups = Groups::new(n);
        let mut pairs = exact_pairs(&self.digests, &mut groups);
        let finder = std::mem::replace(&mut self.finder, Finder::new().map_err(scratch)?);
        pairs.extend(finder.join(&mut groups).map_err(scratch)?);
        let mut duplicates = self.duplicates(pairs, &groups);
        for group in &duplicates {
            let first = group.members.iter().map(|m| m.picture.input).min();
            for member in &group.members {
                let is_leaked = first.is_some_and(|first| first < member.picture.input);
                self.checked[member.picture.input].n_leaked += usize::from(is_leaked);
            }
        }
        duplicates.sort_by_key(|group| std::cmp::Reverse(group.kinds.iter().max().copied()));
        self.judge_balance();
        self.findings.sort_by_key(|finding| finding.kind);
        Ok(Checked {
            inputs: self.checked,
            findings: self.findings,
            duplicates,
            groups,
        })
    }

    /// The groups that the pairs make, in the order of their first pictures.
    fn duplicates(&self, pairs: Vec<Pair>, groups: &Groups) -> Vec<DuplicateGroup> {
        let mut by_group: BTreeMap<u32, Vec<Pair>> = BTreeMap::new();
        for pair in pairs {
            by_group
                .entry(groups.of(pair.first))
                .or_default()
                .push(pair);
        }
        let groups = by_group.into_values();
        groups
            .map(|pairs| DuplicateGroup::new(&pairs, |number| self.name(number as usize)))
            .collect()
    }

    fn judge_balance(&mut self) {
        for input in &self.checked {
            let of_size = |class: &&CheckedClass| class.usable;
            let largest = input.classes.iter().max_by_key(of_size);
            let smallest = input.classes.iter().min_by_key(of_size);
            if let (Some(largest), Some(smallest)) = (largest, smallest)
                && largest.usable > MAX_IMBALANCE * smallest.usable
            {
                self.findings.push(Finding {
                    kind: FindingKind::Imbalance,
                    picture: None,
                    detail: format!(
                        "{}: '{}' has {} pictures, '{}' only {}",
                        input.name, largest.name, largest.usable, smallest.name, smallest.usable
                    ),
                });
            }
        }
    }
}

fn empty_input((name, pictures): &(String, Pictures)) -> CheckedInput {
    let unlabelled = [String::new()];
    let classes = match pictures.classes.as_slice() {
        [] => &unlabelled,
        classes => classes,
    };
    let class = |name: &String| CheckedClass {
        name: name.clone(),
        ..CheckedClass::default()
    };
    CheckedInput {
        name: name.clone(),
        classes: classes.iter().map(class).collect(),
        n_leaked: 0,
    }
}

/// Joins pictures of the same bytes, each with the first of them.
fn exact_pairs(digests: &[Option<blake3::Hash>], groups: &mut Groups) -> Vec<Pair> {
    let key = |&picture: &u32| digests[picture as usize].map(|digest| *digest.as_bytes());
    let mut order: Vec<u32> = (0..)
        .zip(digests)
        .filter(|(_, d)| d.is_some())
        .map(|(n, _)| n)
        .collect();
    order.sort_unstable_by_key(|picture| (key(picture), *picture));
    let mut pairs = Vec::new();
    for same in order.chunk_by(|a, b| key(a) == key(b)) {
        for &second in &same[1..] {
            groups.join(same[0], second);
            pairs.push(Pair {
                first: same[0],
                second,
                likeness: Likeness::Exact,
            });
        }
    }
    pairs
}

fn scratch(source: io::Error) -> CheckError {
    CheckError::Scratch { source }
}
