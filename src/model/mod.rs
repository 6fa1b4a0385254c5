//! Trunks: cards, assets, sessions.
//!
//! ONNX graphs are read, cut, hashed and rewritten by the package `ort-winograd`; what of it stands in
//! signatures here is exported again.

pub mod assets;
pub mod card;
pub mod runtime;
mod session;
mod sha256;
pub mod telemetry;
pub mod vgg16;

pub use ort_winograd::{GraphError, OnnxModel, hash_graph, hash_tensors};

pub use card::{CardError, ModelCard};
pub use runtime::{Library, Runtime, RuntimeError};
pub use session::{Device, Kernels, Provider, Trunk, TrunkError, TrunkOptions};
