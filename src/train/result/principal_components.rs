//! The two directions of largest variance of codes.

use ndarray::{Array2, ArrayView2, Axis};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::head::{CodesView, centred_gram};

/// Number of iterated vectors: two are needed, and the others speed up convergence, which depends
/// on the gap to the rest of the spectrum.
const SUBSPACE: usize = 8;

/// Most iterations: with eigenvalues a tenth apart, 300 leave an error of 1e-13.
const MAX_ITERATIONS: usize = 300;

/// Relative change of an eigenvalue below which iteration ends.
const TOLERANCE: f64 = 1e-15;

/// Seed of the initial vectors.
const SEED: u64 = 0x7063_6120;

/// Codes in two dimensions.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PrincipalComponents {
    /// Coordinates (N, 2) along the first and the second component, about the mean of the rows. The
    /// largest coordinate of each component, by absolute value, is positive.
    pub(super) scores: Array2<f64>,
    /// Share of the total variance that each component has, 0 to 1.
    pub(super) explained: [f64; 2],
}

/// Computes the principal components of some rows of codes (N, D), centred by their mean.
///
/// The scores are the leading eigenvectors of the Gram matrix (N, N) of the centred rows, times the
/// roots of their eigenvalues; they are found by subspace iteration (G. Golub and C. Van Loan,
/// "Matrix computations", 4th edition, section 8.2.4). Time goes with N^2 D, memory with N^2.
pub(super) fn principal_components(codes: &CodesView, rows: &[usize]) -> PrincipalComponents {
    let gram = centred_gram(codes.select(rows));
    let variance = gram.diag().sum();
    let (values, vectors) = leading_eigenvectors(gram.view());
    let mut scores = Array2::zeros((rows.len(), 2));
    let mut explained = [0.0; 2];
    for component in 0..values.len().min(2) {
        let value = values[component].max(0.0);
        let column = &vectors.column(component) * value.sqrt();
        let largest = column.iter().fold(0.0, |largest: f64, &score| {
            if score.abs() > largest.abs() {
                score
            } else {
                largest
            }
        });
        let sign = if largest < 0.0 { -1.0 } else { 1.0 };
        scores.column_mut(component).assign(&(column * sign));
        explained[component] = if variance > 0.0 {
            value / variance
        } else {
            0.0
        };
    }
    PrincipalComponents { scores, explained }
}

/// The largest eigenvalues of a symmetric matrix (N, N), [`SUBSPACE`] or N of them in descending
/// order, and their eigenvectors as columns; the first two have converged.
fn leading_eigenvectors(matrix: ArrayView2<f64>) -> (Vec<f64>, Array2<f64>) {
    let n = matrix.nrows();
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(SEED);
    let mut basis = Array2::from_shape_simple_fn((n, SUBSPACE.min(n)), || rng.gen_range(-1.0..1.0));
    orthonormalise(&mut basis);
    let mut values = Vec::new();
    for _ in 0..MAX_ITERATIONS {
        let before = values;
        let mut image = matrix.dot(&basis);
        orthonormalise(&mut image);
        let (projected, rotation) = jacobi(image.t().dot(&matrix.dot(&image)));
        basis = image.dot(&rotation);
        values = projected;
        let close = |(now, before): (&f64, &f64)| (now - before).abs() <= TOLERANCE * now.abs();
        if !before.is_empty() && values.iter().zip(&before).take(2).all(close) {
            break;
        }
    }
    (values, basis)
}

/// Gram-Schmidt, applied twice to recover the digits lost by the first pass. A column that depends
/// on earlier ones becomes 0.
fn orthonormalise(columns: &mut Array2<f64>) {
    for index in 0..columns.ncols() {
        let length = columns.column(index).dot(&columns.column(index)).sqrt();
        for _ in 0..2 {
            for other in 0..index {
                let share = columns.column(other).dot(&columns.column(index));
                let projection = &columns.column(other) * share;
                let mut column = columns.column_mut(index);
                column -= &projection;
            }
        }
        let rest = columns.column(index).dot(&columns.column(index)).sqrt();
        let scale = if rest > 1e-12 * length {
            1.0 / rest
        } else {
            0.0
        };
        columns
            .column_mut(index)
            .mapv_inplace(|value| value * scale);
    }
}

/// All eigenvalues of a small symmetric matrix in descending order, and eigenvectors as columns, by
/// Jacobi's rotations (Golub and Van Loan, section 8.5).
fn jacobi(mut matrix: Array2<f64>) -> (Vec<f64>, Array2<f64>) {
    let n = matrix.nrows();
    let mut vectors = Array2::eye(n);
    // Convergence is quadratic; no observed matrix of this size needed ten sweeps.
    for _ in 0..10 {
        for (p, q) in (0..n).flat_map(|p| (p + 1..n).map(move |q| (p, q))) {
            if matrix[[p, q]] == 0.0 {
                continue;
            }
            let tau = (matrix[[q, q]] - matrix[[p, p]]) / (2.0 * matrix[[p, q]]);
            let tangent = tau.signum() / (tau.abs() + tau.hypot(1.0));
            let cosine = 1.0 / tangent.hypot(1.0);
            let sine = tangent * cosine;
            for k in 0..n {
                let (a, b) = (matrix[[k, p]], matrix[[k, q]]);
                matrix[[k, p]] = cosine * a - sine * b;
                matrix[[k, q]] = sine * a + cosine * b;
            }
            for k in 0..n {
                let (a, b) = (matrix[[p, k]], matrix[[q, k]]);
                matrix[[p, k]] = cosine * a - sine * b;
                matrix[[q, k]] = sine * a + cosine * b;
                let (a, b) = (vectors[[k, p]], vectors[[k, q]]);
                vectors[[k, p]] = cosine * a - sine * b;
                vectors[[k, q]] = sine * a + cosine * b;
            }
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&a, &b| matrix[[b, b]].total_cmp(&matrix[[a, a]]));
    let values = order.iter().map(|&index| matrix[[index, index]]).collect();
    (values, vectors.select(Axis(1), &order))
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    fn of(codes: &Array2<f32>) -> PrincipalComponents {
        let rows: Vec<_> = (0..codes.nrows()).collect();
        principal_components(&CodesView::from(codes.view()), &rows)
    }

    #[test]
    fn scores_are_scikit_learns() {
        // codes[i, j] = ((7 i + 3 j + i j) % 11) / 4 + i % 3, 9 rows, 6 features;
        // PCA(2, svd_solver="full").fit_transform(codes), scikit-learn 1.9.1, signs as documented.
        const EXPECTED: [[f64; 2]; 9] = [
            [-2.460179, 1.760327],
            [-0.354956, 0.278092],
            [2.737718, -0.111879],
            [-2.210271, -1.248566],
            [0.537395, 0.400710],
            [3.630069, 0.010739],
            [-1.317919, -1.125947],
            [-1.050904, -0.142838],
            [0.489046, 0.179363],
        ];
        const EXPLAINED: [f64; 2] = [0.68424453, 0.12140080];
        let codes = Array2::from_shape_fn((9, 6), |(i, j)| {
            ((7 * i + 3 * j + i * j) % 11) as f32 / 4.0 + (i % 3) as f32
        });
        let found = of(&codes);
        for (row, expected) in found.scores.rows().into_iter().zip(EXPECTED) {
            assert!((row[0] - expected[0]).abs() < 1e-5 && (row[1] - expected[1]).abs() < 1e-5);
        }
        assert!((found.explained[0] - EXPLAINED[0]).abs() < 1e-6);
        assert!((found.explained[1] - EXPLAINED[1]).abs() < 1e-6);
    }

    #[test]
    fn a_cross_by_hand() {
        // About the mean (1, 1): 3 and -3 along one axis, 1 and -1 along the other.
        let codes = array![[4.0, 1.0], [-2.0, 1.0], [1.0, 2.0], [1.0, 0.0]];
        let found = of(&codes);
        assert!((found.explained[0] - 0.9).abs() < 1e-12);
        assert!((found.explained[1] - 0.1).abs() < 1e-12);
        assert!((found.scores[[0, 0]].abs() - 3.0).abs() < 1e-9);
        assert!((found.scores[[0, 0]] + found.scores[[1, 0]]).abs() < 1e-9);
        assert!((found.scores[[2, 1]].abs() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn one_row_and_equal_rows_lie_at_the_origin() {
        for codes in [
            array![[1.0, 2.0]],
            array![[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]],
        ] {
            let found = of(&codes);
            assert!(found.scores.iter().all(|&score| score == 0.0));
            assert_eq!(found.explained, [0.0, 0.0]);
        }
    }

    #[test]
    fn one_feature_has_all_the_variance() {
        let found = of(&array![[0.0], [1.0], [5.0]]);
        assert!((found.explained[0] - 1.0).abs() < 1e-12);
        assert!((found.scores[[2, 0]] - 3.0).abs() < 1e-6);
        assert!(
            found
                .scores
                .column(1)
                .iter()
                .all(|score| score.abs() < 1e-6)
        );
    }
}
