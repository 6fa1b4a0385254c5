//! Converts a trunk to float16: its weights, and so the results of its nodes.

use std::path::Path;

use half::f16;
use ort_winograd::onnx::{
    AttributeProto, DataType, ModelProto, NodeProto, TensorProto, float16_tensor, float32_tensor,
    le_bytes,
};

use super::ExportError;

/// Operators that always read or return some float32: they would need casts of their own.
const FLOAT32_OPERATORS: [&str; 7] = [
    "DequantizeLinear",
    "DynamicQuantizeLinear",
    "NonMaxSuppression",
    "QuantizeLinear",
    "Resize",
    "RoiAlign",
    "Upsample",
];

/// Makes a model's float32 constants float16, so that its nodes compute in float16.
pub(super) fn halve_model(proto: &mut ModelProto, origin: &Path) -> Result<(), ExportError> {
    let in_the_way = |reason: String| ExportError::NotHalved {
        path: origin.to_owned(),
        reason,
    };
    if !proto.functions.is_empty() {
        return Err(in_the_way("it defines functions of its own".to_owned()));
    }
    let graph = proto.graph.get_or_insert_default();
    if !graph.sparse_initializer.is_empty() {
        return Err(in_the_way("it has sparse weights".to_owned()));
    }
    for node in &mut graph.node {
        halve_node(node, origin)?;
    }
    for tensor in &mut graph.initializer {
        if tensor.data_type() == DataType::Float as i32 {
            *tensor = halve_tensor(tensor, origin)?;
        }
    }
    Ok(())
}

fn halve_node(node: &mut NodeProto, origin: &Path) -> Result<(), ExportError> {
    let operator = node.op_type().to_owned();
    let has_graphs = (node.attribute.iter()).any(|it| it.g.is_some() || !it.graphs.is_empty());
    let is_foreign = !matches!(node.domain(), "" | "ai.onnx");
    if has_graphs || is_foreign || FLOAT32_OPERATORS.contains(&operator.as_str()) {
        return Err(ExportError::NotHalved {
            path: origin.to_owned(),
            reason: format!("node {:?} is a {operator}", node.name()),
        });
    }
    for attribute in &mut node.attribute {
        let names_float32 = matches!(attribute.name(), "to" | "dtype");
        if names_float32 && attribute.i == Some(DataType::Float as i64) {
            attribute.i = Some(DataType::Float16 as i64);
        }
        if operator == "Constant" {
            as_tensor(attribute);
        }
        if let Some(tensor) = &mut attribute.t
            && tensor.data_type() == DataType::Float as i32
        {
            *tensor = halve_tensor(tensor, origin)?;
        }
    }
    Ok(())
}

/// Moves the float32 values of a `Constant`'s `value_float` or `value_floats` into its `value`.
fn as_tensor(attribute: &mut AttributeProto) {
    let tensor = match attribute.name() {
        "value_float" => float32_tensor("", &[], &[attribute.f()]),
        "value_floats" => float32_tensor("", &[attribute.floats.len() as u64], &attribute.floats),
        _ => return,
    };
    *attribute = AttributeProto::tensor("value", tensor);
}

/// A float32 tensor in float16, each value rounded to the nearest.
pub(super) fn halve_tensor(
    tensor: &TensorProto,
    origin: &Path,
) -> Result<TensorProto, ExportError> {
    let unusable = |reason: String| ExportError::NotHalved {
        path: origin.to_owned(),
        reason: format!("tensor {:?} {reason}", tensor.name()),
    };
    let bytes = le_bytes(tensor).map_err(|error| unusable(format!("cannot be read: {error}")))?;
    let mut halved = Vec::with_capacity(bytes.len() / 4);
    for word in bytes.chunks_exact(4) {
        let value = f32::from_le_bytes([word[0], word[1], word[2], word[3]]);
        let half = f16::from_f32(value);
        if half.is_infinite() {
            return Err(unusable(format!(
                "holds {value}, and float16 ends at {}",
                f16::MAX
            )));
        }
        halved.push(half.to_bits());
    }
    Ok(TensorProto {
        name: tensor.name.clone(),
        dims: tensor.dims.clone(),
        ..float16_tensor("", &[], &halved)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn halved(values: &[f32]) -> Result<TensorProto, ExportError> {
        let tensor = float32_tensor("w", &[values.len() as u64], values);
        halve_tensor(&tensor, Path::new("tiny.onnx"))
    }

    #[test]
    fn weights_round_to_the_nearest_and_beyond_the_largest_are_refused() {
        // 1, -2 and 0.1 in binary16, by hand: 0.1 is 1.6 * 2^-4, and 0.6 * 1024 rounds to 614.
        let bytes = halved(&[1.0, -2.0, 0.1]).unwrap().raw_data.unwrap();
        assert_eq!(bytes[..], [0x00, 0x3C, 0x00, 0xC0, 0x66, 0x2E]);
        assert!(halved(&[65504.0]).is_ok());
        let error = halved(&[0.0, -7e4]).unwrap_err().to_string();
        assert_eq!(
            error,
            "tiny.onnx cannot be exported in float16: tensor \"w\" holds -70000, and float16 ends \
             at 65504"
        );
    }

    #[test]
    fn constants_and_casts_become_float16_and_other_casts_stay() {
        let mut constant = NodeProto {
            op_type: Some("Constant".to_owned()),
            ..NodeProto::default()
        };
        constant.attribute.push(AttributeProto {
            name: Some("value_float".to_owned()),
            f: Some(1.0),
            ..AttributeProto::default()
        });
        halve_node(&mut constant, Path::new("tiny.onnx")).unwrap();
        let tensor = constant.attribute[0].t.as_ref().unwrap();
        assert_eq!(constant.attribute[0].name(), "value");
        assert_eq!(tensor.raw_data.as_ref().unwrap()[..], [0x00, 0x3C]);
        for (from, to) in [
            (DataType::Float, DataType::Float16),
            (DataType::Int64, DataType::Int64),
        ] {
            let mut cast = NodeProto {
                op_type: Some("Cast".to_owned()),
                ..NodeProto::default()
            };
            cast.push_int("to", from as i64);
            halve_node(&mut cast, Path::new("tiny.onnx")).unwrap();
            assert_eq!(cast.attribute[0].i, Some(to as i64));
        }
    }
}
