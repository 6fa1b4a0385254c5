//! The tests of ort-winograd: models read, cut, hashed, rewritten; and run, where there is an ONNX
//! Runtime.

// By their paths, as the package that has them needs cnn-codes, of which this one knows nothing.
#[path = "../../../test-support/src/damage.rs"]
#[allow(dead_code, reason = "other tests use more of it")]
mod damage;
#[path = "../../../test-support/src/onnx.rs"]
mod onnx;
#[path = "../../../test-support/src/skips.rs"]
mod skips;

mod graph;
mod hostile;
mod identity;
mod mixed;
mod readme;
mod support;
mod winograd;

/// The root of the checkout.
fn root() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
