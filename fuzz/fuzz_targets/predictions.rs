//! Any files beside a good head are a report, or an error with the file.
#![no_main]

mod sections;

use std::path::Path;

use cnn_codes::head::saved::MANIFEST;
use cnn_codes::train::Report;
use libfuzzer_sys::fuzz_target;

/// The head that all of these files are about.
const HEAD: &[u8] = include_bytes!("../seeds/head/both");

/// The files that tell of it.
const FILES: [&str; 5] = ["predictions.csv", "history.csv", "pictures.csv", "metrics.json", "provenance.json"];

fuzz_target!(|input: &[u8]| {
    let mut files = sections::sections(&FILES, input);
    files.extend(sections::sections(&[MANIFEST, "mlp.safetensors", "logistic.safetensors"], HEAD));
    let report = Report::read_from(Path::new("HEAD"), &|path| sections::open(&files, path));
    match report {
        Ok(report) => {
            let comparison = report.comparison;
            let n = comparison.pictures.len();
            assert_eq!((comparison.labels.len(), report.pictures.len()), (n, n));
            for head in comparison.heads {
                assert_eq!(head.probabilities.dim(), (n, comparison.classes.len()));
            }
        }
        Err(error) => {
            let message = error.to_string();
            assert!(message.contains("HEAD/"), "{message}");
        }
    }
});
