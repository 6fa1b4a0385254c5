//! report.html: one file that needs nothing else, of all that is told of a HEAD.
//!
//! Names of files and classes reach it as text only: maud escapes them, nothing of them is put into
//! the script or the style, and a policy in the page forbids everything that is not in it.

mod abstention;
mod calibration;
mod configuration;
mod confusion;
mod curves;
mod gallery;
mod growth;
mod map;
mod names;
mod per_class;
mod plot;
mod thumbnails;
mod trunks;
mod verdict;
mod views;

use std::path::Path;

use crate::evaluations::Evaluations;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use cnn_codes::train::{Comparison, Report, percent};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use self::gallery::Gallery;
pub use self::thumbnails::{Inline, LARGE, SMALL, inline, jpeg_of_row, same_bytes};
pub use self::trunks::{TrunkOnPage, trunks_page};

const STYLE: &str = include_str!("page/style.css");
const SCRIPT: &str = include_str!("page/script.js");

/// The page, with thumbnails of the judged pictures below `pictures`, or below the folder that
/// they were in when their codes were taken. A picture that is not there, or not the one that
/// was judged, has a placeholder that says so.
///
/// Equal reports and pictures give equal bytes.
pub fn page(report: &Report, evaluations: &Evaluations, pictures: Option<&Path>) -> String {
    let comparison = &report.comparison;
    let gallery = Gallery::of(report, pictures.or(report.provenance.root()));
    let title = title(comparison);
    let body = html! {
        (names::symbols())
        header { h1 { (title) } (contents(report)) }
        main {
            (verdict::section(comparison))
            (growth::section(comparison))
            (views::section(comparison))
            (curves::section(report))
            (confusion::section(comparison, &gallery))
            (gallery.section(comparison))
            (per_class::section(comparison))
            (calibration::section(comparison))
            (abstention::section(comparison))
            (map::section(report, &gallery))
            (configuration::section(report, evaluations))
        }
        div #tip hidden {}
        script { (PreEscaped(SCRIPT)) }
    };
    document(&title, &body)
}

/// The page, with thumbnails of the judged pictures below `pictures`, or below the folder that the
/// report names; where it is `private`, without the command and absolute paths, which the report forgets.
pub fn page_of(
    report: &mut Report,
    mut evaluations: Evaluations,
    pictures: Option<&Path>,
    private: bool,
) -> String {
    let named = report.pictures_folder();
    if private {
        report.forget_folders();
        evaluations.forget_folders();
    }
    page(report, &evaluations, pictures.or(named.as_deref()))
}

/// A page in the report's style that needs nothing else: what it allows itself is its own style,
/// the report's script, and pictures inside of it.
pub fn document(title: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy());
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " - cnn-codes" }
                style { (PreEscaped(STYLE)) }
            }
            body { (body) }
        }
    };
    page.into_string()
}

/// Allows this page's style and script by their hashes, pictures inside the page, and nothing else.
fn policy() -> String {
    let hash = |text: &str| BASE64_STANDARD.encode(Sha256::digest(text));
    format!(
        "default-src 'none'; img-src data:; style-src 'sha256-{}'; script-src 'sha256-{}'; \
         base-uri 'none'; form-action 'none'",
        hash(STYLE),
        hash(SCRIPT)
    )
}

fn title(comparison: &Comparison) -> String {
    let heads: Vec<_> = comparison
        .heads
        .iter()
        .map(|head| names::head(head.name))
        .collect();
    let n = comparison.labels.len();
    let of = comparison.classes.len();
    format!(
        "{} on {n} pictures of {of} classes",
        names::capitalised(&heads.join(" and "))
    )
}

fn contents(report: &Report) -> Markup {
    html! {
        nav aria-label="Sections" {
            a href="#verdict" { "Result" }
            @if report.comparison.learning_curve.is_some() { a href="#growth" { "More pictures" } }
            @if report.comparison.views.is_some() { a href="#views" { "Views" } }
            @if !report.history.is_empty() { a href="#curves" { "Learning curves" } }
            a href="#confusion" { "Confusion" }
            a href="#gallery" { "Pictures" }
            a href="#classes" { "Classes" }
            a href="#calibration" { "Calibration" }
            @if abstention::is_told(&report.comparison) { a href="#abstention" { "Abstention" } }
            a href="#map" { "Map" }
            a href="#configuration" { "Configuration" }
        }
    }
}

/// A probability; 100% is said of what is certain only.
fn probability(fraction: f32) -> String {
    match percent(f64::from(fraction)).as_str() {
        "100.0%" if fraction < 1.0 => ">99.9%".to_owned(),
        text => text.to_owned(),
    }
}
