//! Any files beside a good head are a report, or an error with the file.
#![no_main]

mod sections;

use std::path::Path;

use cnn_codes::head::HeadKind;
use cnn_codes::head::saved::{HISTORY, MANIFEST, weights_file};
use cnn_codes::train::{JUDGED_PICTURES, METRICS, PREDICTIONS, PROVENANCE, Report};
use libfuzzer_sys::fuzz_target;

/// The head that all of these files are about.
const HEAD: &[u8] = include_bytes!("../seeds/head/both");

fuzz_target!(|input: &[u8]| {
    let names = [PREDICTIONS, HISTORY, JUDGED_PICTURES, METRICS, PROVENANCE];
    let mut files = sections::sections(&names, input);
    let weights = [HeadKind::Mlp, HeadKind::Logistic].map(weights_file);
    files.extend(sections::sections(&[MANIFEST, &weights[0], &weights[1]], HEAD));
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
