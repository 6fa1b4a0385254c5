//! Any bytes are a tar file whose pictures are pieces of it, or an error that names it.
#![no_main]

#[path = "../../crates/test-support/src/promises.rs"]
mod promises;
#[path = "../support/scratch.rs"]
mod scratch;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    promises::check_tar(bytes, scratch::folder());
});
