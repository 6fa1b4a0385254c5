//! Any text is a manifest whose numbers agree, or an error; what is written is read again.
#![no_main]

use cnn_codes::codes::Manifest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(manifest) = Manifest::from_json(text) else {
        return;
    };
    let code_len = manifest.codes.code_len();
    let n_values: usize = manifest.shape.iter().product();
    assert_eq!(n_values, manifest.counts.pictures * code_len);
    assert!(n_values.checked_mul(manifest.dtype.size()).is_some());
    let written = serde_json::to_string(&manifest).unwrap();
    assert_eq!(Manifest::from_json(&written).unwrap(), manifest);
    assert_eq!(manifest.codes.difference(&manifest.codes), None);
});
