//! Pictures in the order in which their labels are worth reviewing.

use ndarray::{Array2, ArrayView1};

use crate::codes::Store;
use crate::progress::Watch;
use crate::train::TrainError;
use crate::train::label_errors::{LabelErrorOptions, OutOfFold, Reason};

/// Why a picture is worth reviewing: the first reason that applies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Why {
    /// Its code contradicts its label: [`Reason::OtherClass`].
    Label,
    /// A head that was not trained on it predicts another class.
    Wrong,
    /// It is far from its class, by this many typical deviations.
    Outlier(f64),
    /// Only that the head is unsure.
    Unsure,
}

/// The prediction for a picture by a head that was not trained on it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Doubt {
    /// The row of the store.
    pub row: usize,
    /// Why it is worth reviewing.
    pub why: Why,
    /// The most probable class.
    pub predicted: usize,
    /// Its probability, 0 to 1.
    pub probability: f32,
    /// The probability of the label, 0 to 1; `None` for a picture without one.
    pub of_label: Option<f32>,
    /// The probability of the most probable class minus that of the next, 0 to 1.
    pub margin: f32,
}

/// All pictures of a store, those worth reviewing first: labels that the codes contradict, wrong
/// predictions, outliers, and then the least confident predictions. Each picture is predicted by a
/// head that was not trained on it.
///
/// # Errors
/// As [`label_errors`](super::super::label_errors).
pub fn doubts(
    store: &Store,
    options: &LabelErrorOptions,
    watch: &dyn Watch,
) -> Result<Vec<Doubt>, TrainError> {
    let found = OutOfFold::of(store, options, watch)?;
    let mut doubts = doubts_of(Some(found.labels()), found.probabilities());
    let mut places = vec![0; doubts.len()];
    for (place, doubt) in doubts.iter().enumerate() {
        places[doubt.row] = place;
    }
    // Errors of a kind keep their order, the most certain first.
    for error in found.errors(options)? {
        let doubt = &mut doubts[places[error.row]];
        doubt.why = match (error.reason, doubt.why) {
            (Reason::OtherClass { .. }, _) => Why::Label,
            (Reason::Outlier { deviations }, Why::Unsure) => Why::Outlier(deviations),
            (Reason::Outlier { .. }, why) => why,
        };
    }
    sort(&mut doubts);
    Ok(doubts)
}

/// All pictures, by probabilities (N, K) from heads that were not trained on them: wrong
/// predictions first, the most confident ones at the front, then the least confident predictions.
/// Without labels (N), no prediction is wrong.
///
/// # Panics
/// If the numbers of labels and rows differ, or if there are no classes.
#[must_use]
pub fn doubts_of(labels: Option<&[usize]>, probabilities: &Array2<f32>) -> Vec<Doubt> {
    let of_row = |(row, probabilities): (usize, ArrayView1<f32>)| {
        let (predicted, probability) = largest(probabilities, None);
        let (_, second) = largest(probabilities, Some(predicted));
        let label = labels.map(|labels| labels[row]);
        Doubt {
            row,
            why: match label {
                Some(label) if label != predicted => Why::Wrong,
                _ => Why::Unsure,
            },
            predicted,
            probability,
            of_label: label.map(|label| probabilities[label]),
            margin: probability - second,
        }
    };
    let mut doubts: Vec<_> = probabilities
        .rows()
        .into_iter()
        .enumerate()
        .map(of_row)
        .collect();
    sort(&mut doubts);
    doubts
}

/// The most probable class other than `but`, and its probability; of equal ones, the first.
pub(super) fn largest(probabilities: ArrayView1<f32>, but: Option<usize>) -> (usize, f32) {
    let classes = probabilities.iter().copied().enumerate();
    let others = classes.filter(|(class, _)| Some(*class) != but);
    others.fold((0, f32::NEG_INFINITY), |best, (class, probability)| {
        if probability > best.1 {
            (class, probability)
        } else {
            best
        }
    })
}

fn sort(doubts: &mut [Doubt]) {
    let rank = |why: Why| match why {
        Why::Label => 0,
        Why::Wrong => 1,
        Why::Outlier(_) => 2,
        Why::Unsure => 3,
    };
    // A larger value is less worth reviewing.
    let within = |doubt: &Doubt| match doubt.why {
        Why::Label | Why::Wrong => f64::from(doubt.of_label.unwrap_or(0.0) - doubt.probability),
        Why::Outlier(deviations) => -deviations,
        Why::Unsure => f64::from(doubt.margin),
    };
    doubts.sort_by(|a, b| {
        let by_rank = rank(a.why).cmp(&rank(b.why));
        let by_doubt = within(a).total_cmp(&within(b));
        by_rank.then(by_doubt).then(a.row.cmp(&b.row))
    });
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn wrong_predictions_come_first_and_then_the_least_sure() {
        let probabilities = array![
            [0.9, 0.1, 0.0],
            [0.2, 0.7, 0.1],
            [0.4, 0.35, 0.25],
            [0.05, 0.15, 0.8],
            [0.55, 0.35, 0.1]
        ];
        let doubts = doubts_of(Some(&[0, 0, 0, 1, 0]), &probabilities);
        let order: Vec<_> = doubts.iter().map(|doubt| (doubt.row, doubt.why)).collect();
        let expected = [
            (3, Why::Wrong),
            (1, Why::Wrong),
            (2, Why::Unsure),
            (4, Why::Unsure),
            (0, Why::Unsure),
        ];
        assert_eq!(order, expected);
        assert_eq!((doubts[0].predicted, doubts[0].of_label), (2, Some(0.15)));
        let unlabelled = doubts_of(None, &probabilities);
        assert_eq!(unlabelled[0].row, 2);
        assert!(unlabelled.iter().all(|doubt| doubt.why == Why::Unsure));
    }
}
