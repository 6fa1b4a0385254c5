//! What was tried, what was taken, and what it brought: as text and as JSON.

use std::fmt::Write;

use cnn_codes::messages::count;
use cnn_codes::train::percent;
use cnn_codes::tune::{Comparison, Tuned};
use serde_json::{Value, json};

/// The settings that were tried, and the paired comparison.
pub fn text(tuned: &Tuned, comparison: Option<&Comparison>) -> String {
    let choice = &tuned.choice;
    let mut text = format!(
        "in {} folds of {} training pictures (log loss, errors):\n",
        choice.folds, choice.pictures
    );
    let mark = |is_taken: bool| if is_taken { "*" } else { " " };
    let _ = writeln!(
        text,
        "{} frozen: {:.4}, {}",
        mark(choice.taken.is_none()),
        choice.frozen_log_loss,
        choice.frozen_errors
    );
    for (place, tried) in choice.tried.iter().enumerate() {
        let mark = mark(choice.taken == Some(place));
        if tried.log_loss.is_infinite() {
            let _ = writeln!(text, "{mark} {}: diverged", tried.setting);
            continue;
        }
        let _ = writeln!(
            text,
            "{mark} {}: {:.4}, {} (standard error of the difference {:.4}; best after {} epochs, {} of the tuned weights)",
            tried.setting,
            tried.log_loss,
            tried.errors,
            tried.standard_error,
            tried.epochs,
            percent(f64::from(tried.mixture))
        );
    }
    if let Some(after) = &tuned.stopped {
        let _ = writeln!(
            text,
            "stopped after {} of {} epochs on all pictures; TUNED is {}",
            after.epochs,
            after.of,
            match choice.taken {
                Some(_) => "the weights after these, which beat the frozen head in the folds",
                None => "the frozen head, which these epochs did not beat in the folds",
            }
        );
    } else if choice.taken.is_none() {
        text += "tuning did not beat the frozen head by more than a standard error: TUNED is the frozen head\n";
    }
    if let Some(comparison) = comparison {
        text += &against(comparison);
    }
    text
}

fn against(comparison: &Comparison) -> String {
    let Comparison {
        pictures,
        frozen_errors,
        tuned_errors,
        right_to_wrong,
        wrong_to_right,
        difference,
        ..
    } = comparison;
    let (low, high) = difference.interval_95;
    format!(
        "on {}: frozen {}, tuned {tuned_errors}; \
         {wrong_to_right} wrong -> right, {right_to_wrong} right -> wrong\n\
         accuracy {:+.1} points (95% interval {:+.1} to {:+.1}; p {:.3})\n",
        count(*pictures, "validation picture", "validation pictures"),
        count(*frozen_errors, "error", "errors"),
        100.0 * difference.difference,
        100.0 * low,
        100.0 * high,
        difference.p_value
    )
}

/// The same for programs.
pub fn json(tuned: &Tuned, comparison: Option<&Comparison>) -> Value {
    json!({
        "tuned": tuned.tail.is_some(),
        "stopped": tuned.stopped,
        "choice": tuned.choice,
        "validation": comparison,
    })
}
