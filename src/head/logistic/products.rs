//! Products of codes with the few weights of each class, in f64.
//!
//! ```text
//! logits        (rows, K) = codes (rows, R) weights (K, R)^T, a few rows to a task
//! gradient      (K, R) += residuals (rows, K)^T codes (rows, R), a few features to a task
//! ```
//!
//! If K is small, they cost about as much as reading the codes. The bounds of tasks depend on the
//! shapes alone, and every sum is made by one task, so the number of threads changes nothing.
//! Products and sums are rounded separately, so that every instruction set gives results equal to
//! the bit.

use ndarray::{ArrayView2, ArrayViewMut2, Axis, s};
use ort_winograd::{InstructionSet, Instructions, Kernel};
use rayon::prelude::*;

/// Rows of codes per task: enough that reading the weights is cheap beside reading the codes.
const TASK_ROWS: usize = 8;

/// Features whose weights (of a few classes) and widened codes stay in the first-level cache.
const PANEL: usize = 512;

/// Features of the gradient per task: few enough to divide small problems.
const TASK_FEATURES: usize = 256;

/// Partial sums of a dot product: four vectors of AVX-512.
const LANES: usize = 32;

/// The element type of codes: f32, or f64 in the span of the samples.
pub(in crate::head) trait Number: Copy + Sync + Into<f64> {}
impl Number for f32 {}
impl Number for f64 {}

/// logits (rows, K) = codes (rows, R) weights (K, R)^T. Codes and weights are in C order.
pub(super) fn logits<T: Number>(
    codes: ArrayView2<T>,
    weights: ArrayView2<f64>,
    mut logits: ArrayViewMut2<f64>,
) {
    let n_features = codes.ncols();
    if n_features == 0 {
        // The span of identical samples has no dimensions.
        return logits.fill(0.0);
    }
    let weights = weights.to_slice().expect("weights are in C order");
    let tasks: Vec<_> = logits
        .axis_chunks_iter_mut(Axis(0), TASK_ROWS)
        .zip(codes.axis_chunks_iter(Axis(0), TASK_ROWS))
        .collect();
    tasks.into_par_iter().for_each(|(mut logits, codes)| {
        logits.fill(0.0);
        let logits = logits.as_slice_mut().expect("rows of C order");
        let codes = codes.to_slice().expect("codes are in C order");
        Instructions::detect().run(Products {
            codes,
            weights,
            n_features,
            sums: logits,
        });
    });
}

/// gradient (K, R) += residuals (rows, K)^T codes (rows, R). All are in C order.
pub(in crate::head) fn add_gradient<T: Number>(
    codes: ArrayView2<T>,
    residuals: ArrayView2<f64>,
    mut gradient: ArrayViewMut2<f64>,
) {
    let tasks: Vec<_> = gradient
        .axis_chunks_iter_mut(Axis(1), TASK_FEATURES)
        .collect();
    tasks
        .into_par_iter()
        .enumerate()
        .for_each(|(task, gradient)| {
            let first = task * TASK_FEATURES;
            Instructions::detect().run(OuterProducts {
                codes: codes.slice(s![.., first..first + gradient.ncols()]),
                residuals: residuals.view(),
                gradient,
            });
        });
}

/// sums (rows, K) += codes (rows, R) weights (K, R)^T.
struct Products<'a, T> {
    codes: &'a [T],
    weights: &'a [f64],
    n_features: usize,
    sums: &'a mut [f64],
}

impl<T: Number> Kernel for Products<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: InstructionSet>(self) {
        let n_features = self.n_features;
        let n_classes = self.weights.len() / n_features;
        let mut wide = [0.0; PANEL];
        for first in (0..n_features).step_by(PANEL) {
            let end = (first + PANEL).min(n_features);
            let rows = self.codes.chunks_exact(n_features);
            for (code, sums) in rows.zip(self.sums.chunks_exact_mut(n_classes)) {
                let wide = widened(&code[first..end], &mut wide);
                let weights = self.weights.chunks_exact(n_features);
                for (sum, weights) in sums.iter_mut().zip(weights) {
                    *sum += dot(wide, &weights[first..end]);
                }
            }
        }
    }
}

/// gradient (K, F) += residuals (rows, K)^T codes (rows, F), for at most [`PANEL`] features.
struct OuterProducts<'a, T> {
    codes: ArrayView2<'a, T>,
    residuals: ArrayView2<'a, f64>,
    gradient: ArrayViewMut2<'a, f64>,
}

impl<T: Number> Kernel for OuterProducts<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: InstructionSet>(mut self) {
        let mut wide = [0.0; PANEL];
        for (code, residuals) in self.codes.rows().into_iter().zip(self.residuals.rows()) {
            let code = code.to_slice().expect("codes are in C order");
            let wide = widened(code, &mut wide);
            for (mut sums, &residual) in self.gradient.rows_mut().into_iter().zip(residuals) {
                let sums = sums.as_slice_mut().expect("the gradient is in C order");
                for (sum, value) in sums.iter_mut().zip(wide) {
                    *sum += residual * value;
                }
            }
        }
    }
}

#[inline(always)]
fn widened<'a, T: Number>(values: &[T], wide: &'a mut [f64; PANEL]) -> &'a [f64] {
    let wide = &mut wide[..values.len()];
    for (wide, &value) in wide.iter_mut().zip(values) {
        *wide = value.into();
    }
    wide
}

#[inline(always)]
fn dot(left: &[f64], right: &[f64]) -> f64 {
    let (left, left_rest) = left.as_chunks::<LANES>();
    let (right, right_rest) = right.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for (left, right) in left.iter().zip(right) {
        for lane in 0..LANES {
            lanes[lane] += left[lane] * right[lane];
        }
    }
    let rest: f64 = left_rest.iter().zip(right_rest).map(|(l, r)| l * r).sum();
    let mut width = LANES;
    while width > 1 {
        width /= 2;
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
    }
    lanes[0] + rest
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    fn numbers(rows: usize, columns: usize, seed: usize) -> Array2<f32> {
        Array2::from_shape_fn((rows, columns), |(i, j)| {
            ((i * 37 + j * 101 + seed) % 23) as f32 / 7.0 - 1.5
        })
    }

    /// Rows and features that fill tasks, panels and lanes, and some that do not.
    #[test]
    fn products_are_those_of_ndarray() {
        for (n_rows, n_features) in [(1, 1), (8, 512), (19, 1101), (40, 33)] {
            let codes = numbers(n_rows, n_features, 0);
            let wide = codes.mapv(f64::from);
            let weights = numbers(3, n_features, 5).mapv(f64::from);
            let mut of_f32 = Array2::from_elem((n_rows, 3), 7.0);
            let mut of_f64 = of_f32.clone();
            logits(codes.view(), weights.view(), of_f32.view_mut());
            logits(wide.view(), weights.view(), of_f64.view_mut());
            assert_eq!(of_f32, of_f64);
            let error = &of_f32 - wide.dot(&weights.t());
            assert!(error.iter().all(|value| value.abs() < 1e-10), "{error}");

            let mut gradient = Array2::from_elem((3, n_features), 1.0);
            add_gradient(codes.view(), of_f32.view(), gradient.view_mut());
            let error = gradient - of_f32.t().dot(&wide) - 1.0;
            assert!(error.iter().all(|value| value.abs() < 1e-9), "{error}");
        }
    }

    #[test]
    fn codes_without_features_give_logits_of_zero() {
        let (codes, weights) = (numbers(5, 0, 0), Array2::zeros((3, 0)));
        let mut sums = Array2::from_elem((5, 3), 7.0);
        logits(codes.view(), weights.view(), sums.view_mut());
        assert_eq!(sums, Array2::<f64>::zeros((5, 3)));
        let mut gradient = Array2::zeros((3, 0));
        add_gradient(codes.view(), sums.view(), gradient.view_mut());
    }

    /// Products and outer products of the same numbers.
    fn results(instructions: Instructions) -> (Array2<f64>, Array2<f64>) {
        let (n_rows, n_features) = (11, 700);
        let codes = numbers(n_rows, n_features, 3);
        let weights = numbers(2, n_features, 9).mapv(|value| f64::from(value) / 3.0);
        let mut sums = Array2::zeros((n_rows, 2));
        let products = Products {
            codes: codes.as_slice().unwrap(),
            weights: weights.as_slice().unwrap(),
            n_features,
            sums: sums.as_slice_mut().unwrap(),
        };
        instructions.run(products);
        let mut gradient = Array2::zeros((2, 300));
        let products = OuterProducts {
            codes: codes.slice(s![.., 50..350]),
            residuals: sums.view(),
            gradient: gradient.view_mut(),
        };
        instructions.run(products);
        (sums, gradient)
    }

    /// What the compiler makes of the loops for every processor, the last set, is the safe twin.
    #[test]
    fn every_set_of_instructions_gives_the_same_bits() {
        let safe = results(Instructions::available().last().unwrap());
        for instructions in Instructions::available() {
            assert_eq!(results(instructions), safe, "{instructions:?}");
        }
    }
}
