//! Logistic regression against scikit-learn, and on data that would break it.
//!
//! The expected values are made by src/head/tests/fixtures/make_head_fixtures.py.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::head::logistic::{Logistic, LogisticFit, LogisticOptions};
use crate::head::{ClassWeights, HeadError, Samples, probabilities};
use crate::progress::{Progress, Watch};
use ndarray::{Array2, Axis, array};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    class_weights: ClassWeights,
    shape: (usize, usize),
    codes: Vec<f32>,
    labels: Vec<usize>,
    fits: Vec<Fit>,
}

#[derive(Deserialize)]
struct Fit {
    l2: f64,
    objective: f64,
    weights: Vec<f64>,
    probabilities: Vec<f64>,
}

fn options(l2: f64) -> LogisticOptions {
    LogisticOptions {
        l2,
        ..LogisticOptions::default()
    }
}

/// Probabilities (N, K) of codes (N, D).
fn predict_proba(model: &Logistic, codes: &Array2<f32>) -> Array2<f32> {
    probabilities(model.logits(&codes.view().into()).unwrap(), 1.0)
}

fn fit_path(samples: &Samples, strengths: &[f64], class_weights: ClassWeights) -> Vec<LogisticFit> {
    let options = LogisticOptions {
        class_weights,
        ..LogisticOptions::default()
    };
    let fits = Logistic::fit_path(samples, strengths, &options, &()).unwrap();
    fits.into_iter().map(Option::unwrap).collect()
}

fn check_against_scikit_learn(name: &str, text: &str) {
    let case: Case = serde_json::from_str(text).unwrap();
    let codes = Array2::from_shape_vec(case.shape, case.codes).unwrap();
    let n_classes = case.labels.iter().max().unwrap() + 1;
    let samples = Samples::new(codes.view(), &case.labels, n_classes).unwrap();
    assert!(!case.fits.is_empty());
    let strengths: Vec<_> = case.fits.iter().map(|fit| fit.l2).collect();
    let path = fit_path(&samples, &strengths, case.class_weights);
    for (expected, of_path) in case.fits.into_iter().zip(path) {
        let options = LogisticOptions {
            class_weights: case.class_weights,
            ..options(expected.l2)
        };
        let fit = Logistic::fit(&samples, &options).unwrap();
        for convergence in [&fit.convergence, &of_path.convergence] {
            println!("{name}, l2 {}: {convergence:?}", expected.l2);
            assert!(convergence.converged, "{}", convergence.explanation);
            let objective = (convergence.objective / expected.objective - 1.0).abs();
            assert!(
                objective < 1e-6,
                "{name}: objective {} and {}",
                convergence.objective,
                expected.objective
            );
        }

        let weights = Array2::from_shape_vec((case.shape.1, n_classes), expected.weights).unwrap();
        let square = |value: f64| value * value;
        let norm = weights.fold(0.0, |sum, &value| sum + square(value)).sqrt();
        let ours = fit.model.weights();
        let differences = ours
            .iter()
            .zip(&weights)
            .map(|(&ours, theirs)| f64::from(ours) - theirs);
        let difference = differences.map(square).sum::<f64>().sqrt();
        // An objective within 1e-6 of a strongly convex optimum: weights within its root.
        assert!(
            difference < 1e-3 * norm,
            "{name}: weights differ by {difference} of {norm}"
        );

        let ours = predict_proba(&fit.model, &codes);
        let pairs = ours.iter().zip(&expected.probabilities);
        let worst = pairs
            .map(|(&ours, theirs)| (f64::from(ours) - theirs).abs())
            .fold(0.0, f64::max);
        println!(
            "  weights {:.1e}, probabilities {worst:.1e}",
            difference / norm
        );
        assert!(worst < 1e-4, "{name}: a probability differs by {worst}");
    }
}

#[test]
fn fewer_samples_than_features_as_scikit_learn() {
    check_against_scikit_learn("wide", include_str!("fixtures/logistic_wide.json"));
}

#[test]
fn codes_as_large_as_those_of_caffe_and_a_repeated_sample_as_scikit_learn() {
    check_against_scikit_learn("large", include_str!("fixtures/logistic_large.json"));
}

#[test]
fn more_samples_than_features_and_uneven_classes_as_scikit_learn() {
    check_against_scikit_learn("tall", include_str!("fixtures/logistic_tall.json"));
}

#[test]
fn two_classes_as_scikit_learn_with_twice_the_c() {
    check_against_scikit_learn(
        "two classes",
        include_str!("fixtures/logistic_two_classes.json"),
    );
}

#[test]
fn two_classes_with_more_samples_than_features_as_scikit_learn() {
    check_against_scikit_learn(
        "two classes, tall",
        include_str!("fixtures/logistic_two_classes_tall.json"),
    );
}

#[test]
fn balanced_classes_as_scikit_learn() {
    check_against_scikit_learn("balanced", include_str!("fixtures/logistic_balanced.json"));
    check_against_scikit_learn(
        "balanced, tall",
        include_str!("fixtures/logistic_balanced_tall.json"),
    );
}

/// Two clusters of `n` codes of `d` features, `gap` apart, in classes 0 and 1.
fn clusters(n: usize, d: usize, gap: f32) -> (Array2<f32>, Vec<usize>) {
    let codes = Array2::from_shape_fn((n, d), |(i, j)| {
        let noise = ((i * 7919 + j * 104_729) % 1000) as f32 / 1000.0;
        noise + if i % 2 == 1 && j % 3 == 0 { gap } else { 0.0 }
    });
    (codes, (0..n).map(|i| i % 2).collect())
}

#[test]
fn scaling_the_codes_and_the_strength_together_changes_nothing() {
    let (codes, labels) = clusters(40, 90, 0.5);
    let reference = Logistic::fit(
        &Samples::new(codes.view(), &labels, 2).unwrap(),
        &options(1.0),
    )
    .unwrap();
    let expected = predict_proba(&reference.model, &codes);
    // linfa alone stops at once on the largest of these (issue 334 and its neighbours).
    for factor in [1e-4f32, 1e4, 1e8] {
        let scaled = &codes * factor;
        let samples = Samples::new(scaled.view(), &labels, 2).unwrap();
        let fit = Logistic::fit(&samples, &options(f64::from(factor).powi(2))).unwrap();
        assert!(
            fit.convergence.converged,
            "{factor}: {}",
            fit.convergence.explanation
        );
        let ours = predict_proba(&fit.model, &scaled);
        let worst = ours
            .iter()
            .zip(&expected)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        assert!(worst < 1e-3, "{factor}: a probability differs by {worst}");
    }
}

/// Sparse codes with long tails, a few of each class, classes by `sizes`.
fn sparse_codes(seed: u32, sizes: &[usize], n_features: usize) -> (Array2<f32>, Vec<usize>) {
    let mut state = seed;
    let mut random = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 16_777_216.0
    };
    let of_class = |class: usize| std::iter::repeat_n(class, sizes[class]);
    let labels: Vec<usize> = (0..sizes.len()).flat_map(of_class).collect();
    let codes = Array2::from_shape_fn((labels.len(), n_features), |(row, feature)| {
        let is_own = feature % sizes.len() == labels[row];
        let gain = if is_own { 3.0 } else { 1.0 };
        let is_active = random() < 0.2 * gain;
        if is_active {
            400.0 * gain * random().powi(4)
        } else {
            0.0
        }
    });
    (codes, labels)
}

/// From a start without weights, linfa's line search gives up on some of these.
#[test]
fn few_samples_of_large_codes_are_fitted_where_linfa_gives_up() {
    let sizes = [8, 6, 7, 15, 4];
    for seed in 0..20 {
        let (codes, labels) = sparse_codes(seed, &sizes, 500);
        let samples = Samples::new(codes.view(), &labels, sizes.len()).unwrap();
        let fit = Logistic::fit(&samples, &options(0.01)).unwrap();
        assert!(
            fit.convergence.converged,
            "seed {seed}: {:?}",
            fit.convergence
        );
    }
}

#[test]
fn a_fit_that_stops_short_says_so_and_stays_usable() {
    let (codes, labels) = clusters(40, 90, 0.5);
    let samples = Samples::new(codes.view(), &labels, 2).unwrap();
    let options = LogisticOptions {
        l2: 1e-3,
        max_iterations: 1,
        ..LogisticOptions::default()
    };
    let fit = Logistic::fit(&samples, &options).unwrap();
    assert!(!fit.convergence.converged);
    let explanation = &fit.convergence.explanation;
    assert!(
        explanation.starts_with("not converged: the maximum of iterations was reached after 1 "),
        "{explanation}"
    );
    assert!(
        predict_proba(&fit.model, &codes)
            .iter()
            .all(|p| p.is_finite())
    );
}

#[test]
fn codes_without_any_penalty_to_speak_of_are_fitted_or_told_about() {
    let (codes, labels) = clusters(30, 60, 5.0);
    let samples = Samples::new(codes.view(), &labels, 2).unwrap();
    for l2 in [1e-12, 1e-6, 1e6, 1e12] {
        let fit = Logistic::fit(&samples, &options(l2)).unwrap();
        println!("{l2}: {:?}", fit.convergence);
        assert!(fit.convergence.gradient_norm.is_finite());
        let probabilities = predict_proba(&fit.model, &codes);
        assert!(
            probabilities
                .sum_axis(Axis(1))
                .iter()
                .all(|sum| (sum - 1.0).abs() < 1e-5)
        );
    }
}

#[test]
fn equal_codes_give_the_frequencies_of_the_classes() {
    let codes = Array2::from_elem((8, 5), 0.3f32);
    let labels = [0, 0, 0, 0, 0, 0, 1, 1];
    let fit = Logistic::fit(
        &Samples::new(codes.view(), &labels, 2).unwrap(),
        &options(1.0),
    )
    .unwrap();
    assert!(fit.convergence.converged, "{}", fit.convergence.explanation);
    let probabilities = predict_proba(&fit.model, &codes);
    assert!(
        (probabilities[[0, 0]] - 0.75).abs() < 1e-5,
        "{probabilities}"
    );
}

#[test]
fn a_class_without_samples_is_never_predicted() {
    let (codes, labels) = clusters(20, 40, 1.0);
    let labels: Vec<_> = labels.iter().map(|label| label * 2).collect();
    let fit = Logistic::fit(
        &Samples::new(codes.view(), &labels, 4).unwrap(),
        &options(1.0),
    )
    .unwrap();
    assert!(fit.convergence.converged);
    let probabilities = predict_proba(&fit.model, &codes);
    assert_eq!(probabilities.dim(), (20, 4));
    for (row, &label) in probabilities.rows().into_iter().zip(&labels) {
        assert_eq!((row[1], row[3]), (0.0, 0.0));
        assert!(row[label] > 0.5);
    }
}

#[test]
fn one_sample_in_a_class_and_more_classes_than_a_sample_each_are_sound() {
    let (codes, _) = clusters(5, 12, 1.0);
    let labels = [0, 1, 2, 3, 4];
    let fit = Logistic::fit(
        &Samples::new(codes.view(), &labels, 7).unwrap(),
        &options(0.01),
    )
    .unwrap();
    assert!(fit.convergence.converged, "{}", fit.convergence.explanation);
    let probabilities = predict_proba(&fit.model, &codes);
    for (row, &label) in probabilities.rows().into_iter().zip(&labels) {
        assert!(row.iter().all(|&p| p <= row[label]), "{probabilities}");
    }
}

#[test]
fn a_path_gives_the_optima_of_single_fits_in_the_order_asked_for() {
    let (codes, labels) = sparse_codes(3, &[12, 9, 4], 200);
    let samples = Samples::new(codes.view(), &labels, 3).unwrap();
    let strengths = [10.0, 1e-3, 1e5, 1.0, 1.0];
    let path = fit_path(&samples, &strengths, ClassWeights::None);
    assert_eq!(path.len(), strengths.len());
    for (l2, fit) in strengths.into_iter().zip(path) {
        let single = Logistic::fit(&samples, &options(l2)).unwrap();
        assert!(fit.convergence.converged, "{:?}", fit.convergence);
        let (ours, theirs) = (fit.convergence.objective, single.convergence.objective);
        assert!(
            (ours / theirs - 1.0).abs() < 1e-6,
            "{l2}: {ours} and {theirs}"
        );
    }
}

/// Sees evaluations of the objective, and stops at the third.
#[derive(Default)]
struct StopAtTheThird(AtomicUsize);

impl Watch for StopAtTheThird {
    fn progress(&self, progress: Progress, detail: &dyn fmt::Display) {
        let seen = 1 + self.0.fetch_add(1, Ordering::Relaxed);
        assert_eq!((progress.done, progress.total), (seen, 1000));
        assert!(detail.to_string().starts_with("objective "), "{detail}");
    }

    fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= 3
    }
}

#[test]
fn a_path_that_is_stopped_gives_what_it_has() {
    let (codes, labels) = sparse_codes(3, &[12, 9, 4], 200);
    let samples = Samples::new(codes.view(), &labels, 3).unwrap();
    let weights = ClassWeights::Balanced;
    let options = LogisticOptions {
        class_weights: weights,
        ..options(1.0)
    };
    let third = StopAtTheThird::default();
    let fits = Logistic::fit_path(&samples, &[1e-3, 1.0], &options, &third).unwrap();
    assert!(fits[0].is_none(), "the strongest penalty is fitted first");
    let stopped = fits[1].as_ref().unwrap();
    let convergence = &stopped.convergence;
    assert!(convergence.stopped && !convergence.converged);
    assert_eq!(convergence.evaluations, 3);
    assert!(
        convergence
            .explanation
            .starts_with("not converged: it was stopped"),
        "{}",
        convergence.explanation
    );
    // Better than no weights at all, where balanced classes cost ln 3 a sample.
    assert!(convergence.objective < 25.0 * 3f64.ln());
}

#[test]
fn a_repeated_feature_shares_its_weight() {
    let (mut codes, labels) = clusters(40, 12, 0.5);
    let copy = codes.column(3).to_owned();
    codes.column_mut(5).assign(&copy);
    let samples = Samples::new(codes.view(), &labels, 2).unwrap();
    let fit = Logistic::fit(&samples, &options(0.1)).unwrap();
    assert!(fit.convergence.converged, "{}", fit.convergence.explanation);
    // The optimum is unique and changes places with its mirror image.
    let weights = fit.model.weights();
    let difference = (weights[[3, 0]] - weights[[5, 0]]).abs();
    assert!(difference < 1e-3 * weights[[3, 0]].abs(), "{difference}");
}

#[test]
fn codes_at_the_ends_of_float32_are_fitted_or_told_about() {
    let (codes, labels) = clusters(30, 60, 0.5);
    for factor in [1e-38f32, 1e-30, 1e30, 1e38] {
        let scaled = &codes * factor;
        let samples = Samples::new(scaled.view(), &labels, 2).unwrap();
        for l2 in [1.0, f64::from(factor).powi(2)] {
            match Logistic::fit(&samples, &options(l2)) {
                Ok(fit) => {
                    let convergence = fit.convergence;
                    assert!(convergence.objective.is_finite(), "{convergence:?}");
                    let probabilities = predict_proba(&fit.model, &scaled);
                    let sums = probabilities.sum_axis(Axis(1));
                    assert!(
                        !convergence.converged || sums.iter().all(|sum| (sum - 1.0).abs() < 1e-5),
                        "{factor}, {l2}: {convergence:?}"
                    );
                }
                Err(error) => assert!(matches!(error, HeadError::Solver { .. }), "{error}"),
            }
        }
    }
}

#[test]
fn what_cannot_be_fitted_is_refused() {
    let codes = array![[0.0, 1.0], [1.0, 0.0]];
    let one_class = Samples::new(codes.view(), &[1, 1], 2).unwrap();
    let error = Logistic::fit(&one_class, &options(1.0)).unwrap_err();
    assert_eq!(
        error,
        HeadError::OneClass {
            samples: 2,
            class: 1
        }
    );
    let samples = Samples::new(codes.view(), &[0, 1], 2).unwrap();
    for l2 in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let error = Logistic::fit(&samples, &options(l2))
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("L2 strength is "), "{error}");
    }
    let fit = Logistic::fit(&samples, &options(1.0)).unwrap();
    let error = fit.model.logits(&array![[1.0]].view().into()).unwrap_err();
    assert_eq!(
        error,
        HeadError::FeatureMismatch {
            expected: 2,
            actual: 1
        }
    );
}

/// Codes that are all the same tell nothing: the best weights are 0, and the intercepts, which have
/// no penalty, give each class its share of the samples, so that F = -sum of n ln(n / N).
#[test]
fn codes_that_are_all_the_same_give_the_shares_of_the_classes() {
    let labels = [0, 0, 0, 1, 1, 2];
    let shares = [3.0 / 6.0, 2.0 / 6.0, 1.0 / 6.0_f64];
    let objective = -(3.0 * shares[0].ln() + 2.0 * shares[1].ln() + shares[2].ln());
    // Fewer features than samples, and more: as a matrix, and in the span of the samples.
    for n_features in [3, 40] {
        for value in [0.0, 1.0, 0.1, 1e-45, 3e38_f32] {
            let codes = Array2::from_elem((6, n_features), value);
            let samples = Samples::new(codes.view(), &labels, 3).unwrap();
            for fit in fit_path(&samples, &[1e-3, 1.0, 1e3], ClassWeights::None) {
                assert!(fit.convergence.converged, "{:?}", fit.convergence);
                let difference = fit.convergence.objective - objective;
                assert!(difference.abs() < 1e-6, "{:?}", fit.convergence);
                assert!(fit.model.weights().iter().all(|&weight| weight == 0.0));
                let probabilities = predict_proba(&fit.model, &codes);
                for (&actual, expected) in probabilities.row(0).iter().zip(shares) {
                    assert!((f64::from(actual) - expected).abs() < 1e-6, "{value}");
                }
            }
            for fit in fit_path(&samples, &[1.0], ClassWeights::Balanced) {
                let probabilities = predict_proba(&fit.model, &codes);
                let mut probabilities = probabilities.iter();
                assert!(probabilities.all(|p| (p - 1.0 / 3.0).abs() < 1e-6));
            }
        }
    }
}
