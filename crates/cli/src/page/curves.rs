//! The MLP's learning curves.

use maud::{Markup, html};

use super::names;
use super::plot::{Axis, Plot};
use cnn_codes::head::mlp::Keep;
use cnn_codes::head::{Epoch, HeadKind, HeadOptions};
use cnn_codes::train::Report;

/// Most points of a curve: more than a line has pixels would only make the page larger.
const MAX_POINTS: usize = 500;

/// A curve: its style, its name, and what it shows of an epoch.
type Curve = (&'static str, &'static str, fn(&Epoch) -> Option<f64>);

const LOSSES: [Curve; 3] = [
    ("training", "training", |epoch| Some(epoch.loss)),
    ("held-out", "held out", |epoch| epoch.held_out_loss),
    ("validation", "validation", |epoch| epoch.val_loss),
];

const ACCURACIES: [Curve; 3] = [
    ("training", "training", |epoch| Some(100.0 * epoch.accuracy)),
    ("held-out", "held out", |epoch| {
        epoch.held_out_accuracy.map(|share| 100.0 * share)
    }),
    ("validation", "validation", |epoch| {
        epoch.val_accuracy.map(|share| 100.0 * share)
    }),
];

pub(super) fn section(report: &Report) -> Markup {
    let history = &report.history;
    let Some(last) = history.last() else {
        return html! {};
    };
    let best = best_epoch(history);
    let kept = kept_epoch(report).unwrap_or(last.epoch);
    let mlp = report
        .comparison
        .heads
        .iter()
        .find(|head| head.name == "mlp");
    html! {
        section #curves {
            h2 { "Learning curves of the MLP" }
            @if let Some(mlp) = mlp { p { (names::capitalised(&mlp.remark)) "." } }
            ul.legend {
                @for (style, name, of) in LOSSES {
                    @if history.iter().any(|epoch| of(epoch).is_some()) {
                        li { svg.key viewBox="0 0 30 10" aria-hidden="true" {
                            line class={ "curve " (style) } x1="0" x2="30" y1="5" y2="5" {} } (name) }
                    }
                }
                li { svg.key viewBox="0 0 30 10" aria-hidden="true" {
                    line.kept x1="15" x2="15" y1="0" y2="10" {} } "epoch " (kept) ": kept" }
                @if let Some((epoch, what, _)) = best {
                    li { svg.key viewBox="0 0 30 10" aria-hidden="true" { circle.best cx="15" cy="5" r="4" {} }
                        "epoch " (epoch) ": best, by its " (what) " loss" }
                }
            }
            div.plots {
                figure {
                    figcaption { "Loss" }
                    (plot(history, &LOSSES, "cross-entropy (nats)", kept, best))
                }
                figure {
                    figcaption { "Accuracy" }
                    (plot(history, &ACCURACIES, "classified right (%)", kept, None))
                }
            }
            p.note {
                "Training values are means over the epoch's batches, with dropout and while the weights \
                 changed; the others are measured after the epoch. "
                @if history.iter().any(|epoch| epoch.val_loss.is_some()) {
                    "The validation pictures chose nothing. "
                }
                @if history.len() > MAX_POINTS {
                    "Of " (history.len()) " epochs, " (shown(history).len()) " are drawn."
                }
            }
        }
    }
}

/// The epoch with the smallest loss on pictures that were held out of training, whose they are, and the
/// loss. Validation pictures choose nothing, and so none is pointed out by them.
fn best_epoch(history: &[Epoch]) -> Option<(usize, &'static str, f64)> {
    let smallest = |of: fn(&Epoch) -> Option<f64>| {
        let losses = history
            .iter()
            .filter_map(|epoch| Some((epoch.epoch, of(epoch)?)));
        losses.reduce(|best, other| if other.1 < best.1 { other } else { best })
    };
    smallest(|epoch| epoch.held_out_loss).map(|(epoch, loss)| (epoch, "held-out", loss))
}

/// The epoch whose weights are kept.
fn kept_epoch(report: &Report) -> Option<usize> {
    let HeadOptions::Mlp(mlp) = &report.heads.of_kind(HeadKind::Mlp)?.options else {
        return None;
    };
    match (mlp.keep, best_epoch(&report.history)) {
        (Keep::Best, Some((epoch, "held-out", _))) => Some(epoch),
        _ => report.history.last().map(|epoch| epoch.epoch),
    }
}

/// The epochs that are drawn, the last one among them.
fn shown(history: &[Epoch]) -> Vec<&Epoch> {
    let step = history.len().div_ceil(MAX_POINTS).max(1);
    history.iter().rev().step_by(step).rev().collect()
}

fn plot(
    history: &[Epoch],
    curves: &[Curve],
    label: &'static str,
    kept: usize,
    best: Option<(usize, &'static str, f64)>,
) -> Markup {
    let shown = shown(history);
    let values = || {
        curves
            .iter()
            .flat_map(|(_, _, of)| shown.iter().filter_map(move |epoch| of(epoch)))
    };
    let high = values().fold(0.0, f64::max);
    let low = values().fold(f64::INFINITY, f64::min);
    // Losses from 0 on; accuracies up to 100 and from the round number below the lowest.
    let is_share = label.contains('%');
    let (low, high) = if is_share {
        ((low / 10.0).floor() * 10.0, 100.0)
    } else {
        (0.0, high * 1.05)
    };
    let (first, last) = (
        history[0].epoch as f64,
        history[history.len() - 1].epoch as f64,
    );
    let plot = Plot {
        x: Axis::new(first.min(last - 1.0), last, "epoch"),
        y: Axis::new(low.min(90.0), high, label),
    };
    let inside = html! {
        line.kept x1=(plot.at_x(kept as f64)) x2=(plot.at_x(kept as f64))
            y1=(plot.at_y(low.min(90.0))) y2=(plot.at_y(high)) { title { "epoch " (kept) " is kept" } }
        @for (style, name, of) in curves {
            @let points = shown.iter().filter_map(|epoch| Some((epoch.epoch as f64, of(epoch)?)));
            polyline class={ "curve " (style) } points=(plot.points(points)) { title { (name) } }
        }
        @if let Some((epoch, what, loss)) = best {
            circle.best cx=(plot.at_x(epoch as f64)) cy=(plot.at_y(loss)) r="5" {
                title { "epoch " (epoch) ": smallest " (what) " loss, " (format!("{loss:.4}")) }
            }
        }
    };
    let name = if is_share {
        "Accuracy by epoch"
    } else {
        "Loss by epoch"
    };
    plot.draw(name, &inside, false)
}
