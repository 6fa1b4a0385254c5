//! Any bytes are a .npy header or an error; a header says where its array begins.
#![no_main]

use cnn_codes::codes::npy::Header;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut left = bytes;
    if let Ok(header) = Header::parse(&mut left) {
        assert_eq!(header.data_offset + left.len(), bytes.len());
        // A second reading gives the same.
        assert_eq!(Header::parse(&mut &bytes[..]).unwrap(), header);
    }
});
