//! The declared type of an input or output: element type and shape.

use std::fmt;

use super::tensor_proto::DataType;
use super::tensor_shape_proto::{Dimension, dimension};
use super::type_proto::{Tensor, Value};
use super::{TensorShapeProto, TypeProto, ValueInfoProto};

/// One axis of a declared shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dim {
    /// A fixed length.
    Fixed(u64),
    /// Any length; with a name, or the empty string.
    Free(String),
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(length) => write!(f, "{length}"),
            Self::Free(name) if name.is_empty() => f.write_str("?"),
            Self::Free(name) => f.write_str(name),
        }
    }
}

/// The declared type of an input or output. Files may leave either part out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorType {
    /// The element type; [`DataType::Undefined`] if the file does not declare it.
    pub element: DataType,
    /// The shape; `None` if the file does not declare it, not even the rank.
    pub dims: Option<Vec<Dim>>,
}

impl TensorType {
    /// A float32 tensor of the given shape.
    #[must_use]
    pub fn float32(dims: impl IntoIterator<Item = Dim>) -> Self {
        Self {
            element: DataType::Float,
            dims: Some(dims.into_iter().collect()),
        }
    }

    /// The type that `info` declares.
    #[must_use]
    pub fn read(info: &ValueInfoProto) -> Self {
        let Some(Value::TensorType(tensor)) =
            info.r#type.as_ref().and_then(|kind| kind.value.as_ref())
        else {
            return Self {
                element: DataType::Undefined,
                dims: None,
            };
        };
        Self {
            element: DataType::try_from(tensor.elem_type()).unwrap_or(DataType::Undefined),
            dims: tensor
                .shape
                .as_ref()
                .map(|shape| shape.dim.iter().map(read_dim).collect()),
        }
    }

    /// A batch of any size of float32 tensors of the given shape.
    #[must_use]
    pub fn float32_batch(shape: &[u64]) -> Self {
        let batch = Dim::Free("N".to_owned());
        let shape = shape.iter().map(|&length| Dim::Fixed(length));
        Self::float32(std::iter::once(batch).chain(shape))
    }

    /// The type in the form of a file's declaration.
    #[must_use]
    pub fn to_proto(&self) -> TypeProto {
        TypeProto {
            denotation: None,
            value: Some(Value::TensorType(Tensor {
                elem_type: Some(self.element as i32),
                shape: self.dims.as_ref().map(|dims| TensorShapeProto {
                    dim: dims.iter().map(write_dim).collect(),
                }),
            })),
        }
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(element_name(self.element))?;
        match &self.dims {
            None => f.write_str(" of unknown shape"),
            Some(dims) => {
                let dims: Vec<_> = dims.iter().map(Dim::to_string).collect();
                write!(f, " [{}]", dims.join(", "))
            }
        }
    }
}

/// The name of an element type, as in NumPy and in ONNX Runtime's messages.
#[must_use]
pub fn element_name(element: DataType) -> &'static str {
    match element {
        DataType::Undefined => "unknown type",
        DataType::Float => "float32",
        DataType::Double => "float64",
        DataType::Float16 => "float16",
        DataType::Bfloat16 => "bfloat16",
        DataType::Uint8 => "uint8",
        DataType::Int8 => "int8",
        DataType::Uint16 => "uint16",
        DataType::Int16 => "int16",
        DataType::Uint32 => "uint32",
        DataType::Int32 => "int32",
        DataType::Uint64 => "uint64",
        DataType::Int64 => "int64",
        DataType::Bool => "bool",
        DataType::String => "string",
        other => other.as_str_name(),
    }
}

fn read_dim(dim: &Dimension) -> Dim {
    match &dim.value {
        Some(dimension::Value::DimValue(length)) if *length >= 0 => {
            Dim::Fixed(length.unsigned_abs())
        }
        Some(dimension::Value::DimParam(name)) => Dim::Free(name.clone()),
        // Some exporters write -1 for "any".
        Some(dimension::Value::DimValue(_)) | None => Dim::Free(String::new()),
    }
}

fn write_dim(dim: &Dim) -> Dimension {
    let value = match dim {
        Dim::Fixed(length) => Some(dimension::Value::DimValue(
            i64::try_from(*length).unwrap_or(i64::MAX),
        )),
        Dim::Free(name) if name.is_empty() => None,
        Dim::Free(name) => Some(dimension::Value::DimParam(name.clone())),
    };
    Dimension {
        denotation: None,
        value,
    }
}
