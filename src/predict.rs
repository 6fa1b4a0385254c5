//! From pictures, or their codes, to the probabilities of their classes.
//!
//! ```text
//! answer       the answer for a code: probabilities, sets of classes, outliers
//! classifier   one head of a HEAD directory: codes -> scaling -> logits -> temperature -> softmax
//! predictor    a classifier behind its trunk: pictures -> the stages of an extraction -> classifier
//! ```
//!
//! A [`Predictor`] decodes, resizes and applies the recipe with the code of an extraction, with the
//! settings of the head's codes. It refuses a trunk that gives other codes. Nothing is written.

mod answer;
mod classifier;
mod error;
mod predictor;

use self::answer::Answer;
pub use self::classifier::Classifier;
pub use self::error::PredictError;
pub use self::predictor::{PredictOptions, Predictions, Predictor};

use crate::codes::Failure;
use crate::head::Near;

/// The result for one picture: a prediction, or why there is none.
pub type Outcome = Result<Prediction, Failure>;

/// The probabilities of one picture's classes.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The picture's name in [`Pictures`](crate::dataset::Pictures) or in a store.
    pub path: String,
    /// Probabilities (K) in the order of the classes; they sum to 1.
    pub probabilities: Vec<f32>,
    /// Classes that contain the picture's own with the requested probability, the most probable
    /// first; `None` unless requested with [`Classifier::with_sets`].
    pub set: Option<Vec<usize>>,
    /// Whether the picture is unlike all training pictures; `None` unless requested with
    /// [`Classifier::with_outliers`].
    pub is_outlier: Option<bool>,
    /// The nearest training codes, the nearest first; `None` unless requested with
    /// [`Classifier::with_nearest`].
    pub nearest: Option<Vec<Near>>,
}

impl Prediction {
    /// Makes a prediction of an answer, or a failure if the code holds NaN or an infinity, so that
    /// there are no probabilities.
    fn new(path: String, answer: Answer) -> Outcome {
        let Answer {
            probabilities,
            set,
            is_outlier,
            nearest,
        } = answer;
        if probabilities.iter().all(|p| p.is_finite()) {
            return Ok(Self {
                path,
                probabilities,
                set,
                is_outlier,
                nearest,
            });
        }
        Err(Failure {
            path,
            error: "its code holds NaN or infinity".to_owned(),
            kind: "not_finite",
        })
    }

    /// The most probable class; of equal ones, the first.
    ///
    /// # Panics
    /// If there are no classes, which is impossible for a head.
    #[must_use]
    pub fn class(&self) -> usize {
        self.top(1)[0].0
    }

    /// The `k` most probable classes with their probabilities, or all if there are fewer. The most
    /// probable come first; equal ones keep the order of the classes.
    #[must_use]
    pub fn top(&self, k: usize) -> Vec<(usize, f32)> {
        let mut classes: Vec<_> = self.probabilities.iter().copied().enumerate().collect();
        // A stable sort keeps equal ones in order.
        classes.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        classes.truncate(k);
        classes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(probabilities: &[f32]) -> Answer {
        Answer {
            probabilities: probabilities.to_vec(),
            set: None,
            is_outlier: None,
            nearest: None,
        }
    }

    #[test]
    fn the_most_probable_classes_come_first_and_equal_ones_in_their_order() {
        let prediction =
            Prediction::new("a.jpg".to_owned(), answer(&[0.1, 0.4, 0.1, 0.4])).unwrap();
        assert_eq!(prediction.class(), 1);
        assert_eq!(prediction.top(3), [(1, 0.4), (3, 0.4), (0, 0.1)]);
        assert_eq!(prediction.top(9).len(), 4);
    }

    #[test]
    fn no_probability_is_made_of_nan() {
        let failure = Prediction::new("a.jpg".to_owned(), answer(&[f32::NAN, 0.5])).unwrap_err();
        assert_eq!((&*failure.path, failure.kind), ("a.jpg", "not_finite"));
    }
}
