//! Splits of samples in which every class keeps its share.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_xoshiro::Xoshiro256PlusPlus;

use super::HeadError;
use super::invalid::invalid;

/// Deals rows (N) into `n_folds` folds (N numbers below it), class by class at random.
///
/// Every fold gets as many rows of a class as every other, and as many rows in all, but for one. A
/// class with fewer rows than folds is missing in some of them.
///
/// # Errors
/// [`HeadError::InvalidOption`] for fewer than two folds, for more than rows, or if the rows outside
/// some fold are all of one class.
pub(crate) fn stratified_folds(
    labels: &[usize],
    n_folds: usize,
    seed: u64,
) -> Result<Vec<usize>, HeadError> {
    if n_folds < 2 || n_folds > labels.len() {
        return Err(invalid(
            "number of folds",
            n_folds,
            "from 2 to the number of training pictures",
        ));
    }
    let mut folds = vec![0; labels.len()];
    let mut dealt = 0;
    for rows in shuffled_by_class(labels, seed) {
        for row in rows {
            folds[row] = dealt % n_folds;
            dealt += 1;
        }
    }
    let outside_is_one_class = |fold| {
        let mut outside = (0..labels.len()).filter(|&row| folds[row] != fold);
        let first = outside.next().map(|row| labels[row]);
        outside.all(|row| Some(labels[row]) == first)
    };
    if (0..n_folds).any(outside_is_one_class) {
        return Err(invalid(
            "number of folds",
            n_folds,
            "such that two classes are left outside of each fold; \
                       these are too few pictures for that",
        ));
    }
    Ok(folds)
}

/// Splits rows into those to train on and those held out, about `share` of each class; both in
/// ascending order. A class keeps one row at least.
///
/// # Errors
/// [`HeadError::InvalidOption`] if the share is not between 0 and 1, or is no row of any class.
pub(super) fn hold_out(
    labels: &[usize],
    share: f64,
    seed: u64,
) -> Result<(Vec<usize>, Vec<usize>), HeadError> {
    let invalid = |expected| invalid("share that is held out", share, expected);
    if !(share > 0.0 && share < 1.0) {
        return Err(invalid("above 0 and below 1"));
    }
    let (mut kept, mut held_out) = (Vec::new(), Vec::new());
    for rows in shuffled_by_class(labels, seed) {
        let wanted = (share * rows.len() as f64).round() as usize;
        let (out, rest) = rows.split_at(wanted.min(rows.len().saturating_sub(1)));
        held_out.extend(out);
        kept.extend(rest);
    }
    if held_out.is_empty() {
        return Err(invalid("large enough for one picture of a class"));
    }
    kept.sort_unstable();
    held_out.sort_unstable();
    Ok((kept, held_out))
}

/// The rows of each class in a random order.
fn shuffled_by_class(labels: &[usize], seed: u64) -> Vec<Vec<usize>> {
    let n_classes = labels.iter().max().map_or(0, |&largest| largest + 1);
    let mut by_class = vec![Vec::new(); n_classes];
    for (row, &label) in labels.iter().enumerate() {
        by_class[label].push(row);
    }
    // Far from the streams that a network's training takes from the same seed.
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    rng.long_jump();
    for rows in &mut by_class {
        rows.shuffle(&mut rng);
    }
    by_class
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 23, 10 and 4 rows of three classes, one class after the other.
    fn labels() -> Vec<usize> {
        [vec![0; 23], vec![1; 10], vec![2; 4]].concat()
    }

    #[test]
    fn folds_share_every_class_evenly() {
        let labels = labels();
        let folds = stratified_folds(&labels, 5, 1).unwrap();
        let count = |fold, class: Option<usize>| {
            let rows = folds.iter().zip(&labels);
            rows.filter(|&(&f, &l)| f == fold && class.is_none_or(|class| class == l))
                .count()
        };
        for fold in 0..5 {
            assert!([7, 8].contains(&count(fold, None)));
            assert!([4, 5].contains(&count(fold, Some(0))));
            assert_eq!(count(fold, Some(1)), 2);
            assert!([0, 1].contains(&count(fold, Some(2))));
        }
        assert_eq!(folds, stratified_folds(&labels, 5, 1).unwrap());
        assert_ne!(folds, stratified_folds(&labels, 5, 2).unwrap());
    }

    #[test]
    fn folds_that_cannot_be_are_refused() {
        let reason = |labels: &[usize], n| stratified_folds(labels, n, 0).unwrap_err().to_string();
        assert!(reason(&[0, 1, 0], 4).starts_with("number of folds is 4"));
        assert!(reason(&[0, 1, 0], 1).starts_with("number of folds is 1"));
        // Without its only row of class 1 a fold's training samples are of one class.
        assert!(reason(&[0, 1, 0, 0], 2).contains("two classes"));
        assert!(stratified_folds(&[0, 1, 0, 1], 2, 0).is_ok());
    }

    #[test]
    fn a_share_of_each_class_is_held_out() {
        let labels = labels();
        let (kept, held_out) = hold_out(&labels, 0.2, 3).unwrap();
        let of_class = |class| held_out.iter().filter(|&&row| labels[row] == class).count();
        assert_eq!([of_class(0), of_class(1), of_class(2)], [5, 2, 1]);
        let mut all = [kept, held_out].concat();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..37));
    }

    #[test]
    fn a_class_is_never_held_out_whole() {
        let (kept, held_out) = hold_out(&[0, 0, 1], 0.9, 0).unwrap();
        assert_eq!((kept.len(), held_out.len()), (2, 1));
        assert!(kept.contains(&2));
        assert!(hold_out(&[0, 1], 0.5, 0).is_err());
        assert!(hold_out(&[0, 0, 1, 1], 1.0, 0).is_err());
        assert!(hold_out(&[0, 0, 1, 1], f64::NAN, 0).is_err());
    }
}
