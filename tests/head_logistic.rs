//! Logistic regression against scikit-learn, and on data that would break it.
//!
//! The expected values are made by tests/fixtures/head/make_head_fixtures.py.

use cnn_codes::head::logistic::{Logistic, LogisticOptions};
use cnn_codes::head::{HeadError, Samples};
use ndarray::{Array2, Axis, array};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
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

fn check_against_scikit_learn(name: &str, text: &str) {
    let case: Case = serde_json::from_str(text).unwrap();
    let codes = Array2::from_shape_vec(case.shape, case.codes).unwrap();
    let n_classes = case.labels.iter().max().unwrap() + 1;
    let samples = Samples::new(codes.view(), &case.labels, n_classes).unwrap();
    assert!(!case.fits.is_empty());
    for expected in case.fits {
        let fit = Logistic::fit(&samples, &options(expected.l2)).unwrap();
        let convergence = &fit.convergence;
        println!("{name}, l2 {}: {convergence:?}", expected.l2);
        assert!(convergence.converged, "{}", convergence.explanation);
        let objective = (convergence.objective / expected.objective - 1.0).abs();
        assert!(
            objective < 1e-6,
            "{name}: objective {} and {}",
            convergence.objective,
            expected.objective
        );

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

        let ours = fit.model.predict_proba(codes.view()).unwrap();
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
    check_against_scikit_learn("wide", include_str!("fixtures/head/logistic_wide.json"));
}

#[test]
fn codes_as_large_as_those_of_caffe_and_a_repeated_sample_as_scikit_learn() {
    check_against_scikit_learn("large", include_str!("fixtures/head/logistic_large.json"));
}

#[test]
fn more_samples_than_features_and_uneven_classes_as_scikit_learn() {
    check_against_scikit_learn("tall", include_str!("fixtures/head/logistic_tall.json"));
}

#[test]
fn two_classes_as_scikit_learn_with_twice_the_c() {
    check_against_scikit_learn(
        "two classes",
        include_str!("fixtures/head/logistic_two_classes.json"),
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
    let expected = reference.model.predict_proba(codes.view()).unwrap();
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
        let ours = fit.model.predict_proba(scaled.view()).unwrap();
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
fn few_samples_of_large_codes_are_fitted_from_stronger_penalties_down() {
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
        fit.model
            .predict_proba(codes.view())
            .unwrap()
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
        let probabilities = fit.model.predict_proba(codes.view()).unwrap();
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
    let probabilities = fit.model.predict_proba(codes.view()).unwrap();
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
    let probabilities = fit.model.predict_proba(codes.view()).unwrap();
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
    let probabilities = fit.model.predict_proba(codes.view()).unwrap();
    for (row, &label) in probabilities.rows().into_iter().zip(&labels) {
        assert!(row.iter().all(|&p| p <= row[label]), "{probabilities}");
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
    let error = fit.model.predict_proba(array![[1.0]].view()).unwrap_err();
    assert_eq!(
        error,
        HeadError::FeatureMismatch {
            expected: 2,
            actual: 1
        }
    );
}
