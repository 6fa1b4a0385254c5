//! The values of an ONNX tensor, whichever field of the format holds them.

use std::borrow::Cow;

use bytes::Bytes;

use super::TensorProto;
use super::tensor_proto::{DataLocation, DataType};
use super::tensor_type::element_name;

/// Why a tensor's values could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TensorError {
    /// The values are in another file beside the ONNX file.
    #[error("its values are kept in another file; save the model with its weights inside")]
    External,
    /// The values of this element type are not numbers, such as strings.
    #[error("its element type {element} is not supported")]
    Unsupported {
        /// The element type in the file.
        element: String,
    },
    /// A dimension is negative, or there are more elements than can be counted.
    #[error("its shape {dims:?} is impossible")]
    BadShape {
        /// The dimensions in the file.
        dims: Vec<i64>,
    },
    /// There are more or fewer values than the shape holds.
    #[error("it holds {actual} bytes of values where {expected} belong")]
    WrongLength {
        /// Bytes required by the shape and the element type.
        expected: u64,
        /// Actual bytes.
        actual: u64,
    },
}

/// A float32 tensor of shape `dims`, with its `values`, in C order, in `raw_data`.
#[must_use]
pub fn float32_tensor(name: &str, dims: &[u64], values: &[f32]) -> TensorProto {
    let bytes = values.iter().flat_map(|value| value.to_le_bytes());
    raw_tensor(name, dims, DataType::Float, bytes.collect())
}

/// A float16 tensor of shape `dims`, with its values in `raw_data`: `bits` are their IEEE 754
/// binary16 bit patterns, in C order.
#[must_use]
pub fn float16_tensor(name: &str, dims: &[u64], bits: &[u16]) -> TensorProto {
    let bytes = bits.iter().flat_map(|bits| bits.to_le_bytes());
    raw_tensor(name, dims, DataType::Float16, bytes.collect())
}

/// A vector of int64 of shape (n), with its n `values` in `raw_data`.
#[must_use]
pub fn int64_vector(name: &str, values: &[i64]) -> TensorProto {
    let bytes = values.iter().flat_map(|value| value.to_le_bytes());
    raw_tensor(
        name,
        &[values.len() as u64],
        DataType::Int64,
        bytes.collect(),
    )
}

fn raw_tensor(name: &str, dims: &[u64], data_type: DataType, bytes: Vec<u8>) -> TensorProto {
    let dims = dims.iter();
    TensorProto {
        name: Some(name.to_owned()),
        dims: dims
            .map(|&dim| i64::try_from(dim).unwrap_or(i64::MAX))
            .collect(),
        data_type: Some(data_type as i32),
        raw_data: Some(Bytes::from(bytes)),
        ..TensorProto::default()
    }
}

/// Number of elements of the tensor's shape: 1 for a scalar.
///
/// # Errors
/// [`TensorError::BadShape`].
pub fn element_count(tensor: &TensorProto) -> Result<u64, TensorError> {
    let mut dims = tensor.dims.iter();
    dims.try_fold(1_u64, |count, &dim| {
        count.checked_mul(u64::try_from(dim).ok()?)
    })
    .ok_or_else(|| TensorError::BadShape {
        dims: tensor.dims.clone(),
    })
}

/// The tensor's values in C order as little-endian bytes, borrowed if the file stores them like
/// this.
///
/// # Errors
/// Any [`TensorError`].
pub fn le_bytes(tensor: &TensorProto) -> Result<Cow<'_, [u8]>, TensorError> {
    if tensor.data_location() == DataLocation::External {
        return Err(TensorError::External);
    }
    let element = DataType::try_from(tensor.data_type()).ok();
    let (element, bits) = element
        .and_then(|element| Some((element, element_bits(element)?)))
        .ok_or_else(|| TensorError::Unsupported {
            element: element.map_or_else(
                || format!("number {}", tensor.data_type()),
                |e| element_name(e).to_owned(),
            ),
        })?;
    let bytes = match &tensor.raw_data {
        Some(raw) => Cow::Borrowed(&raw[..]),
        None => Cow::Owned(typed_bytes(tensor, element)),
    };
    let expected = element_count(tensor)?.saturating_mul(bits).div_ceil(8);
    let actual = bytes.len() as u64;
    if actual == expected {
        Ok(bytes)
    } else {
        Err(TensorError::WrongLength { expected, actual })
    }
}

/// The values of a float32 tensor in C order, as [`le_bytes`]; `None` for another element type, or
/// if they cannot be read.
#[must_use]
pub fn float32_bytes(tensor: &TensorProto) -> Option<Cow<'_, [u8]>> {
    if tensor.data_type() != DataType::Float as i32 {
        return None;
    }
    le_bytes(tensor).ok()
}

/// The values of a float32 tensor in C order; `None` for another element type, or if they cannot be
/// read.
#[must_use]
pub fn float32_values(tensor: &TensorProto) -> Option<Vec<f32>> {
    float32_bytes(tensor).map(|bytes| floats(&bytes))
}

/// Numbers from their little-endian bytes.
pub(crate) fn floats(bytes: &[u8]) -> Vec<f32> {
    let (numbers, _) = bytes.as_chunks::<4>();
    let numbers = numbers.iter();
    numbers.map(|&bytes| f32::from_le_bytes(bytes)).collect()
}

/// Bits per element, for the types that ONNX stores as numbers.
///
/// Elements of less than a byte are packed, both in `int32_data` and in `raw_data`.
fn element_bits(element: DataType) -> Option<u64> {
    match element {
        DataType::Uint2 | DataType::Int2 => Some(2),
        DataType::Uint4 | DataType::Int4 | DataType::Float4e2m1 => Some(4),
        DataType::Bool | DataType::Uint8 | DataType::Int8 => Some(8),
        DataType::Float8e4m3fn
        | DataType::Float8e4m3fnuz
        | DataType::Float8e5m2
        | DataType::Float8e5m2fnuz
        | DataType::Float8e8m0 => Some(8),
        DataType::Float16 | DataType::Bfloat16 | DataType::Uint16 | DataType::Int16 => Some(16),
        DataType::Float | DataType::Uint32 | DataType::Int32 => Some(32),
        DataType::Double | DataType::Uint64 | DataType::Int64 | DataType::Complex64 => Some(64),
        DataType::Complex128 => Some(128),
        _ => None,
    }
}

/// The values from the field that ONNX prescribes for the type if `raw_data` is not used.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the format keeps small types in wide fields"
)]
#[expect(
    clippy::cast_sign_loss,
    reason = "the format keeps unsigned types in signed fields"
)]
fn typed_bytes(tensor: &TensorProto, element: DataType) -> Vec<u8> {
    let ints = &tensor.int32_data;
    let wide = &tensor.uint64_data;
    match element {
        DataType::Float | DataType::Complex64 => tensor
            .float_data
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect(),
        DataType::Double | DataType::Complex128 => tensor
            .double_data
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect(),
        DataType::Int64 => tensor
            .int64_data
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect(),
        DataType::Uint64 => wide.iter().flat_map(|v| v.to_le_bytes()).collect(),
        DataType::Uint32 => wide
            .iter()
            .flat_map(|&v| (v as u32).to_le_bytes())
            .collect(),
        DataType::Int32 => ints.iter().flat_map(|v| v.to_le_bytes()).collect(),
        // Float16 and Bfloat16 as bit patterns, like the 16-bit integers.
        DataType::Float16 | DataType::Bfloat16 | DataType::Uint16 | DataType::Int16 => ints
            .iter()
            .flat_map(|&v| (v as u16).to_le_bytes())
            .collect(),
        // A byte, or several packed smaller elements.
        _ => ints.iter().map(|&v| v as u8).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(element: DataType, dims: &[i64]) -> TensorProto {
        TensorProto {
            dims: dims.to_vec(),
            data_type: Some(element as i32),
            ..TensorProto::default()
        }
    }

    #[test]
    fn typed_fields_and_raw_data_give_the_same_bytes() {
        let raw = float32_tensor("a", &[2], &[1.5, -2.0]);
        let typed = TensorProto {
            float_data: vec![1.5, -2.0],
            ..tensor(DataType::Float, &[2])
        };
        assert_eq!(le_bytes(&raw).unwrap(), le_bytes(&typed).unwrap());
        let half = TensorProto {
            int32_data: vec![0x3C00, 0xC000],
            ..tensor(DataType::Float16, &[2])
        };
        assert_eq!(le_bytes(&half).unwrap()[..], [0x00, 0x3C, 0x00, 0xC0]);
        let small = TensorProto {
            int32_data: vec![-1, 2],
            ..tensor(DataType::Int8, &[2])
        };
        assert_eq!(le_bytes(&small).unwrap()[..], [0xFF, 2]);
        let unsigned = TensorProto {
            uint64_data: vec![0xFFFF_FFFE],
            ..tensor(DataType::Uint32, &[])
        };
        assert_eq!(le_bytes(&unsigned).unwrap()[..], [0xFE, 0xFF, 0xFF, 0xFF]);
        let long = TensorProto {
            int64_data: vec![-2],
            ..tensor(DataType::Int64, &[1])
        };
        assert_eq!(le_bytes(&long).unwrap()[..], (-2_i64).to_le_bytes());
    }

    #[test]
    fn a_shape_that_disagrees_with_the_values_is_an_error() {
        let short = float32_tensor("a", &[3], &[1.0, 2.0]);
        let error = le_bytes(&short).unwrap_err();
        assert!(matches!(
            error,
            TensorError::WrongLength {
                expected: 12,
                actual: 8
            }
        ));
        let negative = TensorProto {
            dims: vec![-3],
            ..short.clone()
        };
        assert!(matches!(
            le_bytes(&negative).unwrap_err(),
            TensorError::BadShape { .. }
        ));
        let huge = TensorProto {
            dims: vec![i64::MAX, i64::MAX],
            ..short
        };
        assert!(matches!(
            le_bytes(&huge).unwrap_err(),
            TensorError::BadShape { .. }
        ));
    }

    #[test]
    fn values_elsewhere_and_strings_are_refused() {
        let external = TensorProto {
            data_location: Some(DataLocation::External as i32),
            ..tensor(DataType::Float, &[1])
        };
        assert!(matches!(
            le_bytes(&external).unwrap_err(),
            TensorError::External
        ));
        let text = le_bytes(&tensor(DataType::String, &[1]))
            .unwrap_err()
            .to_string();
        assert_eq!(text, "its element type string is not supported");
        let unknown = TensorProto {
            data_type: Some(999),
            ..TensorProto::default()
        };
        let text = le_bytes(&unknown).unwrap_err().to_string();
        assert_eq!(text, "its element type number 999 is not supported");
    }
}
