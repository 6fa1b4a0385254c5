//! What was found, for people and for programs.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use cnn_codes::dataset::OtherFiles;
use cnn_codes::messages::{count, visible};
use cnn_codes::train::LabelError;
use cnn_codes_curate::check::{
    Checked, CheckedClass, CheckedInput, DuplicateGroup, Finding, FindingKind, Likeness, Member,
    PictureName,
};
use serde_json::{Value, json};

use super::{Inputs, finding};
use crate::passed_over;

/// How many findings of a kind are listed for people; programs get all.
const LISTED: usize = 20;

/// What was found in all inputs.
pub struct Report {
    /// Names of the inputs: those of pictures first, then stores.
    names: Vec<String>,
    pub inputs: Vec<CheckedInput>,
    /// Files of each input that are no pictures by their endings.
    other_files: Vec<OtherFiles>,
    pub findings: Vec<Finding>,
    pub duplicates: Vec<DuplicateGroup>,
    counts: BTreeMap<FindingKind, usize>,
}

impl Report {
    pub fn new(inputs: &Inputs, checked: Checked, label_errors: Vec<Vec<LabelError>>) -> Self {
        let mut counts = checked.counts();
        let n_pictures = inputs.pictures.len();
        let mut findings = checked.findings;
        for (place, (store, label_errors)) in inputs.stores.iter().zip(&label_errors).enumerate() {
            let label_errors = label_errors.iter();
            findings.extend(label_errors.map(|error| finding(store, n_pictures + place, error)));
        }
        for finding in findings.iter().filter(|f| is_of_codes(f.kind)) {
            *counts.entry(finding.kind).or_insert(0) += 1;
        }
        let pictures = inputs.pictures.iter().map(|(name, _)| name.clone());
        let stores = inputs.stores.iter().map(|s| s.dir().display().to_string());
        let other_files = inputs.pictures.iter();
        let other_files = other_files.map(|(_, pictures)| pictures.other_files.clone());
        Self {
            names: pictures.chain(stores).collect(),
            inputs: checked.inputs,
            other_files: other_files.collect(),
            findings,
            duplicates: checked.duplicates,
            counts,
        }
    }

    /// How many findings there are of each kind.
    pub fn counts(&self) -> &BTreeMap<FindingKind, usize> {
        &self.counts
    }

    /// A picture as a user would name it.
    pub fn name(&self, picture: &PictureName) -> String {
        let input = &self.names[picture.input];
        // A store has a picture's path, but not the picture.
        let name = if picture.input < self.inputs.len() {
            Path::new(input).join(&picture.path).display().to_string()
        } else {
            format!("{} (of {input})", picture.path)
        };
        visible(&name)
    }

    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for (input, other_files) in self.inputs.iter().zip(&self.other_files) {
            input_text(&mut text, input);
            text += &passed_over(other_files);
        }
        if self.counts.is_empty() {
            text += "no problems found\n";
        }
        for (kind, n) in &self.counts {
            let lines = self.lines(*kind);
            let below = match n - lines.len() {
                0 => String::new(),
                below => format!(", {below} of them listed below"),
            };
            let _ = writeln!(text, "{}: {n}{below}", title(*kind));
            for line in lines.iter().take(LISTED) {
                let _ = writeln!(text, "  {line}");
            }
            if lines.len() > LISTED {
                let more = lines.len() - LISTED;
                let _ = writeln!(text, "  and {more} more (--format json has all)");
            }
        }
        text
    }

    /// A line for each finding of a kind. A group is listed where it does most harm.
    fn lines(&self, kind: FindingKind) -> Vec<String> {
        let single = self.findings.iter().filter(|finding| finding.kind == kind);
        let single = single.map(|finding| match &finding.picture {
            Some(picture) => {
                format!(
                    "{}{}: {}",
                    self.name(picture),
                    class(picture),
                    visible(&finding.detail)
                )
            }
            None => visible(&finding.detail),
        });
        let groups = self.duplicates.iter();
        let groups = groups.filter(|group| group.kinds.iter().max() == Some(&kind));
        single
            .chain(groups.map(|group| self.group_line(group)))
            .collect()
    }

    fn group_line(&self, group: &DuplicateGroup) -> String {
        let members = group.members.iter().take(LISTED).map(|member| {
            let picture = &member.picture;
            let how = member.like.map_or(String::new(), |(other, likeness)| {
                let other = self.name(&group.members[other].picture);
                format!(": {}", described(likeness, &other))
            });
            format!("{}{}{how}", self.name(picture), class(picture))
        });
        let mut lines: Vec<_> = members.collect();
        let more = group.members.len() - lines.len();
        if more > 0 {
            lines.push(format!("and {more} more"));
        }
        lines.join("\n    ")
    }

    pub fn to_json(&self) -> Value {
        let inputs = self.inputs.iter().map(|input| {
            json!({
                "name": input.name,
                "leaked": input.n_leaked,
                "classes": input.classes.iter().map(class_json).collect::<Vec<_>>(),
            })
        });
        let findings = self.findings.iter().map(|finding| {
            json!({
                "kind": finding.kind.name(),
                "input": finding.picture.as_ref().map(|picture| &self.names[picture.input]),
                "path": finding.picture.as_ref().map(|picture| &picture.path),
                "class": finding.picture.as_ref().and_then(|picture| picture.class.clone()),
                "detail": finding.detail,
            })
        });
        let groups = self.duplicates.iter().map(|group| {
            json!({
                "kinds": group.kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>(),
                "pictures": group.members.iter().map(|m| self.member_json(m)).collect::<Vec<_>>(),
            })
        });
        let counts = self
            .counts
            .iter()
            .map(|(kind, n)| (kind.name().to_owned(), json!(n)));
        json!({
            "inputs": inputs.collect::<Vec<_>>(),
            "counts": counts.collect::<serde_json::Map<_, _>>(),
            "findings": findings.collect::<Vec<_>>(),
            "duplicates": groups.collect::<Vec<_>>(),
        })
    }

    fn member_json(&self, member: &Member) -> Value {
        let (like, correlation, is_mirrored) = match member.like {
            None => (None, None, None),
            Some((other, Likeness::Exact)) => (Some(other), Some(1.0), Some(false)),
            Some((
                other,
                Likeness::Near {
                    correlation,
                    is_mirrored,
                },
            )) => (Some(other), Some(correlation), Some(is_mirrored)),
        };
        json!({
            "input": self.names[member.picture.input],
            "path": member.picture.path,
            "class": member.picture.class,
            "same_bytes": matches!(member.like, Some((_, Likeness::Exact))),
            "like": like,
            "correlation": correlation,
            "mirrored": is_mirrored,
        })
    }
}

/// How a picture is like another.
pub fn described(likeness: Likeness, other: &str) -> String {
    match likeness {
        Likeness::Exact => format!("the same bytes as {other}"),
        Likeness::Near {
            correlation,
            is_mirrored,
        } => {
            let mirrored = if is_mirrored { " mirrored" } else { "" };
            format!("like {other}{mirrored}, correlation {correlation:.3}")
        }
    }
}

/// Whether findings of this kind come from stores.
fn is_of_codes(kind: FindingKind) -> bool {
    matches!(kind, FindingKind::Outlier | FindingKind::DoubtfulLabel)
}

/// What findings of a kind are called for people.
pub fn title(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::Broken => "broken",
        FindingKind::Tiny => "tiny",
        FindingKind::ExtremeAspect => "extremely long or high",
        FindingKind::Blank => "blank, or nearly",
        FindingKind::Imbalance => "classes of very different sizes",
        FindingKind::Duplicate => "copies in one class",
        FindingKind::Contradiction => "copies in two classes",
        FindingKind::Leakage => "copies in two inputs",
        FindingKind::Outlier => "far from their class, by their codes",
        FindingKind::DoubtfulLabel => "labels in doubt, by their codes",
    }
}

/// A picture's class in brackets.
fn class(picture: &PictureName) -> String {
    let class = picture.class.as_ref();
    class.map_or(String::new(), |class| format!(" [{}]", visible(class)))
}

fn input_text(text: &mut String, input: &CheckedInput) {
    let usable: usize = input.classes.iter().map(|class| class.usable).sum();
    let leaked = match input.n_leaked {
        0 => String::new(),
        n => format!(", {n} of them copies of pictures of inputs before it"),
    };
    let _ = writeln!(
        text,
        "{}: {}{leaked}",
        visible(&input.name),
        count(usable, "usable picture", "usable pictures")
    );
    let names: Vec<_> = input
        .classes
        .iter()
        .map(|class| visible(&class.name))
        .collect();
    let width = names.iter().map(|name| name.chars().count()).max();
    for (class, name) in input.classes.iter().zip(&names) {
        let modes = class
            .color_modes
            .iter()
            .map(|(mode, n)| format!("{n} {mode}"));
        let mut line = format!(
            "  {name:width$} {:6}  {}",
            class.usable,
            modes.collect::<Vec<_>>().join(", "),
            width = width.unwrap_or(0),
        );
        if class.colorless > 0 {
            let _ = write!(line, ", {} without colour", class.colorless);
        }
        if class.broken > 0 {
            let _ = write!(line, ", {} broken", class.broken);
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
}

fn class_json(class: &CheckedClass) -> Value {
    json!({
        "name": class.name,
        "usable": class.usable,
        "broken": class.broken,
        "color_modes": class.color_modes,
        "colorless": class.colorless,
    })
}
