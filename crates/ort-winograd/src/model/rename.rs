//! Renames a tensor.

use super::{GraphError, OnnxModel, listed};
use crate::onnx::GraphProto;
use crate::onnx::names::defined_names;

impl OnnxModel {
    /// Renames a tensor wherever it is defined or read.
    ///
    /// # Errors
    /// [`GraphError::NoTensor`] if `from` does not exist, [`GraphError::NameTaken`] if `to` exists.
    pub fn rename(&mut self, from: &str, to: &str) -> Result<(), GraphError> {
        if from == to {
            return Ok(());
        }
        let defined = defined_names(self.graph());
        if !defined.contains(from) {
            let there = listed(defined.iter().copied());
            return Err(self.no_tensor(from, there));
        }
        if defined.contains(to) {
            return Err(GraphError::NameTaken {
                path: self.origin.clone(),
                from: from.to_owned(),
                to: to.to_owned(),
            });
        }
        rename_in(self.graph_mut(), from, to);
        Ok(())
    }
}

fn rename_in(graph: &mut GraphProto, from: &str, to: &str) {
    let renamed = |name: &mut String| {
        if name == from {
            to.clone_into(name);
        }
    };
    let infos = graph
        .input
        .iter_mut()
        .chain(&mut graph.output)
        .chain(&mut graph.value_info);
    infos
        .filter_map(|info| info.name.as_mut())
        .for_each(renamed);
    let sparse = (graph.sparse_initializer.iter_mut()).filter_map(|tensor| tensor.values.as_mut());
    let tensors = graph.initializer.iter_mut().chain(sparse);
    tensors
        .filter_map(|tensor| tensor.name.as_mut())
        .for_each(renamed);
    let notes = graph.quantization_annotation.iter_mut();
    notes
        .filter_map(|note| note.tensor_name.as_mut())
        .for_each(renamed);
    for node in &mut graph.node {
        node.input
            .iter_mut()
            .chain(&mut node.output)
            .for_each(renamed);
        for attribute in &mut node.attribute {
            for inner in attribute.g.iter_mut().chain(&mut attribute.graphs) {
                if !defined_names(inner).contains(from) {
                    rename_in(inner, from, to);
                }
            }
        }
    }
}
