//! Heads side by side, as text and as JSON: numbers in, strings out.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Floor, HeadResult, LearningCurve, Overlap, Recommendation, ViewsBrought};
use crate::evaluate::{ClassMetrics, Design, Difference, smallest_difference};
use crate::messages::{count, visible};

/// Heads that were trained on one store and evaluated on the same pictures.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// Class names in the order of their indices.
    pub classes: Vec<String>,
    /// Path of each evaluated picture, in row order.
    pub pictures: Vec<String>,
    /// Class index of each evaluated picture.
    pub labels: Vec<usize>,
    /// Fold of each evaluated picture, for each time that folds were dealt. Then the pictures are
    /// those of the training store, each predicted by heads trained outside its fold. Empty for the
    /// pictures of a validation store.
    pub dealings: Vec<Vec<usize>>,
    /// Group of each evaluated picture, a number from 0 on: equal pictures, or pictures named as
    /// one group. `None` without groups.
    pub groups: Option<Vec<usize>>,
    /// Pictures in the training store.
    pub n_train: usize,
    /// Number of groups in the training store; `None` without groups.
    pub n_train_groups: Option<usize>,
    /// The heads, in the order in which they are reported.
    pub heads: Vec<HeadResult>,
    /// Baselines to compare the heads with: the most frequent class, and the nearest centroid
    /// unless it is one of the heads.
    pub floors: Vec<Floor>,
    /// Requested heads that could not be trained.
    pub failed: Vec<FailedHead>,
    /// The first head against the second, if there are two.
    pub difference: Option<Difference>,
    /// Whether this was read from a HEAD of an older version with another test. The difference is
    /// then computed from its predictions, for one run of each head and without groups.
    pub is_of_before: bool,
    /// Evaluated pictures that heads were also trained on, if there are any.
    pub overlap: Option<Overlap>,
    /// Accuracy by the number of training pictures, if it was requested.
    pub learning_curve: Option<LearningCurve>,
    /// The effect of the pictures' views, if the stores hold several.
    pub views: Option<ViewsBrought>,
    /// The head that `predict` and `export` use by default.
    pub recommended: Option<Recommendation>,
    /// Name of the test store, if trained heads were evaluated on one; `None` after a training.
    pub test_store: Option<String>,
    /// Whether training was stopped before everything requested was done.
    pub interrupted: bool,
}

/// A head that could not be trained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedHead {
    /// Its name, such as `mlp`.
    pub name: String,
    /// The reason, in a sentence or two.
    pub reason: String,
}

impl Comparison {
    /// The text that `train-head` prints: a table, the paired test, and for each head the confusion
    /// matrix and every misclassified picture. Invisible characters in names are escaped.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = self.table();
        for FailedHead { name, reason } in &self.failed {
            let _ = writeln!(
                text,
                "\n{name}: failed, and is not among the heads: {reason}"
            );
        }
        if let Some(verdict) = self.verdict() {
            text += &format!("\n{verdict}\n");
        }
        for sentence in self.evidence() {
            text += &format!("  {sentence}\n");
        }
        if let Some(overlap) = &self.overlap {
            text += &format!("\nwarning: {}\n", overlap.sentence(self));
        }
        if let Some(curve) = &self.learning_curve {
            text += &curve.to_text();
        }
        if let Some(views) = &self.views {
            text += &views.to_text();
        }
        if let Some(recommended) = &self.recommended {
            text += &format!("\n{}\n", recommended.sentence(self.heads.len()));
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
        let between = if self.test_store.is_some() { ';' } else { ',' };
        let mut text = format!(
            "{}{between} {} classes\n\n{:width$}{:>16}{:>12}{:>20}{:>16}\n",
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
                match head.training_time.as_secs_f64() {
                    // These heads were only evaluated again, not trained.
                    0.0 => "-".to_owned(),
                    seconds => format!("{seconds:.2} s"),
                },
            );
        }
        text.extend(self.floors.iter().map(Floor::line));
        text
    }

    /// The pictures on which the heads were trained and evaluated.
    fn judged_on(&self) -> String {
        let in_groups = |groups: Option<usize>| {
            groups.map_or(String::new(), |groups| {
                format!(" in {}", count(groups, "group", "groups"))
            })
        };
        if let Some(store) = &self.test_store {
            return format!(
                "{}{} of {}; the heads learned from {}{}",
                count(self.labels.len(), "picture", "pictures"),
                in_groups(self.n_groups()),
                visible(store),
                self.n_train,
                in_groups(self.n_train_groups)
            );
        }
        let training = format!(
            "{}{}",
            count(self.n_train, "training picture", "training pictures"),
            in_groups(self.n_train_groups)
        );
        match (self.n_folds(), self.dealings.len()) {
            (Some(n_folds), 1) => {
                format!(
                    "{training}, each judged by heads trained without its fold, one of {n_folds}"
                )
            }
            (Some(n_folds), n) => format!(
                "{training}, each judged by heads trained without its fold, one of {n_folds}, dealt {n} times"
            ),
            (None, _) => format!(
                "{training}, {}{}",
                count(
                    self.labels.len(),
                    "validation picture",
                    "validation pictures"
                ),
                in_groups(self.n_groups())
            ),
        }
    }

    /// How the evaluated pictures were obtained.
    #[must_use]
    pub fn design(&self) -> Design<'_> {
        Design {
            groups: self.groups.as_deref(),
            dealings: &self.dealings,
        }
    }

    /// Number of folds; `None` if the heads are evaluated on a validation store.
    #[must_use]
    pub fn n_folds(&self) -> Option<usize> {
        self.dealings.iter().flatten().max().map(|last| last + 1)
    }

    /// Number of groups of the evaluated pictures; `None` without groups.
    #[must_use]
    pub fn n_groups(&self) -> Option<usize> {
        self.groups.as_ref()?.iter().max().map(|last| last + 1)
    }

    /// Precision, recall and F1 of each class and their means, and the losses.
    fn metrics(&self, head: &HeadResult) -> String {
        let metrics = &head.evaluation.metrics;
        let names = self.class_names();
        let width = widest(&names).max("weighted mean".len());
        let calibration = &metrics.calibration;
        let mut text = format!(
            "log loss {:.4}, Brier score {:.4}; confidence {} on average, accuracy {}\n\
             expected calibration error {:.4}; a calibrated head shows {:.4} on average on so few pictures, up to {:.4}\n  {:width$}  precision            recall               F1  pictures\n",
            metrics.log_loss,
            metrics.brier_score,
            percent(calibration.mean_confidence),
            percent(head.evaluation.top1_accuracy),
            calibration.error,
            calibration.mean_if_calibrated,
            calibration.highest_if_calibrated,
            ""
        );
        let means = [
            ("macro mean", &metrics.macro_mean),
            ("weighted mean", &metrics.weighted_mean),
        ];
        let classes = names.iter().map(String::as_str);
        for (name, class) in classes.zip(&metrics.per_class).chain(means) {
            text += &class_line(&format!("{name:width$}"), class);
        }
        text
    }

    /// The class names in displayed form.
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
        let compared = (self.difference.as_ref())
            .map(|_| self.heads.iter().map(|head| head.name).collect::<Vec<_>>());
        let failed = self.failed.iter().map(|head| (&head.name, &head.reason));
        let failed: BTreeMap<_, _> = failed.collect();
        json!({
            "classes": self.classes,
            "training_pictures": self.n_train,
            "judged_pictures": self.labels.len(),
            "training_groups": self.n_train_groups,
            "judged_groups": self.n_groups(),
            "folds": self.n_folds(),
            "dealings": self.dealings.len(),
            "heads": heads,
            "floors": self.floors,
            "failed": failed,
            "compared": compared,
            "difference": self.difference,
            "verdict": self.verdict(),
            "evidence": self.evidence(),
            "smallest_difference": smallest_difference(self.design().worth(self.labels.len())),
            "in_both_stores": self.overlap,
            "learning_curve": self.learning_curve,
            "views": self.views,
            "recommended": self.recommended,
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
            "seed": head.seed,
            "top1_accuracy": evaluation.top1_accuracy,
            "errors": evaluation.errors,
            "n": evaluation.n,
            "wilson_95": [evaluation.wilson_95.0, evaluation.wilson_95.1],
            "metrics": evaluation.metrics,
            "accuracy_by_fold": head.by_fold,
            "errors_by_seed": head.by_seed,
            "mean_accuracy": head.right.iter().sum::<f64>() / head.right.len() as f64,
            "tuning": head.tuning,
            "calibration": head.calibration,
            "abstentions": head.abstentions.told,
            "risk_coverage": head.abstentions.curve,
            "training_seconds": head.training_time.as_secs_f64(),
            "remark": head.remark,
            "confusion": confusion,
            "misclassified": mistakes,
        })
    }
}

/// A class's line of the table, after its name: each share with its interval.
fn class_line(name: &str, class: &ClassMetrics) -> String {
    let share = |share: Option<f64>, interval: Option<(f64, f64)>| match (share, interval) {
        (None, _) => "-".to_owned(),
        (Some(share), None) => format!("{share:.3}"),
        (Some(share), Some((low, high))) => format!("{share:.3} ({low:.2} to {high:.2})"),
    };
    format!(
        "  {name}  {:19}  {:19}  {:5}  {:8}\n",
        share(class.precision, class.precision_95),
        share(class.recall, class.recall_95),
        share(class.f1, None),
        class.support
    )
}

/// The number of characters of the longest name.
fn widest(names: &[String]) -> usize {
    let widths = names.iter().map(|name| name.chars().count());
    widths.max().unwrap_or(0)
}

/// A share from 0 to 1 as text, such as `87.5%`.
#[must_use]
pub fn percent(fraction: f64) -> String {
    format!("{:.1}%", 100.0 * fraction)
}
