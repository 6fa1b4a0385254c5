//! Whether probabilities hold: confidence against accuracy.

use maud::{Markup, html};

use super::names;
use super::plot::{Axis, Plot};
use cnn_codes::evaluate::{CalibrationBin, calibration_bins};
use cnn_codes::train::{Comparison, HeadResult, percent};

/// Height of the largest count's bar, in per cent of the axis.
const TALLEST_BAR: f64 = 20.0;

pub(super) fn section(comparison: &Comparison) -> Markup {
    html! {
        section #calibration {
            h2 { "Calibration" }
            p {
                "Pictures are grouped by the probability of their prediction. On the diagonal, it is as often right \
                 as it says; below it, the head is too sure of itself. The bars count the pictures of each group."
            }
            div.plots {
                @for head in &comparison.heads {
                    figure {
                        figcaption {
                            (names::capitalised(head.title())) ": log loss "
                            (format!("{:.3}", head.evaluation.metrics.log_loss)) ", Brier score "
                            (format!("{:.3}", head.evaluation.metrics.brier_score))
                        }
                        p { (calibration_error(head)) }
                        (plot(head, &comparison.labels))
                        @if let Some(calibration) = &head.calibration {
                            p.note { (names::capitalised(&calibration.sentence())) "." }
                        }
                    }
                }
            }
        }
    }
}

/// The calibration error beside what a calibrated head would show.
fn calibration_error(head: &HeadResult) -> String {
    let told = &head.evaluation.metrics.calibration;
    let meaning = if told.is_miscalibrated() {
        "more than a calibrated head would show"
    } else {
        "no more than a calibrated head would show"
    };
    format!(
        "Confidence {} on average, accuracy {}. The expected calibration error is {}, {meaning} on so few pictures: {} on average, up to {} in 95 of 100 cases.",
        percent(told.mean_confidence),
        percent(head.evaluation.top1_accuracy),
        percent(told.error),
        percent(told.mean_if_calibrated),
        percent(told.highest_if_calibrated)
    )
}

fn plot(head: &HeadResult, labels: &[usize]) -> Markup {
    let bins = calibration_bins(
        head.probabilities.view(),
        labels,
        &head.evaluation.predicted,
    );
    let plot = Plot {
        x: Axis::new(0.0, 100.0, "confidence (%)"),
        y: Axis::new(0.0, 100.0, "classified right (%)"),
    };
    let largest = bins.iter().map(|bin| bin.n).max().unwrap_or(1).max(1) as f64;
    let width = 100.0 / bins.len() as f64;
    let used = || bins.iter().enumerate().filter(|(_, bin)| bin.n > 0);
    let point = |bin: &CalibrationBin| (100.0 * bin.confidence, 100.0 * bin.accuracy);
    let inside = html! {
        @for (index, bin) in used() {
            @let left = plot.at_x(index as f64 * width);
            @let right = plot.at_x((index + 1) as f64 * width);
            @let top = plot.at_y(TALLEST_BAR * bin.n as f64 / largest);
            rect.count x=(left + 1.0) width=(super::plot::rounded(right - left - 2.0)) y=(top)
                height=(super::plot::rounded(plot.at_y(0.0) - top)) {}
            text.tick x=((left + right) / 2.0) y=(top - 3.0) text-anchor="middle" { (bin.n) }
        }
        line.diagonal x1=(plot.at_x(0.0)) y1=(plot.at_y(0.0)) x2=(plot.at_x(100.0)) y2=(plot.at_y(100.0)) {}
        polyline.curve.training points=(plot.points(used().map(|(_, bin)| point(bin)))) {}
        @for (_, bin) in used() {
            @let (x, y) = point(bin);
            circle.bin cx=(plot.at_x(x)) cy=(plot.at_y(y)) r="4" {
                title { (names::pictures(bin.n)) ": confidence " (percent(bin.confidence)) ", right " (percent(bin.accuracy)) }
            }
        }
    };
    plot.draw(
        &format!("Calibration of the {}", names::head(head.name)),
        &inside,
        false,
    )
}
