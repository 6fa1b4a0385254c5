//! Tensors of a graph whose values are in the file.

use std::collections::HashMap;

use ort_winograd::onnx::{
    GraphProto, TensorProto, float32_values, le_bytes, tensor_proto::DataType,
};

use crate::TailError;

/// Initializers and the results of `Constant` nodes, by name.
pub(super) struct Constants<'a>(HashMap<&'a str, &'a TensorProto>);

impl<'a> Constants<'a> {
    pub(super) fn of(graph: &'a GraphProto) -> Self {
        let initializers = graph
            .initializer
            .iter()
            .map(|tensor| (tensor.name(), tensor));
        let nodes = graph
            .node
            .iter()
            .filter(|node| node.op_type() == "Constant");
        let nodes = nodes.filter_map(|node| {
            let value = node.attribute_named("value")?.t.as_ref()?;
            Some((node.output.first()?.as_str(), value))
        });
        Self(initializers.chain(nodes).collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a TensorProto> {
        self.0.get(name).copied()
    }

    /// A single float32.
    pub(super) fn scalar(&self, name: &str) -> Option<f32> {
        match float32_values(self.get(name)?)?.as_slice() {
            &[value] => Some(value),
            _ => None,
        }
    }

    /// A vector of int64.
    pub(super) fn integers(&self, name: &str) -> Option<Vec<i64>> {
        let tensor = self.get(name)?;
        if tensor.data_type() != DataType::Int64 as i32 {
            return None;
        }
        let bytes = le_bytes(tensor).ok()?;
        let (integers, _) = bytes.as_chunks::<8>();
        Some(
            integers
                .iter()
                .map(|&bytes| i64::from_le_bytes(bytes))
                .collect(),
        )
    }

    /// The shape of a tensor that has no empty axes.
    pub(super) fn shape(&self, name: &str) -> Option<Vec<usize>> {
        let dims = self.get(name)?.dims.iter();
        dims.map(|&dim| usize::try_from(dim).ok().filter(|&dim| dim > 0))
            .collect()
    }

    /// The values of float32 weights.
    pub(super) fn weights(&self, name: &str) -> Result<Vec<f32>, TailError> {
        let refused = |reason: String| TailError::Weights {
            tensor: name.to_owned(),
            reason,
        };
        let tensor = self.get(name);
        let tensor = tensor.ok_or_else(|| refused("they are not in the file".to_owned()))?;
        if tensor.data_type() != DataType::Float as i32 {
            return Err(refused("they are not float32".to_owned()));
        }
        if let Err(error) = le_bytes(tensor) {
            return Err(refused(error.to_string()));
        }
        Ok(float32_values(tensor).unwrap_or_default())
    }
}
