//! How confident an answer must be, so that few answers are wrong.

use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

use super::{EvaluateError, check_labels, largest};

/// Shares of wrong answers for which a confidence threshold is reported.
const WANTED: [f64; 3] = [0.05, 0.02, 0.01];

/// A confidence threshold: a head that only answers above it, and its errors.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Abstention {
    /// Accepted share of wrong answers, 0 to 1.
    pub wanted_errors: f64,
    /// The smallest confidence with at most this share of wrong answers, 0 to 1.
    pub min_confidence: f64,
    /// Pictures with at least this confidence.
    pub answered: usize,
    /// How many of them are wrong.
    pub wrong: usize,
    /// Total number of pictures.
    pub n: usize,
}

/// Most points of a curve: more cannot be distinguished on a plot.
const CURVE_POINTS: usize = 100;

/// The answers above some confidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Answered {
    /// The smallest confidence of an answer, 0 to 1.
    pub min_confidence: f64,
    /// Pictures with at least this confidence.
    pub answered: usize,
    /// How many of them are wrong.
    pub wrong: usize,
}

/// What happens when a head only answers if it is confident enough, from probabilities out of fold.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Abstentions {
    /// The threshold for each of a few accepted shares of wrong answers; shares that no threshold
    /// achieves are left out.
    pub told: Vec<Abstention>,
    /// Risk by coverage: from few answers, the most confident, to all of them; at most 100 points.
    pub curve: Vec<Answered>,
}

/// For each of a few accepted shares of wrong answers, the smallest confidence that achieves it on
/// probabilities (N, K) with labels (N); and the number of wrong answers by the number of answers.
///
/// The probabilities must be of pictures that the head was not trained on.
///
/// # Errors
/// [`EvaluateError`] as [`Evaluation::new`](super::Evaluation::new).
pub(crate) fn abstentions(
    probabilities: ArrayView2<f32>,
    labels: &[usize],
) -> Result<Abstentions, EvaluateError> {
    check_labels(probabilities.dim(), labels)?;
    let rows = probabilities.rows().into_iter().zip(labels).enumerate();
    let answers = rows.map(|(row, (given, &label))| {
        let (predicted, confidence) = largest(given).ok_or(EvaluateError::NotANumber { row })?;
        Ok((confidence, predicted != label))
    });
    let mut answers = answers.collect::<Result<Vec<_>, EvaluateError>>()?;
    // The most confident first.
    answers.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut wrong, mut found) = (0, Vec::new());
    for (index, &(confidence, is_wrong)) in answers.iter().enumerate() {
        wrong += usize::from(is_wrong);
        // Answers of equal confidence are counted together.
        let is_last = answers
            .get(index + 1)
            .is_none_or(|next| next.0 < confidence);
        if is_last {
            found.push(Answered {
                min_confidence: f64::from(confidence),
                answered: index + 1,
                wrong,
            });
        }
    }
    let keeps = |wanted: f64| {
        let keeping = found.iter().rev();
        let mut keeping = keeping.filter(|at| at.wrong as f64 <= wanted * at.answered as f64);
        keeping.next().map(|at| Abstention {
            wanted_errors: wanted,
            min_confidence: at.min_confidence,
            answered: at.answered,
            wrong: at.wrong,
            n: labels.len(),
        })
    };
    Ok(Abstentions {
        told: WANTED.into_iter().filter_map(keeps).collect(),
        curve: thinned(&found, labels.len()),
    })
}

/// The last point of each hundredth of `n`.
fn thinned(points: &[Answered], n: usize) -> Vec<Answered> {
    let hundredth = |at: &Answered| (CURVE_POINTS * at.answered).div_ceil(n);
    let is_last = |index: &usize| {
        let next = points.get(index + 1);
        next.is_none_or(|next| hundredth(next) > hundredth(&points[*index]))
    };
    let kept = (0..points.len()).filter(is_last);
    kept.map(|index| points[index]).collect()
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    #[test]
    fn the_smallest_confidence_that_keeps_to_the_wanted_errors() {
        // 100 answers of confidence 1, 0.995, 0.99 ...; those of places 40 and 60 to 69 are wrong.
        let confidence = |row: usize| 1.0 - 0.005 * row as f32;
        let probabilities = Array2::from_shape_fn((100, 2), |(row, class)| match class {
            0 => confidence(row),
            _ => 1.0 - confidence(row),
        });
        let labels: Vec<_> = (0..100)
            .map(|row| usize::from(row == 40 || (60..70).contains(&row)))
            .collect();
        let Abstentions { told, curve } = abstentions(probabilities.view(), &labels).unwrap();
        let of = |told: &Abstention| (told.answered, told.wrong);
        // Of 62 answers 3 are wrong, of 63 already 4 (6.3%); of 60 one (1.7%); of 40 none.
        assert_eq!(
            told.iter().map(of).collect::<Vec<_>>(),
            [(62, 3), (60, 1), (40, 0)]
        );
        assert!((told[2].min_confidence - f64::from(confidence(39))).abs() < 1e-6);
        assert_eq!(curve.len(), 100);
        let at = |n: usize| (curve[n - 1].answered, curve[n - 1].wrong);
        assert_eq!(
            [at(1), at(41), at(65), at(100)],
            [(1, 0), (41, 1), (65, 6), (100, 11)]
        );
    }

    #[test]
    fn a_curve_of_many_pictures_has_a_hundred_points() {
        let probabilities = Array2::from_shape_fn((1234, 2), |(row, class)| match class {
            0 => 1.0 - row as f32 / 3000.0,
            _ => row as f32 / 3000.0,
        });
        let curve = abstentions(probabilities.view(), &[0; 1234]).unwrap().curve;
        assert_eq!(curve.len(), 100);
        assert_eq!((curve[0].answered, curve[99].answered), (12, 1234));
    }

    #[test]
    fn answers_of_one_confidence_are_given_together_or_not_at_all() {
        let probabilities = Array2::from_elem((10, 2), 0.5);
        let labels = [0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        let told = abstentions(probabilities.view(), &labels).unwrap();
        assert_eq!(told.told, []);
        let all = Answered {
            min_confidence: 0.5,
            answered: 10,
            wrong: 1,
        };
        assert_eq!(told.curve, [all]);
        let told = abstentions(probabilities.view(), &[0; 10]).unwrap().told;
        assert!(told.len() == 3 && told[2].answered == 10);
    }
}
