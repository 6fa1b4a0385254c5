//! A head as nodes: codes in, probabilities and label index out.

use std::path::Path;

use ndarray::{Array1, ArrayView2};
use ort_winograd::onnx::{DataType, TensorProto, float32_tensor};

use super::chain::Chain;
use super::half::halve_tensor;
use super::{ExportError, ExportOptions, LABEL_INDEX, PROBABILITIES, Precision};
use crate::head::HeadKind;
use crate::head::saved::SavedHead;
use crate::head::scaling::Scaling;

/// A fully connected layer: its name, weights (in, out) and bias (out).
struct Layer<'a> {
    name: String,
    weights: ArrayView2<'a, f32>,
    bias: &'a Array1<f32>,
}

/// Turns float32 codes, whose first axis is the batch, into the two outputs.
pub(super) fn append(
    chain: &mut Chain,
    head: &SavedHead,
    options: ExportOptions,
    origin: &Path,
) -> Result<(), ExportError> {
    let (layers, temperature) = layers_of(head, options.head)?;
    chain.apply("Flatten", &[], "head/flat").push_int("axis", 1);
    append_scaling(chain, &head.scaling, head.codes.code_len());
    append_layers(chain, &layers, options.precision, origin)?;
    // As `probabilities` divides: in float32.
    let temperature = temperature as f32;
    if temperature != 1.0 {
        let temperature = float32_tensor("head/temperature", &[], &[temperature]);
        chain.apply_constant("Div", temperature, "head/calibrated");
    }
    chain
        .apply("Softmax", &[], PROBABILITIES)
        .push_int("axis", 1);
    let label = chain.apply("ArgMax", &[], LABEL_INDEX);
    label.push_int("axis", 1);
    label.push_int("keepdims", 0);
    Ok(())
}

/// The layers of the head asked for, and what its logits are divided by.
fn layers_of(head: &SavedHead, kind: HeadKind) -> Result<(Vec<Layer<'_>>, f64), ExportError> {
    match (kind, &head.mlp, &head.logistic) {
        (HeadKind::Mlp, Some(mlp), _) => {
            let layers = mlp.model.layers().iter().enumerate();
            let layers = layers.map(|(index, layer)| Layer {
                name: format!("head/mlp.{index}"),
                weights: layer.weights.view(),
                bias: &layer.bias,
            });
            Ok((layers.collect(), mlp.temperature))
        }
        (HeadKind::Logistic, _, Some(logistic)) => {
            let layer = Layer {
                name: "head/logistic".to_owned(),
                weights: logistic.model.weights(),
                bias: logistic.model.intercepts(),
            };
            Ok((vec![layer], logistic.temperature))
        }
        _ => Err(ExportError::NoHead {
            head: kind,
            other: head.default_kind(),
        }),
    }
}

fn append_scaling(chain: &mut Chain, scaling: &Scaling, n_features: usize) {
    match scaling {
        Scaling::None => {}
        Scaling::Standard { mean, deviation } => {
            chain.apply_constant("Sub", vector("head/mean", mean), "head/centred");
            let deviation = vector("head/deviation", deviation);
            chain.apply_constant("Div", deviation, "head/scaled");
        }
        Scaling::Max { largest } => {
            chain.apply_constant("Div", vector("head/largest", largest), "head/scaled");
        }
        Scaling::L2 => append_l2(chain, n_features),
    }
}

/// x / |x|, and 0 for a code of zeros. The norm is made of plain products and a root: operators
/// for it have changed their attributes, and say nothing about a norm of 0.
fn append_l2(chain: &mut Chain, n_features: usize) {
    let codes = chain.last().to_owned();
    chain.apply("Mul", &[&codes], "head/squares");
    let ones = float32_tensor("head/ones", &[n_features as u64, 1], &vec![1.0; n_features]);
    chain.apply_constant("MatMul", ones, "head/sum_of_squares");
    chain.apply("Sqrt", &[], "head/norm");
    let smallest = float32_tensor("head/smallest_norm", &[], &[f32::MIN_POSITIVE]);
    chain.apply_constant("Max", smallest, "head/divisor");
    let scaled = chain.apply("Div", &[&codes], "head/scaled");
    scaled.input.swap(0, 1);
}

/// The layers, ReLU between them. In float16 the last layer's product is made float32 before the
/// bias is added.
fn append_layers(
    chain: &mut Chain,
    layers: &[Layer],
    precision: Precision,
    origin: &Path,
) -> Result<(), ExportError> {
    let in_precision = |tensor: TensorProto| match precision {
        Precision::Float32 => Ok(tensor),
        Precision::Float16 => halve_tensor(&tensor, origin),
    };
    if precision == Precision::Float16 {
        chain.cast(DataType::Float16, "head/float16");
    }
    for (index, layer) in layers.iter().enumerate() {
        let is_last = index + 1 == layers.len();
        let name = &layer.name;
        let weights = in_precision(matrix(&format!("{name}.weight"), layer.weights))?;
        chain.apply_constant("MatMul", weights, &format!("{name}/product"));
        let mut bias = vector(&format!("{name}.bias"), layer.bias);
        if !is_last {
            bias = in_precision(bias)?;
        } else if precision == Precision::Float16 {
            chain.cast(DataType::Float, "head/float32");
        }
        chain.apply_constant("Add", bias, &format!("{name}/linear"));
        if !is_last {
            chain.apply("Relu", &[], name);
        }
    }
    Ok(())
}

fn vector(name: &str, values: &Array1<f32>) -> TensorProto {
    float32_tensor(name, &[values.len() as u64], &values.to_vec())
}

fn matrix(name: &str, values: ArrayView2<f32>) -> TensorProto {
    let dims = [values.nrows() as u64, values.ncols() as u64];
    let values: Vec<_> = values.iter().copied().collect();
    float32_tensor(name, &dims, &values)
}
