//! The largest values that a float16 model computes, measured in the same model in float32.

use std::collections::HashSet;

use half::f16;
use ort_winograd::onnx::{DataType, NodeProto, TensorType, ValueInfoProto, int64_vector};

use super::{Against, load};
use crate::export::chain::Chain;
use crate::export::{ExportError, Exported, LargestInside};
use crate::model::card::CardOutput;
use crate::model::{ModelCard, OnnxModel, Trunk};

/// The probe's output: the largest absolute value of each tensor.
const LARGEST: &str = "probe/largest";
/// Operators that return lengths or indices, whatever they read.
const WHOLE_NUMBERS: [&str; 4] = ["ArgMax", "ArgMin", "Shape", "Size"];

/// The float32 model, with the largest values inside as its output.
pub(super) struct Probe {
    trunk: Trunk,
    tensors: Vec<String>,
    largest: Vec<f32>,
}

impl Probe {
    /// Loads `in_float32` to measure the tensors that `exported` computes in float16.
    pub(super) fn new(
        against: &Against,
        exported: &Exported,
        in_float32: &Exported,
    ) -> Result<Self, ExportError> {
        let tensors = float16_tensors(&exported.model, &in_float32.model);
        let model = probed(&in_float32.model, &tensors)?;
        let card = in_float32.card.as_ref().expect("a classifier has a card");
        let card = ModelCard {
            tensors_sha256: None,
            graph_sha256: None,
            output: CardOutput {
                name: LARGEST.to_owned(),
                shape: vec![tensors.len() as u64],
                layout: None,
                take: None,
            },
            classifier: None,
            ..card.clone()
        };
        Ok(Self {
            trunk: load(against, &model, &card)?,
            largest: vec![0.0; tensors.len()],
            tensors,
        })
    }

    /// Measures one picture.
    pub(super) fn add(&mut self, levels: &[f32]) -> Result<(), ExportError> {
        let mut values = Vec::new();
        self.trunk.run(levels, &mut values)?;
        for ((largest, value), tensor) in self.largest.iter_mut().zip(values).zip(&self.tensors) {
            if f16::from_f32(value).is_infinite() {
                return Err(ExportError::Overflow {
                    tensor: tensor.clone(),
                    value,
                });
            }
            *largest = largest.max(value);
        }
        Ok(())
    }

    /// The largest value of all.
    pub(super) fn largest(self) -> LargestInside {
        let pairs = self.tensors.into_iter().zip(self.largest);
        let (tensor, value) = pairs
            .max_by(|(_, a), (_, b)| a.total_cmp(b))
            .unwrap_or_default();
        LargestInside { tensor, value }
    }
}

/// The tensors of the float32 model that are float16 in the other one.
fn float16_tensors(in_float16: &OnnxModel, in_float32: &OnnxModel) -> Vec<String> {
    let halved = (in_float16.graph().initializer.iter())
        .filter(|tensor| tensor.data_type() == DataType::Float16 as i32);
    let mut float16: HashSet<&str> = halved.map(|tensor| tensor.name()).collect();
    let mut tensors = Vec::new();
    for node in &in_float16.graph().node {
        match (node.op_type(), cast_to(node)) {
            // A value that is rounded to float16 must fit as well.
            ("Cast", Some(to)) if to == DataType::Float16 as i64 => {
                tensors.extend(node.input.first().cloned());
                float16.extend(node.output.iter().map(String::as_str));
            }
            ("Cast", _) => {}
            (operator, _) if WHOLE_NUMBERS.contains(&operator) => {}
            _ if node
                .input
                .iter()
                .any(|name| float16.contains(name.as_str())) =>
            {
                tensors.extend(node.output.iter().cloned());
                float16.extend(node.output.iter().map(String::as_str));
            }
            _ => {}
        }
    }
    let computed = in_float32.graph().node.iter().flat_map(|node| &node.output);
    let computed: HashSet<&String> = computed.collect();
    tensors.retain(|name| computed.contains(name));
    tensors
}

fn cast_to(node: &NodeProto) -> Option<i64> {
    node.attribute_named("to").and_then(|to| to.i)
}

/// The model whose only output is the largest absolute value of each of `tensors`, (1, T), for a
/// batch of one picture.
fn probed(model: &OnnxModel, tensors: &[String]) -> Result<OnnxModel, ExportError> {
    let mut proto = model.proto().clone();
    let graph = proto.graph.get_or_insert_default();
    let one_by_one = int64_vector("probe/shape", &[1, 1]);
    let mut parts = Vec::new();
    for (index, tensor) in tensors.iter().enumerate() {
        let name = |step: &str| format!("probe/{index}/{step}");
        let mut chain = Chain::starting_at(tensor);
        chain.cast(DataType::Float, &name("float32"));
        chain.apply("Abs", &[], &name("size"));
        chain
            .apply("ReduceMax", &[], &name("largest"))
            .push_int("keepdims", 0);
        chain.apply("Reshape", &[one_by_one.name()], &name("row"));
        parts.push(chain.last().to_owned());
        graph.node.extend(chain.into_parts().0);
    }
    graph.initializer.push(one_by_one);
    let mut concat = Chain::starting_at(parts.first().map_or("", String::as_str));
    let others: Vec<_> = parts.iter().skip(1).map(String::as_str).collect();
    concat.apply("Concat", &others, LARGEST).push_int("axis", 1);
    graph.node.extend(concat.into_parts().0);
    let largest = TensorType::float32_batch(&[tensors.len() as u64]);
    graph.output = vec![ValueInfoProto::new(LARGEST, &largest)];
    Ok(OnnxModel::from_proto(proto, model.origin())?)
}
