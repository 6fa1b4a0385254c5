//! Fits that cannot be had through the public functions: small problems solved in passes.

use ndarray::Array2;

use super::*;

/// Sparse codes with long tails, of which a few features tell the class.
fn codes(n: usize, d: usize) -> (Array2<f32>, Vec<usize>) {
    let mut state = 7u32;
    let mut random = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 16_777_216.0
    };
    let codes = Array2::from_shape_fn((n, d), |(row, feature)| {
        let gain = if feature % 3 == row % 3 { 2.0 } else { 1.0 };
        let (chance, size) = (random(), random());
        if chance < 0.25 * gain {
            50.0 * size * size
        } else {
            0.0
        }
    });
    (codes, (0..n).map(|row| row % 3).collect())
}

fn fit_with(
    samples: &Samples,
    strengths: &[f64],
    options: &LogisticOptions,
    max_matrix_bytes: usize,
) -> Vec<LogisticFit> {
    let fits = fit_path(samples, strengths, options, &(), max_matrix_bytes).unwrap();
    fits.into_iter().map(Option::unwrap).collect()
}

#[test]
fn passes_over_the_codes_find_the_optimum_of_the_matrix() {
    let strengths = [1e-2, 1.0, 1e3];
    for (n, d) in [(45, 300), (120, 20)] {
        let (codes, labels) = codes(n, d);
        let samples = Samples::new(codes.view(), &labels, 3).unwrap();
        for class_weights in [ClassWeights::None, ClassWeights::Balanced] {
            let options = LogisticOptions {
                class_weights,
                ..LogisticOptions::default()
            };
            let matrix = fit_with(&samples, &strengths, &options, usize::MAX);
            let passes = fit_with(&samples, &strengths, &options, 0);
            for (matrix, passes) in matrix.iter().zip(&passes) {
                let (one, other) = (&matrix.convergence, &passes.convergence);
                assert!(one.converged && other.converged, "{one:?}\n{other:?}");
                let ratio = one.objective / other.objective;
                assert!((ratio - 1.0).abs() < 1e-6, "{one:?}\n{other:?}");
            }
        }
    }
}

#[test]
fn passes_that_run_out_are_told_about() {
    let (codes, labels) = codes(45, 300);
    let samples = Samples::new(codes.view(), &labels, 3).unwrap();
    let options = LogisticOptions {
        max_iterations: 4,
        ..LogisticOptions::default()
    };
    let fit = &fit_with(&samples, &[1e-2], &options, 0)[0];
    assert!(!fit.convergence.converged && !fit.convergence.stopped);
    assert_eq!(fit.convergence.evaluations, 4);
    let explanation = &fit.convergence.explanation;
    let expected = "not converged: the maximum of iterations was reached after 4 evaluations";
    assert!(explanation.starts_with(expected), "{explanation}");
}

/// Of 25,088 features, 41 rows are read at a time: the last of three chunks is shorter.
#[test]
fn the_number_of_threads_changes_no_bit() {
    let (codes, labels) = codes(100, 25_088);
    let samples = Samples::new(codes.view(), &labels, 3).unwrap();
    let options = LogisticOptions {
        max_iterations: 5,
        ..LogisticOptions::default()
    };
    let with = |n_threads, max_matrix_bytes| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads);
        let pool = pool.build().unwrap();
        pool.install(|| fit_with(&samples, &[1.0, 100.0], &options, max_matrix_bytes))
    };
    for max_matrix_bytes in [0, usize::MAX] {
        assert_eq!(with(1, max_matrix_bytes), with(3, max_matrix_bytes));
    }
}
