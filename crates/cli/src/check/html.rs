//! The page that shows what was found: one file, small pictures in it, nothing from elsewhere.

use std::collections::HashMap;

use cnn_codes::dataset::{Picture, Pictures};
use cnn_codes::messages::visible;
use cnn_codes::picture;
use cnn_codes_curate::check::{
    CheckedClass, CheckedInput, DuplicateGroup, FindingKind, PictureName,
};
use maud::{Markup, html};

use super::Inputs;
use super::report::{Report, described, title};
use crate::page::{Inline, document, inline};

/// The most groups, and the most single findings of a kind, that are shown; all are in the JSON. At
/// 27 KB for a small picture, and a third of that for most, this keeps the page below some 20 MB.
const SHOWN: usize = 100;
/// The most pictures of one group that are shown.
const SHOWN_OF_GROUP: usize = 8;

/// The page.
pub fn page(report: &Report, inputs: &Inputs) -> String {
    let kinds = report.counts();
    let sources = Sources::new(inputs);
    let body = html! {
        header {
            h1 { "What was found in the pictures" }
            @if kinds.is_empty() {
                p.verdict { "Nothing." }
            } @else {
                nav aria-label="Sections" {
                    @for (kind, n) in kinds {
                        a href={ "#" (kind) } { (title(*kind)) ": " (n) }
                    }
                }
            }
        }
        main {
            @for (&kind, n) in kinds { (section(report, &sources, kind, *n)) }
            section {
                h2 { "Classes" }
                @for input in &report.inputs { (classes(input)) }
            }
        }
    };
    document("What was found in the pictures", &body)
}

fn section(report: &Report, sources: &Sources, kind: FindingKind, n: usize) -> Markup {
    let findings = report.findings.iter().filter(|f| f.kind == kind);
    let (on_pictures, others): (Vec<_>, Vec<_>) = findings.partition(|f| f.picture.is_some());
    let groups = report.duplicates.iter();
    let groups: Vec<_> = groups
        .filter(|g| g.kinds.iter().max() == Some(&kind))
        .collect();
    let below = n - on_pictures.len() - others.len() - groups.len();
    let more = on_pictures.len().max(groups.len()).saturating_sub(SHOWN);
    html! {
        section id=(kind) {
            h2 { (title(kind)) ": " (n) }
            @if below > 0 { p.note { (below) " of them are in the sections below." } }
            @for finding in others { p { (visible(&finding.detail)) } }
            @if !on_pictures.is_empty() {
                ul.cards.found {
                    @for finding in on_pictures.iter().take(SHOWN) {
                        @if let Some(picture) = &finding.picture {
                            (card(report, sources, picture, None, &finding.detail))
                        }
                    }
                }
            }
            @for group in groups.iter().take(SHOWN) { (row(report, sources, group)) }
            @if more > 0 { p.note { "And " (more) " more, which --format json has." } }
        }
    }
}

/// The pictures of a group side by side.
fn row(report: &Report, sources: &Sources, group: &DuplicateGroup) -> Markup {
    let more = group.members.len().saturating_sub(SHOWN_OF_GROUP);
    html! {
        ol.cards.found.copies {
            @for (place, member) in group.members.iter().take(SHOWN_OF_GROUP).enumerate() {
                @let how = member.like.map_or(String::new(), |(other, likeness)| {
                    described(likeness, &(other + 1).to_string())
                });
                (card(report, sources, &member.picture, Some(place + 1), &how))
            }
            @if more > 0 { li.card { p.note { "and " (more) " more" } } }
        }
    }
}

fn card(
    report: &Report,
    sources: &Sources,
    picture: &PictureName,
    number: Option<usize>,
    detail: &str,
) -> Markup {
    let name = report.name(picture);
    html! {
        li.card {
            div.picture {
                @match sources.small(picture) {
                    Some(Inline { uri, size: (width, height) }) => {
                        img src=(uri) alt=(name) width=(width) height=(height);
                    }
                    None => { span.absent { (sources.reason(picture)) } }
                }
            }
            p.class {
                @if let Some(number) = number { span.number { (number) " " } }
                @if let Some(class) = &picture.class { bdi { (visible(class)) } }
            }
            p.path title=(name) { bdi { (name) } }
            @if !detail.is_empty() { p { (visible(detail)) } }
        }
    }
}

/// How many pictures each class has, and of what colours.
fn classes(input: &CheckedInput) -> Markup {
    let modes = |class: &CheckedClass| {
        let modes = class.color_modes.iter();
        let modes: Vec<_> = modes.map(|(mode, n)| format!("{n} {mode}")).collect();
        modes.join(", ")
    };
    html! {
        h3 { bdi { (visible(&input.name)) } }
        @if input.n_leaked > 0 {
            p { (input.n_leaked) " of its pictures are copies of pictures of inputs before it." }
        }
        div.scroll {
            table {
                thead {
                    tr {
                        th scope="col" { "class" }
                        th.number scope="col" { "usable" }
                        th.number scope="col" { "broken" }
                        th.number scope="col" { "without colour" }
                        th scope="col" { "colours of the files" }
                    }
                }
                tbody {
                    @for class in &input.classes {
                        tr {
                            th scope="row" { bdi { (visible(&class.name)) } }
                            td.number { (class.usable) }
                            td.number { (class.broken) }
                            td.number { (class.colorless) }
                            td { (modes(class)) }
                        }
                    }
                }
            }
        }
    }
}

/// Where the bytes of pictures are.
struct Sources<'a> {
    inputs: &'a Inputs,
    /// The pictures of each input that is no store, by their paths.
    by_path: Vec<HashMap<&'a str, &'a Picture>>,
}

impl<'a> Sources<'a> {
    fn new(inputs: &'a Inputs) -> Self {
        let by_path = |(_, pictures): &'a (String, Pictures)| {
            let pictures = pictures.listed.iter();
            pictures.map(|picture| (&*picture.path, picture)).collect()
        };
        Self {
            by_path: inputs.pictures.iter().map(by_path).collect(),
            inputs,
        }
    }

    /// The picture, small; nothing where it cannot be had.
    fn small(&self, name: &PictureName) -> Option<Inline> {
        let bytes = if name.input < self.by_path.len() {
            self.bytes(name.input, &name.path)?
        } else {
            self.bytes_of_row(name)?
        };
        picture::decode(&bytes).ok().map(|picture| inline(&picture))
    }

    /// Why a picture cannot be shown.
    fn reason(&self, name: &PictureName) -> &'static str {
        if name.input < self.by_path.len() {
            "cannot be shown"
        } else {
            "not in the folders that were given, or changed since its code was taken"
        }
    }

    fn bytes(&self, input: usize, path: &str) -> Option<Vec<u8>> {
        let picture = self.by_path[input].get(path)?;
        self.inputs.pictures[input].1.read(picture).ok()
    }

    /// The bytes of a store's row, where one of the folders given has them.
    fn bytes_of_row(&self, name: &PictureName) -> Option<Vec<u8>> {
        let store = self.inputs.stores.get(name.input - self.by_path.len())?;
        let row = store
            .pictures()
            .iter()
            .find(|row| *row.path == *name.path)?;
        let mut files = (0..self.by_path.len()).filter_map(|input| self.bytes(input, &name.path));
        files.find(|bytes| blake3::hash(bytes) == row.blake3)
    }
}
