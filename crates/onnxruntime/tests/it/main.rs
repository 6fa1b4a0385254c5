//! The tests of cnn-codes-onnxruntime that need a process of their own, or the library itself.

// By its path, as the package that has it needs cnn-codes, of which this one knows nothing.
#[cfg(target_os = "linux")]
#[path = "../../../test-support/src/skips.rs"]
mod skips;

mod telemetry;
