//! Adapts trunks to what the program expects: float32, and codes that are vectors or feature maps.
//!
//! A model with a float16 input or output gets casts there. Vision transformers give tokens (N, T,
//! D); one token or their mean becomes the code. Both adaptations are nodes of the graph, so every
//! runtime runs them.

use ort_winograd::onnx::{
    AttributeProto, DataType, GraphProto, NodeProto, TensorType, ValueInfoProto, int64_vector,
};
use ort_winograd::{GraphError, OnnxModel};
use serde::{Deserialize, Serialize};

use crate::named;

/// The prefix of the tensors that are made here.
const PREFIX: &str = "adapter/";

/// Which of a vision transformer's tokens (N, T, D) becomes the code (N, D).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Take {
    /// The first one, the class token.
    Cls,
    /// The mean of all tokens.
    Mean,
}

named!(Take, "tokens", Cls => "cls", Mean => "mean");

impl Take {
    /// The name of the code.
    pub(super) fn name_of(self, tokens: &str) -> String {
        format!("{self}({tokens})")
    }

    /// The model with the code of its output `tokens` (N, T, D) as its only output.
    pub(super) fn made_in(
        self,
        model: OnnxModel,
        tokens: &str,
        width: u64,
    ) -> Result<OnnxModel, GraphError> {
        let origin = model.origin().to_owned();
        let opset = model.operator_set().unwrap_or(0);
        let mut proto = model.into_proto();
        let graph = proto.graph.get_or_insert_default();
        let name = self.name_of(tokens);
        match self {
            Self::Cls => {
                let first = format!("{PREFIX}first");
                // A vector of one index, so that the axis stays and is removed later.
                graph.node.push(constant(&first, 0));
                let gathered = format!("{PREFIX}class_token");
                let gather = NodeProto::new("Gather", &[tokens, &first], &gathered);
                graph.node.push(gather.with(AttributeProto::int("axis", 1)));
                let flatten = NodeProto::new("Flatten", &[&gathered], &name);
                graph
                    .node
                    .push(flatten.with(AttributeProto::int("axis", 1)));
            }
            Self::Mean => push_mean(graph, opset, tokens, &name),
        }
        let declared = TensorType::float32_batch(&[width]);
        graph.output = vec![ValueInfoProto::new(&name, &declared)];
        OnnxModel::from_proto(proto, &origin)
    }
}

/// The mean over axis 1, which is an attribute before operator set 18 and an input from 18 on.
fn push_mean(graph: &mut GraphProto, opset: i64, tokens: &str, name: &str) {
    let drops = AttributeProto::int("keepdims", 0);
    let node = if opset < 18 {
        NodeProto::new("ReduceMean", &[tokens], name).with(AttributeProto::ints("axes", &[1]))
    } else {
        let axes = format!("{PREFIX}axes");
        graph.node.push(constant(&axes, 1));
        NodeProto::new("ReduceMean", &[tokens, &axes], name)
    };
    graph.node.push(node.with(drops));
}

/// A vector of one number. It is not an initializer, because the hash of the initializers is that
/// of the weights.
fn constant(name: &str, value: i64) -> NodeProto {
    let tensor = int64_vector(name, &[value]);
    NodeProto::new("Constant", &[], name).with(AttributeProto::tensor("value", tensor))
}

/// Whether the model has a float16 input or output.
pub(super) fn has_halves(model: &OnnxModel) -> bool {
    let tensors = model.inputs().into_iter().chain(model.outputs());
    tensors
        .into_iter()
        .any(|(_, kind)| kind.element == DataType::Float16)
}

/// The model with float32 inputs and outputs instead of float16 ones.
pub(super) fn in_float32(mut model: OnnxModel) -> Result<OnnxModel, GraphError> {
    let halves = |tensors: Vec<(&str, TensorType)>| -> Vec<String> {
        let halves = (tensors.into_iter()).filter(|(_, kind)| kind.element == DataType::Float16);
        halves.map(|(name, _)| name.to_owned()).collect()
    };
    let (inputs, outputs) = (halves(model.inputs()), halves(model.outputs()));
    let half = |name: &str| format!("{PREFIX}{name}/float16");
    for name in inputs.iter().chain(&outputs) {
        model.rename(name, &half(name))?;
    }
    let origin = model.origin().to_owned();
    let mut proto = model.into_proto();
    let graph = proto.graph.get_or_insert_default();
    let cast = |from: &str, to: &str, element: DataType| {
        let element = AttributeProto::int("to", i64::from(element as i32));
        NodeProto::new("Cast", &[from], to).with(element)
    };
    for name in &inputs {
        declare(&mut graph.input, &half(name), name);
        let node = cast(name, &half(name), DataType::Float16);
        graph.node.insert(0, node);
    }
    for name in &outputs {
        declare(&mut graph.output, &half(name), name);
        let node = cast(&half(name), name, DataType::Float);
        graph.node.push(node);
    }
    OnnxModel::from_proto(proto, &origin)
}

/// Declares float32 under the old name for each declaration of `half`.
fn declare(infos: &mut [ValueInfoProto], half: &str, name: &str) {
    for info in infos.iter_mut().filter(|info| info.name() == half) {
        let declared = TensorType {
            element: DataType::Float,
            ..TensorType::read(info)
        };
        *info = ValueInfoProto::new(name, &declared);
    }
}
