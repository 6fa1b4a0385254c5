//! Any bytes are a download's results and journal that lead to its folder alone, or an error.
#![no_main]

#[path = "../../crates/curate/tests/it/promises.rs"]
mod promises;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    promises::check_records(bytes);
});
