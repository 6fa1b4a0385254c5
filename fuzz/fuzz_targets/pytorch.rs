//! Any bytes are named tensors that are as large as their shapes say and no larger than the file, or an error that
//! says what is wrong.
#![no_main]

use cnn_codes_trunks::pytorch;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match pytorch::read(bytes) {
        Ok(tensors) => {
            for tensor in tensors.values() {
                assert_eq!(tensor.shape.iter().product::<usize>(), tensor.values.len());
                assert!(4 * tensor.values.len() <= bytes.len());
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
