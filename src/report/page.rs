//! report.html: one file that needs nothing else, of what HEAD's files tell.
//!
//! Names of files and classes reach it as text only: maud escapes them, nothing of them is put into
//! the script or the style, and a policy in the page forbids everything that is not in it.

mod calibration;
mod configuration;
mod confusion;
mod curves;
mod gallery;
mod map;
mod names;
mod per_class;
mod plot;
mod verdict;

use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use self::gallery::Gallery;
use super::{Comparison, Report};

const STYLE: &str = include_str!("page/style.css");
const SCRIPT: &str = include_str!("page/script.js");

impl Report {
    /// The page, with thumbnails of the judged pictures below `pictures`, or below the folder that
    /// they were in when their codes were taken. A picture that is not there, or not the one that
    /// was judged, has a placeholder that says so.
    ///
    /// Equal files and pictures give equal bytes.
    #[must_use]
    pub fn to_html(&self, pictures: Option<&Path>) -> String {
        let gallery = Gallery::of(self, pictures.or(self.provenance.root()));
        let title = title(&self.comparison);
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
                body {
                    (names::symbols())
                    header { h1 { (title) } (contents(self)) }
                    main {
                        (verdict::section(&self.comparison))
                        (curves::section(self))
                        (confusion::section(&self.comparison, &gallery))
                        (gallery.section(&self.comparison))
                        (per_class::section(&self.comparison))
                        (calibration::section(&self.comparison))
                        (map::section(self, &gallery))
                        (configuration::section(self))
                    }
                    div #tip hidden {}
                    script { (PreEscaped(SCRIPT)) }
                }
            }
        };
        page.into_string()
    }
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
            @if !report.history.is_empty() { a href="#curves" { "Learning curves" } }
            a href="#confusion" { "Confusion" }
            a href="#gallery" { "Pictures" }
            a href="#classes" { "Classes" }
            a href="#calibration" { "Calibration" }
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

fn percent(fraction: f64) -> String {
    format!("{:.1}%", 100.0 * fraction)
}
