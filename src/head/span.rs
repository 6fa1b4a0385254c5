//! Codes in fewer coordinates, without loss: the span of the samples.
//!
//! With an L2 penalty and fewer samples than features, the best weights lie in the span of the
//! (centred) samples: a part orthogonal to them adds to the penalty and changes no logit. In an
//! orthonormal basis V (D, r) of that span the codes are Z = X V (N, r) with r below N. The penalty
//! is the same, and so is the optimum: W = V B. The basis is never formed: the Gram matrix X X^T =
//! Z Z^T is factored by Cholesky with pivoting, which also finds the rank r.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, ArrayViewMut2, Axis, s};
use rayon::prelude::*;

use super::CodesView;
use super::logistic::products;

/// Features that are widened to f64 at a time: 600 rows of 1,024 are 5 MB.
const PANEL: usize = 1024;

/// Bytes of the rows that are read at a time: they stay in cache between products.
const CHUNK_BYTES: usize = 4 << 20;

/// Most rows that are read at a time if there are few features.
const MAX_CHUNK_ROWS: usize = 4096;

/// Rows of a product that one task takes.
const TASK_ROWS: usize = 64;

/// Cholesky stops when no sample has more than this share of the largest squared norm outside the
/// current span. Gram entries are accurate to about 1e-16 of it. The square root of the share,
/// 1e-6, is the relative length that is ignored.
const RANK_TOLERANCE: f64 = 1e-12;

/// Codes (N, D) with the mean of each feature, read as centred f64.
#[derive(Debug)]
pub(super) struct Centred<'a> {
    codes: CodesView<'a>,
    /// Means (D).
    pub(super) mean: Array1<f64>,
    /// Root mean square norm of the centred codes.
    pub(super) rms_norm: f64,
}

impl<'a> Centred<'a> {
    pub(super) fn new(codes: CodesView<'a>) -> Self {
        let n = codes.n_rows() as f64;
        let mut mean = Array1::zeros(codes.n_features());
        codes.for_each_chunk(chunk_rows(codes.n_features()), |_, codes| {
            let panels: Vec<_> = mean.axis_chunks_iter_mut(Axis(0), PANEL).collect();
            panels
                .into_par_iter()
                .enumerate()
                .for_each(|(panel, mut mean)| {
                    let first = panel * PANEL;
                    for code in codes.slice(s![.., first..first + mean.len()]).rows() {
                        mean.zip_mut_with(&code, |sum, &value| *sum += f64::from(value));
                    }
                });
        });
        mean /= n;
        let squares: Vec<f64> = codes.map_rows(|code| {
            let pairs = code.iter().zip(&mean);
            pairs
                .map(|(&value, mean): (_, &f64)| (f64::from(value) - mean).powi(2))
                .sum()
        });
        let rms_norm = (squares.iter().sum::<f64>() / n).sqrt();
        Self {
            codes,
            mean,
            rms_norm,
        }
    }

    pub(super) fn codes(&self) -> &CodesView<'a> {
        &self.codes
    }

    /// All centred codes (N, D), divided by `divisor`.
    pub(super) fn dense(&self, divisor: f64) -> Array2<f64> {
        self.panel(0, self.codes.n_features()) / divisor
    }

    /// Calls `visit` for one chunk of rows after another, with the first row's index and the codes
    /// (rows, D), not centred.
    pub(super) fn for_each_chunk(&self, visit: impl FnMut(usize, ArrayView2<f32>)) {
        let rows = chunk_rows(self.codes.n_features());
        self.codes.for_each_chunk(rows, visit);
    }

    /// Centred codes of features `start..end`.
    fn panel(&self, start: usize, end: usize) -> Array2<f64> {
        let mut panel = Array2::zeros((self.codes.n_rows(), end - start));
        let mean = self.mean.slice(s![start..end]);
        let rows: Vec<_> = panel.axis_iter_mut(Axis(0)).enumerate().collect();
        rows.into_par_iter().for_each_init(
            || vec![0.0; end - start],
            |values, (row, wide)| {
                self.codes.fill(row, start..end, values);
                ndarray::Zip::from(wide)
                    .and(&ArrayView1::from(&*values))
                    .and(&mean)
                    .for_each(|wide, &value, mean| *wide = f64::from(value) - mean);
            },
        );
        panel
    }

    fn panels(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let d = self.codes.n_features();
        (0..d)
            .step_by(PANEL)
            .map(move |start| (start, (start + PANEL).min(d)))
    }

    /// Centred codes, transposed, times coefficients (N, M): (M, D).
    pub(super) fn transposed_times(&self, coefficients: ArrayView2<f64>) -> Array2<f64> {
        let mut product = Array2::zeros((coefficients.ncols(), self.codes.n_features()));
        self.for_each_chunk(|first, codes| {
            let coefficients = coefficients.slice(s![first..first + codes.nrows(), ..]);
            products::add_gradient(codes, coefficients, product.view_mut());
        });
        self.centre_products(
            &mut product.view_mut(),
            coefficients.sum_axis(Axis(0)).view(),
        );
        product
    }

    /// Turns products (M, D) of coefficients with the original codes into those with centred codes;
    /// `sums` (M) are the coefficients' sums.
    pub(super) fn centre_products(&self, products: &mut ArrayViewMut2<f64>, sums: ArrayView1<f64>) {
        if self.rms_norm == 0.0 {
            // All codes equal the mean: the subtraction would only leave rounding errors.
            return products.fill(0.0);
        }
        for (mut product, &sum) in products.rows_mut().into_iter().zip(sums) {
            product.scaled_add(-sum, &self.mean);
        }
    }

    /// Gram matrix (N, N) of the centred codes; only its lower triangle is filled.
    fn gram(&self) -> Array2<f64> {
        let n = self.codes.n_rows();
        let mut gram = Array2::zeros((n, n));
        for (start, end) in self.panels() {
            let panel = self.panel(start, end);
            let blocks: Vec<_> = gram.axis_chunks_iter_mut(Axis(0), TASK_ROWS).collect();
            blocks
                .into_par_iter()
                .enumerate()
                .for_each(|(block, mut rows)| {
                    let first = block * TASK_ROWS;
                    let after = first + rows.nrows();
                    let (left, right) = (
                        panel.slice(s![first..after, ..]),
                        panel.slice(s![..after, ..]),
                    );
                    general_mat_mul(
                        1.0,
                        &left,
                        &right.t(),
                        1.0,
                        &mut rows.slice_mut(s![.., ..after]),
                    );
                });
        }
        gram
    }
}

/// Products (N, N) of codes (N, D), each minus the mean of all.
pub(crate) fn centred_gram(codes: CodesView) -> Array2<f64> {
    let mut gram = Centred::new(codes).gram();
    for row in 0..gram.nrows() {
        for column in 0..row {
            gram[[column, row]] = gram[[row, column]];
        }
    }
    gram
}

/// Rows that are read at a time.
fn chunk_rows(n_features: usize) -> usize {
    (CHUNK_BYTES / (n_features * size_of::<f32>())).clamp(1, MAX_CHUNK_ROWS)
}

/// The span of the samples: coordinates of every sample, and the way back to features.
#[derive(Debug)]
pub(super) struct Span {
    /// Coordinates (N, r) of codes divided by the scale, in an orthonormal basis of the span.
    pub(super) coordinates: Array2<f64>,
    /// The r samples that the basis is built from.
    pivots: Vec<usize>,
    scale: f64,
}

impl Span {
    /// Finds the span of centred codes, and their coordinates divided by `scale`.
    pub(super) fn of(centred: &Centred, scale: f64) -> Self {
        let (mut coordinates, pivots) = pivoted_cholesky(&centred.gram());
        coordinates.mapv_inplace(|value| value / scale);
        Self {
            coordinates,
            pivots,
            scale,
        }
    }

    /// Weights (K, D) = (V B)^T for coefficients (K, r), which are B^T in the basis.
    ///
    /// The basis is V = P^T L^-T, with P the pivot samples (r, D) and L their coordinates, lower
    /// triangular: so V^T V = L^-1 P P^T L^-T is the identity.
    pub(super) fn weights(&self, centred: &Centred, coefficients: ArrayView2<f64>) -> Array2<f64> {
        let mut solved = coefficients.t().as_standard_layout().into_owned() / self.scale;
        for step in (0..self.pivots.len()).rev() {
            let diagonal = self.coordinates[[self.pivots[step], step]];
            let (mut above, mut here) = solved.view_mut().split_at(Axis(0), step);
            let mut here = here.row_mut(0);
            here /= diagonal;
            let factors = self.coordinates.row(self.pivots[step]);
            for (mut row, &factor) in above.rows_mut().into_iter().zip(factors) {
                row.scaled_add(-factor, &here);
            }
        }
        let mut by_sample = Array2::zeros((centred.codes.n_rows(), coefficients.nrows()));
        for (row, &pivot) in solved.rows().into_iter().zip(&self.pivots) {
            by_sample.row_mut(pivot).assign(&row);
        }
        centred.transposed_times(by_sample.view())
    }
}

/// Factors a positive semidefinite matrix G (N, N), given by its lower triangle, as L L^T.
///
/// Returns L (N, r), with rows in the order of G, and the pivots: row `pivots[j]` of L ends at
/// column j. At each step the pivot is the largest remaining diagonal entry. Below
/// [`RANK_TOLERANCE`] the rest is rounding (N. Higham, "Accuracy and Stability of Numerical
/// Algorithms", 2002, section 10.3).
fn pivoted_cholesky(gram: &Array2<f64>) -> (Array2<f64>, Vec<usize>) {
    let n = gram.nrows();
    let at = |row: usize, column: usize| gram[[row.max(column), row.min(column)]];
    let mut factor = Array2::<f64>::zeros((n, n));
    let mut rest: Vec<f64> = (0..n).map(|row| gram[[row, row]]).collect();
    let smallest = RANK_TOLERANCE * rest.iter().copied().fold(0.0, f64::max);
    let mut pivots = Vec::new();
    while pivots.len() < n {
        let step = pivots.len();
        let pivot = (0..n).fold(
            0,
            |best, row| if rest[row] > rest[best] { row } else { best },
        );
        if rest[pivot] <= smallest {
            break;
        }
        let diagonal = rest[pivot].sqrt();
        let pivot_row = factor.slice(s![pivot, ..step]).to_owned();
        let rows: Vec<_> = factor
            .axis_iter_mut(Axis(0))
            .zip(&mut rest)
            .enumerate()
            .collect();
        rows.into_par_iter()
            .with_min_len(TASK_ROWS)
            .for_each(|(row, (mut factor, rest))| {
                // A pivot's remainder is below zero from its own step on: its row is complete.
                if *rest >= 0.0 && row != pivot {
                    let dot = factor.slice(s![..step]).dot(&pivot_row);
                    let value = (at(row, pivot) - dot) / diagonal;
                    factor[step] = value;
                    *rest = (*rest - value * value).max(0.0);
                }
            });
        factor[[pivot, step]] = diagonal;
        rest[pivot] = -1.0;
        pivots.push(pivot);
    }
    (factor.slice(s![.., ..pivots.len()]).to_owned(), pivots)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(rows: usize, columns: usize) -> Array2<f32> {
        Array2::from_shape_fn((rows, columns), |(i, j)| {
            ((i * 37 + j * 101) % 23) as f32 / 7.0
        })
    }

    #[test]
    fn coordinates_keep_all_products_of_samples() {
        let codes = codes(9, 40);
        let centred = Centred::new(codes.view().into());
        let span = Span::of(&centred, 2.0);
        let dense = centred.dense(2.0);
        let error = dense.dot(&dense.t()) - span.coordinates.dot(&span.coordinates.t());
        assert!(error.iter().all(|value| value.abs() < 1e-9), "{error}");
        // Centred samples sum to zero, so that one of them is never needed.
        assert_eq!(span.pivots.len(), 8);
    }

    #[test]
    fn weights_give_the_same_logits_and_the_same_norm() {
        let mut codes = codes(9, 40);
        let copy = codes.row(2).to_owned();
        codes.row_mut(5).assign(&copy);
        let centred = Centred::new(codes.view().into());
        let span = Span::of(&centred, 2.0);
        assert_eq!(span.pivots.len(), 7, "a repeated sample adds nothing");
        let b = Array2::from_shape_fn((3, 7), |(i, j)| (j as f64 - 3.0) * (i as f64 + 0.5));
        let weights = span.weights(&centred, b.view());
        let logits = centred.dense(2.0).dot(&weights.t()) - span.coordinates.dot(&b.t());
        assert!(logits.iter().all(|value| value.abs() < 1e-9), "{logits}");
        let norm = |matrix: &Array2<f64>| matrix.iter().map(|value| value * value).sum::<f64>();
        assert!((norm(&weights) / norm(&b) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn equal_samples_have_an_empty_span() {
        let codes = Array2::from_elem((4, 6), 0.1f32);
        let centred = Centred::new(codes.view().into());
        assert!(Span::of(&centred, 1.0).pivots.is_empty() || centred.rms_norm < 1e-12);
    }
}
