//! Decides which picture goes to which part.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_xoshiro::Xoshiro256PlusPlus;

use super::{Grouping, Part, Shares, SplitError};
use cnn_codes::dataset::Pictures;
use cnn_codes::messages::count;

/// Pictures that go to the same part.
struct Unit {
    rows: Vec<usize>,
    /// The classes of its pictures, with the number of pictures in each.
    classes: Vec<(usize, usize)>,
}

/// The part of each picture; `None` for pictures that the shares leave out.
///
/// Groups are dealt in a random order, the largest first, each to the part that lacks most of its
/// classes. So a class without groups is dealt exactly.
pub(super) fn deal(
    pictures: &Pictures,
    grouping: &Grouping,
    shares: &Shares,
    seed: u64,
) -> Result<Vec<Option<Part>>, SplitError> {
    let labels: Option<Vec<usize>> = pictures.listed.iter().map(|p| p.label).collect();
    let labels = labels.filter(|labels| !labels.is_empty());
    let labels = labels.ok_or(SplitError::Unlabelled)?;
    let units = units(&labels, grouping, seed);
    let mut places: Vec<(Option<Part>, f64)> = shares
        .parts()
        .into_iter()
        .map(|(part, share)| (Some(part), share))
        .collect();
    let n_parts = places.len();
    if shares.left_out() > 0.0 {
        places.push((None, shares.left_out()));
    }
    let mut dealing = Dealing::new(&units, &labels, pictures.classes.len(), &places, n_parts);
    dealing.deal_all();
    dealing.mend();
    dealing.check(&pictures.classes)?;
    let mut parts = vec![None; labels.len()];
    for (unit, &place) in units.iter().zip(&dealing.places) {
        for &row in &unit.rows {
            parts[row] = places[place].0;
        }
    }
    Ok(parts)
}

/// Groups of rows, in the order in which they are dealt.
fn units(labels: &[usize], grouping: &Grouping, seed: u64) -> Vec<Unit> {
    let mut by_group = std::collections::BTreeMap::<usize, Vec<usize>>::new();
    for row in 0..labels.len() {
        by_group.entry(grouping.of(row)).or_default().push(row);
    }
    let mut units: Vec<Unit> = by_group
        .into_values()
        .map(|rows| {
            let mut of_rows: Vec<usize> = rows.iter().map(|&row| labels[row]).collect();
            of_rows.sort_unstable();
            let classes = of_rows.chunk_by(|a, b| a == b);
            Unit {
                classes: classes.map(|same| (same[0], same.len())).collect(),
                rows,
            }
        })
        .collect();
    units.shuffle(&mut Xoshiro256PlusPlus::seed_from_u64(seed));
    units.sort_by_key(|unit| std::cmp::Reverse(unit.rows.len()));
    units
}

struct Dealing<'a> {
    units: &'a [Unit],
    /// The part of each dealt unit.
    places: Vec<usize>,
    /// Number of pictures of each class.
    class_sizes: Vec<usize>,
    /// Number of pictures of each class (outer) that each part still lacks.
    missing: Vec<Vec<f64>>,
    /// Number of units with pictures of each class (outer) in each part.
    n_units: Vec<Vec<usize>>,
    /// How many of these are real parts, which must not lack a class.
    n_parts: usize,
}

impl<'a> Dealing<'a> {
    fn new(
        units: &'a [Unit],
        labels: &[usize],
        n_classes: usize,
        places: &[(Option<Part>, f64)],
        n_parts: usize,
    ) -> Self {
        let mut class_sizes = vec![0; n_classes];
        for &label in labels {
            class_sizes[label] += 1;
        }
        let shares: Vec<f64> = places.iter().map(|(_, share)| *share).collect();
        let wanted = |&n: &usize| wanted(n, &shares, n_parts);
        Self {
            units,
            places: Vec::with_capacity(units.len()),
            missing: class_sizes.iter().map(wanted).collect(),
            n_units: vec![vec![0; places.len()]; n_classes],
            class_sizes,
            n_parts,
        }
    }

    fn deal_all(&mut self) {
        for unit in self.units {
            let shortage = |place: usize| -> f64 {
                let classes = unit.classes.iter();
                // A picture counts for more if its class is small.
                let of_class = |&(class, n): &(usize, usize)| {
                    n as f64 * self.missing[class][place] / self.class_sizes[class] as f64
                };
                classes.map(of_class).sum()
            };
            let n_places = self.n_units[0].len();
            // Of those that lack equally much, the first.
            let place = (0..n_places)
                .rev()
                .max_by(|&a, &b| shortage(a).total_cmp(&shortage(b)));
            let place = place.unwrap_or(0);
            self.places.push(place);
            self.count(unit, place, 1.0);
        }
    }

    fn count(&mut self, unit: &Unit, place: usize, sign: f64) {
        for &(class, n) in &unit.classes {
            self.missing[class][place] -= sign * n as f64;
            if sign > 0.0 {
                self.n_units[class][place] += 1;
            } else {
                self.n_units[class][place] -= 1;
            }
        }
    }

    /// Gives a part that lacks a class the smallest spare group of the class.
    fn mend(&mut self) {
        for class in 0..self.class_sizes.len() {
            for part in 0..self.n_parts {
                if self.n_units[class][part] == 0 {
                    self.mend_one(class, part);
                }
            }
        }
    }

    fn mend_one(&mut self, class: usize, part: usize) {
        let can_spare = |unit: &Unit, place: usize| {
            // Left-out pictures are spare; a part keeps at least one of every class.
            place >= self.n_parts
                || unit
                    .classes
                    .iter()
                    .all(|&(c, _)| self.n_units[c][place] > 1)
        };
        let spared = (0..self.units.len()).filter(|&at| {
            let unit = &self.units[at];
            unit.classes.iter().any(|&(c, _)| c == class) && can_spare(unit, self.places[at])
        });
        if let Some(at) = spared.min_by_key(|&at| self.units[at].rows.len()) {
            let units = self.units;
            self.count(&units[at], self.places[at], -1.0);
            self.places[at] = part;
            self.count(&units[at], part, 1.0);
        }
    }

    /// Refuses a split in which a part lacks a class.
    fn check(&self, names: &[String]) -> Result<(), SplitError> {
        let lacks = |class: &usize| self.n_units[*class][..self.n_parts].contains(&0);
        let described = |class: usize| {
            let n_groups: usize = self.n_units[class].iter().sum();
            let n = self.class_sizes[class];
            let groups = if n_groups < n {
                format!(" in {}", count(n_groups, "group", "groups"))
            } else {
                String::new()
            };
            let pictures = count(n, "picture", "pictures");
            format!("'{}' ({pictures}{groups})", names[class])
        };
        let classes: Vec<_> = (0..names.len()).filter(lacks).map(described).collect();
        if classes.is_empty() {
            return Ok(());
        }
        Err(SplitError::TooSmall {
            n_parts: self.n_parts,
            classes,
        })
    }
}

/// How many of `n` pictures each part gets: the whole numbers nearest to the shares (largest
/// remainders), and at least one for each part if possible.
fn wanted(n: usize, shares: &[f64], n_parts: usize) -> Vec<f64> {
    let exact: Vec<f64> = shares.iter().map(|share| share * n as f64).collect();
    let mut wanted: Vec<f64> = exact.iter().map(|exact| (exact + 1e-9).floor()).collect();
    let left = n.saturating_sub(wanted.iter().sum::<f64>() as usize);
    let mut order: Vec<usize> = (0..shares.len()).collect();
    order.sort_by(|&a, &b| (exact[b] - wanted[b]).total_cmp(&(exact[a] - wanted[a])));
    for &place in order.iter().cycle().take(left) {
        wanted[place] += 1.0;
    }
    for part in 0..n_parts {
        let most = (0..shares.len()).max_by(|&a, &b| wanted[a].total_cmp(&wanted[b]));
        if let Some(most) = most
            && wanted[part] < 1.0
            && wanted[most] > 1.0
        {
            wanted[most] -= 1.0;
            wanted[part] += 1.0;
        }
    }
    wanted
}

#[cfg(test)]
mod tests {
    use super::super::group;
    use super::*;
    use cnn_codes::dataset::{Picture, Place};
    use regex::Regex;

    /// Pictures called CLASS/GROUP-NUMBER.
    fn pictures(of: &[(usize, &str, usize)]) -> Pictures {
        let mut pictures = Pictures::default();
        for &(label, group, n) in of {
            for number in 0..n {
                pictures.listed.push(Picture {
                    path: format!("{label}/{group}-{number}.jpg").into(),
                    label: Some(label),
                    group: None,
                    place: Place::File,
                });
            }
        }
        let n_classes = of.iter().map(|(label, ..)| label + 1).max().unwrap();
        pictures.classes = (0..n_classes).map(|label| label.to_string()).collect();
        pictures
    }

    fn dealt(
        pictures: &Pictures,
        group_by: Option<&str>,
        shares: (f64, Option<f64>, Option<f64>),
        seed: u64,
    ) -> Result<Vec<Option<Part>>, SplitError> {
        let group_by = group_by.map(|pattern| Regex::new(pattern).unwrap());
        let grouping = group(pictures, None, group_by.as_ref());
        let shares = Shares::new(shares.0, shares.1, shares.2).unwrap();
        deal(pictures, &grouping, &shares, seed)
    }

    fn count(pictures: &Pictures, parts: &[Option<Part>], label: usize, part: Part) -> usize {
        let rows = pictures.listed.iter().zip(parts);
        rows.filter(|(picture, p)| picture.label == Some(label) && **p == Some(part))
            .count()
    }

    #[test]
    fn every_class_is_dealt_by_its_shares() {
        let pictures = pictures(&[(0, "a", 200), (1, "b", 53), (2, "c", 3)]);
        let parts = dealt(&pictures, None, (0.8, Some(0.1), Some(0.1)), 1).unwrap();
        let counts = |label| {
            [Part::Train, Part::Validation, Part::Test]
                .map(|part| count(&pictures, &parts, label, part))
        };
        assert_eq!(counts(0), [160, 20, 20]);
        assert_eq!(counts(1), [43, 5, 5]); // 42.4, 5.3, 5.3
        assert_eq!(counts(2), [1, 1, 1]); // each part has one
        let again = dealt(&pictures, None, (0.8, Some(0.1), Some(0.1)), 1).unwrap();
        let other = dealt(&pictures, None, (0.8, Some(0.1), Some(0.1)), 2).unwrap();
        assert!(parts == again && parts != other);
    }

    #[test]
    fn what_the_shares_leave_goes_nowhere() {
        let pictures = pictures(&[(0, "a", 10), (1, "b", 10)]);
        let parts = dealt(&pictures, None, (0.5, Some(0.2), None), 0).unwrap();
        assert_eq!(parts.iter().filter(|part| part.is_none()).count(), 6);
        assert_eq!(count(&pictures, &parts, 0, Part::Train), 5);
        assert_eq!(count(&pictures, &parts, 1, Part::Validation), 2);
    }

    #[test]
    fn a_group_is_never_parted_and_spans_classes() {
        let patients: Vec<String> = (0..20).map(|patient| format!("p{patient}")).collect();
        let of: Vec<_> = patients
            .iter()
            .flat_map(|patient| [(0, patient.as_str(), 3), (1, patient.as_str(), 2)])
            .collect();
        let pictures = pictures(&of);
        let parts = dealt(&pictures, Some("(p[0-9]+)-"), (0.8, None, None), 5).unwrap();
        for patient in &patients {
            let key = format!("/{patient}-");
            let rows = pictures.listed.iter().zip(&parts);
            let mut of_patient = rows
                .filter(|(p, _)| p.path.contains(&key))
                .map(|(_, part)| part);
            let first = of_patient.next().unwrap();
            assert!(of_patient.all(|part| part == first), "{patient}");
        }
        assert_eq!(count(&pictures, &parts, 0, Part::Validation), 12);
        assert_eq!(count(&pictures, &parts, 1, Part::Validation), 8);
    }

    #[test]
    fn two_large_groups_of_a_class_are_parted_though_one_is_too_large() {
        let pictures = pictures(&[(0, "x", 5), (0, "y", 5), (1, "a", 1), (1, "b", 9)]);
        let parts = dealt(&pictures, Some("[a-z]-"), (0.9, None, None), 0).unwrap();
        assert_eq!(count(&pictures, &parts, 0, Part::Validation), 5);
        assert_eq!(count(&pictures, &parts, 1, Part::Validation), 1);
    }

    #[test]
    fn classes_that_are_too_small_are_named() {
        let pictures = pictures(&[(0, "x", 9), (1, "y", 5), (2, "z", 1)]);
        let error = dealt(&pictures, Some("y-"), (0.8, None, None), 0).unwrap_err();
        assert_eq!(
            error.to_string(),
            "too few pictures for 2 parts: '1' (5 pictures in 1 group), \
             '2' (1 picture); add pictures, or move these classes away"
        );
    }

    #[test]
    fn shares_that_make_no_split_are_refused() {
        for (train, validation, test) in [
            (0.8, Some(0.3), None),
            (1.0, None, None),
            (-0.1, None, None),
            (f64::NAN, None, None),
            (0.6, None, Some(0.6)),
        ] {
            assert!(Shares::new(train, validation, test).is_err(), "{train}");
        }
        assert!(Shares::new(0.7, Some(0.2), Some(0.1)).is_ok());
        assert!(Shares::new(0.9, None, Some(0.1)).is_ok());
    }
}
