//! Which head is better, and how sure that is.

use maud::{Markup, html};

use super::names;
use cnn_codes::messages::count;
use cnn_codes::train::{Comparison, Floor, HeadResult, percent};

pub(super) fn section(comparison: &Comparison) -> Markup {
    html! {
        section #verdict {
            h2 { "Result" }
            p.verdict { (verdict(comparison)) }
            @let evidence = comparison.evidence();
            @if !evidence.is_empty() {
                ul.evidence { @for sentence in &evidence { li { (names::typographic(sentence)) } } }
            }
            @if comparison.is_of_before {
                p.warning {
                    "HEAD is of a version that told another interval. This one is taken from its predictions: \
                     of one run of each head, whatever the number of seeds, without groups of pictures, \
                     and without a head that is recommended."
                }
            }
            p { (judged_on(comparison)) }
            @if let Some(overlap) = &comparison.overlap {
                p.warning { (overlap.sentence(comparison)) "." }
            }
            @for failed in &comparison.failed {
                p.warning {
                    "The " (names::head(&failed.name)) " failed, and is not among the heads: "
                    (names::visible(&failed.reason))
                }
            }
            @if comparison.interrupted {
                p.warning { "Training was stopped before all was done that was asked for." }
            }
            (table(comparison))
            @if let Some(recommended) = &comparison.recommended {
                p { (names::capitalised(&recommended.sentence(comparison.heads.len()))) }
            }
            ul {
                @for head in &comparison.heads {
                    @for sentence in spreads(head) { li { (sentence) } }
                }
            }
        }
    }
}

/// The one sentence.
fn verdict(comparison: &Comparison) -> String {
    if let Some(verdict) = comparison.verdict() {
        return names::typographic(&verdict);
    }
    let Some(head) = comparison.heads.first() else {
        return "No head was judged.".to_owned();
    };
    format!(
        "The {} got {} of {} pictures right; it is the only head, so there is no other to compare it with.",
        head.title(),
        head.evaluation.n - head.evaluation.errors,
        head.evaluation.n
    )
}

fn judged_on(comparison: &Comparison) -> String {
    let in_groups = |groups: Option<usize>| {
        groups.map_or(String::new(), |groups| {
            format!(" in {}", count(groups, "group", "groups"))
        })
    };
    let trained = in_groups(comparison.n_train_groups);
    match comparison.n_folds() {
        Some(n_folds) => format!(
            "Judged on the {} training pictures{trained}, each by heads that were trained without its fold, one of {n_folds}. \
             The heads that are kept were trained on all of them.",
            comparison.n_train
        ),
        None => {
            let store = comparison.test_store.as_ref();
            format!(
                "Trained on {} pictures{trained} and judged on {} others{}{}.",
                comparison.n_train,
                comparison.labels.len(),
                in_groups(comparison.n_groups()),
                store.map_or(String::new(), |store| format!(
                    " of the test store {}",
                    names::visible(store)
                ))
            )
        }
    }
}

fn table(comparison: &Comparison) -> Markup {
    html! {
        div.scroll {
            table.heads {
                thead {
                    tr {
                        th scope="col" { "Head" }
                        th scope="col" { "Accuracy" }
                        th scope="col" { "Errors" }
                        th scope="col" { "95% interval (Wilson)" }
                        th.wide scope="col" { span.unseen { "The interval, drawn from 0 to 100%" } }
                        th scope="col" { "Log loss" }
                    }
                }
                tbody {
                    @for head in &comparison.heads {
                        @let evaluation = &head.evaluation;
                        @let (low, high) = evaluation.wilson_95;
                        tr {
                            th scope="row" { (names::head(head.name)) }
                            td.number { (percent(evaluation.top1_accuracy)) }
                            td.number { (evaluation.errors) " of " (evaluation.n) }
                            td.number { (percent(low)) " to " (percent(high)) }
                            td.wide { (interval(evaluation.top1_accuracy, low, high)) }
                            td.number { (format!("{:.3}", evaluation.metrics.log_loss)) }
                        }
                    }
                    @for floor in &comparison.floors { (floor_row(floor)) }
                }
            }
        }
    }
}

/// The simplest head, below those that were asked for.
fn floor_row(floor: &Floor) -> Markup {
    let (low, high) = floor.wilson_95;
    html! {
        tr.floor {
            th scope="row" { (names::capitalised(&floor.name)) " (a floor, not kept)" }
            td.number { (percent(floor.top1_accuracy)) }
            td.number { (floor.errors) " of " (floor.n) }
            td.number { (percent(low)) " to " (percent(high)) }
            td.wide { (interval(floor.top1_accuracy, low, high)) }
            td.number { (format!("{:.3}", floor.log_loss)) }
        }
    }
}

/// The interval on a line from 0 to 100%.
pub(super) fn interval(accuracy: f64, low: f64, high: f64) -> Markup {
    let at = |share: f64| super::plot::rounded(5.0 + 150.0 * share);
    html! {
        svg.interval viewBox="0 0 160 14" aria-hidden="true" {
            line.grid x1="5" x2="155" y1="7" y2="7" {}
            line.bar x1=(at(low)) x2=(at(high)) y1="7" y2="7" {}
            circle cx=(at(accuracy)) cy="7" r="4" {}
        }
    }
}

/// How far the result moves with the seed or the fold.
fn spreads(head: &HeadResult) -> Vec<String> {
    let name = head.title();
    let mut sentences = Vec::new();
    if let Some(runs) = &head.by_seed {
        let (what, shown) = match head.by_fold {
            None => ("Seeds", "The first seed's head is kept."),
            Some(_) => ("Dealings of folds", "The first one is shown."),
        };
        sentences.push(format!(
            "{what} alone move the {name}'s errors from {} to {}: {:.1} on average of {}, standard deviation {:.1}. {shown}",
            runs.min(),
            runs.max(),
            runs.mean,
            runs.values.len(),
            runs.standard_deviation
        ));
    }
    if let Some(folds) = &head.by_fold {
        sentences.push(format!(
            "In {} folds the {name}'s accuracy is {} on average, from {} to {}.",
            folds.values.len(),
            percent(folds.mean),
            percent(folds.min()),
            percent(folds.max())
        ));
    }
    sentences
}
