//! The messages of an ONNX file, and helpers to build them.
//!
//! ```text
//! messages      ModelProto, GraphProto, NodeProto, ...: ONNX's own names and fields
//! node          nodes, attributes, declared values, operator sets, in one line each
//! tensor        weights: from numbers to a TensorProto and back
//! tensor_type   element type and shape, as graphs declare and people read them
//! names         which tensors a graph defines, and which a node reads
//! ```
//!
//! The structs are those of `onnx.proto`, whose documentation applies. A field that a file leaves
//! out is `None`; the method of the field's name returns the value or its default.
//! [`OnnxModel::from_proto`](crate::OnnxModel::from_proto) checks a model that was built.
//!
//! ```
//! use ort_winograd::OnnxModel;
//! use ort_winograd::onnx::{
//!     GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorType, ValueInfoProto,
//!     float32_tensor,
//! };
//!
//! let picture = TensorType::float32_batch(&[3, 8, 8]);
//! let graph = GraphProto {
//!     name: Some("a picture and its half".to_owned()),
//!     node: vec![NodeProto::new("Mul", &["x", "half"], "y")],
//!     initializer: vec![float32_tensor("half", &[], &[0.5])],
//!     input: vec![ValueInfoProto::new("x", &picture)],
//!     output: vec![ValueInfoProto::new("y", &picture)],
//!     ..GraphProto::default()
//! };
//! let model = ModelProto {
//!     ir_version: Some(7),
//!     opset_import: vec![OperatorSetIdProto::new("", 13)],
//!     graph: Some(graph),
//!     ..ModelProto::default()
//! };
//! let model = OnnxModel::from_proto(model, "half.onnx".as_ref())?;
//! assert_eq!(model.outputs()[0].1.to_string(), "float32 [N, 3, 8, 8]");
//! # Ok::<(), ort_winograd::GraphError>(())
//! ```

mod messages;
pub(crate) mod names;
mod node;
mod tensor;
mod tensor_type;

pub use self::messages::attribute_proto::AttributeType;
pub use self::messages::tensor_proto::{DataLocation, DataType};
pub use self::messages::{
    AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    SparseTensorProto, StringStringEntryProto, TensorAnnotation, TensorProto, TensorShapeProto,
    TypeProto, ValueInfoProto, tensor_proto, tensor_shape_proto, type_proto,
};
pub(crate) use self::tensor::floats;
pub use self::tensor::{
    TensorError, element_count, float16_tensor, float32_bytes, float32_tensor, float32_values,
    int64_vector, le_bytes,
};
pub use self::tensor_type::{Dim, TensorType, element_name};
