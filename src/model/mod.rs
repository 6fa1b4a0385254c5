//! Trunks: cards, assets, sessions.
//!
//! ONNX graphs are read, cut, hashed and rewritten by the package `ort-winograd`; what of it stands in
//! signatures here is exported again.

pub mod card;
pub mod fetched;
mod identity;
pub mod pins;
pub mod runtime;
mod session;
pub mod sha256;
pub mod telemetry;
pub mod vgg16;

pub use ort_winograd::{GraphError, OnnxModel, hash_graph, hash_tensors};

pub use card::{CardError, ModelCard};
pub use identity::{OutputSpec, TrunkIdentity};
pub use runtime::{Library, Runtime, RuntimeError};
pub use session::{Device, Kernels, Provider, Trunk, TrunkError, TrunkOptions};
