//! Splits of samples that keep the shares of the classes, and keep groups together.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_xoshiro::Xoshiro256PlusPlus;

use super::HeadError;
use super::invalid::invalid;

/// Deals rows (N) into `n_folds` folds (N numbers below it), class by class at random.
///
/// Folds have equal numbers of rows of each class, and of all rows, up to one. A class with fewer
/// rows than folds is missing in some of them. Rows of a group (N numbers from 0 on) go into the
/// same fold; then the folds are as even as the groups allow.
///
/// # Errors
/// [`HeadError::InvalidOption`] for fewer than two folds, for more folds than rows or groups, or if
/// the rows outside some fold are all of one class.
pub(crate) fn stratified_folds(
    labels: &[usize],
    groups: Option<&[usize]>,
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
    let folds = match groups {
        None => fold_by_fold(labels, n_folds, seed),
        Some(groups) => deal_groups(labels, groups, &vec![1.0 / n_folds as f64; n_folds], seed),
    };
    if !(0..n_folds).all(|fold| folds.contains(&fold)) {
        return Err(invalid(
            "number of folds",
            n_folds,
            "at most the number of groups of training pictures",
        ));
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

/// Splits rows into training and held-out rows, about `share` of each class; both in ascending
/// order. A class keeps at least one training row. Rows of a group (N numbers from 0 on) stay
/// together; then the shares are as close as the groups allow.
///
/// # Errors
/// [`HeadError::InvalidOption`] if the share is not between 0 and 1, or gives no row of any class.
pub(crate) fn hold_out(
    labels: &[usize],
    groups: Option<&[usize]>,
    share: f64,
    seed: u64,
) -> Result<(Vec<usize>, Vec<usize>), HeadError> {
    let invalid = |expected| invalid("share that is held out", share, expected);
    if !(share > 0.0 && share < 1.0) {
        return Err(invalid("above 0 and below 1"));
    }
    if let Some(groups) = groups {
        let places = deal_groups(labels, groups, &[1.0 - share, share], seed);
        let (kept, held_out): (Vec<_>, Vec<_>) =
            (0..labels.len()).partition(|&row| places[row] == 0);
        if kept.is_empty() || held_out.is_empty() {
            return Err(invalid(
                "such that groups of pictures can be kept and held out",
            ));
        }
        return Ok((kept, held_out));
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

/// Deals rows class by class at random, one to each fold in turn.
fn fold_by_fold(labels: &[usize], n_folds: usize, seed: u64) -> Vec<usize> {
    let mut folds = vec![0; labels.len()];
    let rows = shuffled_by_class(labels, seed).into_iter().flatten();
    for (dealt, row) in rows.enumerate() {
        folds[row] = dealt % n_folds;
    }
    folds
}

/// The part of each row (N), one of as many as there are `shares`, which sum to 1.
///
/// Groups are dealt in a random order, the largest first. Each goes to the part that lacks most of
/// the group's classes, where a row counts for more the smaller its class is. Of equal parts, it
/// goes to the one with the smallest share filled.
fn deal_groups(labels: &[usize], groups: &[usize], shares: &[f64], seed: u64) -> Vec<usize> {
    let n_classes = labels.iter().max().map_or(0, |&largest| largest + 1);
    let mut sizes = vec![0.0; n_classes];
    labels.iter().for_each(|&label| sizes[label] += 1.0);
    // How much of each class each part (outer) lacks.
    let mut missing: Vec<Vec<f64>> = (shares.iter())
        .map(|share| sizes.iter().map(|size| share * size).collect())
        .collect();
    let mut filled = vec![0.0; shares.len()];
    let mut places = vec![0; labels.len()];
    for rows in shuffled_groups(groups, seed) {
        let shortage = |place: usize| -> f64 {
            let of_row = |&row: &usize| missing[place][labels[row]] / sizes[labels[row]];
            rows.iter().map(of_row).sum()
        };
        let emptiness = |place: usize| -filled[place] / shares[place];
        // The first of those that are equally short and empty.
        let place = (0..shares.len()).rev().max_by(|&a, &b| {
            let by_shortage = shortage(a).total_cmp(&shortage(b));
            by_shortage.then(emptiness(a).total_cmp(&emptiness(b)))
        });
        let place = place.unwrap_or(0);
        for row in rows {
            missing[place][labels[row]] -= 1.0;
            filled[place] += 1.0;
            places[row] = place;
        }
    }
    places
}

/// The rows of each group, the largest groups first, groups of equal size in random order.
fn shuffled_groups(groups: &[usize], seed: u64) -> Vec<Vec<usize>> {
    let mut by_group = BTreeMap::<usize, Vec<usize>>::new();
    for (row, &group) in groups.iter().enumerate() {
        by_group.entry(group).or_default().push(row);
    }
    let mut by_group: Vec<_> = by_group.into_values().collect();
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    rng.long_jump();
    by_group.shuffle(&mut rng);
    by_group.sort_by_key(|rows| Reverse(rows.len()));
    by_group
}

/// The rows of each class in random order.
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
        let folds = stratified_folds(&labels, None, 5, 1).unwrap();
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
        assert_eq!(folds, stratified_folds(&labels, None, 5, 1).unwrap());
        assert_ne!(folds, stratified_folds(&labels, None, 5, 2).unwrap());
    }

    #[test]
    fn folds_that_cannot_be_are_refused() {
        let reason = |labels: &[usize], n| {
            stratified_folds(labels, None, n, 0)
                .unwrap_err()
                .to_string()
        };
        assert!(reason(&[0, 1, 0], 4).starts_with("number of folds is 4"));
        assert!(reason(&[0, 1, 0], 1).starts_with("number of folds is 1"));
        // Without its only row of class 1 a fold's training samples are of one class.
        assert!(reason(&[0, 1, 0, 0], 2).contains("two classes"));
        assert!(stratified_folds(&[0, 1, 0, 1], None, 2, 0).is_ok());
    }

    #[test]
    fn a_share_of_each_class_is_held_out() {
        let labels = labels();
        let (kept, held_out) = hold_out(&labels, None, 0.2, 3).unwrap();
        let of_class = |class| held_out.iter().filter(|&&row| labels[row] == class).count();
        assert_eq!([of_class(0), of_class(1), of_class(2)], [5, 2, 1]);
        let mut all = [kept, held_out].concat();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..37));
    }

    #[test]
    fn a_class_is_never_held_out_whole() {
        let (kept, held_out) = hold_out(&[0, 0, 1], None, 0.9, 0).unwrap();
        assert_eq!((kept.len(), held_out.len()), (2, 1));
        assert!(kept.contains(&2));
        assert!(hold_out(&[0, 1], None, 0.5, 0).is_err());
        assert!(hold_out(&[0, 0, 1, 1], None, 1.0, 0).is_err());
        assert!(hold_out(&[0, 0, 1, 1], None, f64::NAN, 0).is_err());
    }

    /// 60 rows of 3 classes in 20 groups of 1 to 5, some of which span two classes.
    fn grouped() -> (Vec<usize>, Vec<usize>) {
        let sizes = [1, 2, 3, 4, 5].into_iter().cycle().take(20);
        let groups: Vec<_> = sizes
            .enumerate()
            .flat_map(|(group, n)| vec![group; n])
            .collect();
        let labels = (0..groups.len()).map(|row| if row % 11 == 0 { 2 } else { groups[row] % 2 });
        (labels.collect(), groups)
    }

    #[test]
    fn groups_are_not_divided_and_folds_stay_even() {
        let (labels, groups) = grouped();
        for seed in 0..20 {
            let folds = stratified_folds(&labels, Some(&groups), 4, seed).unwrap();
            for (row, &group) in groups.iter().enumerate() {
                let first = groups.iter().position(|&other| other == group).unwrap();
                assert_eq!(folds[row], folds[first]);
            }
            for fold in 0..4 {
                let n = folds.iter().filter(|&&other| other == fold).count();
                assert!((12..=18).contains(&n), "{n}");
            }
        }
        let folds = |seed| stratified_folds(&labels, Some(&groups), 4, seed).unwrap();
        assert!(folds(1) == folds(1) && folds(1) != folds(2));
        let error = stratified_folds(&labels, Some(&[0; 60]), 2, 0)
            .unwrap_err()
            .to_string();
        assert!(error.contains("number of groups"), "{error}");
    }

    #[test]
    fn groups_are_held_out_whole() {
        let (labels, groups) = grouped();
        let (kept, held_out) = hold_out(&labels, Some(&groups), 0.2, 3).unwrap();
        assert!(
            held_out
                .iter()
                .all(|&row| kept.iter().all(|&other| groups[row] != groups[other]))
        );
        assert!((8..=16).contains(&held_out.len()), "{}", held_out.len());
        assert_eq!(kept.len() + held_out.len(), 60);
        assert!(hold_out(&[0, 1], Some(&[0, 0]), 0.5, 0).is_err());
    }
}
