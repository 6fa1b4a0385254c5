//! The codes in two dimensions.

use maud::{Markup, html};

use super::gallery::Gallery;
use super::names;
use super::plot::{Axis, Plot};
use cnn_codes::train::{Report, percent};

/// Room around the points, as a share of their range.
const MARGIN: f64 = 0.05;

/// A picture on the map.
struct Point {
    row: usize,
    place: [f64; 2],
    is_mistake: bool,
}

pub(super) fn section(report: &Report, gallery: &Gallery) -> Markup {
    let points = points(report);
    let n = report.pictures.len();
    let [first, second] = report.provenance.explained_variance;
    html! {
        section #map {
            h2 { "Map of the codes" }
            p {
                "Each mark is a judged picture, at the first two principal components of the codes as the heads saw \
                 them (scaling: " (report.heads.scaling) "); these have " (percent(first)) " and "
                (percent(second)) " of the variance. A ring marks a picture that a head misclassified. "
                "Point at a mark to see its picture; with the keyboard, go from mark to mark with the arrow keys."
                @if points.len() < n {
                    " Of " (n) " pictures, " (points.len()) " are drawn, evenly chosen."
                }
            }
            ul.legend {
                @for class in 0..report.comparison.classes.len() {
                    li { (names::class(class, &report.comparison.classes)) }
                }
            }
            figure.map { (plot(report, &points, gallery)) }
        }
    }
}

/// The mapped pictures, mistakes last, so that they are on top.
fn points(report: &Report) -> Vec<Point> {
    let comparison = &report.comparison;
    let mut points: Vec<_> = report
        .pictures
        .iter()
        .enumerate()
        .filter_map(|(row, picture)| {
            let is_wrong = |predicted: usize| predicted != comparison.labels[row];
            let mut heads = comparison.heads.iter();
            Some(Point {
                row,
                place: picture.place?,
                is_mistake: heads.any(|head| is_wrong(head.evaluation.predicted[row])),
            })
        })
        .collect();
    points.sort_by_key(|point| point.is_mistake);
    points
}

fn axis(points: &[Point], component: usize, label: &'static str) -> Axis {
    let values = || points.iter().map(|point| point.place[component]);
    let (low, high) = (
        values().fold(f64::INFINITY, f64::min),
        values().fold(f64::NEG_INFINITY, f64::max),
    );
    if low >= high {
        // All in one place, or nowhere.
        let middle = if low.is_finite() { low } else { 0.0 };
        return Axis::new(middle - 1.0, middle + 1.0, label);
    }
    let margin = MARGIN * (high - low);
    Axis::new(low - margin, high + margin, label)
}

fn plot(report: &Report, points: &[Point], gallery: &Gallery) -> Markup {
    let plot = Plot {
        x: axis(points, 0, "first component"),
        y: axis(points, 1, "second component"),
    };
    let inside = html! {
        @for (index, point) in points.iter().enumerate() {
            @let label = report.comparison.labels[point.row];
            @let shown = gallery.shows(point.row).then(|| format!("#picture-{}", point.row));
            a.point.mistake[point.is_mistake] href=[shown] data-row=(point.row)
                tabindex=(if index == 0 { "0" } else { "-1" })
                transform={ "translate(" (plot.at_x(point.place[0])) " " (plot.at_y(point.place[1])) ")" } {
                title { (words(report, point.row)) }
                @if point.is_mistake { circle.ring r="8" {} }
                use class={ "mark " (names::colour(label)) } href=(names::mark(label)) {}
            }
        }
    };
    plot.draw("Map of the codes", &inside, true)
}

/// What a point says where its picture cannot be seen.
fn words(report: &Report, row: usize) -> String {
    let comparison = &report.comparison;
    let class = |index: usize| names::shortened(&comparison.classes[index], 60);
    let mut words = format!(
        "{}, label {}",
        names::shortened(&comparison.pictures[row], 80),
        class(comparison.labels[row])
    );
    for head in &comparison.heads {
        words += &format!(
            ", {}: {}",
            names::head(head.name),
            class(head.evaluation.predicted[row])
        );
    }
    words
}
