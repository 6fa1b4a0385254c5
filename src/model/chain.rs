//! Building ONNX graphs: nodes one after the other, each of which reads what the last one computed.

use super::onnx::attribute_proto::AttributeType;
use super::onnx::tensor_proto::DataType;
use super::onnx::{AttributeProto, NodeProto, TensorProto};

/// The nodes of a chain, and the constants that they read.
#[derive(Clone, Debug)]
pub struct Chain {
    nodes: Vec<NodeProto>,
    initializers: Vec<TensorProto>,
    last: String,
}

impl Chain {
    /// A chain without nodes that begins at the tensor `input`.
    #[must_use]
    pub fn starting_at(input: &str) -> Self {
        Self {
            nodes: Vec::new(),
            initializers: Vec::new(),
            last: input.to_owned(),
        }
    }

    /// Adds a node that reads the last tensor, and then `others`, and computes `output`.
    pub fn apply(&mut self, operator: &str, others: &[&str], output: &str) -> &mut NodeProto {
        let last = std::mem::replace(&mut self.last, output.to_owned());
        let others = others.iter().map(|&name| name.to_owned());
        let node = NodeProto {
            op_type: Some(operator.to_owned()),
            name: Some(output.to_owned()),
            input: std::iter::once(last).chain(others).collect(),
            output: vec![output.to_owned()],
            ..NodeProto::default()
        };
        self.nodes.push(node);
        self.nodes.last_mut().expect("one was just added")
    }

    /// As [`Chain::apply`], with `constant` as the second tensor that the node reads.
    pub fn apply_constant(
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
    pub fn cast(&mut self, element: DataType, output: &str) {
        self.apply("Cast", &[], output)
            .push_int("to", i64::from(element as i32));
    }

    /// Adds a `Transpose` of the last tensor, whose axis `i` is to be what is axis `axes[i]` now.
    pub fn transpose(&mut self, axes: &[i64], output: &str) {
        self.apply("Transpose", &[], output).push_ints("perm", axes);
    }

    /// Gives the tensor that the last node computes another name.
    pub fn end_as(&mut self, name: &str) {
        if let Some(node) = self.nodes.last_mut() {
            node.output = vec![name.to_owned()];
            name.clone_into(&mut self.last);
        }
    }

    /// The name of the tensor that the last node computes.
    #[must_use]
    pub fn last(&self) -> &str {
        &self.last
    }

    /// The nodes, and the constants that they read.
    #[must_use]
    pub fn into_parts(self) -> (Vec<NodeProto>, Vec<TensorProto>) {
        (self.nodes, self.initializers)
    }
}

impl NodeProto {
    /// Adds an attribute that is a number.
    pub fn push_int(&mut self, name: &str, value: i64) {
        self.attribute.push(AttributeProto {
            name: Some(name.to_owned()),
            r#type: Some(AttributeType::Int as i32),
            i: Some(value),
            ..AttributeProto::default()
        });
    }

    /// Adds an attribute that is a list of numbers.
    pub fn push_ints(&mut self, name: &str, values: &[i64]) {
        self.attribute.push(AttributeProto {
            name: Some(name.to_owned()),
            r#type: Some(AttributeType::Ints as i32),
            ints: values.to_vec(),
            ..AttributeProto::default()
        });
    }
}
