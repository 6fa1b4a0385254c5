//! How well each class was recognised.

use maud::{Markup, html};

use super::names;
use cnn_codes::evaluate::ClassMetrics;
use cnn_codes::train::{Comparison, HeadResult};

/// A mean over the classes.
type Mean = fn(&HeadResult) -> &ClassMetrics;

const MEANS: [(&str, Mean); 2] = [
    ("mean of the classes", |head| {
        &head.evaluation.metrics.macro_mean
    }),
    ("mean weighted with pictures", |head| {
        &head.evaluation.metrics.weighted_mean
    }),
];

pub(super) fn section(comparison: &Comparison) -> Markup {
    let heads = &comparison.heads;
    html! {
        section #classes {
            h2 { "Classes" }
            div.scroll tabindex="0" role="region" aria-label="Results by class" {
                table.classes {
                    thead {
                        tr {
                            th rowspan="2" scope="col" { "Class" }
                            th rowspan="2" scope="col" { "Pictures" }
                            @for head in heads {
                                th.group colspan="3" scope="colgroup" { (names::capitalised(names::head(head.name))) }
                            }
                        }
                        tr {
                            @for _ in heads {
                                th.group scope="col" { "Precision" } th scope="col" { "Recall" } th scope="col" { "F1" }
                            }
                        }
                    }
                    tbody {
                        @for class in 0..comparison.classes.len() {
                            tr {
                                th scope="row" { (names::class(class, &comparison.classes)) }
                                td.number { (heads.first().map_or(0, |head| head.evaluation.metrics.per_class[class].support)) }
                                @for head in heads { (cells(&head.evaluation.metrics.per_class[class])) }
                            }
                        }
                    }
                    tfoot {
                        @for (name, of) in MEANS {
                            tr {
                                th scope="row" { (name) }
                                td.number { (comparison.labels.len()) }
                                @for head in heads { (cells(of(head))) }
                            }
                        }
                    }
                }
            }
            p.note {
                "Precision: of what was taken for the class, the share that is of it. Recall: of the class, the share \
                 that was taken for it. F1: their harmonic mean. All from 0 to 1, with 95% intervals below."
            }
        }
    }
}

fn cells(metrics: &ClassMetrics) -> Markup {
    html! {
        td.number.group { (share(metrics.precision)) (interval(metrics.precision_95)) }
        td.number { (share(metrics.recall)) (interval(metrics.recall_95)) }
        td.number { (share(metrics.f1)) }
    }
}

fn share(share: Option<f64>) -> String {
    share.map_or("\u{2013}".to_owned(), |share| format!("{share:.3}"))
}

/// The interval in small, in a line of its own.
fn interval(interval: Option<(f64, f64)>) -> Markup {
    html! {
        @if let Some((low, high)) = interval { br; small { (format!("{low:.2} to {high:.2}")) } }
    }
}
