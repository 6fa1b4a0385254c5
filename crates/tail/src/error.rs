//! Why a tail could not be read, run, loaded or written.

use ort_winograd::GraphError;

/// How many names a message lists before it only counts the rest.
const LISTED: usize = 12;

/// Why an operation on a tail failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TailError {
    /// The graph does not compute the named tensor.
    #[error(
        "the graph has no tensor named {name:?} there; it has {}",
        listed(there)
    )]
    NoTensor {
        /// The requested name.
        name: String,
        /// Possible names.
        there: Vec<String>,
    },
    /// The end of the tail depends on more than its beginning.
    #[error(
        "{to:?} does not come of {from:?} alone: it needs {} too{}",
        listed(others),
        instead(cuts)
    )]
    NotAlone {
        /// The requested beginning.
        from: String,
        /// The requested end.
        to: String,
        /// The other tensors that are needed.
        others: Vec<String>,
        /// Tensors between the two on which alone `to` depends, from front to back.
        cuts: Vec<String>,
    },
    /// There are no weights between the two tensors.
    #[error("between {from:?} and {to:?} there are no weights to tune")]
    NothingToTune {
        /// The requested beginning.
        from: String,
        /// The requested end.
        to: String,
    },
    /// A tail cannot have this operator.
    #[error(
        "node {node:?} is a {operator}, which cannot be tuned here{}",
        instead(cuts)
    )]
    Operator {
        /// The operator, with its domain if it is not ONNX's own.
        operator: String,
        /// The node's name, or that of the tensor it computes.
        node: String,
        /// Tensors after the node at which the trunk could be cut, from front to back.
        cuts: Vec<String>,
    },
    /// A tail can have this operator, but not in this form.
    #[error(
        "node {node:?}, a {operator}, cannot be tuned here: {reason}{}",
        instead(cuts)
    )]
    Form {
        /// The operator.
        operator: String,
        /// The node's name, or that of the tensor it computes.
        node: String,
        /// The difference.
        reason: String,
        /// Tensors after the node at which the trunk could be cut, from front to back.
        cuts: Vec<String>,
    },
    /// Weights cannot be read, or do not fit their node.
    #[error("the weights {tensor:?} cannot be used: {reason}")]
    Weights {
        /// The tensor's name.
        tensor: String,
        /// What is wrong.
        reason: String,
    },
    /// The layers cannot take a batch of this shape.
    #[error("a batch of shape {shape:?} (N, H, W, C) does not fit {layer:?}: {reason}")]
    Batch {
        /// The batch's shape.
        shape: [usize; 4],
        /// The tensor that would be computed from it.
        layer: String,
        /// The reason.
        reason: String,
    },
    /// An array has the wrong length.
    #[error("{what}: {actual} numbers where {expected} belong")]
    Length {
        /// The name of the array.
        what: &'static str,
        /// The expected length.
        expected: usize,
        /// The actual length.
        actual: usize,
    },
    /// Weights or a tape belong to another tail.
    #[error("this does not belong to the tail: {reason}")]
    Foreign {
        /// The difference.
        reason: String,
    },
    /// A file of tuned weights is not valid safetensors.
    #[error("the tuned weights cannot be read: {0}")]
    Safetensors(#[from] safetensors::SafeTensorError),
    /// The tail does not fit the graph.
    #[error("the tail cannot be written into this graph: {reason}")]
    OtherGraph {
        /// The difference.
        reason: String,
    },
    /// The graph with tuned weights is invalid.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

/// The first names, and the number of the others.
fn listed(names: &[String]) -> String {
    let first: Vec<&str> = names.iter().take(LISTED).map(String::as_str).collect();
    match names.len().saturating_sub(LISTED) {
        0 if first.is_empty() => "none".to_owned(),
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// Where the trunk could be cut instead, in words.
fn instead(cuts: &[String]) -> String {
    if cuts.is_empty() {
        return "; no layer behind it could be".to_owned();
    }
    format!("; cut the trunk behind it, at {}", listed(cuts))
}
