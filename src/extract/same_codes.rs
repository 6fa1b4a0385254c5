//! Detects a trunk that gives the same code for every picture.
//!
//! A dead trunk (all units below zero), a card that names the wrong output, or a faulty rewrite of
//! the graph gives the same numbers for all pictures. Such codes are useless.

use std::collections::HashSet;

/// How many different pictures must have the same code before it is an error: as many as a
/// prediction's batch holds.
const ENOUGH: usize = 4;

/// Several different pictures had exactly the same code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the trunk gives exactly the same code for {n} different pictures, so its codes say nothing"
)]
#[non_exhaustive]
pub struct SameCodesError {
    /// How many pictures.
    pub n: usize,
}

/// Watches batches for identical codes, also across small batches.
#[derive(Debug, Default)]
pub(super) struct SameCodes {
    /// The code that all batches so far share, and the tensors that gave it.
    code: Vec<f32>,
    tensors: HashSet<blake3::Hash>,
}

impl SameCodes {
    /// Checks the tensors of a batch of `n` pictures and their codes.
    ///
    /// Pictures with equal tensors, or of a single colour, do not count as different: a sound trunk
    /// may give the same code for them. Codes that are not finite are handled elsewhere.
    pub(super) fn check(
        &mut self,
        tensors: &[f32],
        codes: &[f32],
        n: usize,
    ) -> Result<(), SameCodesError> {
        if n == 0 || tensors.len() < n || codes.len() < n {
            return Ok(());
        }
        let mut each = codes.chunks_exact(codes.len() / n);
        let first = each.next().unwrap_or_default();
        // Usually the first number of the second code ends the comparison.
        if !each.all(|code| code == first) || first.iter().any(|number| !number.is_finite()) {
            *self = Self::default();
            return Ok(());
        }
        if self.code != first {
            self.code = first.to_vec();
            self.tensors.clear();
        }
        let shown = tensors.chunks_exact(tensors.len() / n);
        let shown = shown.filter(|tensor| !is_blank(tensor));
        self.tensors.extend(shown.map(hash));
        match self.tensors.len() {
            n if n >= ENOUGH => Err(SameCodesError { n }),
            _ => Ok(()),
        }
    }
}

/// Whether a tensor has a single colour, with channels last or first.
fn is_blank(tensor: &[f32]) -> bool {
    let same = |mut parts: std::slice::Chunks<f32>| {
        let first = parts.next().unwrap_or_default();
        parts.all(|part| part == first)
    };
    let third = (tensor.len() / 3).max(1);
    let mut planes = tensor.chunks(third);
    same(tensor.chunks(3)) || planes.all(|plane| same(plane.chunks(1)))
}

fn hash(tensor: &[f32]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    for number in tensor {
        hasher.update(&number.to_le_bytes());
    }
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tensor of 6 numbers that no other seed has.
    fn tensor(seed: u8) -> Vec<f32> {
        (0..6).map(|i| f32::from(seed) * 10.0 + i as f32).collect()
    }

    /// What is said of a batch of these tensors, with a code of two numbers for each.
    fn said(
        watch: &mut SameCodes,
        tensors: &[Vec<f32>],
        codes: &[[f32; 2]],
    ) -> Result<(), SameCodesError> {
        watch.check(&tensors.concat(), codes.as_flattened(), codes.len())
    }

    #[test]
    fn four_different_pictures_of_one_code_are_an_error() {
        let four = [1, 2, 3, 4].map(tensor);
        let mut watch = SameCodes::default();
        assert_eq!(
            said(&mut watch, &four, &[[0.0, 7.0]; 4]),
            Err(SameCodesError { n: 4 })
        );
        let mut codes = [[0.0, 7.0]; 4];
        codes[2][1] = 7.5;
        assert_eq!(said(&mut SameCodes::default(), &four, &codes), Ok(()));
    }

    #[test]
    fn equal_and_blank_pictures_are_not_different_ones() {
        let mut watch = SameCodes::default();
        let equal = [1, 1, 1, 2, 3].map(tensor);
        assert_eq!(said(&mut watch, &equal, &[[0.0; 2]; 5]), Ok(()));
        let colors = (0..9_u8).map(|level| [f32::from(level), 1.0, 2.0]);
        let last: Vec<_> = colors.clone().map(|color| color.repeat(2)).collect();
        let first = colors.map(|color| color.iter().flat_map(|&level| [level; 2]).collect());
        for blank in [last, first.collect()] {
            assert_eq!(said(&mut watch, &blank, &[[0.0; 2]; 9]), Ok(()));
        }
    }

    #[test]
    fn small_batches_count_together_until_a_code_differs() {
        let mut watch = SameCodes::default();
        let mut one = |seed, code| said(&mut watch, &[tensor(seed)], &[[code; 2]]);
        assert_eq!(one(1, 0.0), Ok(()));
        assert_eq!(one(2, 0.0), Ok(()));
        assert_eq!(one(3, 0.0), Ok(()));
        assert_eq!(one(4, 5.0), Ok(()));
        assert_eq!(one(5, 5.0), Ok(()));
        assert_eq!(one(6, 5.0), Ok(()));
        assert_eq!(one(7, 5.0), Err(SameCodesError { n: 4 }));
    }

    #[test]
    fn codes_that_are_not_finite_are_left_to_others() {
        let four = [1, 2, 3, 4].map(tensor);
        for code in [f32::NAN, f32::INFINITY] {
            let mut watch = SameCodes::default();
            assert_eq!(said(&mut watch, &four, &[[code; 2]; 4]), Ok(()));
        }
    }
}
