//! A small network for the tests of models, here and of ort-winograd: a trunk of one convolution, and
//! a head.

use std::path::Path;

use ort_winograd::OnnxModel;
use ort_winograd::onnx::{
    AttributeProto, Dim, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorType, ValueInfoProto, float32_tensor,
};

/// The file that errors about the network name.
pub const ORIGIN: &str = "some/tiny.onnx";

pub fn node(operator: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        name: Some(format!("the {operator} for {output}")),
        ..NodeProto::new(operator, inputs, output)
    }
}

pub fn with_ints(node: NodeProto, name: &str, values: &[i64]) -> NodeProto {
    node.with(AttributeProto::ints(name, values))
}

/// A value without a type; `OnnxModel::declare` gives it one.
pub fn value(name: &str) -> ValueInfoProto {
    ValueInfoProto {
        name: Some(name.to_owned()),
        ..ValueInfoProto::default()
    }
}

pub fn opset(domain: &str, version: i64) -> OperatorSetIdProto {
    OperatorSetIdProto::new(domain, version)
}

/// Kernel (4, 3, 1, 1): -1, -0.75, ..., 1.75.
pub fn kernel() -> TensorProto {
    let values: Vec<f32> = (0..12).map(|i| i as f32 * 0.25 - 1.0).collect();
    float32_tensor("kernel", &[4, 3, 1, 1], &values)
}

pub fn bias() -> TensorProto {
    float32_tensor("bias", &[4], &[0.5, -0.5, 0.0, 1.0])
}

/// (N, 2, 2, 3) -> convolution -> `features` (N, 2, 2, 4) -> a head of two classes.
pub fn tiny_proto() -> ModelProto {
    let graph = GraphProto {
        name: Some("tiny".to_owned()),
        node: vec![
            with_ints(
                node("Transpose", &["input"], "first"),
                "perm",
                &[0, 3, 1, 2],
            ),
            node("Conv", &["first", "kernel", "bias"], "linear"),
            node("Relu", &["linear"], "relu"),
            with_ints(
                node("Transpose", &["relu"], "features"),
                "perm",
                &[0, 2, 3, 1],
            ),
            node("Flatten", &["features"], "flat"),
            node("Gemm", &["flat", "head/kernel"], "logits"),
            node("Softmax", &["logits"], "probabilities"),
        ],
        // The head's first, so that the file's order is not the nodes'.
        initializer: vec![
            float32_tensor("head/kernel", &[16, 2], &[0.125; 32]),
            bias(),
            kernel(),
        ],
        input: vec![value("input")],
        output: vec![value("probabilities")],
        ..GraphProto::default()
    };
    ModelProto {
        ir_version: Some(7),
        opset_import: vec![opset("", 13), opset("ai.onnx.ml", 2)],
        graph: Some(graph),
        ..ModelProto::default()
    }
}

pub fn tiny() -> OnnxModel {
    let mut model = OnnxModel::from_proto(tiny_proto(), Path::new(ORIGIN)).unwrap();
    model
        .declare("input", &batch("unk__1", &[2, 2, 3]))
        .unwrap();
    model
        .declare("probabilities", &batch("unk__2", &[2]))
        .unwrap();
    model
}

/// The tiny network's trunk alone.
pub fn tiny_trunk() -> OnnxModel {
    let mut model = tiny();
    model.cut_after("features").unwrap();
    model.declare("features", &batch("N", &[2, 2, 4])).unwrap();
    model
}

/// A float32 batch of any size.
pub fn batch(axis: &str, shape: &[u64]) -> TensorType {
    let first = Dim::Free(axis.to_owned());
    TensorType::float32(
        [first]
            .into_iter()
            .chain(shape.iter().map(|&length| Dim::Fixed(length))),
    )
}
