//! Label errors: pictures whose codes contradict their labels.

use std::fmt;

use ndarray::Array2;

use super::cross_validation::Folds;
use super::error::{FitError, TrainError};
use super::progress::Stage;
use super::stores::{check_classes, samples};
use crate::codes::Store;
use crate::head::logistic::{Logistic, LogisticOptions};
use crate::head::scaling::{Scaling, ScalingKind};
use crate::head::{CodesView, HeadError, Samples, probabilities};
use crate::progress::Watch;

/// How to search a store for label errors.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct LabelErrorOptions {
    /// Number of folds: each picture is predicted by a head that was trained on the others.
    pub n_folds: usize,
    /// Seed for dealing pictures into folds.
    pub seed: u64,
    /// The head.
    pub logistic: LogisticOptions,
    /// A picture is an outlier if its distance from its class exceeds the class's median by more
    /// than this many typical deviations (1.4826 median absolute deviations).
    pub outlier_deviations: f64,
}

impl Default for LabelErrorOptions {
    fn default() -> Self {
        Self {
            n_folds: 5,
            seed: 0,
            logistic: LogisticOptions::default(),
            // C. Leys et al., "Detecting outliers" (2013), for few false alarms.
            outlier_deviations: 3.0,
        }
    }
}

/// A row with a doubtful label.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LabelError {
    /// The row of the store.
    pub row: usize,
    /// Why it is doubtful.
    pub reason: Reason,
}

/// Why a label is doubtful.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reason {
    /// A head that was not trained on the picture predicts another class, as confidently as it
    /// predicts pictures of that class.
    OtherClass {
        /// The predicted class.
        class: usize,
        /// The probability of that class.
        probability: f32,
        /// The probability of the label.
        of_label: f32,
    },
    /// The code is far from the other codes of its class.
    Outlier {
        /// Distance above the median of the class, in typical deviations.
        deviations: f64,
    },
}

/// Rows whose codes contradict their labels, the most certain first, followed by outliers.
///
/// Label errors are found by confident learning: a label is doubtful if another class has the
/// largest out-of-fold probability, and that probability reaches the mean over the pictures of that
/// class (C. Northcutt, L. Jiang and I. Chuang, "Confident learning", 2021). The distance of an
/// outlier is one minus the cosine between its code and the mean of the other unit-length codes of
/// its class.
///
/// # Errors
/// [`TrainError`]; classes with fewer rows than folds are predicted by heads that may not know
/// them.
pub fn label_errors(
    store: &Store,
    options: &LabelErrorOptions,
    watch: &dyn Watch,
) -> Result<Vec<LabelError>, TrainError> {
    OutOfFold::of(store, options, watch)?.errors(options)
}

/// Predictions for the pictures of a store by heads that were not trained on them.
pub(super) struct OutOfFold<'s> {
    store: &'s Store,
    samples: Samples<'s>,
    /// Probabilities (N, K).
    probabilities: Array2<f32>,
}

impl<'s> OutOfFold<'s> {
    /// Trains a logistic regression outside each fold.
    pub(super) fn of(
        store: &'s Store,
        options: &LabelErrorOptions,
        watch: &dyn Watch,
    ) -> Result<Self, TrainError> {
        let samples = samples(store)?;
        check_classes(store)?;
        let on_store = |error: FitError| error.on(store.dir());
        let folds = Folds::new(&samples, options.n_folds, ScalingKind::None, options.seed)
            .map_err(|error| on_store(error.into()))?;
        let logits = folds
            .logits::<Logistic>(&[options.logistic], &Stage::untold(watch, folds.len()))
            .and_then(|mut logits| Ok(logits.swap_remove(0)?))
            .map_err(on_store)?;
        Ok(Self {
            store,
            probabilities: probabilities(logits, 1.0),
            samples,
        })
    }

    pub(super) fn labels(&self) -> &[usize] {
        self.samples.labels()
    }

    /// Probabilities (N, K).
    pub(super) fn probabilities(&self) -> &Array2<f32> {
        &self.probabilities
    }

    /// The doubtful labels: those of other classes, the most certain first, then outliers, the
    /// farthest first.
    pub(super) fn errors(
        &self,
        options: &LabelErrorOptions,
    ) -> Result<Vec<LabelError>, TrainError> {
        let on_store = |error: HeadError| FitError::from(error).on(self.store.dir());
        let mut errors = mislabelled(&self.probabilities, self.labels());
        let unit = self.samples.scaled(Scaling::L2).map_err(on_store)?;
        errors.extend(outliers(
            unit.codes(),
            unit.labels(),
            options.outlier_deviations,
        ));
        unit.codes().check().map_err(on_store)?;
        self.store.check_unchanged()?;
        Ok(errors)
    }
}

/// Rows that clearly belong to another class, by out-of-fold probabilities (N, K).
fn mislabelled(probabilities: &Array2<f32>, labels: &[usize]) -> Vec<LabelError> {
    let thresholds: Vec<f32> = (0..probabilities.ncols())
        .map(|class| {
            let own = labels.iter().zip(probabilities.column(class));
            mean(own.filter(|(label, _)| **label == class).map(|(_, &p)| p))
        })
        .collect();
    let mut found: Vec<(f32, LabelError)> = Vec::new();
    for (row, (&label, probabilities)) in labels.iter().zip(probabilities.rows()).enumerate() {
        let largest = probabilities
            .iter()
            .enumerate()
            .max_by(|a, b| a.1.total_cmp(b.1));
        if let Some((class, &probability)) = largest
            // If codes carry no information, classes may be equally probable.
            && probability > probabilities[label]
            && probability >= thresholds[class]
        {
            let of_label = probabilities[label];
            let reason = Reason::OtherClass {
                class,
                probability,
                of_label,
            };
            found.push((of_label - probability, LabelError { row, reason }));
        }
    }
    found.sort_by(|a, b| a.0.total_cmp(&b.0));
    found.into_iter().map(|(_, error)| error).collect()
}

/// The mean; infinite for no values, so that no probability reaches it.
fn mean(values: impl Iterator<Item = f32>) -> f32 {
    let (sum, n) = values.fold((0.0, 0), |(sum, n), value| (sum + value, n + 1));
    if n == 0 {
        f32::INFINITY
    } else {
        sum / n as f32
    }
}

/// Rows that are far from the mean of the other rows of their class, by unit-length codes (N, D).
fn outliers(codes: &CodesView, labels: &[usize], limit: f64) -> Vec<LabelError> {
    let n_classes = labels.iter().max().map_or(0, |&label| label + 1);
    let mut found = Vec::new();
    for class in 0..n_classes {
        let rows: Vec<usize> = (0..labels.len())
            .filter(|&row| labels[row] == class)
            .collect();
        // With fewer rows, none can be called typical.
        if rows.len() < 8 {
            continue;
        }
        let distances = distances(codes, &rows);
        let middle = median(distances.clone());
        let deviations: Vec<f64> = distances.iter().map(|d| (d - middle).abs()).collect();
        // For normally distributed values this is the standard deviation.
        let typical = 1.4826 * median(deviations);
        for (row, distance) in rows.into_iter().zip(distances) {
            let deviations = (distance - middle) / typical;
            if typical > 0.0 && deviations > limit {
                let reason = Reason::Outlier { deviations };
                found.push((deviations, LabelError { row, reason }));
            }
        }
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    found.into_iter().map(|(_, error)| error).collect()
}

/// One minus the cosine between each of these rows and the mean of the others.
fn distances(codes: &CodesView, rows: &[usize]) -> Vec<f64> {
    let n_features = codes.n_features();
    let mut code = vec![0.0; n_features];
    let mut sum = vec![0.0; n_features];
    for &row in rows {
        codes.fill(row, 0..n_features, &mut code);
        for (sum, &value) in sum.iter_mut().zip(&code) {
            *sum += f64::from(value);
        }
    }
    let distance = |&row: &usize| {
        codes.fill(row, 0..n_features, &mut code);
        let (mut product, mut others_norm, mut norm) = (0.0, 0.0, 0.0);
        for (&sum, &value) in sum.iter().zip(&code) {
            let value = f64::from(value);
            let others = sum - value;
            product += value * others;
            others_norm += others * others;
            norm += value * value;
        }
        let cosine = product / (others_norm * norm).sqrt();
        if cosine.is_finite() {
            1.0 - cosine
        } else {
            1.0
        }
    };
    rows.iter().map(distance).collect()
}

/// The middle value; of an even number, the mean of the two in the middle.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let n = values.len();
    f64::midpoint(values[(n - 1) / 2], values[n / 2])
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherClass {
                probability,
                of_label,
                ..
            } => write!(
                f,
                "probability {probability:.2}, of its label {of_label:.2}"
            ),
            Self::Outlier { deviations } => {
                write!(f, "{deviations:.1} typical deviations from its class")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn a_label_is_in_doubt_where_another_class_is_as_sure_as_for_its_own() {
        // Class 1 has 0.9 and 0.7 for its own pictures: 0.8 on the mean.
        let probabilities = array![
            [0.9, 0.1],
            [0.15, 0.85],
            [0.25, 0.75],
            [0.1, 0.9],
            [0.3, 0.7]
        ];
        let found = mislabelled(&probabilities, &[0, 0, 0, 1, 1]);
        let reason = Reason::OtherClass {
            class: 1,
            probability: 0.85,
            of_label: 0.15,
        };
        assert_eq!(found, [LabelError { row: 1, reason }]);
    }

    #[test]
    fn a_code_in_another_direction_is_an_outlier() {
        // Nine codes within 0.2 of the first axis, and one along the second.
        let angles = [
            -0.2, -0.15, -0.1, -0.05, 0.0, 0.05, 0.1, 0.15, 0.2, 1.57_f32,
        ];
        let codes = Array2::from_shape_fn((10, 2), |(row, axis)| {
            [angles[row].cos(), angles[row].sin()][axis]
        });
        let codes = CodesView::from(codes.view());
        let found = outliers(&codes, &[0; 10], 5.0);
        assert_eq!(found.iter().map(|error| error.row).collect::<Vec<_>>(), [9]);
        // The mean of the others is the first axis, so the distance is 1 - cos(1.57).
        let rows: Vec<usize> = (0..10).collect();
        assert!((distances(&codes, &rows)[9] - (1.0 - f64::from(1.57_f32).cos())).abs() < 1e-6);
        assert!(outliers(&codes, &[0, 0, 0, 0, 0, 1, 1, 1, 1, 1], 5.0).is_empty());
    }
}
