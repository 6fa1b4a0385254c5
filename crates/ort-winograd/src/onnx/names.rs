//! Which tensors a graph defines, and which a node reads.

use std::collections::HashSet;

use super::{GraphProto, NodeProto, ValueInfoProto};

/// ONNX's own domain has two spellings: `ai.onnx` and the empty string. Returns the second for
/// both.
pub(crate) fn plain_domain(domain: &str) -> &str {
    if domain == "ai.onnx" { "" } else { domain }
}

/// The graphs inside a node's attributes: the branches of an `If`, the body of a `Loop`.
pub(crate) fn subgraphs(node: &NodeProto) -> impl Iterator<Item = &GraphProto> {
    (node.attribute.iter()).flat_map(|attribute| attribute.g.iter().chain(&attribute.graphs))
}

/// The tensors of the enclosing graph that a node reads, as inputs or inside its subgraphs.
pub(crate) fn reads(node: &NodeProto) -> Vec<&str> {
    let mut names: Vec<_> = (node.input.iter().map(String::as_str))
        .filter(|name| !name.is_empty())
        .collect();
    for graph in subgraphs(node) {
        let own = defined_names(graph);
        let results = graph.output.iter().map(ValueInfoProto::name);
        let inner = graph.node.iter().flat_map(reads).chain(results);
        names.extend(inner.filter(|name| !own.contains(name)));
    }
    names
}

/// Every tensor that a graph defines itself: inputs, initializers and its nodes' outputs.
pub(crate) fn defined_names(graph: &GraphProto) -> HashSet<&str> {
    let computed = graph
        .node
        .iter()
        .flat_map(|node| &node.output)
        .map(String::as_str);
    given_names(graph)
        .chain(computed)
        .filter(|name| !name.is_empty())
        .collect()
}

pub(crate) fn given_names(graph: &GraphProto) -> impl Iterator<Item = &str> {
    let sparse = (graph.sparse_initializer.iter()).filter_map(|tensor| tensor.values.as_ref());
    (graph.input.iter().map(ValueInfoProto::name)).chain(
        graph
            .initializer
            .iter()
            .chain(sparse)
            .map(|tensor| tensor.name()),
    )
}
