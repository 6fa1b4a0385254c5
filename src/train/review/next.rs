//! Pictures without labels, in the order in which labels would be most useful.

use super::doubts::Doubt;
use crate::head::Directions;

/// Factor on the number of unsure pictures from which distant ones are chosen.
const CANDIDATES: usize = 5;

/// Which `n` pictures to label next: of the 5 n least confident ones, in the order of `doubts`,
/// those that are most spread out. The first is the least confident; each later one is the farthest
/// from all before it. `directions` must be from the same store.
///
/// Uncertainty alone picks many pictures of one kind. The combination follows G. Citovsky et al.,
/// "Batch active learning at scale" (2021), with the farthest-first traversal of T. Gonzalez,
/// "Clustering to minimize the maximum intercluster distance" (1985) instead of their clusters,
/// which is enough for hundreds of pictures.
#[must_use]
pub fn next_to_label(doubts: &[Doubt], directions: &Directions, n: usize) -> Vec<usize> {
    let rows = doubts.iter().map(|doubt| doubt.row);
    let mut candidates: Vec<_> = rows.take(n.saturating_mul(CANDIDATES)).collect();
    if candidates.is_empty() || n == 0 {
        return Vec::new();
    }
    let mut taken = vec![candidates.remove(0)];
    let mut distances = vec![f32::INFINITY; candidates.len()];
    while taken.len() < n && !candidates.is_empty() {
        let last = taken[taken.len() - 1];
        for (distance, &row) in distances.iter_mut().zip(&candidates) {
            *distance = distance.min(directions.distance(last, row));
        }
        // Of those equally far, the first, which is the least confident.
        let farthest = (0..candidates.len())
            .rev()
            .max_by(|&a, &b| distances[a].total_cmp(&distances[b]));
        let farthest = farthest.unwrap_or(0);
        taken.push(candidates.remove(farthest));
        distances.remove(farthest);
    }
    taken
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::super::doubts_of;
    use super::*;

    #[test]
    fn unsure_pictures_are_taken_that_are_far_from_each_other() {
        // Rows 0 to 2 are unsure and alike, row 3 is unsure and different, the others are sure.
        let probabilities = array![
            [0.5, 0.5],
            [0.51, 0.49],
            [0.52, 0.48],
            [0.55, 0.45],
            [1.0, 0.0],
            [0.0, 1.0]
        ];
        let codes = array![
            [1.0, 0.0],
            [1.0, 0.01],
            [1.0, 0.02],
            [0.2, 1.0],
            [0.0, 1.0],
            [-1.0, 0.0]
        ];
        let directions = Directions::of(&codes.view().into(), 2).unwrap();
        let doubts = doubts_of(None, &probabilities);
        // Row 5 is the farthest of all ten candidates.
        assert_eq!(next_to_label(&doubts, &directions, 2), [0, 5]);
        let unsure = &doubts[..4];
        assert_eq!(next_to_label(unsure, &directions, 3), [0, 3, 2]);
        assert_eq!(next_to_label(unsure, &directions, 9).len(), 4);
        assert!(next_to_label(&[], &directions, 3).is_empty());
        assert!(next_to_label(unsure, &directions, 0).is_empty());
    }
}
