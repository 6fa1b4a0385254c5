//! The tests of ort-winograd: models read, cut, hashed, rewritten; and run, where there is an ONNX
//! Runtime.

#[path = "../../../../tests/support/damage.rs"]
#[allow(dead_code, reason = "other tests use more of it")]
mod damage;
#[path = "../../../../tests/support/onnx.rs"]
mod onnx;

mod graph;
mod hostile;
mod identity;
mod mixed;
mod readme;
mod support;
mod winograd;
