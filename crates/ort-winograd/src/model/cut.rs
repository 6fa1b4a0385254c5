//! Cuts a graph after one of its tensors.

use std::collections::HashSet;

use super::{GraphError, OnnxModel, listed};
use crate::onnx::names::{plain_domain, reads, subgraphs};
use crate::onnx::{GraphProto, ValueInfoProto};

impl OnnxModel {
    /// Makes `tensor` the only output, and removes everything that it does not need: nodes, inputs,
    /// initializers, intermediate shapes and operator sets.
    ///
    /// If the file does not declare the tensor's type, call [`OnnxModel::declare`] afterwards.
    ///
    /// # Errors
    /// [`GraphError::NoTensor`] if no node computes `tensor`.
    pub fn cut_after(&mut self, tensor: &str) -> Result<(), GraphError> {
        let graph = self.graph_mut();
        if !graph
            .node
            .iter()
            .any(|node| node.output.iter().any(|name| name == tensor))
        {
            let there = graph.node.iter().flat_map(|node| &node.output);
            let there = listed(there.map(String::as_str));
            return Err(self.no_tensor(tensor, there));
        }
        let declared =
            (graph.output.iter().chain(&graph.value_info)).find(|info| info.name() == tensor);
        let output = declared.cloned().unwrap_or_else(|| ValueInfoProto {
            name: Some(tensor.to_owned()),
            ..ValueInfoProto::default()
        });
        graph.output = vec![output];
        keep_needed(graph, tensor);
        self.drop_unused_domains();
        Ok(())
    }

    fn drop_unused_domains(&mut self) {
        if !self.proto.functions.is_empty() {
            return;
        }
        let mut used = HashSet::new();
        collect_domains(self.graph(), &mut used);
        let used: HashSet<String> = used.into_iter().map(str::to_owned).collect();
        (self.proto.opset_import).retain(|opset| used.contains(plain_domain(opset.domain())));
    }
}

/// Removes what `tensor` does not need. One pass from the back suffices, since nodes are in order.
fn keep_needed(graph: &mut GraphProto, tensor: &str) {
    let mut needed: HashSet<&str> = HashSet::from([tensor]);
    let mut kept = vec![false; graph.node.len()];
    for (node, kept) in graph.node.iter().zip(&mut kept).rev() {
        *kept = node
            .output
            .iter()
            .any(|name| needed.contains(name.as_str()));
        if *kept {
            needed.extend(reads(node));
        }
    }
    let needed: HashSet<String> = needed.into_iter().map(str::to_owned).collect();
    let mut kept = kept.into_iter();
    graph.node.retain(|_| kept.next().unwrap_or(false));
    graph
        .initializer
        .retain(|initializer| needed.contains(initializer.name()));
    graph.sparse_initializer.retain(|sparse| {
        let values = sparse.values.as_ref();
        values.is_some_and(|values| needed.contains(values.name()))
    });
    graph.input.retain(|input| needed.contains(input.name()));
    graph
        .value_info
        .retain(|info| needed.contains(info.name()) && info.name() != tensor);
    graph
        .quantization_annotation
        .retain(|note| needed.contains(note.tensor_name()));
}

fn collect_domains<'a>(graph: &'a GraphProto, domains: &mut HashSet<&'a str>) {
    for node in &graph.node {
        domains.insert(plain_domain(node.domain()));
        for inner in subgraphs(node) {
            collect_domains(inner, domains);
        }
    }
}
