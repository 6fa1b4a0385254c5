//! The nearest centroid against NumPy.

use crate::head::nearest_centroid::NearestCentroid;
use crate::head::{HeadError, Samples};
use ndarray::{Array2, array};
use serde::Deserialize;

/// Made by make_nearest_centroid.py.
#[derive(Deserialize)]
struct Fixture {
    shape: (usize, usize),
    codes: Vec<f32>,
    labels: Vec<usize>,
    judged: Vec<f32>,
    judged_labels: Vec<usize>,
    logits: Vec<f64>,
    correct: usize,
}

#[test]
fn logits_are_numpys_cosines() {
    let text = include_str!("fixtures/nearest_centroid.json");
    let Fixture {
        shape,
        codes,
        labels,
        judged,
        judged_labels,
        logits: expected,
        correct,
    } = serde_json::from_str(text).unwrap();
    let codes = Array2::from_shape_vec(shape, codes).unwrap();
    let model = NearestCentroid::fit(&Samples::new(codes.view(), &labels, 3).unwrap()).unwrap();
    let judged = Array2::from_shape_vec((judged_labels.len(), shape.1), judged).unwrap();
    let logits = model.logits(&judged.view().into()).unwrap();
    assert_eq!(logits.len(), expected.len());
    for (ours, numpys) in logits.iter().zip(expected) {
        // float32 against float64: 40 products of about a sixth each.
        assert!((f64::from(*ours) - numpys).abs() < 1e-6, "{ours} {numpys}");
    }
    let largest =
        |row: ndarray::ArrayView1<f32>| (0..3).fold(0, |a, b| if row[b] > row[a] { b } else { a });
    let found = logits.rows().into_iter().map(largest);
    let right = found
        .zip(judged_labels)
        .filter(|(found, label)| found == label);
    assert_eq!(right.count(), correct);
}

#[test]
fn one_class_alone_is_refused() {
    let codes = array![[1.0, 0.0], [0.0, 1.0]];
    let samples = Samples::new(codes.view(), &[1, 1], 2).unwrap();
    let error = NearestCentroid::fit(&samples).unwrap_err();
    assert!(
        matches!(error, HeadError::OneClass { class: 1, .. }),
        "{error}"
    );
}
