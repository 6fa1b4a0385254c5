//! Trunks: cards, assets, ONNX graphs, sessions.

pub mod card;
pub mod chain;
pub mod fetched;
pub mod graph;
pub mod graph_hash;
pub mod onnx;
pub mod pins;
pub mod runtime;
pub mod session;
pub mod sha256;
mod soundness;
pub mod telemetry;
pub mod tensor;
pub mod tensor_hash;
pub mod vgg16;
pub mod winograd;

pub use card::{CardError, ModelCard};
pub use runtime::{Library, Runtime, RuntimeError};
pub use session::{Device, Kernels, Provider, Trunk, TrunkError, TrunkOptions};
