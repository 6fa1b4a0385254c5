//! Trunks: cards, assets, ONNX graphs, sessions.

pub mod assets;
pub mod card;
pub mod graph;
pub mod onnx;
mod sha256;
pub mod tensor;
pub mod tensor_hash;
pub mod vgg16;
