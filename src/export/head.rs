//! A head as nodes: from codes to probabilities and label index.

use std::path::Path;

use ndarray::{ArrayView1, ArrayView2};
use ort_winograd::onnx::{DataType, TensorProto, float32_tensor};

use super::chain::Chain;
use super::half::halve_tensor;
use super::{ExportError, ExportOptions, LABEL_INDEX, PROBABILITIES, Precision};
use crate::head::saved::SavedHead;
use crate::head::scaling::Scaling;
use crate::head::{Layer, OneHead};

/// Turns float32 codes, whose first axis is the batch, into the two outputs.
pub(super) fn append(
    chain: &mut Chain,
    head: &SavedHead,
    options: ExportOptions,
    origin: &Path,
) -> Result<(), ExportError> {
    let Some(exported) = head.of_kind(options.head) else {
        return Err(ExportError::NoHead {
            head: options.head,
            other: head.default_kind(),
        });
    };
    chain.apply("Flatten", &[], "head/flat").push_int("axis", 1);
    append_scaling(chain, &head.scaling, head.codes.code_len());
    append_layers(
        chain,
        head.codes.code_len(),
        exported,
        options.precision,
        origin,
    )?;
    // In float32, as `probabilities` divides.
    let temperature = exported.temperature() as f32;
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

fn append_scaling(chain: &mut Chain, scaling: &Scaling, n_features: usize) {
    match scaling {
        Scaling::None => {}
        Scaling::Standard { mean, deviation } => {
            chain.apply_constant("Sub", vector("head/mean", mean.view()), "head/centred");
            let deviation = vector("head/deviation", deviation.view());
            chain.apply_constant("Div", deviation, "head/scaled");
        }
        Scaling::Max { largest } => {
            chain.apply_constant("Div", vector("head/largest", largest.view()), "head/scaled");
        }
        Scaling::L2 => append_unit_length(chain, n_features, "head/"),
    }
}

/// x / |x|, and 0 for a code of zeros. The norm is made of plain products and a root: ONNX's
/// operators for it changed their attributes, and do not define a norm of 0. Names begin with `at`.
fn append_unit_length(chain: &mut Chain, n_features: usize, at: &str) {
    let name = |step: &str| format!("{at}{step}");
    let codes = chain.last().to_owned();
    chain.apply("Mul", &[&codes], &name("squares"));
    let dims = [n_features as u64, 1];
    let ones = float32_tensor(&name("ones"), &dims, &vec![1.0; n_features]);
    chain.apply_constant("MatMul", ones, &name("sum_of_squares"));
    chain.apply("Sqrt", &[], &name("norm"));
    let smallest = float32_tensor(&name("smallest_norm"), &[], &[f32::MIN_POSITIVE]);
    chain.apply_constant("Max", smallest, &name("divisor"));
    let scaled = chain.apply("Div", &[&codes], &name("scaled"));
    scaled.input.swap(0, 1);
}

/// The layers, with ReLU between dense ones. In float16 only dense layers are; the last one's
/// product is cast to float32 before the bias is added.
fn append_layers(
    chain: &mut Chain,
    n_features: usize,
    head: &OneHead,
    precision: Precision,
    origin: &Path,
) -> Result<(), ExportError> {
    let layers = head.layers();
    let n_layers = layers.len();
    let mut is_before_dense = true;
    for (index, layer) in layers.into_iter().enumerate() {
        match layer {
            Layer::Centre { name, mean } => {
                let mean = vector(&format!("head/{name}"), mean);
                chain.apply_constant("Sub", mean, &format!("head/{}/centred", head.kind()));
            }
            Layer::UnitLength => {
                append_unit_length(chain, n_features, &format!("head/{}/", head.kind()));
            }
            Layer::Dense {
                name,
                weights,
                bias,
            } => {
                if precision == Precision::Float16 && is_before_dense {
                    chain.cast(DataType::Float16, "head/float16");
                }
                is_before_dense = false;
                let dense = Dense {
                    name: format!("head/{name}"),
                    weights,
                    bias,
                    is_last: index + 1 == n_layers,
                };
                dense.append(chain, precision, origin)?;
            }
        }
    }
    Ok(())
}

/// A fully connected layer.
struct Dense<'a> {
    name: String,
    /// Weights (in, out).
    weights: ArrayView2<'a, f32>,
    /// Bias (out).
    bias: ArrayView1<'a, f32>,
    is_last: bool,
}

impl Dense<'_> {
    fn append(
        &self,
        chain: &mut Chain,
        precision: Precision,
        origin: &Path,
    ) -> Result<(), ExportError> {
        let in_precision = |tensor: TensorProto| match precision {
            Precision::Float32 => Ok(tensor),
            Precision::Float16 => halve_tensor(&tensor, origin),
        };
        let name = &self.name;
        let weights = in_precision(matrix(&format!("{name}.weight"), self.weights))?;
        chain.apply_constant("MatMul", weights, &format!("{name}/product"));
        let mut bias = vector(&format!("{name}.bias"), self.bias);
        if !self.is_last {
            bias = in_precision(bias)?;
        } else if precision == Precision::Float16 {
            chain.cast(DataType::Float, "head/float32");
        }
        chain.apply_constant("Add", bias, &format!("{name}/linear"));
        if !self.is_last {
            chain.apply("Relu", &[], name);
        }
        Ok(())
    }
}

fn vector(name: &str, values: ArrayView1<f32>) -> TensorProto {
    float32_tensor(name, &[values.len() as u64], &values.to_vec())
}

fn matrix(name: &str, values: ArrayView2<f32>) -> TensorProto {
    let dims = [values.nrows() as u64, values.ncols() as u64];
    let values: Vec<_> = values.iter().copied().collect();
    float32_tensor(name, &dims, &values)
}
