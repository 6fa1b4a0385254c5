//! Which head won, and whether that is more than luck.

use maud::{Markup, html};

use super::names;
use cnn_codes::evaluate::McNemar;
use cnn_codes::train::{Comparison, Floor, HeadResult, PairedTests, SIGNIFICANCE, percent};

pub(super) fn section(comparison: &Comparison) -> Markup {
    html! {
        section #verdict {
            h2 { "Result" }
            p.verdict { (verdict(comparison)) }
            @if let (Some(paired), [first, second]) = (&comparison.paired, &comparison.heads[..]) {
                p { (evidence(paired, first, second)) }
            }
            p { (judged_on(comparison)) }
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
    let (Some(paired), [first, second]) = (&comparison.paired, &comparison.heads[..]) else {
        let Some(head) = comparison.heads.first() else {
            return "No head was judged.".to_owned();
        };
        return format!(
            "The {} got {} of {} pictures right; it is the only head, so there is no other to compare it with.",
            names::head(head.name),
            head.evaluation.n - head.evaluation.errors,
            head.evaluation.n
        );
    };
    let McNemar {
        only_a,
        only_b,
        p_value,
    } = paired.mcnemar;
    let (ahead, behind) = if only_b > only_a {
        (second, first)
    } else {
        (first, second)
    };
    let (better, worse) = (names::head(ahead.name), names::head(behind.name));
    let (fewer, more, n) = (
        ahead.evaluation.errors,
        behind.evaluation.errors,
        ahead.evaluation.n,
    );
    if only_a == only_b {
        return format!(
            "Neither head won: the {better} and the {worse} both misclassified {fewer} of {n} pictures."
        );
    }
    if p_value < SIGNIFICANCE {
        format!(
            "The {better} won, and by more than luck explains: it misclassified {fewer} of {n} pictures, the {worse} {more}."
        )
    } else {
        format!(
            "The {better} is ahead, but by no more than luck can explain: it misclassified {fewer} of {n} pictures, the {worse} {more}."
        )
    }
}

fn evidence(paired: &PairedTests, first: &HeadResult, second: &HeadResult) -> String {
    let McNemar {
        only_a,
        only_b,
        p_value,
    } = paired.mcnemar;
    let (low, high) = paired.difference.interval_95;
    let p = if p_value < 0.001 {
        "p < 0.001".to_owned()
    } else {
        format!("p = {p_value:.3}")
    };
    let points = |share: f64| match format!("{:+.1}", 100.0 * share).as_str() {
        "+0.0" | "-0.0" => "0.0".to_owned(),
        text => text.replace('-', "−"),
    };
    format!(
        "Classified right by the {a} alone: {}; by the {b} alone: {only_b} (McNemar's exact test: {p}). \
         The {a}'s accuracy minus the {b}'s is {} points, with a 95% interval from {} to {} (paired bootstrap).",
        names::pictures(only_a),
        points(paired.difference.difference),
        points(low),
        points(high),
        a = names::head(first.name),
        b = names::head(second.name)
    )
}

fn judged_on(comparison: &Comparison) -> String {
    match comparison.folds.iter().flatten().max() {
        Some(last) => format!(
            "Judged on the {} training pictures, each by heads that were trained without its fold, one of {}. \
             The heads that are kept were trained on all of them.",
            comparison.n_train,
            last + 1
        ),
        None => format!(
            "Trained on {} pictures and judged on {} others.",
            comparison.n_train,
            comparison.labels.len()
        ),
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
                    @if let Some(floor) = &comparison.floor { (floor_row(floor)) }
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
            th scope="row" { (floor.head.title()) " (the floor, not kept)" }
            td.number { (percent(floor.top1_accuracy)) }
            td.number { (floor.errors) " of " (floor.n) }
            td.number { (percent(low)) " to " (percent(high)) }
            td.wide { (interval(floor.top1_accuracy, low, high)) }
            td.number { (format!("{:.3}", floor.log_loss)) }
        }
    }
}

/// The interval on a line from 0 to 100%.
fn interval(accuracy: f64, low: f64, high: f64) -> Markup {
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
    let name = names::head(head.name);
    let mut sentences = Vec::new();
    if let Some(seeds) = &head.by_seed {
        sentences.push(format!(
            "Seeds alone move the {name}'s errors from {} to {}: {:.1} on average with {} seeds, standard deviation {:.1}. \
             The first seed's network is kept.",
            seeds.min(),
            seeds.max(),
            seeds.mean,
            seeds.values.len(),
            seeds.standard_deviation
        ));
    }
    if let Some(folds) = &head.by_fold {
        sentences.push(format!(
            "In {} folds the {name}'s accuracy is {} on average, from {} to {}, standard deviation {:.1} points.",
            folds.values.len(),
            percent(folds.mean),
            percent(folds.min()),
            percent(folds.max()),
            100.0 * folds.standard_deviation
        ));
    }
    sentences
}
