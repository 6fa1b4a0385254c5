//! The distance of a code from the training codes, used to detect pictures unlike all training
//! pictures.
//!
//! ```text
//! z           = mean of the code over its positions, divided by its length      (C)
//! distance(z) = 1 - largest z . z_i over the training codes z_i                 0 to 2
//! ```
//!
//! The cosine distance to the nearest training code in the last layer's features is the score of Y.
//! Sun, Y. Ming, X. Zhu and Y. Li, "Out-of-distribution detection with deep nearest neighbors"
//! (2022), section 3, with k = 1, for training sets as small as ours. Each training code also has a
//! distance, to the nearest code of another group. From these distances, conformal prediction
//! determines which distances are large.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};

use super::{CodesView, HeadError, Samples};
use crate::codes::{Pool, Store};

/// Maximum bytes of the stored directions: 4,096 of 512 channels. More training codes are thinned
/// out evenly.
const MAX_BYTES: usize = 8 << 20;

/// Rows whose products with all others are held at a time.
const CHUNK_ROWS: usize = 64;

/// Codes as directions of their means over all positions, used to compare pictures.
#[derive(Clone, Debug, PartialEq)]
pub struct Directions {
    /// Directions (N, C), of length 1, or 0 if a code is all zeros.
    rows: Array2<f32>,
}

impl Directions {
    /// The directions of codes (N, D) with C = `channels`: 4 C bytes each.
    ///
    /// # Errors
    /// [`HeadError::Read`].
    ///
    /// # Panics
    /// If D is not a multiple of C.
    pub(crate) fn of(codes: &CodesView, channels: usize) -> Result<Self, HeadError> {
        let rows = directions(codes, channels)?;
        Ok(Self { rows })
    }

    /// The directions of a store's codes, without scaling.
    ///
    /// # Errors
    /// [`HeadError::Read`].
    pub fn of_store(store: &Store) -> Result<Self, HeadError> {
        Self::of(&store.into(), store.codes_identity().output.channels())
    }

    /// Cosine distance of two rows, 0 to 2.
    ///
    /// # Panics
    /// If a row does not exist.
    #[must_use]
    pub fn distance(&self, row: usize, other: usize) -> f32 {
        let cosine = self.rows.row(row).dot(&self.rows.row(other));
        (1.0 - cosine).clamp(0.0, 2.0)
    }

    /// The `k` rows of `others` nearest to a row, with their distances, 0 to 2; the nearest first,
    /// equal ones in order. If `is_same`, both hold the same codes, and the row itself is left out.
    ///
    /// # Panics
    /// If the row does not exist, or if the others have another C.
    #[must_use]
    pub fn nearest(&self, row: usize, others: &Self, k: usize, is_same: bool) -> Vec<(usize, f32)> {
        let cosines = others.rows.dot(&self.rows.row(row));
        smallest(cosines.view(), k, |other| !(is_same && other == row))
    }
}

/// A training code near another code.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Near {
    /// Its index among the stored codes.
    place: usize,
    /// Number of stored codes.
    n_kept: usize,
    /// Cosine distance, 0 to 2.
    pub distance: f32,
}

impl Near {
    /// The row in the training store, which had `n_rows` rows.
    #[must_use]
    pub fn row(&self, n_rows: usize) -> usize {
        kept_row(self.place, self.n_kept, n_rows)
    }
}

/// The row of the training codes (N) stored at an index (M): thinned out evenly.
fn kept_row(place: usize, n_kept: usize, n_rows: usize) -> usize {
    place * n_rows / n_kept
}

/// Training codes, as directions of their means over all positions.
#[derive(Clone, Debug, PartialEq)]
pub struct Neighbours {
    /// Directions (M, C) of training codes, of length 1, or 0 if a code is all zeros.
    pub(super) directions: Array2<f32>,
    /// Distance (M) of each to the nearest code of another group.
    pub(super) distances: Array1<f32>,
    /// Number of directions (M) in the group of each.
    pub(super) group_sizes: Array1<f32>,
}

impl Neighbours {
    /// Stores the training codes (N, D) with C = `channels`, which must not be scaled. `None` if
    /// all of them belong to one group.
    ///
    /// # Errors
    /// [`HeadError::Read`].
    pub(crate) fn of(samples: &Samples, channels: usize) -> Result<Option<Self>, HeadError> {
        let n = samples.len();
        let kept = (MAX_BYTES / size_of::<f32>() / channels).clamp(1, n);
        let rows: Vec<_> = (0..kept).map(|place| kept_row(place, kept, n)).collect();
        let samples = samples.select(&rows);
        let is_other = |row: usize, other: usize| match samples.groups() {
            Some(groups) => groups[row] != groups[other],
            None => row != other,
        };
        if !(1..kept).any(|row| is_other(0, row)) {
            return Ok(None);
        }
        let directions = directions(samples.codes(), channels)?;
        let distances = nearest(directions.view(), directions.view(), is_other);
        Ok(Some(Self {
            group_sizes: samples.group_sizes().into(),
            directions,
            distances,
        }))
    }

    /// Distance (M) of each training code to the nearest code of another group.
    #[must_use]
    pub fn training_distances(&self) -> ArrayView1<'_, f32> {
        self.distances.view()
    }

    /// Number of training codes in the group of each (M), including itself.
    #[must_use]
    pub fn group_sizes(&self) -> ArrayView1<'_, f32> {
        self.group_sizes.view()
    }

    /// The `k` training codes nearest to each code (N) of codes (N, D), the nearest first; see
    /// [`Neighbours::distances`].
    ///
    /// # Errors
    /// [`HeadError::Read`].
    ///
    /// # Panics
    /// If D is not a multiple of C.
    pub(crate) fn nearest(&self, codes: &CodesView, k: usize) -> Result<Vec<Vec<Near>>, HeadError> {
        let directions = directions(codes, self.directions.ncols())?;
        let n_kept = self.directions.nrows();
        let of_code = |direction: ArrayView1<f32>| {
            let cosines = self.directions.dot(&direction);
            let nearest = smallest(cosines.view(), k, |_| true).into_iter();
            let near = |(place, distance)| Near {
                place,
                n_kept,
                distance,
            };
            nearest.map(near).collect()
        };
        Ok(directions.rows().into_iter().map(of_code).collect())
    }

    /// Distance, 0 to 2, of each code (N) of codes (N, D) to the nearest training code; NaN for a
    /// code with NaN or an infinity. Like the training codes, the codes must not be scaled.
    ///
    /// # Errors
    /// [`HeadError::Read`].
    ///
    /// # Panics
    /// If D is not a multiple of C.
    pub(crate) fn distances(&self, codes: &CodesView) -> Result<Array1<f32>, HeadError> {
        let directions = directions(codes, self.directions.ncols())?;
        Ok(nearest(
            directions.view(),
            self.directions.view(),
            |_, _| true,
        ))
    }
}

/// The `k` smallest distances by cosines (M), with their indices; equal ones in order.
fn smallest(
    cosines: ArrayView1<f32>,
    k: usize,
    counts: impl Fn(usize) -> bool,
) -> Vec<(usize, f32)> {
    let distances = cosines.iter().map(|cosine| (1.0 - cosine).clamp(0.0, 2.0));
    let mut nearest: Vec<_> = distances.enumerate().collect();
    nearest.retain(|&(other, _)| counts(other));
    nearest.sort_by(|a, b| a.1.total_cmp(&b.1));
    nearest.truncate(k);
    nearest
}

/// Directions (N, C) of the means of codes (N, D) over their positions. Pooled codes already are
/// (C).
fn directions(codes: &CodesView, channels: usize) -> Result<Array2<f32>, HeadError> {
    assert_eq!(codes.n_features() % channels, 0, "all positions are whole");
    let rows = codes.map_rows(|code| {
        let mut mean = Vec::with_capacity(channels);
        Pool::Avg.append(code, channels, &mut mean);
        let squares = mean.iter().map(|&value| f64::from(value).powi(2));
        let norm = squares.sum::<f64>().sqrt() as f32;
        let divisor = if norm > 0.0 { norm } else { 1.0 };
        mean.iter_mut().for_each(|value| *value /= divisor);
        mean
    });
    codes.check()?;
    Ok(Array2::from_shape_vec((rows.len(), channels), rows.concat()).expect("C means a code"))
}

/// For each direction (N, C) the distance to the nearest of the `others` (M, C) that count; 2, the
/// largest distance, if none does.
fn nearest(
    directions: ArrayView2<f32>,
    others: ArrayView2<f32>,
    counts: impl Fn(usize, usize) -> bool,
) -> Array1<f32> {
    let mut distances = Vec::with_capacity(directions.nrows());
    for chunk in directions.axis_chunks_iter(Axis(0), CHUNK_ROWS) {
        let cosines = chunk.dot(&others.t());
        for cosines in cosines.rows() {
            let row = distances.len();
            let counted = cosines.iter().enumerate();
            let counted = counted.filter(|&(other, _)| counts(row, other));
            let nearest = counted.fold(-1.0_f32, |nearest, (_, &cosine)| {
                // Unlike `max`, it keeps NaN.
                if cosine > nearest || cosine.is_nan() {
                    cosine
                } else {
                    nearest
                }
            });
            distances.push((1.0 - nearest).clamp(0.0, 2.0));
        }
    }
    Array1::from_vec(distances)
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn distances_by_hand() {
        // Codes of two positions and two channels, with the means (1, 0), (0, 2), (3, 3) and (0, 0).
        let codes = array![
            [1.0, -1.0, 1.0, 1.0],
            [0.0, 4.0, 0.0, 0.0],
            [3.0, 3.0, 3.0, 3.0],
            [0.0, 0.0, 0.0, 0.0]
        ];
        let samples = Samples::new(codes.view(), &[0, 0, 1, 1], 2).unwrap();
        let neighbours = Neighbours::of(&samples, 2).unwrap().unwrap();
        let half = 0.5_f32.sqrt();
        let near = |a: ArrayView1<f32>, b: [f32; 4]| {
            let mut pairs = a.iter().zip(b);
            pairs.all(|(a, b)| (a - b).abs() < 1e-6)
        };
        // 45 degrees from (3, 3) to both; a code of zeros has no direction, and a cosine of 0.
        let expected = [1.0 - half, 1.0 - half, 1.0 - half, 1.0];
        assert!(near(neighbours.training_distances(), expected));
        assert_eq!(neighbours.group_sizes(), array![1.0, 1.0, 1.0, 1.0]);

        let new = array![
            [5.0, 0.0, 0.0, 0.0],
            [-1.0, 0.0, -1.0, 0.0],
            [1.0, f32::NAN, 0.0, 0.0],
            [0.0, 2.0, 0.0, 2.0]
        ];
        let distances = neighbours.distances(&new.view().into()).unwrap();
        assert!(distances[2].is_nan());
        assert_eq!((distances[0], distances[1], distances[3]), (0.0, 1.0, 0.0));
        let nearest = neighbours.nearest(&new.view().into(), 2).unwrap();
        let rows: Vec<_> = nearest[3].iter().map(|near| near.row(4)).collect();
        assert_eq!(rows, [1, 2]);
        assert!((nearest[3][1].distance - (1.0 - half)).abs() < 1e-6);
    }

    #[test]
    fn copies_are_no_neighbours_and_one_group_tells_nothing() {
        let codes = array![[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]];
        let samples = Samples::new(codes.view(), &[0, 0, 1], 2).unwrap();
        let grouped = |groups: &[usize]| {
            let samples = samples.clone().with_groups(groups).unwrap();
            Neighbours::of(&samples, 2).unwrap()
        };
        let neighbours = grouped(&[0, 0, 1]).unwrap();
        assert_eq!(neighbours.training_distances(), array![1.0, 1.0, 1.0]);
        assert_eq!(neighbours.group_sizes(), array![2.0, 2.0, 1.0]);
        assert_eq!(grouped(&[0, 0, 0]), None);
    }
}
