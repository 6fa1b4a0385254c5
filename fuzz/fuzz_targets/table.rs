//! Any bytes are a table, and a plain list, of names that differ, or errors.
#![no_main]

#[path = "../../crates/test-support/src/promises.rs"]
mod promises;
#[path = "../support/scratch.rs"]
mod scratch;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    promises::check_table(bytes, scratch::folder());
    promises::check_list(bytes);
});
