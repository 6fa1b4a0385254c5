//! What cannot be a tail, and what is said of it.

use cnn_codes_tail::{
    Batch, Gradients, InputGradient, Optimizer, OptimizerOptions, Tail, TailError,
};
use ort_winograd::onnx::{AttributeProto, NodeProto, float32_tensor};
use ort_winograd::{OnnxModel, onnx::GraphProto};

use crate::networks::Network;

fn chain() -> Network {
    let mut network = Network::new(1);
    network
        .conv("x", "c1", [4, 3, 3, 3], [1; 4])
        .plain("Relu", &["c1"], "r1")
        .conv("r1", "c2", [4, 4, 3, 3], [1; 4])
        .plain("Add", &["c2", "r1"], "sum")
        .conv("sum", "y", [5, 4, 1, 1], [0; 4]);
    network
}

/// What is said of the network after a change to its graph.
fn said(network: &Network, change: impl FnOnce(&mut GraphProto)) -> String {
    let mut proto = network.model().into_proto();
    change(proto.graph.as_mut().unwrap());
    let model = OnnxModel::from_proto(proto, "changed.onnx".as_ref()).unwrap();
    Tail::read(&model, "x", "y").unwrap_err().to_string()
}

fn set(index: usize, attribute: AttributeProto) -> impl FnOnce(&mut GraphProto) {
    move |graph| {
        let attributes = &mut graph.node[index].attribute;
        attributes.retain(|old| old.name != attribute.name);
        attributes.push(attribute);
    }
}

#[test]
fn an_operator_that_tails_do_not_have_is_named_with_the_cuts_behind_it() {
    let sigmoid = |graph: &mut GraphProto| graph.node[1].op_type = Some("Sigmoid".to_owned());
    // `c2` alone is not enough: the sum goes around it.
    assert_eq!(
        said(&chain(), sigmoid),
        "node \"r1\" is a Sigmoid, which cannot be tuned here; cut the trunk behind it, at r1, sum"
    );
    let foreign = |graph: &mut GraphProto| {
        graph.node[4].domain = Some("com.example".to_owned());
        graph.node[4].name = Some("last".to_owned());
    };
    assert_eq!(
        said(&chain(), foreign),
        "node \"last\" is a com.example.Conv, which cannot be tuned here; no layer behind it could be"
    );
}

#[test]
fn forms_that_tails_do_not_have_are_told() {
    let text = |name: &str, value: &str| AttributeProto::text(name, value);
    let ints = AttributeProto::ints;
    for (attribute, reason) in [
        (ints("strides", &[2, 1]), "its stride is not 1"),
        (ints("dilations", &[1, 2]), "it is dilated"),
        (AttributeProto::int("group", 2), "it has 2 groups"),
        (AttributeProto::int("group", -1), "its group is negative"),
        (
            ints("kernel_shape", &[5, 5]),
            "its kernel_shape is not that of its filters",
        ),
        (
            ints("pads", &[3, 1, 1, 1]),
            "its border is as wide as its kernel",
        ),
        (
            ints("pads", &[i64::MAX, 1, 1, 1]),
            "its border is as wide as its kernel",
        ),
        (ints("pads", &[-1, 1, 1, 1]), "its pads are not 4 lengths"),
        (ints("pads", &[1, 1]), "its pads are not 4 lengths"),
        (text("auto_pad", "OTHER"), "its auto_pad is unknown"),
    ] {
        let said = said(&chain(), set(2, attribute));
        assert!(
            said.starts_with(&format!(
                "node \"c2\", a Conv, cannot be tuned here: {reason};"
            )),
            "{said}"
        );
        assert!(said.ends_with("at sum"), "{said}");
    }
    let five = |graph: &mut GraphProto| {
        let tensor = graph
            .initializer
            .iter_mut()
            .find(|tensor| tensor.name() == "c2/w");
        *tensor.unwrap() = float32_tensor("c2/w", &[4, 4, 5, 5], &[0.0; 400]);
    };
    assert!(said(&chain(), five).contains("its filters are 5 x 5, not 3 x 3 or 1 x 1"));
}

/// A convolution, and something behind it.
fn behind(node: NodeProto) -> Network {
    let mut network = Network::new(2);
    let mut node = node;
    node.output = vec!["y".to_owned()];
    network
        .conv("x", "c", [4, 3, 1, 1], [0; 4])
        .tensor("four", &[4])
        .node(node);
    network
}

#[test]
fn operators_are_had_in_the_forms_that_can_be_tuned_alone() {
    let node = |operator: &str, inputs: &[&str]| NodeProto::new(operator, inputs, "y");
    let clip = node("Clip", &["c"]).with(AttributeProto {
        f: Some(1.0),
        ..AttributeProto::int("max", 0)
    });
    let pool = |name: &str, values: &[i64]| {
        let pool = node("MaxPool", &["c"]).with(AttributeProto::ints("kernel_shape", &[2, 2]));
        pool.with(AttributeProto::ints(name, values))
    };
    let wide = node("MaxPool", &["c"])
        .with(AttributeProto::ints("kernel_shape", &[1_000_000, 2]))
        .with(AttributeProto::ints("pads", &[999_999, 0, 0, 0]));
    for (node, reason) in [
        (clip, "it clips to"),
        (
            node("Clip", &["c", "four"]),
            "its bounds are not in the file",
        ),
        (pool("dilations", &[2, 2]), "it is dilated"),
        (
            pool("strides", &[0, 1]),
            "it has no two-dimensional windows",
        ),
        (
            pool("pads", &[2, 0, 0, 0]),
            "its border is as wide as its kernel",
        ),
        (wide, "its border is wider than half of its windows"),
        (node("MaxPool", &["c"]), "it has no two-dimensional windows"),
        (node("Add", &["c", "four"]), "\"four\" is a constant"),
        (node("Flatten", &["c"]), "it flattens with channels first"),
        (node("Transpose", &["c"]), "it moves other axes"),
        (
            node("Reshape", &["c", "four"]),
            "its shape is not in the file",
        ),
        (
            node("Flatten", &["c"]).with(AttributeProto::int("axis", 2)),
            "it flattens from axis 2 on",
        ),
        (
            node("Transpose", &["c"]).with(AttributeProto::ints("perm", &[0, 3, 1, 2])),
            "it moves other axes",
        ),
    ] {
        let operator = node.op_type().to_owned();
        let said = said(&behind(node), |_| {});
        let expected = format!("node \"y\", a {operator}, cannot be tuned here: {reason}");
        assert!(said.starts_with(&expected), "{said}");
    }
}

#[test]
fn a_normalization_without_a_convolution_of_its_own_is_refused() {
    let normalization = NodeProto::new(
        "BatchNormalization",
        &["c", "four", "four", "four", "four"],
        "y",
    );
    let first = said(&behind(normalization.clone()), |graph| {
        graph.node[0] = NodeProto::new("Relu", &["x"], "c");
    });
    assert!(
        first.contains("it does not follow a convolution of its own"),
        "{first}"
    );
    let read_twice = said(&behind(normalization), |graph| {
        let output = graph.output[0].clone();
        graph.output.push(ort_winograd::onnx::ValueInfoProto {
            name: Some("c".to_owned()),
            ..output
        });
    });
    assert!(
        read_twice.contains("it does not follow a convolution of its own"),
        "{read_twice}"
    );
}

#[test]
fn names_that_are_not_there_and_tails_that_are_none_are_refused() {
    let model = chain().model();
    let read = |from, to| Tail::read(&model, from, to).unwrap_err();
    let error = read("nowhere", "y");
    assert!(
        matches!(&error, TailError::NoTensor { name, .. } if name == "nowhere"),
        "{error}"
    );
    assert!(
        error.to_string().ends_with("it has c1, c2, r1, sum, x, y"),
        "{error}"
    );
    assert!(matches!(read("x", "x"), TailError::NoTensor { .. }));
    assert!(matches!(read("c1/w", "y"), TailError::NoTensor { .. }));
    assert!(matches!(read("r1", "r1"), TailError::NothingToTune { .. }));
    assert!(matches!(read("c1", "r1"), TailError::NothingToTune { .. }));
    let error = read("c2", "y");
    assert_eq!(
        error.to_string(),
        "\"y\" does not come of \"c2\" alone: it needs x too; cut the trunk behind it, at sum"
    );
    assert!(matches!(read("y", "c2"), TailError::NotAlone { .. }));
}

#[test]
fn batches_and_gradients_that_do_not_fit_are_errors() {
    let mut tail = Tail::read(&chain().model(), "x", "y").unwrap();
    let batch = |shape, values| {
        tail.forward(Batch { shape, values })
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        batch([1, 2, 2, 4], &[0.0; 16]),
        "a batch of shape [1, 2, 2, 4] (N, H, W, C) does not fit \"r1\": its filters are for 3 channels"
    );
    assert_eq!(
        batch([1, 2, 2, 3], &[0.0; 13]),
        "a batch: 13 numbers where 12 belong"
    );
    assert!(batch([0, 2, 2, 3], &[]).ends_with("\"x\": it is empty"));
    assert!(batch([usize::MAX, 2, 2, 3], &[]).ends_with("\"x\": it is too large"));
    let values = [1.0; 12];
    let (outputs, tape) = tail
        .forward(Batch {
            shape: [1, 2, 2, 3],
            values: &values,
        })
        .unwrap();
    assert_eq!(outputs.len(), 20);
    let error = tail.backward(&tape, &[0.0; 19], InputGradient::Unwanted);
    assert!(matches!(
        error,
        Err(TailError::Length {
            expected: 20,
            actual: 19,
            ..
        })
    ));
    let mut other = Network::new(1);
    other.conv("x", "y", [5, 3, 1, 1], [0; 4]);
    let other = Tail::read(&other.model(), "x", "y").unwrap();
    let error = other
        .backward(&tape, &outputs, InputGradient::Unwanted)
        .unwrap_err();
    assert!(matches!(error, TailError::Foreign { .. }), "{error}");
    let mut optimizer = Optimizer::new(&tail, OptimizerOptions::default());
    let gradients = Gradients {
        tensors: Vec::new(),
        input: None,
    };
    let rates = tail.layer_rates(1.0, 1.0);
    let error = optimizer.step(&mut tail, &gradients, &rates).unwrap_err();
    assert_eq!(
        error.to_string(),
        "tensors of gradients: 0 numbers where 6 belong"
    );
}

#[test]
fn layers_that_cannot_follow_each_other_are_refused_when_they_are_read() {
    let other = |graph: &mut GraphProto| {
        let tensor = graph
            .initializer
            .iter_mut()
            .find(|tensor| tensor.name() == "y/w");
        *tensor.unwrap() = float32_tensor("y/w", &[5, 3, 1, 1], &[0.0; 15]);
    };
    assert!(said(&chain(), other).contains("its filters are for 3 channels"));
    let sum = |graph: &mut GraphProto| {
        let tensor = graph
            .initializer
            .iter_mut()
            .find(|tensor| tensor.name() == "c2/w");
        *tensor.unwrap() = float32_tensor("c2/w", &[3, 4, 3, 3], &[0.0; 108]);
        graph.node[2].input.truncate(2);
    };
    assert!(said(&chain(), sum).contains("it adds tensors of different channels"));
}
