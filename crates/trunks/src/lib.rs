//! Published weights, made into trunks.
//!
//! ```text
//! pytorch           a file of weights of PyTorch's old format -> named tensors; nothing in it is run
//! efficientnet_lite named tensors of EfficientNet-Lite -> an ONNX model
//! ```

pub mod efficientnet_lite;
pub mod pytorch;
