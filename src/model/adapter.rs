//! Trunks made to take and give what the program does: float32, and codes that are vectors or feature maps.
//!
//! A model whose input or output is float16 gets casts there. Of tokens (N, T, D), as vision transformers give
//! them, one or the mean becomes the code. Both are nodes of the graph, so whatever runs it does them.

use ort_winograd::onnx::{
    AttributeProto, DataType, GraphProto, NodeProto, TensorType, ValueInfoProto, int64_vector,
};
use ort_winograd::{GraphError, OnnxModel};
use serde::{Deserialize, Serialize};

use crate::named;

/// How the names of the tensors that are made here begin.
const PREFIX: &str = "adapter/";

/// Which of a vision transformer's tokens (N, T, D) a code (N, D) is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Take {
    /// The first one, the class token.
    Cls,
    /// The mean of all.
    Mean,
}

named!(Take, "tokens", Cls => "cls", Mean => "mean");

impl Take {
    /// What the code is called.
    pub(super) fn name_of(self, tokens: &str) -> String {
        format!("{self}({tokens})")
    }

    /// The model with this code of its output `tokens` (N, T, D) for its only output.
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
                // A vector of one place, so that the axis stays and is left out behind.
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

/// The mean over axis 1, which is an attribute before operator set 18 and an input from it on.
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

/// A vector of one number. It is no initializer, as their hash is that of the weights.
fn constant(name: &str, value: i64) -> NodeProto {
    let tensor = int64_vector(name, &[value]);
    NodeProto::new("Constant", &[], name).with(AttributeProto::tensor("value", tensor))
}

/// Whether the model has an input or an output of float16.
pub(super) fn has_halves(model: &OnnxModel) -> bool {
    let tensors = model.inputs().into_iter().chain(model.outputs());
    tensors
        .into_iter()
        .any(|(_, kind)| kind.element == DataType::Float16)
}

/// The model with float32 in place of float16 at its inputs and outputs.
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

/// Declares float32 under the old name where `half` is declared.
fn declare(infos: &mut [ValueInfoProto], half: &str, name: &str) {
    for info in infos.iter_mut().filter(|info| info.name() == half) {
        let declared = TensorType {
            element: DataType::Float,
            ..TensorType::read(info)
        };
        *info = ValueInfoProto::new(name, &declared);
    }
}
