//! What is told of trunks that were compared: text, JSON, page.

use cnn_codes::codes::{Pool, Store};
use cnn_codes::evaluate::{Difference, Verdict};
use cnn_codes::train::{JudgedTrunk, percent};
use serde_json::{Value, json};

use crate::page::{TrunkOnPage, trunks_page};
use crate::shown;

/// What is known of a trunk besides how heads do on its codes.
pub(super) struct Known {
    pub(super) name: String,
    pub(super) licence: Option<String>,
    pub(super) megabytes: Option<f64>,
    /// Pictures per second of the trunk alone; of a store that was there nothing is known.
    pub(super) rate: Option<f64>,
}

/// The trunk's name, with what is read of its codes where there is a choice.
pub(super) fn title(known: &Known, trunk: &JudgedTrunk) -> String {
    match trunk.view.pool {
        Pool::None => known.name.clone(),
        _ => format!("{}, means", known.name),
    }
}

pub(super) fn as_text(
    judged: &[JudgedTrunk],
    known: &[Known],
    chosen: usize,
    sentences: &[String],
    stores: &[Store],
) -> String {
    let n = judged[chosen].comparison.labels.len();
    let mut text = format!(
        "{n} pictures, each judged by heads that were trained without its fold\n\n  {:26} {:>6} {:>8} {:>16} {:>9}  {:10} {:>11} {:>6}  {}\n",
        "trunk", "errors", "accuracy", "95%", "log loss", "head", "pictures/s", "MB", "licence"
    );
    for (place, trunk) in judged.iter().enumerate() {
        let known = &known[trunk.store];
        let evaluation = &trunk.head().evaluation;
        let (low, high) = evaluation.wilson_95;
        text += &format!(
            "{} {:26} {:>6} {:>8} {:>16} {:>9.4}  {:10} {:>11} {:>6}  {}\n",
            if place == chosen { "*" } else { " " },
            title(known, trunk),
            evaluation.errors,
            percent(evaluation.top1_accuracy),
            format!("{} to {}", percent(low), percent(high)),
            trunk.log_loss(),
            trunk.head().name,
            number(known.rate),
            number(known.megabytes),
            known.licence.as_deref().unwrap_or("-"),
        );
    }
    text += "\n";
    for sentence in sentences {
        text += &format!("{sentence}\n");
    }
    let pool = match judged[chosen].view.pool {
        Pool::None => "",
        _ => " --pool avg",
    };
    text += &format!(
        "\n{}\n  cnn-codes train-head --train {}{pool} --validation STORE --out HEAD\n",
        advice(judged, known, chosen),
        shown(stores[judged[chosen].store].dir()),
    );
    text
}

/// A number without its fraction, or a dash where it is not known.
fn number(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.0}"))
}

/// Which trunk to take, and by what rule.
pub(super) fn advice(judged: &[JudgedTrunk], known: &[Known], chosen: usize) -> String {
    let title = title(&known[judged[chosen].store], &judged[chosen]);
    let rule = match known.iter().any(|trunk| trunk.rate.is_some()) {
        true => {
            "the fastest of those whose log loss is not larger than the smallest by more than a standard error"
        }
        false => "the one with the smallest log loss (stores tell no speeds)",
    };
    format!("take {title}: {rule}")
}

/// How the chosen trunk differs from each other one, and what so many pictures can show.
pub(super) fn sentences(
    judged: &[JudgedTrunk],
    known: &[Known],
    chosen: usize,
) -> anyhow::Result<Vec<String>> {
    let ours = title(&known[judged[chosen].store], &judged[chosen]);
    let others = judged
        .iter()
        .enumerate()
        .filter(|(place, _)| *place != chosen);
    let sentences = others.map(|(_, trunk)| {
        let theirs = title(&known[trunk.store], trunk);
        let difference = judged[chosen].difference(trunk)?.accuracy;
        Ok(sentence(&ours, &theirs, &difference))
    });
    let mut sentences = sentences.collect::<anyhow::Result<Vec<_>>>()?;
    sentences.push(judged[chosen].comparison.power());
    Ok(sentences)
}

/// The page.
pub(super) fn page(
    judged: &[JudgedTrunk],
    known: &[Known],
    chosen: usize,
    sentences: &[String],
    advice: &str,
) -> String {
    let trunks = judged.iter().enumerate().map(|(place, trunk)| {
        let of_trunk = &known[trunk.store];
        TrunkOnPage {
            title: title(of_trunk, trunk),
            evaluation: &trunk.head().evaluation,
            rate: of_trunk.rate,
            megabytes: of_trunk.megabytes,
            licence: of_trunk.licence.as_deref(),
            is_chosen: place == chosen,
        }
    });
    trunks_page(&trunks.collect::<Vec<_>>(), sentences, advice)
}

/// Whether the first trunk is better than the second, by their accuracies.
fn sentence(first: &str, second: &str, difference: &Difference) -> String {
    let points = |value: f64| format!("{:+.1}", 100.0 * value);
    let (low, high) = difference.interval_95;
    let verdict = match difference.verdict() {
        Verdict::First => "it is better",
        Verdict::Second => "it is worse",
        Verdict::Same => "they are the same",
        Verdict::Undecided => "not decided",
    };
    format!(
        "{first} against {second}: {} points of accuracy, 95% from {} to {}; {verdict}",
        points(difference.difference),
        points(low),
        points(high)
    )
}

pub(super) fn as_json(
    judged: &[JudgedTrunk],
    known: &[Known],
    chosen: usize,
) -> anyhow::Result<String> {
    let mut trunks = Vec::new();
    for (place, trunk) in judged.iter().enumerate() {
        let of_trunk = &known[trunk.store];
        let evaluation = &trunk.head().evaluation;
        let against = judged[chosen].difference(trunk)?;
        let heads = trunk.comparison.heads.iter();
        let heads: serde_json::Map<String, Value> = heads
            .map(|head| {
                (
                    head.name.to_owned(),
                    json!({ "errors": head.evaluation.errors }),
                )
            })
            .collect();
        trunks.push(json!({
            "trunk": of_trunk.name,
            "pool": trunk.view.pool,
            "errors": evaluation.errors,
            "accuracy": evaluation.top1_accuracy,
            "accuracy_95": evaluation.wilson_95,
            "log_loss": trunk.log_loss(),
            "head": trunk.head().name,
            "heads": heads,
            "pictures_per_second": of_trunk.rate,
            "megabytes": of_trunk.megabytes,
            "licence": of_trunk.licence,
            "is_chosen": place == chosen,
            "chosen_minus_this": {
                "accuracy": against.accuracy.difference,
                "accuracy_95": against.accuracy.interval_95,
                "log_loss": against.log_loss,
                "log_loss_standard_error": against.standard_error,
            },
        }));
    }
    let n = judged[chosen].comparison.labels.len();
    Ok(format!(
        "{:#}\n",
        json!({ "pictures": n, "trunks": trunks })
    ))
}
