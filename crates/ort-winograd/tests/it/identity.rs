//! The hash of all that computes a trunk's output: what makes a difference to it, and what does
//! not.

use std::path::Path;

use ort_winograd::onnx::{
    AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, float32_tensor,
};
use ort_winograd::{OnnxModel, hash_graph};

use crate::onnx::{ORIGIN, kernel, node, tiny_trunk, with_ints};
use crate::support::{python, run_python, seed_file};

/// The graphs that fuzzing begins with, an output of each, and its hash, which
/// tests/fixtures/graph_hash.py computed with Python's onnx package.
const SEEDS: [(&str, &str, &str); 8] = [
    (
        "constants",
        "s",
        "bf6eddbfcdbadf94c5810b5551b7f6f253eadcbced025cb1ea7ef9628aed45e3",
    ),
    (
        "function",
        "y",
        "da64f4da56be76e7d8c48895d47a5e84c9c574d87cd8671d72a71d0d9ca966b9",
    ),
    (
        "initializers",
        "z",
        "a78cb09665754cab1df1e1f7440bff5d2dea7daf83e650058d176083e8d66cc7",
    ),
    (
        "loop_and_if",
        "y",
        "398e6c27f831b351f2492e574d6802c54a0382a623cd815abb6f8369fb189c12",
    ),
    (
        "old_and_two_outputs",
        "p",
        "6fa4dd35e37eeac2520c8d6a1356714d0c22f90e90fbea3f30c78784de4e8faf",
    ),
    (
        "sparse",
        "z",
        "49909ae29d820f52b9e60ac3b3a04a8e348b26694507fe846788d139e10e294d",
    ),
    (
        "typed_fields",
        "r",
        "3cf313ed3be3267bba0fe5e0beccb12da70752c0346f76f07afb81fd48e1e577",
    ),
    (
        "winograd",
        "p",
        "0a149a8d21c7be9eb30324862f9997f58fca83325a16e3cd183682cfb55cea48",
    ),
];

fn seed(name: &str) -> ModelProto {
    OnnxModel::read(&seed_file(name)).unwrap().into_proto()
}

fn hash(proto: ModelProto, output: &str) -> String {
    let model = OnnxModel::from_proto(proto, Path::new(ORIGIN)).unwrap();
    hash_graph(&model, output).unwrap()
}

/// The hash of a seed's output before and after a change.
fn before_and_after(
    name: &str,
    output: &str,
    change: impl FnOnce(&mut ModelProto),
) -> (String, String) {
    let before = seed(name);
    let mut after = before.clone();
    change(&mut after);
    assert_ne!(before, after, "nothing was changed");
    (hash(before, output), hash(after, output))
}

fn same(name: &str, output: &str, change: impl FnOnce(&mut ModelProto)) {
    let (before, after) = before_and_after(name, output, change);
    assert_eq!(before, after);
}

fn other(name: &str, output: &str, change: impl FnOnce(&mut ModelProto)) {
    let (before, after) = before_and_after(name, output, change);
    assert_ne!(before, after);
}

fn nodes(proto: &mut ModelProto) -> &mut Vec<NodeProto> {
    &mut proto.graph.as_mut().unwrap().node
}

fn initializers(proto: &mut ModelProto) -> &mut Vec<TensorProto> {
    &mut proto.graph.as_mut().unwrap().initializer
}

/// The body of the loop, and the branches inside it.
fn body(proto: &mut ModelProto) -> &mut GraphProto {
    nodes(proto)[0].attribute[0].g.as_mut().unwrap()
}

fn constant(output: &str, tensor: TensorProto) -> NodeProto {
    node("Constant", &[], output).with(AttributeProto::tensor("value", tensor))
}

#[test]
fn the_graph_hash_is_the_one_that_python_computes() {
    for (name, output, expected) in SEEDS {
        assert_eq!(hash(seed(name), output), expected, "{name}");
    }
    let Some(python) = python() else {
        return;
    };
    let program = include_str!("../fixtures/graph_hash.py");
    for (name, output, expected) in SEEDS {
        let arguments = [seed_file(name), output.into()];
        let printed = run_python(&python, program, &arguments.each_ref().map(|a| a.as_path()));
        assert_eq!(printed.trim(), expected, "{name}");
    }
}

#[test]
fn names_metadata_and_order_without_meaning_make_no_difference() {
    let trunk = tiny_trunk();
    let expected = hash_graph(&trunk, "features").unwrap();
    let mut renamed = trunk.clone();
    for (from, to) in [
        ("input", "x"),
        ("relu", "positive"),
        ("kernel", "k"),
        ("features", "codes"),
    ] {
        renamed.rename(from, to).unwrap();
    }
    renamed.set_metadata("licence", "none");
    let mut proto = renamed.into_proto();
    initializers(&mut proto).reverse();
    initializers(&mut proto).push(float32_tensor("unread", &[1], &[3.0]));
    for node in nodes(&mut proto) {
        node.name = None;
        node.domain = Some("ai.onnx".to_owned());
    }
    nodes(&mut proto).push(node("Neg", &["codes"], "unread too"));
    assert_eq!(hash(proto, "codes"), expected);

    same("winograd", "p", |proto| nodes(proto)[4].attribute.reverse());
    // The constants of a graph, which do not depend on each other.
    same("constants", "s", |proto| nodes(proto).swap(0, 1));
    same("loop_and_if", "y", |proto| {
        let branch = body(proto).node[0].attribute[1].g.as_mut().unwrap();
        branch.node[0].output[0] = "weights".to_owned();
        branch.node[1].input[1] = "weights".to_owned();
    });
    same("old_and_two_outputs", "p", |proto| {
        proto.graph.as_mut().unwrap().output.remove(0);
    });
}

#[test]
fn how_and_where_weights_are_kept_makes_no_difference() {
    same("initializers", "z", |proto| {
        for tensor in initializers(proto) {
            let raw = tensor.raw_data.take().unwrap();
            let (values, _) = raw.as_chunks::<4>();
            tensor.float_data = values
                .iter()
                .map(|&bytes| f32::from_le_bytes(bytes))
                .collect();
        }
    });
    same("initializers", "z", |proto| {
        let weights = std::mem::take(initializers(proto));
        for tensor in weights {
            let name = tensor.name().to_owned();
            nodes(proto).insert(0, constant(&name, tensor));
        }
    });
}

#[test]
fn operators_wiring_and_attributes_make_a_difference() {
    let trunk = tiny_trunk().into_proto();
    let expected = hash(trunk.clone(), "features");
    let changed = |change: &dyn Fn(&mut ModelProto)| {
        let mut proto = trunk.clone();
        change(&mut proto);
        assert_ne!(hash(proto, "features"), expected);
    };
    changed(&|proto| {
        nodes(proto)[2].output[0] = "positive".to_owned();
        nodes(proto).insert(3, node("Neg", &["positive"], "relu"));
    });
    changed(&|proto| nodes(proto)[2].op_type = Some("Sigmoid".to_owned()));
    changed(&|proto| nodes(proto)[2].domain = Some("other".to_owned()));
    changed(&|proto| nodes(proto)[3].attribute[0].ints = vec![0, 3, 2, 1]);
    changed(&|proto| nodes(proto)[1] = with_ints(nodes(proto)[1].clone(), "strides", &[1, 1]));
    changed(&|proto| {
        nodes(proto)[1].input.pop();
    });
    changed(&|proto| proto.opset_import[0].version = Some(14));
    changed(&|proto| {
        let mut reshaped = kernel();
        reshaped.dims = vec![3, 4, 1, 1];
        initializers(proto).retain(|tensor| tensor.name() != "kernel");
        initializers(proto).push(reshaped);
    });
    // That a product is the same both ways round is not known to the hash.
    other("typed_fields", "r", |proto| nodes(proto)[0].input.reverse());
    // The other half of a Split.
    other("old_and_two_outputs", "p", |proto| {
        nodes(proto)[2].input[0] = "a".to_owned()
    });
    other("old_and_two_outputs", "p", |proto| {
        nodes(proto)[0].input.swap(1, 2)
    });
}

#[test]
fn weights_make_a_difference_wherever_they_stand() {
    let flip = |tensor: &mut TensorProto| {
        let mut bytes = tensor.raw_data.take().unwrap().to_vec();
        bytes[1] ^= 1;
        tensor.raw_data = Some(bytes.into());
    };
    other("initializers", "z", |proto| {
        flip(&mut initializers(proto)[0])
    });
    other("typed_fields", "r", |proto| {
        initializers(proto)[0].float_data[2] = 1.0
    });
    other("constants", "s", |proto| {
        flip(nodes(proto)[0].attribute[0].t.as_mut().unwrap());
    });
    other("constants", "s", |proto| {
        nodes(proto)[1].attribute[0].f = Some(0.25)
    });
    other("constants", "s", |proto| {
        nodes(proto)[3].attribute[0].ints[1] = 1
    });
    other("loop_and_if", "y", |proto| {
        let then = body(proto).node[0].attribute[1].g.as_mut().unwrap();
        flip(then.node[0].attribute[0].t.as_mut().unwrap());
    });
    other("loop_and_if", "y", |proto| {
        let or_else = body(proto).node[0].attribute[0].g.as_mut().unwrap();
        flip(&mut or_else.initializer[0]);
    });
    other("loop_and_if", "y", |proto| {
        let [or_else, then] = &mut body(proto).node[0].attribute[..] else {
            panic!("an If has two branches");
        };
        std::mem::swap(&mut then.name, &mut or_else.name);
    });
    other("function", "y", |proto| {
        flip(proto.functions[0].node[0].attribute[0].t.as_mut().unwrap());
    });
    other("function", "y", |proto| {
        nodes(proto)[0].attribute[0].f = Some(0.5)
    });
    other("sparse", "z", |proto| {
        let sparse = &mut proto.graph.as_mut().unwrap().sparse_initializer[0];
        flip(sparse.values.as_mut().unwrap());
    });
    other("sparse", "z", |proto| {
        flip(
            nodes(proto)[1].attribute[0]
                .sparse_tensor
                .as_mut()
                .unwrap()
                .indices
                .as_mut()
                .unwrap(),
        );
    });
}
