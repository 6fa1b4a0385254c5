//! Builds ONNX graphs: a chain of nodes, each of which reads the previous one's result.

use ort_winograd::onnx::{DataType, NodeProto, TensorProto};

/// The nodes of a chain, and the constants that they read.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    nodes: Vec<NodeProto>,
    initializers: Vec<TensorProto>,
    last: String,
}

impl Chain {
    /// A chain without nodes that begins at the tensor `input`.
    pub(super) fn starting_at(input: &str) -> Self {
        Self {
            nodes: Vec::new(),
            initializers: Vec::new(),
            last: input.to_owned(),
        }
    }

    /// Adds a node that reads the last tensor, and then `others`, and computes `output`.
    pub(super) fn apply(
        &mut self,
        operator: &str,
        others: &[&str],
        output: &str,
    ) -> &mut NodeProto {
        let last = std::mem::replace(&mut self.last, output.to_owned());
        let inputs: Vec<&str> = std::iter::once(last.as_str())
            .chain(others.iter().copied())
            .collect();
        self.nodes.push(NodeProto::new(operator, &inputs, output));
        self.nodes.last_mut().expect("one was just added")
    }

    /// As [`Chain::apply`], with `constant` as the second tensor that the node reads.
    pub(super) fn apply_constant(
        &mut self,
        operator: &str,
        constant: TensorProto,
        output: &str,
    ) -> &mut NodeProto {
        let name = constant.name().to_owned();
        self.initializers.push(constant);
        self.apply(operator, &[&name], output)
    }

    /// Adds a `Cast` of the last tensor to another element type.
    pub(super) fn cast(&mut self, element: DataType, output: &str) {
        self.apply("Cast", &[], output)
            .push_int("to", i64::from(element as i32));
    }

    /// Adds a `Transpose` of the last tensor: axis `i` of the result is axis `axes[i]` of the
    /// input.
    pub(super) fn transpose(&mut self, axes: &[i64], output: &str) {
        self.apply("Transpose", &[], output).push_ints("perm", axes);
    }

    /// Renames the tensor that the last node computes.
    pub(super) fn end_as(&mut self, name: &str) {
        if let Some(node) = self.nodes.last_mut() {
            node.output = vec![name.to_owned()];
            name.clone_into(&mut self.last);
        }
    }

    /// The name of the tensor that the last node computes.
    pub(super) fn last(&self) -> &str {
        &self.last
    }

    /// The nodes, and the constants that they read.
    pub(super) fn into_parts(self) -> (Vec<NodeProto>, Vec<TensorProto>) {
        (self.nodes, self.initializers)
    }
}
