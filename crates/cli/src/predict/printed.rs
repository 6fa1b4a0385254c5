//! Predictions as text, a table or JSON, a batch at a time.

use cnn_codes::codes::Failure;
use cnn_codes::messages::visible;
use cnn_codes::predict::{Classifier, Outcome, Prediction};
use serde::Serialize;
use serde_json::json;

use super::Format;

/// The widest column of paths; longer ones push their line to the right.
const MAX_PATH_WIDTH: usize = 60;

/// Makes what is printed; nothing is printed here.
pub struct Printed {
    format: Format,
    /// Classes of each picture, at most K.
    top_k: usize,
    /// Below this confidence a picture is called unsure, where that is asked for.
    min_confidence: Option<f32>,
    classes: Vec<String>,
    head: String,
    /// Characters of the columns of the text.
    path_width: usize,
    class_width: usize,
    /// Whether an element of the JSON document came before.
    is_after_first: bool,
}

/// A line of JSON Lines, or an element of the JSON document.
#[derive(Serialize)]
#[serde(untagged)]
enum Row<'a> {
    Predicted {
        path: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        unsure: Option<bool>,
        predictions: Vec<ClassProbability<'a>>,
    },
    Failed {
        path: &'a str,
        error: &'a str,
        kind: &'a str,
    },
}

#[derive(Serialize)]
struct ClassProbability<'a> {
    class: &'a str,
    probability: f32,
}

impl Printed {
    /// Of the pictures at `paths`, which are looked at for their lengths alone.
    pub fn new<'a>(
        format: Format,
        top_k: usize,
        min_confidence: Option<f32>,
        classifier: &Classifier,
        paths: impl Iterator<Item = &'a str>,
    ) -> Self {
        let classes = classifier.classes().to_vec();
        let class_widths = classes.iter().map(|class| visible(class).chars().count());
        let path_widths = paths.map(|path| visible(path).chars().count());
        Self {
            format,
            top_k: top_k.min(classes.len()),
            min_confidence,
            class_width: class_widths.max().unwrap_or(0),
            path_width: path_widths.max().unwrap_or(0).min(MAX_PATH_WIDTH),
            head: classifier.name().to_owned(),
            classes,
            is_after_first: false,
        }
    }

    /// What comes before the first picture.
    pub fn begin(&self) -> String {
        match self.format {
            Format::Text | Format::Jsonl => String::new(),
            Format::Csv => {
                let ranks = 1..=self.top_k;
                let columns = ranks.map(|rank| format!("class_{rank},probability_{rank},"));
                let unsure = if self.min_confidence.is_some() {
                    "unsure,"
                } else {
                    ""
                };
                format!("path,{}{unsure}error\n", columns.collect::<String>())
            }
            Format::Json => {
                let (head, classes) = (json!(self.head), json!(self.classes));
                format!("{{\n\"head\": {head},\n\"classes\": {classes},\n\"pictures\": [")
            }
        }
    }

    /// Some pictures, a line each.
    pub fn outcomes(&mut self, outcomes: &[Outcome]) -> String {
        match self.format {
            Format::Text => outcomes
                .iter()
                .flatten()
                .map(|prediction| self.text_line(prediction))
                .collect(),
            Format::Csv => self.csv_lines(outcomes),
            Format::Jsonl => outcomes
                .iter()
                .map(|outcome| self.json(outcome) + "\n")
                .collect(),
            Format::Json => {
                let mut text = String::new();
                for outcome in outcomes {
                    text += if self.is_after_first { ",\n" } else { "\n" };
                    text += &self.json(outcome);
                    self.is_after_first = true;
                }
                text
            }
        }
    }

    /// What comes after the last picture.
    pub fn end(&self) -> String {
        match self.format {
            Format::Text | Format::Csv | Format::Jsonl => String::new(),
            Format::Json => "\n]\n}\n".to_owned(),
        }
    }

    /// Whether the most probable class has less than the confidence that is asked for.
    pub fn is_unsure(&self, prediction: &Prediction) -> bool {
        let confidence = prediction
            .top(1)
            .first()
            .map_or(0.0, |&(_, probability)| probability);
        self.min_confidence.is_some_and(|least| confidence < least)
    }

    /// The most probable classes by name.
    fn top<'a>(&'a self, prediction: &Prediction) -> Vec<(&'a str, f32)> {
        let top = prediction.top(self.top_k).into_iter();
        top.map(|(class, probability)| (&*self.classes[class], probability))
            .collect()
    }

    fn text_line(&self, prediction: &Prediction) -> String {
        let (path_width, class_width) = (self.path_width, self.class_width);
        let mut line = format!("{:path_width$}", visible(&prediction.path));
        for (class, probability) in self.top(prediction) {
            line += &format!(
                "  {:class_width$} {:5.1}%",
                visible(class),
                100.0 * probability
            );
        }
        if self.is_unsure(prediction) {
            line += "  unsure";
        }
        line + "\n"
    }

    fn csv_lines(&self, outcomes: &[Outcome]) -> String {
        let mut table = csv::Writer::from_writer(Vec::new());
        for outcome in outcomes {
            let n_unsure = usize::from(self.min_confidence.is_some());
            let mut row = Vec::with_capacity(2 * self.top_k + 2 + n_unsure);
            match outcome {
                Ok(prediction) => {
                    row.push(prediction.path.clone());
                    for (class, probability) in self.top(prediction) {
                        row.extend([class.to_owned(), probability.to_string()]);
                    }
                    if n_unsure > 0 {
                        row.push(self.is_unsure(prediction).to_string());
                    }
                    row.push(String::new());
                }
                Err(failure) => {
                    row.push(failure.path.clone());
                    row.resize(2 * self.top_k + 1 + n_unsure, String::new());
                    row.push(failure.error.clone());
                }
            }
            table.write_record(row).expect("a Vec takes all");
        }
        let bytes = table.into_inner().expect("a Vec takes all");
        String::from_utf8(bytes).expect("made of text")
    }

    fn json(&self, outcome: &Outcome) -> String {
        let row = match outcome {
            Ok(prediction) => Row::Predicted {
                path: &prediction.path,
                unsure: self.min_confidence.map(|_| self.is_unsure(prediction)),
                predictions: self
                    .top(prediction)
                    .into_iter()
                    .map(|(class, probability)| ClassProbability { class, probability })
                    .collect(),
            },
            Err(Failure { path, error, kind }) => Row::Failed { path, error, kind },
        };
        serde_json::to_string(&row).expect("text and numbers")
    }
}
