//! Why a tail could not be read, run, loaded or written.

use ort_winograd::GraphError;

/// How many names a message lists before it counts the rest.
const LISTED: usize = 12;

/// Why something could not be done with a tail.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TailError {
    /// A tensor was named that the graph does not compute.
    #[error(
        "the graph has no tensor named {name:?} there; it has {}",
        listed(there)
    )]
    NoTensor {
        /// The name that was asked for.
        name: String,
        /// Names that could have been meant.
        there: Vec<String>,
    },
    /// What is to be computed needs more than the tensor that it shall be computed from.
    #[error(
        "{to:?} does not come of {from:?} alone: it needs {} too{}",
        listed(others),
        instead(cuts)
    )]
    NotAlone {
        /// Where the tail was to begin.
        from: String,
        /// Where it was to end.
        to: String,
        /// What else is needed.
        others: Vec<String>,
        /// Tensors between both of which `to` does come alone, from the front to the back.
        cuts: Vec<String>,
    },
    /// Between the two tensors there are no weights.
    #[error("between {from:?} and {to:?} there are no weights to tune")]
    NothingToTune {
        /// Where the tail was to begin.
        from: String,
        /// Where it was to end.
        to: String,
    },
    /// An operator that a tail cannot have.
    #[error(
        "node {node:?} is a {operator}, which cannot be tuned here{}",
        instead(cuts)
    )]
    Operator {
        /// The operator, with its domain if it is none of ONNX's own.
        operator: String,
        /// The node's name, or that of the tensor that it computes.
        node: String,
        /// Tensors behind the node at which the trunk could be cut, from the front to the back.
        cuts: Vec<String>,
    },
    /// An operator that a tail can have, in a form that it cannot have.
    #[error(
        "node {node:?}, a {operator}, cannot be tuned here: {reason}{}",
        instead(cuts)
    )]
    Form {
        /// The operator.
        operator: String,
        /// The node's name, or that of the tensor that it computes.
        node: String,
        /// What is different.
        reason: String,
        /// Tensors behind the node at which the trunk could be cut, from the front to the back.
        cuts: Vec<String>,
    },
    /// Weights that cannot be read, or be those of their node.
    #[error("the weights {tensor:?} cannot be used: {reason}")]
    Weights {
        /// The tensor's name.
        tensor: String,
        /// What is wrong with them.
        reason: String,
    },
    /// A batch that the layers cannot take.
    #[error("a batch of shape {shape:?} (N, H, W, C) does not fit {layer:?}: {reason}")]
    Batch {
        /// The batch's shape.
        shape: [usize; 4],
        /// The tensor that would be computed of it.
        layer: String,
        /// Why it cannot.
        reason: String,
    },
    /// More or fewer numbers than there must be.
    #[error("{what}: {actual} numbers where {expected} belong")]
    Length {
        /// What they are.
        what: &'static str,
        /// How many there should be.
        expected: usize,
        /// How many there are.
        actual: usize,
    },
    /// Weights or a tape that do not belong to this tail.
    #[error("this does not belong to the tail: {reason}")]
    Foreign {
        /// What is different.
        reason: String,
    },
    /// A file of tuned weights that is none.
    #[error("the tuned weights cannot be read: {0}")]
    Safetensors(#[from] safetensors::SafeTensorError),
    /// A graph that the tail cannot be written into.
    #[error("the tail cannot be written into this graph: {reason}")]
    OtherGraph {
        /// What is different.
        reason: String,
    },
    /// The graph with tuned weights is not sound.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

/// The first names, and how many more there are.
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
