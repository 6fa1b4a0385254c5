//! Trunks: cards and sessions.
//!
//! The package `ort-winograd` reads, cuts, hashes and rewrites ONNX graphs; `cnn-codes-onnxruntime`
//! finds and loads ONNX Runtime. Their types that appear in signatures here are re-exported.

mod adapter;
pub mod card;
mod draft;
mod identity;
mod layers;
mod session;
mod tuned;
pub mod vgg16;

pub use cnn_codes_onnxruntime::{Library, Runtime, RuntimeError, telemetry};
pub use ort_winograd::{FilterTransforms, GraphError, OnnxModel, hash_graph, hash_tensors};

pub use adapter::Take;
pub use card::{CardError, ModelCard};
pub use draft::{DraftCardError, DraftedCard, draft_card, name_of};
pub use identity::{LayerColumns, OutputSpec, TrunkIdentity};
pub use layers::{Layers, NotLayers};
pub use session::{Device, Kernels, Provider, Trunk, TrunkError, TrunkOptions, identify, shape_of};
pub use tuned::{TunedTail, TunedTailError};
