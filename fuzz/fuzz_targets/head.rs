//! Any files are a head whose tensors are finite and fit together, or an error with the file.
#![no_main]

mod sections;

use std::path::Path;

use cnn_codes::head::logistic::Logistic;
use cnn_codes::head::mlp::Mlp;
use cnn_codes::head::Head as _;
use cnn_codes::head::saved::{MANIFEST, SavedHead};
use cnn_codes::predict::Classifier;
use libfuzzer_sys::fuzz_target;

/// The files of HEAD that are read.
const FILES: [&str; 5] = [
    MANIFEST,
    "mlp.safetensors",
    "logistic.safetensors",
    "scaling.safetensors",
    "evidence.safetensors",
];

fuzz_target!(|input: &[u8]| {
    let files = sections::sections(&FILES, input);
    let dir = Path::new("HEAD");
    let head = match SavedHead::load_from(dir, &|path| sections::open(&files, path)) {
        Ok(head) => head,
        Err(error) => {
            let message = error.to_string();
            return assert!(message.contains("HEAD/"), "{message}");
        }
    };
    let (n_features, n_classes) = (head.codes.code_len(), head.classes.len());
    if let Some(mlp) = head.get::<Mlp>() {
        assert_eq!(mlp.model.shape(), (n_features, n_classes));
        let layers = mlp.model.layers().iter();
        assert!(layers.flat_map(|layer| &layer.weights).all(|value| value.is_finite()));
        assert!(mlp.temperature > 0.0);
    }
    if let Some(logistic) = head.get::<Logistic>() {
        assert_eq!(logistic.model.weights().dim(), (n_features, n_classes));
        assert!(logistic.model.weights().iter().all(|value| value.is_finite()));
        assert!(logistic.temperature > 0.0);
    }
    assert!(!head.heads.is_empty());
    let classifier = Classifier::new(head, None).expect("the head that is meant is there");
    for level in [1e-9, 0.5, 0.9] {
        let _ = classifier.clone().with_sets(level);
        let _ = classifier.clone().with_outliers(level);
    }
});
