//! Any text is a manifest whose numbers agree, or an error; what is written is read again.
#![no_main]

use cnn_codes::codes::Manifest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(manifest) = Manifest::from_json(text) else {
        return;
    };
    let store = &manifest.store;
    let n_values: usize = manifest.shape().iter().product();
    assert_eq!(n_values, manifest.counts.pictures * store.codes.code_len());
    assert!(n_values.checked_mul(8).is_some());
    assert_eq!(Manifest::from_json(&manifest.to_json()).unwrap(), manifest);
});
