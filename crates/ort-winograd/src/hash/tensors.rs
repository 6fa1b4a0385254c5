//! A SHA-256 of a model's initializers, whatever file they are in. It shows that a file has the
//! right weights. Weights elsewhere, and operators, are covered by [`graph`](super::graph), which
//! decides whether two models compute the same.
//!
//! The hash covers the graph's initializers in the order in which its nodes read them (nodes in the
//! file's order, inputs in the node's order), each once, when it is first read. Of each it
//! includes, in this order and all little-endian:
//!
//! | what | as |
//! |---|---|
//! | element type | u32, ONNX's number for it (`TensorProto.DataType`; 1 is float32) |
//! | rank | u32 |
//! | each dimension | u64 |
//! | the values in C order | as ONNX's `raw_data` has them: 4 bytes for a float32 |
//!
//! Names, metadata, `raw_data` instead of `float_data`, and initializers that no node reads make no
//! difference. Kernels are hashed in the layout of ONNX's `Conv`, (out, in, height, width).
//! `scripts/export_vgg16.py` computes the same hash.

use std::collections::{HashMap, HashSet};

use sha2::{Digest, Sha256};

use crate::model::{GraphError, OnnxModel};
use crate::onnx::{TensorError, TensorProto, element_count, le_bytes};

/// The identity of a model's weights.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TensorHash {
    /// 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// Number of tensors covered.
    pub n_tensors: usize,
    /// Total number of their elements: the parameters of the network.
    pub n_parameters: u64,
}

/// Hashes a model's weights as defined on [this page](self).
///
/// # Errors
/// [`GraphError::Tensor`] for a tensor whose values cannot be read.
pub fn hash_tensors(model: &OnnxModel) -> Result<TensorHash, GraphError> {
    let mut sha = Sha256::new();
    let tensors = tensors_in_use(model);
    let mut n_parameters = 0;
    for tensor in &tensors {
        n_parameters += hash_one(&mut sha, tensor).map_err(|source| GraphError::Tensor {
            path: model.origin().to_owned(),
            tensor: tensor.name().to_owned(),
            source,
        })?;
    }
    Ok(TensorHash {
        sha256: format!("{:x}", sha.finalize()),
        n_tensors: tensors.len(),
        n_parameters,
    })
}

/// The initializers that nodes read, in the order in which they are first read.
#[must_use]
pub fn tensors_in_use(model: &OnnxModel) -> Vec<&TensorProto> {
    let graph = model.graph();
    let by_name: HashMap<_, _> = (graph.initializer.iter())
        .map(|tensor| (tensor.name(), tensor))
        .collect();
    let mut seen = HashSet::new();
    (graph.node.iter().flat_map(|node| &node.input))
        .filter_map(|name| by_name.get(name.as_str()).copied())
        .filter(|tensor| seen.insert(tensor.name()))
        .collect()
}

/// Adds one tensor to the hash, and returns its number of elements.
fn hash_one(sha: &mut Sha256, tensor: &TensorProto) -> Result<u64, TensorError> {
    let bytes = le_bytes(tensor)?;
    sha.update(tensor.data_type().to_le_bytes());
    // A rank beyond u32 would not fit in memory.
    sha.update((tensor.dims.len() as u32).to_le_bytes());
    for dim in &tensor.dims {
        sha.update(dim.to_le_bytes());
    }
    sha.update(&bytes);
    element_count(tensor)
}
