//! Predictions as text, a table or JSON, a batch at a time.

use cnn_codes::codes::Failure;
use cnn_codes::messages::visible;
use cnn_codes::predict::{Classifier, Outcome, Prediction};
use serde::Serialize;
use serde_json::json;

use super::Format;

/// The widest column of paths; longer ones push their line to the right.
const MAX_PATH_WIDTH: usize = 60;

/// What is told of each picture.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Classes of each picture; more than there are mean all.
    pub top_k: usize,
    /// Below this confidence a picture is called unsure.
    pub min_confidence: Option<f32>,
    /// Whether sets of classes are told.
    pub sets: bool,
    /// Whether outliers are told.
    pub outliers: bool,
}

impl Wanted {
    /// The columns of what is told besides probabilities.
    fn columns(self) -> impl Iterator<Item = &'static str> {
        let columns = [
            (self.min_confidence.is_some(), "unsure"),
            (self.sets, "set"),
            (self.outliers, "outlier"),
        ];
        columns
            .into_iter()
            .filter_map(|(is_wanted, name)| is_wanted.then_some(name))
    }
}

/// Makes what is printed; nothing is printed here.
pub struct Printed {
    format: Format,
    /// Its `top_k` is at most K.
    wanted: Wanted,
    classes: Vec<String>,
    head: String,
    /// Characters of the columns of the text.
    path_width: usize,
    class_width: usize,
    /// Whether an element of the JSON document came before.
    is_after_first: bool,
    /// The nearest training pictures in JSON, where they are asked for.
    nearest: Option<Nearest>,
}

/// What JSON tells of a picture's nearest training pictures.
type Nearest = Box<dyn Fn(&Prediction) -> serde_json::Value + Send>;

/// A line of JSON Lines, or an element of the JSON document.
#[derive(Serialize)]
#[serde(untagged)]
enum Row<'a> {
    Predicted {
        path: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        unsure: Option<bool>,
        #[serde(skip_serializing_if = "Option::is_none")]
        set: Option<Vec<&'a str>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        outlier: Option<bool>,
        predictions: Vec<ClassProbability<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        nearest: Option<serde_json::Value>,
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
        wanted: Wanted,
        classifier: &Classifier,
        paths: impl Iterator<Item = &'a str>,
    ) -> Self {
        let classes = classifier.classes().to_vec();
        let class_widths = classes.iter().map(|class| visible(class).chars().count());
        let path_widths = paths.map(|path| visible(path).chars().count());
        Self {
            format,
            wanted: Wanted {
                top_k: wanted.top_k.min(classes.len()),
                ..wanted
            },
            class_width: class_widths.max().unwrap_or(0),
            path_width: path_widths.max().unwrap_or(0).min(MAX_PATH_WIDTH),
            head: classifier.name().to_owned(),
            classes,
            is_after_first: false,
            nearest: None,
        }
    }

    /// Tells in JSON of the nearest training pictures too.
    pub fn with_nearest(
        mut self,
        nearest: impl Fn(&Prediction) -> serde_json::Value + Send + 'static,
    ) -> Self {
        self.nearest = Some(Box::new(nearest));
        self
    }

    /// What comes before the first picture.
    pub fn begin(&self) -> String {
        match self.format {
            Format::Text | Format::Jsonl => String::new(),
            Format::Csv => {
                let ranks = 1..=self.wanted.top_k;
                let ranked = ranks.map(|rank| format!("class_{rank},probability_{rank},"));
                let more = self.wanted.columns().map(|column| format!("{column},"));
                format!("path,{}error\n", ranked.chain(more).collect::<String>())
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
        let least = self.wanted.min_confidence;
        least.is_some_and(|least| confidence < least)
    }

    /// The most probable classes by name.
    fn top<'a>(&'a self, prediction: &Prediction) -> Vec<(&'a str, f32)> {
        let top = prediction.top(self.wanted.top_k).into_iter();
        top.map(|(class, probability)| (&*self.classes[class], probability))
            .collect()
    }

    /// The classes of the set by name, where sets are asked for.
    fn set<'a>(&'a self, prediction: &Prediction) -> Option<Vec<&'a str>> {
        let set = prediction.set.as_ref()?;
        Some(set.iter().map(|&class| &*self.classes[class]).collect())
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
        if let Some(set) = self.set(prediction) {
            let set: Vec<_> = set.into_iter().map(visible).collect();
            line += &format!("  set: {}", set.join(", "));
        }
        if prediction.is_outlier == Some(true) {
            line += "  outlier";
        }
        line + "\n"
    }

    fn csv_lines(&self, outcomes: &[Outcome]) -> String {
        let mut table = csv::Writer::from_writer(Vec::new());
        for outcome in outcomes {
            let n_columns = 2 + 2 * self.wanted.top_k + self.wanted.columns().count();
            let mut row = Vec::with_capacity(n_columns);
            match outcome {
                Ok(prediction) => {
                    row.push(prediction.path.clone());
                    for (class, probability) in self.top(prediction) {
                        row.extend([class.to_owned(), probability.to_string()]);
                    }
                    if self.wanted.min_confidence.is_some() {
                        row.push(self.is_unsure(prediction).to_string());
                    }
                    let set = self.set(prediction);
                    row.extend(set.map(|set| json!(set).to_string()));
                    row.extend(
                        prediction
                            .is_outlier
                            .map(|is_outlier| is_outlier.to_string()),
                    );
                    row.push(String::new());
                }
                Err(failure) => {
                    row.push(failure.path.clone());
                    row.resize(n_columns - 1, String::new());
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
                unsure: (self.wanted.min_confidence).map(|_| self.is_unsure(prediction)),
                set: self.set(prediction),
                outlier: prediction.is_outlier,
                predictions: self
                    .top(prediction)
                    .into_iter()
                    .map(|(class, probability)| ClassProbability { class, probability })
                    .collect(),
                nearest: self.nearest.as_ref().map(|nearest| nearest(prediction)),
            },
            Err(Failure { path, error, kind }) => Row::Failed { path, error, kind },
        };
        serde_json::to_string(&row).expect("text and numbers")
    }
}
