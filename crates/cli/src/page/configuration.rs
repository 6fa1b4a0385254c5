//! What was done, and with what.

use maud::{Markup, html};
use serde::Serialize;
use serde_json::Value;

use super::names;
use crate::evaluations::Evaluations;
use cnn_codes::train::{HeadResult, Report, StoreProvenance};

pub(super) fn section(report: &Report, evaluations: &Evaluations) -> Markup {
    html! {
        section #configuration {
            h2 { "Configuration" }
            @if let Some(command) = &report.provenance.command {
                h3 { "The command that made it" }
                pre tabindex="0" { code { (names::visible(command)) } }
            }
            div.settings { (heads(report)) (codes(report)) (stores(report)) }
            @for head in &report.comparison.heads { (tuning(head)) }
            (kept_aside(evaluations))
        }
    }
}

/// How often heads in this place were judged on pictures that were kept aside.
fn kept_aside(evaluations: &Evaluations) -> Markup {
    let Evaluations { all } = evaluations;
    if all.is_empty() {
        return html! {};
    }
    html! {
        h3 { "Judged on pictures that were kept aside" }
        p {
            @match all.len() { 1 => { "Once" } n => { (n) " times" } }
            ". The more often one looks, and changes something after it, the less the numbers are worth."
        }
        div.scroll tabindex="0" role="region" aria-label="Evaluations" {
            table {
                thead { tr {
                    th scope="col" { "When" } th scope="col" { "Store" } th scope="col" { "Pictures" } th scope="col" { "Errors" }
                } }
                tbody {
                    @for run in all {
                        tr {
                            td { (run.date()) } td { bdi { (names::visible(&run.store)) } }
                            td.number { (run.pictures) } td { (names::visible(&run.errors)) }
                        }
                    }
                }
            }
        }
    }
}

/// The options of each head.
fn heads(report: &Report) -> Markup {
    html! {
        @for head in &report.heads.heads {
            div {
                h3 { (names::capitalised(head.options.kind().title())) }
                (table(&with("temperature", head.temperature, rows(&head.options))))
                @if let Some(convergence) = &head.convergence {
                    p.note { (names::capitalised(&convergence.explanation)) "." }
                }
            }
        }
    }
}

/// What the codes are.
fn codes(report: &Report) -> Markup {
    let mut settings = rows(&report.heads.codes);
    settings.push(("scaling".to_owned(), report.heads.scaling.to_string()));
    settings.push((
        "heads trained by".to_owned(),
        report.provenance.created_by.clone(),
    ));
    html! { div { h3 { "Trunk and codes" } (table(&settings)) } }
}

fn stores(report: &Report) -> Markup {
    let store = |title: &str, store: &StoreProvenance| {
        html! { div { h3 { (title) } (table(&rows(store))) } }
    };
    html! {
        (store("Training store", &report.provenance.train))
        @if let Some(validation) = &report.provenance.validation {
            (store("Validation store", validation))
        }
    }
}

fn tuning(head: &HeadResult) -> Markup {
    let Some(tuning) = &head.tuning else {
        return html! {};
    };
    html! {
        h3 { "Tuning of the " (names::head(head.name)) }
        p { (names::capitalised(&tuning.sentence())) "." }
        div.scroll tabindex="0" role="region" aria-label={ "Tuning of the " (names::head(head.name)) } {
            table {
                thead { tr {
                    th scope="col" { "Setting" } th scope="col" { "Out-of-fold log loss" } th scope="col" { "Errors" }
                } }
                tbody {
                    @for (index, trial) in tuning.trials.iter().enumerate() {
                        tr.chosen[index == tuning.chosen] {
                            th scope="row" {
                                (trial.setting) @if index == tuning.chosen { " (taken)" }
                            }
                            td.number { (trial.log_loss.map_or("diverged".to_owned(), |loss| format!("{loss:.4}"))) }
                            td.number { (trial.errors.map_or(String::new(), |errors| errors.to_string())) }
                        }
                    }
                }
            }
        }
    }
}

fn table(settings: &[(String, String)]) -> Markup {
    html! {
        dl {
            @for (name, value) in settings {
                div { dt { (name) } dd { bdi { (names::visible(value)) } } }
            }
        }
    }
}

fn with(name: &str, value: f64, mut rows: Vec<(String, String)>) -> Vec<(String, String)> {
    rows.push((name.to_owned(), format!("{value:.4}")));
    rows
}

/// Names and values of plain data; what is nested has its parent's name before its own.
fn rows(settings: &impl Serialize) -> Vec<(String, String)> {
    let value = serde_json::to_value(settings).expect("settings are plain data");
    let mut rows = Vec::new();
    flatten("", &value, &mut rows);
    rows
}

fn flatten(name: &str, value: &Value, rows: &mut Vec<(String, String)>) {
    let text = match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                let field = field.replace('_', " ");
                let name = if name.is_empty() {
                    field
                } else {
                    format!("{name}: {field}")
                };
                flatten(&name, value, rows);
            }
            return;
        }
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(values) => {
            let values = values.iter().map(ToString::to_string);
            values.collect::<Vec<_>>().join(" x ")
        }
        other => other.to_string(),
    };
    rows.push((name.to_owned(), text));
}
