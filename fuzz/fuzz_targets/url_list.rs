//! Any bytes are a list of web addresses and plain folders, or an error that names it.
#![no_main]

#[path = "../../crates/curate/tests/it/promises.rs"]
mod promises;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    promises::check_url_list(bytes);
});
