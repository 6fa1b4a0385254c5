//! Pictures, or codes that were made of them, to the probabilities of their classes.
//!
//! ```text
//! classifier   one head of a HEAD directory: codes -> scaling -> logits -> temperature -> softmax
//! predictor    a classifier behind its trunk: pictures -> the stages of an extraction -> classifier
//! ```
//!
//! A [`Predictor`] decodes, resizes and applies the recipe with the code of an extraction, in the
//! way that the head's codes were made, and refuses a trunk that gives others. Nothing is written.

mod classifier;
mod error;
mod predictor;

pub use self::classifier::Classifier;
pub use self::error::PredictError;
pub use self::predictor::{PredictOptions, Predictions, Predictor};

use crate::codes::Failure;

/// What comes of one picture: a prediction, or why there is none.
pub type Outcome = Result<Prediction, Failure>;

/// The probabilities of one picture's classes.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The picture's name, as [`Pictures`](crate::dataset::Pictures) or a store has it.
    pub path: String,
    /// Probabilities (K) in the order of the classes; they sum to 1.
    pub probabilities: Vec<f32>,
}

impl Prediction {
    /// Takes probabilities (K) of a picture, unless they are none because its code holds NaN or an
    /// infinity.
    fn new(path: String, probabilities: Vec<f32>) -> Outcome {
        if probabilities.iter().all(|p| p.is_finite()) {
            return Ok(Self {
                path,
                probabilities,
            });
        }
        Err(Failure {
            path,
            error: "its code holds NaN or infinity".to_owned(),
            kind: "not_finite",
        })
    }

    /// The class that is most probable; the first of several that are.
    ///
    /// # Panics
    /// If there are no classes, which no head has.
    #[must_use]
    pub fn class(&self) -> usize {
        self.top(1)[0].0
    }

    /// The `k` most probable classes, or all if there are fewer, with their probabilities: the
    /// most probable first, and of equal ones the first in the order of the classes.
    #[must_use]
    pub fn top(&self, k: usize) -> Vec<(usize, f32)> {
        let mut classes: Vec<_> = self.probabilities.iter().copied().enumerate().collect();
        // A stable sort keeps equal ones in their order.
        classes.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        classes.truncate(k);
        classes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_probable_classes_come_first_and_equal_ones_in_their_order() {
        let prediction = Prediction::new("a.jpg".to_owned(), vec![0.1, 0.4, 0.1, 0.4]).unwrap();
        assert_eq!(prediction.class(), 1);
        assert_eq!(prediction.top(3), [(1, 0.4), (3, 0.4), (0, 0.1)]);
        assert_eq!(prediction.top(9).len(), 4);
    }

    #[test]
    fn no_probability_is_made_of_nan() {
        let failure = Prediction::new("a.jpg".to_owned(), vec![f32::NAN, 0.5]).unwrap_err();
        assert_eq!((&*failure.path, failure.kind), ("a.jpg", "not_finite"));
    }
}
