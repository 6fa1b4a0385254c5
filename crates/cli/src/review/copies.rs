//! Pictures that show the same and have different labels.

use cnn_codes::codes::PictureRow;
use cnn_codes::dataset::Pictures;
use cnn_codes::progress::Watch;
use cnn_codes_curate::check::{CheckOptions, check};

use super::parts::Part;
use crate::default_threads;

/// What is known of copies.
#[derive(Clone, Debug, Default)]
pub enum Copies {
    /// The pictures are being compared.
    #[default]
    Looking,
    /// Rows that show the same.
    Found(Vec<Vec<usize>>),
    /// It is not known, for this reason.
    Unknown(String),
}

impl Copies {
    /// Compares all pictures of a part, for which they are decoded.
    pub fn of(part: &Part, watch: &dyn Watch) -> Self {
        let Some(pictures) = &part.pictures else {
            return Self::Unknown("the pictures are not there".to_owned());
        };
        let rows = part.store.pictures();
        let listed = (0..rows.len()).map(|row| part.picture(row));
        let pictures = Pictures {
            listed: listed.collect(),
            classes: Vec::new(),
            ..pictures.clone()
        };
        let mut options = CheckOptions::default();
        options.threads = default_threads();
        let checked = match check(&[(String::new(), pictures)], &options, watch) {
            Ok(checked) => checked,
            Err(error) => return Self::Unknown(error.to_string()),
        };
        let mut groups: Vec<Vec<usize>> = vec![Vec::new(); rows.len()];
        for row in 0..rows.len() {
            groups[checked.group_of(row)].push(row);
        }
        groups.retain(|group| group.len() > 1);
        Self::Found(groups)
    }

    /// Each row that has copies with another label, and the first of these.
    pub fn contradictions(&self, labels: &[Option<usize>]) -> Vec<(usize, usize)> {
        let Self::Found(groups) = self else {
            return Vec::new();
        };
        let of_group = |group: &Vec<usize>| -> Vec<(usize, usize)> {
            let differs = |row: usize, other: usize| {
                labels[row].is_some() && labels[other].is_some() && labels[row] != labels[other]
            };
            let rows = group.iter();
            rows.filter_map(|&row| {
                let other = group.iter().find(|&&other| differs(row, other));
                Some((row, *other?))
            })
            .collect()
        };
        groups.iter().flat_map(of_group).collect()
    }

    /// What the page tells of it.
    pub fn told(&self, pictures: &[PictureRow]) -> String {
        match self {
            Self::Looking => "looking for copies".to_owned(),
            Self::Found(groups) if groups.is_empty() => {
                format!("no two of {} pictures show the same", pictures.len())
            }
            Self::Found(groups) => {
                let n: usize = groups.iter().map(Vec::len).sum();
                format!("{n} pictures show the same as others")
            }
            Self::Unknown(why) => format!("copies were not looked for: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_copies_with_different_labels_contradict() {
        let copies = Copies::Found(vec![vec![0, 3], vec![1, 2, 5], vec![4, 6]]);
        let labels = [Some(0), Some(1), Some(1), Some(0), None, Some(0), Some(1)];
        let found = copies.contradictions(&labels);
        assert_eq!(found, [(1, 5), (2, 5), (5, 1)]);
        assert!(Copies::Looking.contradictions(&labels).is_empty());
    }
}
