//! Turns published weights into trunks.
//!
//! ```text
//! pytorch           a weights file in PyTorch's old format -> named tensors; no code in it is run
//! efficientnet_lite named tensors of EfficientNet-Lite -> an ONNX model
//! ```

pub mod efficientnet_lite;
pub mod pytorch;
