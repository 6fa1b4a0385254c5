//! Collects the measurements of the pictures, and derives the findings.

use std::collections::BTreeMap;
use std::io;

use super::look::{Look, Looked};
use super::{
    CheckError, CheckOptions, Checked, CheckedClass, CheckedInput, DuplicateGroup, Finding,
    FindingKind, PictureName,
};
use crate::copies::{Finder, Groups, Likeness, Pair};
use cnn_codes::dataset::{Picture, Pictures};

/// The largest accepted ratio of the largest class to the smallest.
const MAX_IMBALANCE: usize = 10;

/// The measurements so far.
pub(super) struct Survey<'a> {
    inputs: &'a [(String, Pictures)],
    options: &'a CheckOptions,
    checked: Vec<CheckedInput>,
    findings: Vec<Finding>,
    /// BLAKE3 of each picture's bytes; `None` for one that could not be read.
    digests: Vec<Option<blake3::Hash>>,
    finder: Finder,
}

impl<'a> Survey<'a> {
    pub(super) fn new(
        inputs: &'a [(String, Pictures)],
        options: &'a CheckOptions,
    ) -> Result<Self, CheckError> {
        let n_pictures = inputs.iter().map(|(_, input)| input.listed.len()).sum();
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

    /// Adds the next picture.
    pub(super) fn take(&mut self, look: Look) -> Result<(), CheckError> {
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
            match pictures.listed.get(place) {
                Some(picture) => return (input, picture),
                None => place -= pictures.listed.len(),
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

    pub(super) fn finish(mut self) -> Result<Checked, CheckError> {
        let n = u32::try_from(self.digests.len()).expect("checked at the start");
        let mut groups = Groups::new(n);
        // Freed before the index needs memory.
        let digests = std::mem::take(&mut self.digests);
        let mut pairs = exact_pairs(&digests, &mut groups);
        drop(digests);
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

    /// The groups formed by the pairs, in the order of their first pictures.
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

/// Joins pictures with equal bytes, each with the first of them.
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
