//! Answering only what a head is sure of: risk by coverage.

use cnn_codes::evaluate::Abstention;
use cnn_codes::train::{Comparison, HeadResult, percent};
use maud::{Markup, html};

use super::names;
use super::plot::{Axis, Plot, STYLES, legend};

/// Whether there is anything to tell: heads whose probabilities out of fold are known.
pub(super) fn is_told(comparison: &Comparison) -> bool {
    heads(comparison).next().is_some()
}

pub(super) fn section(comparison: &Comparison) -> Markup {
    if !is_told(comparison) {
        return html! {};
    }
    let kinds: Vec<_> = heads(comparison).map(|head| head.kind).collect();
    html! {
        section #abstention {
            h2 { "Answering only where a head is sure" }
            p {
                "The fewer pictures a head answers, the surest first, the fewer of its answers are wrong. This is by its \
                 probabilities on training pictures out of fold; " code { "predict --min-confidence" }
                " calls the others unsure."
            }
            (legend(&kinds))
            div.plots.one { figure {
                figcaption { "Wrong answers by the share of pictures that are answered" }
                (plot(comparison))
            } }
            (thresholds(comparison))
        }
    }
}

/// The heads whose probabilities out of fold are known.
fn heads(comparison: &Comparison) -> impl Iterator<Item = &HeadResult> {
    let heads = comparison.heads.iter();
    heads.filter(|head| !head.abstentions.curve.is_empty())
}

fn plot(comparison: &Comparison) -> Markup {
    let risk = |wrong: usize, answered: usize| 100.0 * wrong as f64 / answered as f64;
    let curves = || heads(comparison).map(|head| &head.abstentions.curve);
    let points = curves().flatten();
    let highest = points
        .map(|at| risk(at.wrong, at.answered))
        .fold(1.0, f64::max);
    let plot = Plot {
        x: Axis::new(0.0, 100.0, "pictures answered (%)"),
        y: Axis::new(0.0, 1.1 * highest, "answers that are wrong (%)"),
    };
    let inside = html! {
        @for (curve, style) in curves().zip(STYLES) {
            @let n = curve.last().map_or(1, |last| last.answered) as f64;
            polyline class={ "curve " (style) } points=(plot.points(curve.iter()
                .map(|at| (100.0 * at.answered as f64 / n, risk(at.wrong, at.answered))))) {}
        }
    };
    plot.draw(
        "Wrong answers by the share of pictures that are answered",
        &inside,
        false,
    )
}

/// Which confidence keeps to which share of wrong answers.
fn thresholds(comparison: &Comparison) -> Markup {
    let told = || heads(comparison).filter(|head| !head.abstentions.told.is_empty());
    if told().next().is_none() {
        return html! { p { "No confidence keeps the wrong answers at 5% or fewer." } };
    }
    html! {
        div.scroll tabindex="0" role="region" aria-label="Confidence by wanted errors" {
            table {
                thead { tr {
                    th scope="col" { "Head" } th scope="col" { "Wrong at most" } th scope="col" { "Confidence from" }
                    th scope="col" { "Answered" } th scope="col" { "Wrong" }
                } }
                tbody {
                    @for head in told() {
                        @for (index, told) in head.abstentions.told.iter().enumerate() {
                            tr {
                                @if index == 0 {
                                    th scope="rowgroup" rowspan=(head.abstentions.told.len()) {
                                        (names::capitalised(head.title()))
                                    }
                                }
                                td.number { (100.0 * told.wanted_errors) "%" }
                                td.number { (confidence(told)) }
                                td.number { (told.answered) " of " (told.n) }
                                td.number { (told.wrong) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Rounded up, so that it is kept to.
fn confidence(told: &Abstention) -> String {
    percent((1000.0 * told.min_confidence).ceil() / 1000.0)
}
