//! Heads side by side, as text and as JSON: numbers in, strings out.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Floor, HeadResult};
use crate::evaluate::{
    AccuracyDifference, EvaluateError, McNemar, accuracy_difference, mcnemar_exact,
};
use crate::messages::visible;

/// Below this probability a difference between two heads is not called luck.
pub const SIGNIFICANCE: f64 = 0.05;

/// Heads that were trained on one store and judged on the same pictures.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// Class names in the order of their indices.
    pub classes: Vec<String>,
    /// Path of each judged picture, in row order.
    pub pictures: Vec<String>,
    /// Class index of each judged picture.
    pub labels: Vec<usize>,
    /// Fold of each judged picture where they are those of the training store, each judged by heads
    /// that were trained outside of its fold; nothing where they are of a validation store.
    pub folds: Option<Vec<usize>>,
    /// Pictures in the training store.
    pub n_train: usize,
    /// The heads, in the order in which they are told.
    pub heads: Vec<HeadResult>,
    /// The simplest head, which the others are held against; none where it is one of them, or was not
    /// trained.
    pub floor: Option<Floor>,
    /// Heads that were asked for and could not be trained.
    pub failed: Vec<FailedHead>,
    /// The first head against the second, where there are two.
    pub paired: Option<PairedTests>,
    /// Whether training was stopped before all was done that was asked for.
    pub interrupted: bool,
}

/// A head that could not be trained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedHead {
    /// Its name, such as `mlp`.
    pub name: String,
    /// Why, in a sentence or two.
    pub reason: String,
}

/// Two heads compared picture by picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairedTests {
    /// Whether one of them is better.
    pub mcnemar: McNemar,
    /// By how much.
    pub difference: AccuracyDifference,
}

impl PairedTests {
    /// The first head against the second, picture by picture; nothing unless there are two.
    ///
    /// # Errors
    /// [`EvaluateError`] if they were not judged on the same number of pictures.
    pub(crate) fn of(heads: &[HeadResult]) -> Result<Option<Self>, EvaluateError> {
        let [a, b] = heads else { return Ok(None) };
        let (a, b) = (a.evaluation.correct(), b.evaluation.correct());
        Ok(Some(Self {
            mcnemar: mcnemar_exact(&a, &b)?,
            difference: accuracy_difference(&a, &b)?,
        }))
    }
}

impl Comparison {
    /// The text that `train-head` prints: a table, the paired test, and for each head the
    /// confusion matrix and every misclassified picture. What is not seen in names is written out.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = self.table();
        for FailedHead { name, reason } in &self.failed {
            let _ = writeln!(
                text,
                "\n{name}: failed, and is not among the heads: {reason}"
            );
        }
        if let Some(sentences) = self.paired_sentences() {
            text += &format!("\n{sentences}\n");
        }
        for head in &self.heads {
            text += &format!("\n{}", head.remarks());
            text += &self.metrics(head);
            text += &self.confusion(head);
            text += &self.mistakes(head);
        }
        text
    }

    fn table(&self) -> String {
        let widths = self.heads.iter().map(|head| head.name.len());
        let width = widths.max().unwrap_or(0).max(10);
        let mut text = format!(
            "{}, {} classes\n\n{:width$}{:>16}{:>12}{:>20}{:>16}\n",
            self.judged_on(),
            self.classes.len(),
            "head",
            "top-1 accuracy",
            "errors",
            "Wilson 95%",
            "training time",
        );
        for head in &self.heads {
            let evaluation = &head.evaluation;
            let (low, high) = evaluation.wilson_95;
            let _ = writeln!(
                text,
                "{:width$}{:>16}{:>12}{:>20}{:>16}",
                head.name,
                percent(evaluation.top1_accuracy),
                format!("{}/{}", evaluation.errors, evaluation.n),
                format!("{} to {}", percent(low), percent(high)),
                format!("{:.2} s", head.training_time.as_secs_f64()),
            );
        }
        text += &self.floor.as_ref().map_or(String::new(), Floor::line);
        text
    }

    /// On which pictures the heads were trained and judged.
    fn judged_on(&self) -> String {
        let n_train = self.n_train;
        match self.folds.iter().flatten().max() {
            Some(last) => format!(
                "{n_train} training pictures, each judged by heads trained without its fold, one of {}",
                last + 1
            ),
            None => format!(
                "{n_train} training pictures, {} validation pictures",
                self.labels.len()
            ),
        }
    }

    /// What the paired tests say, in words.
    fn paired_sentences(&self) -> Option<String> {
        let (paired, [first, second]) = (self.paired.as_ref()?, self.heads.as_slice()) else {
            return None;
        };
        let McNemar {
            only_a,
            only_b,
            p_value,
        } = paired.mcnemar;
        let meaning = if p_value >= SIGNIFICANCE {
            "no more than luck can explain".to_owned()
        } else if only_a > only_b {
            format!("{} is better than luck explains", first.name)
        } else {
            format!("{} is better than luck explains", second.name)
        };
        let AccuracyDifference {
            difference,
            interval_95: (low, high),
        } = paired.difference;
        Some(format!(
            "{first} minus {second}: accuracy {:+.1} points, 95% from {:+.1} to {:+.1} (paired bootstrap)\n\
             McNemar's exact test: right by {first} alone {only_a}, by {second} alone {only_b}; p = {p_value:.3}: {meaning}",
            100.0 * difference,
            100.0 * low,
            100.0 * high,
            first = first.name,
            second = second.name
        ))
    }

    /// Precision, recall and F1 of each class and their means, and the losses.
    fn metrics(&self, head: &HeadResult) -> String {
        let metrics = &head.evaluation.metrics;
        let names = self.class_names();
        let width = widest(&names).max("weighted mean".len());
        let mut text = format!(
            "log loss {:.4}, expected calibration error {:.4}\n  {:width$}  precision  recall      F1  pictures\n",
            metrics.log_loss, metrics.calibration_error, ""
        );
        let means = [
            ("macro mean", &metrics.macro_mean),
            ("weighted mean", &metrics.weighted_mean),
        ];
        let classes = names.iter().map(String::as_str);
        for (name, class) in classes.zip(&metrics.per_class).chain(means) {
            let _ = writeln!(
                text,
                "  {name:width$}  {:9.3}  {:6.3}  {:6.3}  {:8}",
                class.precision, class.recall, class.f1, class.support
            );
        }
        text
    }

    /// The names of the classes as they are shown.
    fn class_names(&self) -> Vec<String> {
        self.classes.iter().map(|class| visible(class)).collect()
    }

    fn confusion(&self, head: &HeadResult) -> String {
        let names = self.class_names();
        let width = widest(&names).max(5);
        let mut text = format!(
            "confusion matrix (rows: label, columns: prediction)\n{:1$}",
            "",
            width + 2
        );
        for class in &names {
            let _ = write!(text, "  {class:>width$}");
        }
        text.push('\n');
        for (class, row) in names.iter().zip(head.evaluation.confusion.rows()) {
            let _ = write!(text, "  {class:width$}");
            for n in row {
                let _ = write!(text, "  {n:>width$}");
            }
            text.push('\n');
        }
        text
    }

    fn mistakes(&self, head: &HeadResult) -> String {
        let mistakes = &head.evaluation.mistakes;
        if mistakes.is_empty() {
            return "no picture misclassified\n".to_owned();
        }
        let mut text = format!("{} misclassified:\n", mistakes.len());
        for mistake in mistakes {
            let _ = writeln!(
                text,
                "  {}: label {}, prediction {}, confidence {:.3}",
                visible(&self.pictures[mistake.row]),
                visible(&self.classes[mistake.label]),
                visible(&self.classes[mistake.predicted]),
                mistake.confidence,
            );
        }
        text
    }

    /// The contents of metrics.json, and what `--format json` prints.
    ///
    /// Accuracies and confidences are fractions from 0 to 1, times are seconds; the confusion
    /// matrix has a row for each label and a column for each prediction.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let heads: serde_json::Map<String, Value> = self
            .heads
            .iter()
            .map(|head| (head.name.to_owned(), self.head_json(head)))
            .collect();
        let pair = self.paired.as_ref().zip(self.heads.get(..2));
        let mcnemar = pair.map(|(tests, pair)| {
            json!({
                "heads": [pair[0].name, pair[1].name],
                "only_first_correct": tests.mcnemar.only_a,
                "only_second_correct": tests.mcnemar.only_b,
                "p_value": tests.mcnemar.p_value,
            })
        });
        let failed = self.failed.iter().map(|head| (&head.name, &head.reason));
        let failed: BTreeMap<_, _> = failed.collect();
        let n_folds = self.folds.iter().flatten().max().map(|last| last + 1);
        json!({
            "classes": self.classes,
            "training_pictures": self.n_train,
            "judged_pictures": self.labels.len(),
            "folds": n_folds,
            "heads": heads,
            "floor": self.floor,
            "failed": failed,
            "mcnemar": mcnemar,
            "accuracy_difference": self.paired.map(|tests| tests.difference),
            "interrupted": self.interrupted,
        })
    }

    fn head_json(&self, head: &HeadResult) -> Value {
        let evaluation = &head.evaluation;
        let confusion: Vec<Vec<usize>> = evaluation
            .confusion
            .rows()
            .into_iter()
            .map(|row| row.to_vec())
            .collect();
        let mistakes: Vec<Value> = evaluation
            .mistakes
            .iter()
            .map(|mistake| {
                json!({
                    "path": self.pictures[mistake.row],
                    "label": self.classes[mistake.label],
                    "prediction": self.classes[mistake.predicted],
                    "confidence": mistake.confidence,
                })
            })
            .collect();
        json!({
            "top1_accuracy": evaluation.top1_accuracy,
            "errors": evaluation.errors,
            "n": evaluation.n,
            "wilson_95": [evaluation.wilson_95.0, evaluation.wilson_95.1],
            "metrics": evaluation.metrics,
            "accuracy_by_fold": head.by_fold,
            "errors_by_seed": head.by_seed,
            "tuning": head.tuning,
            "calibration": head.calibration,
            "training_seconds": head.training_time.as_secs_f64(),
            "remark": head.remark,
            "confusion": confusion,
            "misclassified": mistakes,
        })
    }
}

/// Characters of the longest name.
fn widest(names: &[String]) -> usize {
    let widths = names.iter().map(|name| name.chars().count());
    widths.max().unwrap_or(0)
}

/// A share from 0 to 1 as text, such as `87.5%`.
#[must_use]
pub fn percent(fraction: f64) -> String {
    format!("{:.1}%", 100.0 * fraction)
}
