//! Layers of every kind against ONNX Runtime, and written back into their graphs.

use cnn_codes_tail::{Batch, Tail, TailError};
use ort_winograd::OnnxModel;
use ort_winograd::onnx::NodeProto;

use crate::networks::{Case, Network, cases};
use crate::runtime::Channels::{First, Last};
use crate::runtime::{environment, outputs};
use crate::support::{assert_near, numbers, tune};

#[test]
fn every_layer_gives_what_onnx_runtime_gives_before_and_after_tuning() {
    let Some(environment) = environment() else {
        return;
    };
    for Case {
        name,
        mut model,
        batch: shape,
    } in cases()
    {
        let transposes = |node: &NodeProto| node.op_type() == "Transpose";
        let channels = match model.graph().node.iter().any(transposes) {
            true => Last,
            false => First,
        };
        let ends = [("x", channels), ("y", channels)];
        let values = numbers(shape.iter().product(), 5);
        let batch = Batch {
            shape,
            values: &values,
        };
        let mut tail = Tail::read(&model, "x", "y").unwrap();
        let before = outputs(environment, &model, ends, shape, &values);
        assert_near(name, &tail.outputs(batch).unwrap(), &before, 1e-5);
        tune(&mut tail, 3);
        tail.write_into(&mut model).unwrap();
        let after = outputs(environment, &model, ends, shape, &values);
        assert_near(name, &tail.outputs(batch).unwrap(), &after, 1e-5);
        // What was written is read as the same tail.
        let again = Tail::read(&model, "x", "y").unwrap();
        assert_eq!(again.outputs(batch).unwrap(), tail.outputs(batch).unwrap());
    }
}

/// Two convolutions with the same filters, one of which is normalized, without a bias.
fn shared() -> OnnxModel {
    let mut network = Network::new(8);
    network
        .tensor("w", &[4, 4, 3, 3])
        .tensor("n", &[4])
        .tensor("one", &[4]);
    let conv = |input: &str, output: &str| {
        let pads = ort_winograd::onnx::AttributeProto::ints("pads", &[1; 4]);
        NodeProto::new("Conv", &[input, "w"], output).with(pads)
    };
    network
        .node(conv("x", "c1"))
        .plain("BatchNormalization", &["c1", "n", "n", "n", "one"], "n1")
        .node(conv("n1", "y"));
    let mut proto = network.model().into_proto();
    for tensor in &mut proto.graph.as_mut().unwrap().initializer {
        if tensor.name() == "one" {
            *tensor = ort_winograd::onnx::float32_tensor("one", &[4], &[1.0; 4]);
        }
    }
    OnnxModel::from_proto(proto, "shared.onnx".as_ref()).unwrap()
}

#[test]
fn weights_that_were_shared_are_each_layers_own() {
    let mut model = shared();
    let mut tail = Tail::read(&model, "x", "y").unwrap();
    let names: Vec<_> = tail.tensors().iter().map(|tensor| tensor.name()).collect();
    assert_eq!(names, ["w", "c1/bias", "y/filters"]);
    tune(&mut tail, 2);
    tail.write_into(&mut model).unwrap();
    let nodes: Vec<_> = (model.graph().node.iter())
        .map(|node| (node.op_type(), node.input.join(" ")))
        .collect();
    assert_eq!(
        nodes,
        [
            ("Conv", "x w/tuned c1/bias".to_owned()),
            ("Identity", "c1".to_owned()),
            ("Conv", "n1 y/filters".to_owned()),
        ]
    );
    let mut tensors: Vec<_> = model.graph().initializer.iter().map(|t| t.name()).collect();
    tensors.sort_unstable();
    assert_eq!(tensors, ["c1/bias", "w/tuned", "y/filters"]);
    let Some(environment) = environment() else {
        return;
    };
    let (shape, values) = ([1, 5, 6, 4], numbers(120, 1));
    let ends = [("x", First), ("y", First)];
    let expected = outputs(environment, &model, ends, shape, &values);
    let batch = Batch {
        shape,
        values: &values,
    };
    assert_near("shared", &tail.outputs(batch).unwrap(), &expected, 1e-5);
}

#[test]
fn another_graph_is_refused_and_stays_as_it_was() {
    let tail = Tail::read(&shared(), "x", "y").unwrap();
    let refused = |network: &Network| {
        let (mut model, before) = (network.model(), network.model().to_bytes());
        let error = tail.write_into(&mut model).unwrap_err();
        assert!(matches!(error, TailError::OtherGraph { .. }), "{error}");
        assert_eq!(model.to_bytes(), before);
        error.to_string()
    };
    let mut other = Network::new(1);
    other.conv("x", "y", [4, 4, 3, 3], [1; 4]);
    assert!(refused(&other).contains("no Conv computes \"c1\""));
    let mut larger = Network::new(1);
    larger
        .conv("x", "c1", [5, 4, 3, 3], [1; 4])
        .plain("Relu", &["c1"], "y");
    assert!(refused(&larger).contains("the filters of \"c1\" are"));
}
