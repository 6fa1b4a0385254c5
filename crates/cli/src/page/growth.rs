//! Accuracy by the number of training pictures.

use cnn_codes::evaluate::Spread;
use cnn_codes::head::HeadKind;
use cnn_codes::train::{Comparison, CurvePoint, LearningCurve, percent};
use maud::{Markup, html};

use super::names;
use super::plot::{Axis, Plot, STYLES, legend};

pub(super) fn section(comparison: &Comparison) -> Markup {
    let Some(curve) = &comparison.learning_curve else {
        return html! {};
    };
    let heads: Vec<_> = curve.growth.iter().map(|growth| growth.head).collect();
    html! {
        section #growth {
            h2 { "Would more pictures help?" }
            @for growth in &curve.growth { p { (names::typographic(&growth.sentence())) } }
            (legend(&heads))
            div.plots.one { figure {
                figcaption { "Accuracy by the number of training pictures" }
                (plot(curve, &heads))
            } }
            p.note {
                "Each point is the mean over several parts of the training pictures and seeds; a line through it goes from the worst to the best."
            }
        }
    }
}

fn plot(curve: &LearningCurve, heads: &[HeadKind]) -> Markup {
    let of = |point: &CurvePoint, head: HeadKind| -> Option<Spread> {
        let mut accuracies = point.accuracy.iter();
        accuracies
            .find(|(kind, _)| *kind == head)
            .map(|(_, spread)| spread.clone())
    };
    let spreads = curve.points.iter().flat_map(|point| &point.accuracy);
    let lowest = spreads.map(|(_, spread)| spread.min()).fold(1.0, f64::min);
    let most = curve
        .points
        .iter()
        .map(|point| point.pictures)
        .max()
        .unwrap_or(1);
    let plot = Plot {
        x: Axis::new(0.0, 1.05 * most as f64, "training pictures"),
        y: Axis::new(
            (10.0 * lowest).floor().min(9.0) * 10.0,
            100.0,
            "classified right (%)",
        ),
    };
    let inside = html! {
        @for (&head, style) in heads.iter().zip(STYLES) {
            @let points: Vec<_> = curve.points.iter()
                .filter_map(|point| Some((point.pictures, of(point, head)?))).collect();
            polyline class={ "curve " (style) }
                points=(plot.points(points.iter().map(|(n, spread)| (*n as f64, 100.0 * spread.mean)))) {}
            @for (n, spread) in &points {
                @let x = plot.at_x(*n as f64);
                line class={ "curve " (style) } x1=(x) x2=(x)
                    y1=(plot.at_y(100.0 * spread.min())) y2=(plot.at_y(100.0 * spread.max())) {}
                circle class={ "bin " (style) } cx=(x) cy=(plot.at_y(100.0 * spread.mean)) r="4" {
                    title { (names::capitalised(head.title())) " with " (names::pictures(*n)) ": " (percent(spread.mean)) ", "
                        (percent(spread.min())) " to " (percent(spread.max())) }
                }
            }
        }
    };
    plot.draw(
        "Accuracy by the number of training pictures",
        &inside,
        false,
    )
}
