//! The tests of cnn-codes-tail: tails of graphs read, run, tuned and written, against ONNX Runtime and PyTorch.

// By its path, as the package that has it needs cnn-codes, of which this one knows nothing.
#[path = "../../../test-support/src/skips.rs"]
mod skips;

mod hostile;
mod networks;
mod pytorch;
mod refused;
mod runtime;
mod saved;
mod support;
mod trunks;
mod written;
