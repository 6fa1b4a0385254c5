//! Which confidence an answer needs, so that few answers are wrong.

use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

use super::{EvaluateError, check_labels, largest};

/// Shares of wrong answers for which a confidence is told.
const WANTED: [f64; 3] = [0.05, 0.02, 0.01];

/// What answering only where the head is sure comes to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Abstention {
    /// Share of the answers that may be wrong, 0 to 1.
    pub wanted_errors: f64,
    /// The smallest confidence from which on no more of the answers are wrong, 0 to 1.
    pub min_confidence: f64,
    /// Pictures with at least this confidence.
    pub answered: usize,
    /// How many of them are wrong.
    pub wrong: usize,
    /// Pictures in all.
    pub n: usize,
}

/// For each of a few wanted shares of wrong answers, the smallest confidence that keeps to it on
/// probabilities (N, K) with labels (N); those that no confidence keeps to are left out.
///
/// The probabilities have to be of pictures that the head was not trained on.
///
/// # Errors
/// [`EvaluateError`] as [`Evaluation::new`](super::Evaluation::new).
pub(crate) fn abstentions(
    probabilities: ArrayView2<f32>,
    labels: &[usize],
) -> Result<Vec<Abstention>, EvaluateError> {
    check_labels(probabilities.dim(), labels)?;
    let rows = probabilities.rows().into_iter().zip(labels).enumerate();
    let answers = rows.map(|(row, (given, &label))| {
        let (predicted, confidence) = largest(given).ok_or(EvaluateError::NotANumber { row })?;
        Ok((confidence, predicted != label))
    });
    let mut answers = answers.collect::<Result<Vec<_>, EvaluateError>>()?;
    // The surest first.
    answers.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut wrong, mut found) = (0, Vec::new());
    for (index, &(confidence, is_wrong)) in answers.iter().enumerate() {
        wrong += usize::from(is_wrong);
        // Answers of one confidence are given together.
        let is_last = answers
            .get(index + 1)
            .is_none_or(|next| next.0 < confidence);
        if is_last {
            found.push((f64::from(confidence), index + 1, wrong));
        }
    }
    let keeps = |wanted: f64| {
        let keeping = found.iter().rev();
        let mut keeping = keeping.filter(|(_, n, wrong)| *wrong as f64 <= wanted * *n as f64);
        keeping
            .next()
            .map(|&(min_confidence, answered, wrong)| Abstention {
                wanted_errors: wanted,
                min_confidence,
                answered,
                wrong,
                n: labels.len(),
            })
    };
    Ok(WANTED.into_iter().filter_map(keeps).collect())
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
        let told = abstentions(probabilities.view(), &labels).unwrap();
        let of = |told: &Abstention| (told.answered, told.wrong);
        // Of 62 answers 3 are wrong, of 63 already 4 (6.3%); of 60 one (1.7%); of 40 none.
        assert_eq!(
            told.iter().map(of).collect::<Vec<_>>(),
            [(62, 3), (60, 1), (40, 0)]
        );
        assert!((told[2].min_confidence - f64::from(confidence(39))).abs() < 1e-6);
    }

    #[test]
    fn answers_of_one_confidence_are_given_together_or_not_at_all() {
        let probabilities = Array2::from_elem((10, 2), 0.5);
        let labels = [0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        assert_eq!(abstentions(probabilities.view(), &labels).unwrap(), []);
        let told = abstentions(probabilities.view(), &[0; 10]).unwrap();
        assert!(told.len() == 3 && told[2].answered == 10);
    }
}
