//! A page of trunks that were compared: accuracy against speed, and what is known of each.

use cnn_codes::evaluate::Evaluation;
use cnn_codes::train::percent;
use maud::{Markup, html};

use super::plot::{Axis, Plot};
use super::verdict::interval;
use super::{document, names};

/// A trunk as the page tells of it.
pub struct TrunkOnPage<'a> {
    /// Its name, with what is read of its codes.
    pub title: String,
    /// How its better head did in folds.
    pub evaluation: &'a Evaluation,
    /// Pictures per second of the trunk alone, where that is known.
    pub rate: Option<f64>,
    /// Size of its file, where that is known.
    pub megabytes: Option<f64>,
    /// The licence of its weights, where that is known.
    pub licence: Option<&'a str>,
    /// Whether it is the one to take.
    pub is_chosen: bool,
}

/// The page; `sentences` tell the differences, `advice` what to take.
pub fn trunks_page(trunks: &[TrunkOnPage], sentences: &[String], advice: &str) -> String {
    let n = trunks.first().map_or(0, |trunk| trunk.evaluation.n);
    let title = format!("{} trunks on {n} pictures", trunks.len());
    let body = html! {
        header { h1 { (title) } p.verdict { (names::typographic(&names::capitalised(advice))) } }
        main {
            section {
                h2 { "Accuracy and speed" }
                @if trunks.iter().any(|trunk| trunk.rate.is_some()) { div.plots.one { figure {
                    figcaption { "Share of the pictures that is classified right, by pictures per second" }
                    (plot(trunks))
                } } }
                (table(trunks))
                p.note {
                    "Each picture was judged by heads that were trained without its fold. Intervals are 95%; speed is of the trunk alone, on the machine that compared."
                }
            }
            section {
                h2 { "Differences" }
                @for sentence in sentences { p { (names::typographic(sentence)) } }
            }
        }
    };
    document(&title, &body)
}

fn table(trunks: &[TrunkOnPage]) -> Markup {
    html! {
        div.scroll { table {
            thead { tr {
                th scope="col" { "Trunk" }
                th.number scope="col" { "Accuracy" }
                th.number scope="col" { "Errors" }
                th.number scope="col" { "95%" }
                th.wide scope="col" {}
                th.number scope="col" { "Log loss" }
                th.number scope="col" { "Pictures/s" }
                th.number scope="col" { "MB" }
                th scope="col" { "Licence" }
            } }
            tbody { @for trunk in trunks {
                @let evaluation = trunk.evaluation;
                @let (low, high) = evaluation.wilson_95;
                tr {
                    th scope="row" { (trunk.title) @if trunk.is_chosen { " (take this)" } }
                    td.number { (percent(evaluation.top1_accuracy)) }
                    td.number { (evaluation.errors) " of " (evaluation.n) }
                    td.number { (percent(low)) " to " (percent(high)) }
                    td.wide { (interval(evaluation.top1_accuracy, low, high)) }
                    td.number { (format!("{:.3}", evaluation.metrics.log_loss)) }
                    td.number { (number(trunk.rate)) }
                    td.number { (number(trunk.megabytes)) }
                    td { (trunk.licence.unwrap_or("–")) }
                }
            } }
        } }
    }
}

/// A number without its fraction, or a dash where it is not known.
fn number(value: Option<f64>) -> String {
    value.map_or("–".to_owned(), |value| format!("{value:.0}"))
}

fn plot(trunks: &[TrunkOnPage]) -> Markup {
    let fastest = trunks
        .iter()
        .filter_map(|trunk| trunk.rate)
        .fold(1.0, f64::max);
    let lowest = trunks.iter().map(|trunk| trunk.evaluation.wilson_95.0);
    let lowest = lowest.fold(1.0, f64::min);
    let plot = Plot {
        x: Axis::new(0.0, 1.2 * fastest, "pictures per second"),
        y: Axis::new(
            (20.0 * lowest).floor().min(19.0) * 5.0,
            100.0,
            "classified right (%)",
        ),
    };
    let inside = html! {
        @for (trunk, rate) in trunks.iter().filter_map(|trunk| Some((trunk, trunk.rate?))) {
            @let (low, high) = trunk.evaluation.wilson_95;
            @let x = plot.at_x(rate);
            @let y = plot.at_y(100.0 * trunk.evaluation.top1_accuracy);
            @let style = if trunk.is_chosen { "training" } else { "validation" };
            line class={ "curve " (style) } x1=(x) x2=(x)
                y1=(plot.at_y(100.0 * low)) y2=(plot.at_y(100.0 * high)) {}
            circle class={ "bin " (style) } cx=(x) cy=(y) r="4" {
                title { (trunk.title) ": " (percent(trunk.evaluation.top1_accuracy)) ", " (format!("{rate:.0}")) " pictures per second" }
            }
            // On the side where there is room.
            @let (beside, anchor) = if rate < 0.5 * fastest { (7.0, "start") } else { (-7.0, "end") };
            text.tick x=(x + beside) y=(y + 4.0) text-anchor=(anchor) { (trunk.title) }
        }
    };
    plot.draw("Accuracy by pictures per second", &inside, false)
}
