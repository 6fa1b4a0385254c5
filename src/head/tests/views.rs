//! Heads that are trained on several views of each sample, and judge by their mean.

use ndarray::{Array2, Axis, array};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::head::logistic::{Logistic, LogisticOptions};
use crate::head::mlp::{Mlp, MlpOptions, Monitored};
use crate::head::nearest_centroid::{NearestCentroid, NearestCentroidOptions};
use crate::head::scaling::{Scaling, ScalingKind};
use crate::head::{ClassWeights, Head, Samples, mean_of_views};

const N_VIEWS: usize = 3;

/// Codes of all views (N V, D), of samples whose class raises a feature, and labels.
fn views(n: usize, d: usize, noise: f32) -> (Array2<f32>, Vec<usize>) {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(5);
    let own = Array2::from_shape_fn((n, d), |(row, feature)| {
        let raised = if feature % 3 == row % 3 { 0.4 } else { 0.0 };
        rng.r#gen::<f32>() + raised
    });
    let views = Array2::from_shape_fn((n * N_VIEWS, d), |(place, feature)| {
        own[[place / N_VIEWS, feature]] + noise * (rng.r#gen::<f32>() - 0.5)
    });
    (views, (0..n).map(|row| row % 3).collect())
}

fn of_each<T: Copy>(values: &[T]) -> Vec<T> {
    let values = values.iter();
    values.flat_map(|&value| [value; N_VIEWS]).collect()
}

#[test]
fn an_mlp_learns_the_same_bytes_from_views_that_are_all_the_same() {
    let (codes, labels) = views(40, 12, 0.0);
    let alone = codes.select(
        Axis(0),
        &(0..40).map(|row| N_VIEWS * row).collect::<Vec<_>>(),
    );
    let mut options = MlpOptions::default();
    (options.hidden, options.epochs) = (vec![8], 5);
    let fit = |samples: &Samples| {
        Mlp::fit(samples, &Monitored::default(), &options, &())
            .unwrap()
            .mlp
    };
    let with = fit(&Samples::with_views(codes.view(), N_VIEWS, &labels, 3).unwrap());
    assert_eq!(with, fit(&Samples::new(alone.view(), &labels, 3).unwrap()));
}

#[test]
fn an_mlp_draws_views_and_learns_from_all_of_them() {
    // Of each sample one view alone tells the class: a network that saw the first ones only would learn nothing.
    let (n, d) = (60, 6);
    let codes = Array2::from_shape_fn((n * N_VIEWS, d), |(place, feature)| {
        let (row, view) = (place / N_VIEWS, place % N_VIEWS);
        f32::from(u8::from(view == 2 && feature == row % 3))
    });
    let labels: Vec<_> = (0..n).map(|row| row % 3).collect();
    let samples = Samples::with_views(codes.view(), N_VIEWS, &labels, 3).unwrap();
    let mut options = MlpOptions::default();
    (options.hidden, options.epochs, options.dropout) = (vec![8], 80, 0.0);
    options.optimizer.learning_rate = 0.01;
    let fit = Mlp::fit(&samples, &Monitored::default(), &options, &()).unwrap();
    let logits = fit.mlp.logits_of(&samples).unwrap();
    for (row, &label) in labels.iter().enumerate() {
        let largest = (0..3).max_by(|&a, &b| logits[[row, a]].total_cmp(&logits[[row, b]]));
        assert_eq!(largest, Some(label), "{row}");
    }
}

#[test]
fn a_regression_on_views_is_one_on_as_many_samples_with_as_much_more_penalty() {
    // F = sum_i 1/V sum_v loss + l2/2 |W|^2 is 1/V of sum_iv loss + V l2/2 |W|^2.
    let (codes, labels) = views(50, 8, 0.3);
    let samples = Samples::with_views(codes.view(), N_VIEWS, &labels, 3).unwrap();
    let each = of_each(&labels);
    let as_samples = Samples::new(codes.view(), &each, 3).unwrap();
    for class_weights in [ClassWeights::None, ClassWeights::Balanced] {
        let fit = |samples: &Samples, l2: f64| {
            let options = LogisticOptions {
                l2,
                class_weights,
                ..LogisticOptions::default()
            };
            Logistic::fit(samples, &options).unwrap()
        };
        let (with, expected) = (fit(&samples, 0.5), fit(&as_samples, 0.5 * N_VIEWS as f64));
        assert!(with.convergence.converged && expected.convergence.converged);
        let objectives = (
            with.convergence.objective * N_VIEWS as f64,
            expected.convergence.objective,
        );
        assert!(
            (objectives.0 / objectives.1 - 1.0).abs() < 1e-6,
            "{objectives:?}"
        );
        let differences = &with.model.weights() - &expected.model.weights();
        assert!(differences.iter().all(|d| d.abs() < 1e-4), "{differences}");
    }
}

#[test]
fn centroids_are_those_of_all_views() {
    let (codes, labels) = views(30, 5, 0.3);
    let fit = |samples: &Samples| {
        let options = NearestCentroidOptions::default();
        <NearestCentroid as Head>::fit(samples, None, &options, &())
            .unwrap()
            .model
    };
    let with = fit(&Samples::with_views(codes.view(), N_VIEWS, &labels, 3).unwrap());
    assert_eq!(
        with,
        fit(&Samples::new(codes.view(), &of_each(&labels), 3).unwrap())
    );
}

#[test]
fn samples_are_judged_by_the_mean_of_their_views_whichever_are_selected_and_however_scaled() {
    let (codes, labels) = views(20, 6, 0.5);
    let samples = Samples::with_views(codes.view(), N_VIEWS, &labels, 3).unwrap();
    let options = LogisticOptions {
        l2: 0.1,
        ..LogisticOptions::default()
    };
    for kind in [ScalingKind::None, ScalingKind::L2, ScalingKind::Standard] {
        let scaling = Scaling::fit(kind, &samples);
        let scaled = samples.scaled(scaling.clone()).unwrap();
        let model = Logistic::fit(&scaled, &options).unwrap().model;
        let rows = [7, 3, 19];
        let logits = model.logits_of(&scaled.select(&rows)).unwrap();
        for (place, &row) in rows.iter().enumerate() {
            let own = codes.slice(ndarray::s![row * N_VIEWS..(row + 1) * N_VIEWS, ..]);
            let own = Samples::new(own, &[0; N_VIEWS], 3)
                .unwrap()
                .scaled(scaling.clone())
                .unwrap();
            let of_views = model.logits(own.codes()).unwrap();
            let expected = of_views.mean_axis(Axis(0)).unwrap();
            for (logit, expected) in logits.row(place).iter().zip(&expected) {
                assert!(
                    (logit - expected).abs() < 1e-5,
                    "{kind}: {logit} {expected}"
                );
            }
        }
    }
}

#[test]
fn a_value_that_is_not_finite_is_told_with_its_sample_whichever_view_has_it() {
    let (mut codes, labels) = views(10, 4, 0.1);
    codes[[3 * N_VIEWS + 2, 1]] = f32::NAN;
    let error = Samples::with_views(codes.view(), N_VIEWS, &labels, 3).unwrap_err();
    assert!(
        matches!(error, crate::head::HeadError::NotFinite { row: 3 }),
        "{error}"
    );
}

#[test]
fn the_mean_of_one_view_is_that_view() {
    let logits = array![[1.5, -2.0], [0.25, 7.0]];
    assert_eq!(mean_of_views(logits.clone(), 1), logits);
    let of_views = array![[1.0, 2.0], [3.0, -4.0], [0.5, 0.5], [0.5, 1.5]];
    assert_eq!(mean_of_views(of_views, 2), array![[2.0, -1.0], [0.5, 1.0]]);
}
