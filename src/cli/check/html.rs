//! The page that shows what was found: one file, small pictures in it, nothing from elsewhere.

use std::fmt::Write;
use std::io::Cursor;

use cnn_codes::dataset::check::{DuplicateGroup, Finding, FindingKind, PictureName};
use cnn_codes::picture::{self, Filter, Fit, Resize, RgbImage};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::Inputs;
use super::report::{Report, title};

/// The longer side of a small picture, in pixels.
const SIDE: u32 = 128;

/// The most groups, and the most single findings of a kind, that are shown; all are in the JSON. At
/// 30 KB for a small picture this keeps the page below some 20 MB.
const SHOWN: usize = 100;
/// The most pictures of one group that are shown.
const SHOWN_OF_GROUP: usize = 8;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:70em;\
padding:0 1em}section{margin:2em 0}.group{display:flex;flex-wrap:wrap;gap:1em;border-top:\
1px solid #ccc;padding:1em 0}figure{margin:0;width:16em;overflow-wrap:anywhere}figcaption{\
font-size:13px}img{display:block;max-width:100%}";

/// The page.
pub fn page(report: &Report, inputs: &Inputs) -> String {
    let kinds = report.counts();
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                title { "What was found in the pictures" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "What was found in the pictures" }
                @if kinds.is_empty() { p { "Nothing." } }
                @for (&kind, n) in kinds { (section(report, inputs, kind, *n)) }
            }
        }
    }
    .into_string()
}

fn section(report: &Report, inputs: &Inputs, kind: FindingKind, n: usize) -> Markup {
    let findings: Vec<_> = report.findings.iter().filter(|f| f.kind == kind).collect();
    let groups = report.duplicates.iter();
    let groups: Vec<_> = groups
        .filter(|g| g.kinds.iter().max() == Some(&kind))
        .collect();
    html! {
        section {
            h2 { (title(kind)) ": " (n) }
            div.group {
                @for finding in findings.iter().take(SHOWN) {
                    (single(report, inputs, finding))
                }
            }
            @for group in groups.iter().take(SHOWN) { (group_row(report, inputs, group)) }
            @let more = findings.len().max(groups.len()).saturating_sub(SHOWN);
            @if more > 0 { p { "And " (more) " more, which --format json has." } }
        }
    }
}

fn single(report: &Report, inputs: &Inputs, finding: &Finding) -> Markup {
    match &finding.picture {
        Some(picture) => figure(report, inputs, picture, &finding.detail),
        None => html! { p { (finding.detail) } },
    }
}

fn group_row(report: &Report, inputs: &Inputs, group: &DuplicateGroup) -> Markup {
    let more = group.members.len().saturating_sub(SHOWN_OF_GROUP);
    html! {
        div.group {
            @for member in group.members.iter().take(SHOWN_OF_GROUP) {
                @let how = report.likeness(group, member).unwrap_or_default();
                (figure(report, inputs, &member.picture, &how))
            }
            @if more > 0 { p { "and " (more) " more" } }
        }
    }
}

fn figure(report: &Report, inputs: &Inputs, picture: &PictureName, caption: &str) -> Markup {
    html! {
        figure {
            @if let Some(small) = small(inputs, picture) { img alt="" src=(small); }
            figcaption {
                @if let Some(class) = &picture.class { strong { (class) } " " }
                (report.name(picture))
                br;
                (caption)
            }
        }
    }
}

/// The picture, small, as a data URL; nothing where it cannot be had.
fn small(inputs: &Inputs, name: &PictureName) -> Option<String> {
    let bytes = match inputs.pictures.get(name.input) {
        Some((_, pictures)) => bytes_of(pictures, &name.path)?,
        None => bytes_of_row(inputs, name)?,
    };
    let small = shrunk(&picture::decode(&bytes).ok()?);
    let mut png = Vec::new();
    small
        .write_to(&mut Cursor::new(&mut png), image::ImageFormat::Png)
        .ok()?;
    Some(format!("data:image/png;base64,{}", base64(&png)))
}

fn bytes_of(pictures: &cnn_codes::dataset::Pictures, path: &str) -> Option<Vec<u8>> {
    let picture = pictures
        .pictures
        .iter()
        .find(|picture| &*picture.path == path)?;
    pictures.read(picture).ok()
}

/// The bytes of a store's row, where one of the folders given has them.
fn bytes_of_row(inputs: &Inputs, name: &PictureName) -> Option<Vec<u8>> {
    let store = inputs.stores.get(name.input - inputs.pictures.len())?;
    let row = store
        .pictures()
        .iter()
        .find(|row| *row.path == *name.path)?;
    let folders = inputs.pictures.iter();
    let mut files = folders.filter_map(|(_, pictures)| bytes_of(pictures, &name.path));
    files.find(|bytes| blake3::hash(bytes) == row.blake3)
}

fn shrunk(picture: &RgbImage) -> RgbImage {
    let (width, height) = picture.dimensions();
    let scale = f64::from(SIDE) / f64::from(width.max(height));
    let side = |side: u32| ((f64::from(side) * scale.min(1.0)).round() as u32).max(1);
    let resize = Resize {
        width: side(width),
        height: side(height),
        fit: Fit::Stretch,
        filter: Filter::Bilinear,
    };
    resize.apply(picture)
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0, |bits, at| {
            bits << 8 | u32::from(group.get(at).copied().unwrap_or(0))
        });
        for digit in 0..=group.len() {
            text.push(char::from(DIGITS[(bits >> (18 - 6 * digit) & 63) as usize]));
        }
        let _ = write!(text, "{}", &"=="[..3 - group.len()]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        let encoded =
            ["", "f", "fo", "foo", "foob", "fooba", "foobar"].map(|t| base64(t.as_bytes()));
        let expected = [
            "", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy",
        ];
        assert_eq!(encoded, expected);
    }
}
