//! Parts of graphs in ONNX Runtime.

use std::sync::OnceLock;

use cnn_codes_onnxruntime::{Library, Runtime, RuntimeError};
use ort::environment::Environment;
use ort::session::Session;
use ort::value::TensorRef;
use ort_winograd::OnnxModel;
use ort_winograd::onnx::{Dim, TensorType, ValueInfoProto};

use crate::support::checkout;

/// ONNX Runtime from the checkout's models folder, of which a process may have one; `None`, with a
/// message, where it was not fetched.
pub fn environment() -> Option<&'static Environment> {
    static RUNTIME: OnceLock<Option<Runtime>> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| match Library::find(None, &checkout("models")) {
        // Refused where its telemetry is not off; .cargo/config.toml switches it off.
        Ok(library) => Some(Runtime::load(&library).unwrap()),
        Err(RuntimeError::NotFound { .. }) => None,
        Err(error) => panic!("{error}"),
    });
    if runtime.is_none() {
        crate::skip!("no ONNX Runtime in models/ (run `cnn-codes fetch`)");
    }
    runtime.as_ref().map(Runtime::environment)
}

/// Where the channels of a tensor of a graph are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channels {
    First,
    Last,
}

/// What ONNX Runtime computes of `values` (N, H, W, C) at `from`, as (N, H, W, C) of `to`.
pub fn outputs(
    environment: &Environment,
    model: &OnnxModel,
    [(from, from_channels), (to, to_channels)]: [(&str, Channels); 2],
    shape: [usize; 4],
    values: &[f32],
) -> Vec<f32> {
    let part = part(model, from, to);
    let mut session = Session::builder(environment).unwrap();
    let mut session = session.commit_from_memory(&part.to_bytes()).unwrap();
    let [n, height, width, channels] = shape;
    let (dims, values) = match from_channels {
        Channels::Last => (shape, values.to_vec()),
        Channels::First => {
            let turned = transposed(values, [n, height * width, channels]);
            ([n, channels, height, width], turned)
        }
    };
    let input = TensorRef::from_array_view((dims, values.as_slice())).unwrap();
    let outputs = session.run(ort::inputs![from => input]).unwrap();
    let (dims, values) = outputs[to].try_extract_tensor::<f32>().unwrap();
    match (to_channels, &dims[..]) {
        (Channels::First, &[n, channels, height, width]) => {
            let sizes = [n, channels, height * width].map(|axis| axis as usize);
            transposed(values, sizes)
        }
        _ => values.to_vec(),
    }
}

/// The nodes between two tensors as a model of its own.
fn part(model: &OnnxModel, from: &str, to: &str) -> OnnxModel {
    let mut proto = model.proto().clone();
    let graph = proto.graph.as_mut().unwrap();
    graph
        .node
        .retain(|node| node.output.iter().all(|name| name != from));
    graph.input.retain(|info| info.name() != from);
    graph.value_info.clear();
    let free = || Dim::Free(String::new());
    let any = TensorType::float32([free(), free(), free(), free()]);
    graph.input.push(ValueInfoProto::new(from, &any));
    // What else the graph gives may be gone.
    graph.output = vec![ValueInfoProto {
        name: Some(to.to_owned()),
        ..ValueInfoProto::default()
    }];
    let mut model = OnnxModel::from_proto(proto, model.origin()).unwrap();
    model.cut_after(to).unwrap();
    let element = TensorType { dims: None, ..any };
    model.declare(to, &element).unwrap();
    model
}

/// (n, a, b) as (n, b, a).
fn transposed(values: &[f32], [n, a, b]: [usize; 3]) -> Vec<f32> {
    let mut turned = Vec::with_capacity(values.len());
    for index in 0..n * a * b {
        let (picture, place) = (index / (a * b), index % (a * b));
        turned.push(values[picture * a * b + place % a * b + place / a]);
    }
    turned
}
