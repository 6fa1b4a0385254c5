//! Nodes, their attributes, declared values and operator sets.

use super::{
    AttributeProto, AttributeType, NodeProto, OperatorSetIdProto, TensorProto, TensorType,
    ValueInfoProto,
};

impl NodeProto {
    /// A node of ONNX's own `operator` that reads the tensors `inputs` and computes the tensor
    /// `output`; it is named after its output.
    #[must_use]
    pub fn new(operator: &str, inputs: &[&str], output: &str) -> Self {
        Self {
            op_type: Some(operator.to_owned()),
            name: Some(output.to_owned()),
            input: inputs.iter().map(|&name| name.to_owned()).collect(),
            output: vec![output.to_owned()],
            ..Self::default()
        }
    }

    /// The attribute `name`, if the node has it.
    #[must_use]
    pub fn attribute_named(&self, name: &str) -> Option<&AttributeProto> {
        let mut attributes = self.attribute.iter();
        attributes.find(|attribute| attribute.name() == name)
    }

    /// Adds an integer attribute.
    pub fn push_int(&mut self, name: &str, value: i64) {
        self.attribute.push(AttributeProto::int(name, value));
    }

    /// Adds a list of integers as an attribute.
    pub fn push_ints(&mut self, name: &str, values: &[i64]) {
        self.attribute.push(AttributeProto::ints(name, values));
    }

    /// The node with one more attribute.
    #[must_use]
    pub fn with(mut self, attribute: AttributeProto) -> Self {
        self.attribute.push(attribute);
        self
    }
}

impl AttributeProto {
    /// An integer.
    #[must_use]
    pub fn int(name: &str, value: i64) -> Self {
        Self {
            i: Some(value),
            ..Self::of_type(name, AttributeType::Int)
        }
    }

    /// A list of integers.
    #[must_use]
    pub fn ints(name: &str, values: &[i64]) -> Self {
        Self {
            ints: values.to_vec(),
            ..Self::of_type(name, AttributeType::Ints)
        }
    }

    /// A text.
    #[must_use]
    pub fn text(name: &str, value: &str) -> Self {
        Self {
            s: Some(value.as_bytes().to_vec()),
            ..Self::of_type(name, AttributeType::String)
        }
    }

    /// A tensor.
    #[must_use]
    pub fn tensor(name: &str, value: TensorProto) -> Self {
        Self {
            t: Some(value),
            ..Self::of_type(name, AttributeType::Tensor)
        }
    }

    fn of_type(name: &str, kind: AttributeType) -> Self {
        Self {
            name: Some(name.to_owned()),
            r#type: Some(kind as i32),
            ..Self::default()
        }
    }
}

impl ValueInfoProto {
    /// The declaration of an input, an output, or an intermediate tensor.
    #[must_use]
    pub fn new(name: &str, declared: &TensorType) -> Self {
        Self {
            name: Some(name.to_owned()),
            r#type: Some(declared.to_proto()),
            ..Self::default()
        }
    }
}

impl OperatorSetIdProto {
    /// A version of the operators of `domain`; ONNX's own is the empty string.
    #[must_use]
    pub fn new(domain: &str, version: i64) -> Self {
        Self {
            domain: Some(domain.to_owned()),
            version: Some(version),
        }
    }
}
