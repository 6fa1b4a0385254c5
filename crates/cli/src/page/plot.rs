//! Axes of a plot, as inline SVG.

use cnn_codes::head::HeadKind;
use maud::{Markup, html};

/// Size of a plot in its own units, which are pixels where there is room.
pub(super) const WIDTH: f64 = 440.0;
pub(super) const HEIGHT: f64 = 300.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 42.0;

/// Styles of the heads' curves, in the order of the heads.
pub(super) const STYLES: [&str; 3] = ["training", "validation", "held-out"];

/// Which curve is whose.
pub(super) fn legend(heads: &[HeadKind]) -> Markup {
    html! {
        ul.legend {
            @for (head, style) in heads.iter().zip(STYLES) {
                li { svg.key viewBox="0 0 30 10" aria-hidden="true" {
                    line class={ "curve " (style) } x1="0" x2="30" y1="5" y2="5" {} } (head.title()) }
            }
        }
    }
}

/// The range of an axis.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    /// What its numbers are, with their unit.
    label: &'static str,
}

/// Two axes, and what is drawn between them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plot {
    pub(super) x: Axis,
    pub(super) y: Axis,
}

impl Axis {
    pub(super) fn new(low: f64, high: f64, label: &'static str) -> Self {
        let high = if high > low { high } else { low + 1.0 };
        Self { low, high, label }
    }

    /// Round numbers within the range, five or so of them.
    fn ticks(&self) -> Vec<f64> {
        let rough = (self.high - self.low) / 5.0;
        let power = 10_f64.powf(rough.log10().floor());
        let factor = [1.0, 2.0, 5.0, 10.0].into_iter();
        let step = factor
            .map(|factor| factor * power)
            .find(|step| *step >= rough * 0.999);
        let step = step.unwrap_or(rough);
        let first = (self.low / step - 1e-9).ceil() as i64;
        let last = (self.high / step + 1e-9).floor() as i64;
        (first..=last).map(|index| index as f64 * step).collect()
    }

    fn share(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }
}

impl Plot {
    /// Where a value of the first axis lies.
    pub(super) fn at_x(&self, value: f64) -> f64 {
        rounded(LEFT + self.x.share(value) * (WIDTH - LEFT - RIGHT))
    }

    /// Where a value of the second axis lies.
    pub(super) fn at_y(&self, value: f64) -> f64 {
        rounded(HEIGHT - BOTTOM - self.y.share(value) * (HEIGHT - TOP - BOTTOM))
    }

    /// A line through points, for `d` or `points`.
    pub(super) fn points(&self, points: impl Iterator<Item = (f64, f64)>) -> String {
        let points = points.map(|(x, y)| format!("{},{}", self.at_x(x), self.at_y(y)));
        points.collect::<Vec<_>>().join(" ")
    }

    /// The plot with its title, grid and axes; `grouped` where what is inside can be reached.
    pub(super) fn draw(&self, title: &str, inside: &Markup, grouped: bool) -> Markup {
        let (left, right) = (self.at_x(self.x.low), self.at_x(self.x.high));
        let (bottom, top) = (self.at_y(self.y.low), self.at_y(self.y.high));
        let middle = rounded((left + right) / 2.0);
        let height = rounded((top + bottom) / 2.0);
        html! {
            svg.plot viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } aria-label=(title)
                role=(if grouped { "group" } else { "img" }) {
                @for tick in self.x.ticks() {
                    line.grid x1=(self.at_x(tick)) x2=(self.at_x(tick)) y1=(top) y2=(bottom) {}
                    text.tick x=(self.at_x(tick)) y=(bottom + 15.0) text-anchor="middle" {
                        (number(tick))
                    }
                }
                @for tick in self.y.ticks() {
                    line.grid x1=(left) x2=(right) y1=(self.at_y(tick)) y2=(self.at_y(tick)) {}
                    text.tick x=(left - 6.0) y=(self.at_y(tick) + 4.0) text-anchor="end" {
                        (number(tick))
                    }
                }
                path.axis d={ "M" (left) " " (top) "V" (bottom) "H" (right) } {}
                text.label x=(middle) y=(HEIGHT - 6.0) text-anchor="middle" { (self.x.label) }
                text.label text-anchor="middle"
                    transform={ "translate(13 " (height) ") rotate(-90)" } { (self.y.label) }
                (inside)
            }
        }
    }
}

/// A tick's number, without the digits that rounding left.
fn number(value: f64) -> String {
    let text = format!("{value:.4}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0" } else { text }.replace('-', "−")
}

/// A tenth of a pixel is as much as can be seen.
pub(super) fn rounded(value: f64) -> f64 {
    (10.0 * value).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        let ticks = |low, high| Axis::new(low, high, "").ticks();
        assert_eq!(ticks(0.0, 100.0), [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
        assert_eq!(ticks(1.0, 20.0), [5.0, 10.0, 15.0, 20.0]);
        assert_eq!(ticks(-3.0, 3.0), [-2.0, 0.0, 2.0]);
        assert_eq!(ticks(5.0, 5.0).len(), 6, "a range of nothing gets one");
        assert_eq!(number(0.300_000_000_4), "0.3");
        assert_eq!(number(-0.0), "0");
    }

    #[test]
    fn the_second_axis_goes_up() {
        let plot = Plot {
            x: Axis::new(0.0, 1.0, ""),
            y: Axis::new(0.0, 1.0, ""),
        };
        assert!(plot.at_y(1.0) < plot.at_y(0.0));
        assert_eq!(plot.at_x(0.0), LEFT);
        assert_eq!(plot.at_x(1.0), WIDTH - RIGHT);
    }
}
