//! Reading, cutting and hashing ONNX graphs, on a network small enough to check by eye.

use std::path::Path;

use ort_winograd::onnx::{
    AttributeProto, DataLocation, GraphProto, ModelProto, TensorError, TensorProto,
};
use ort_winograd::{GraphError, OnnxModel, hash_tensors};

use crate::onnx::{ORIGIN, batch, bias, kernel, node, opset, tiny, tiny_proto, tiny_trunk, value};
use crate::support::seed_file;

/// Made with Python's hashlib, struct and NumPy, apart from this crate:
///
/// ```python
/// kernel = (np.arange(12) * 0.25 - 1).astype("<f4").reshape(4, 3, 1, 1)
/// bias = np.array([0.5, -0.5, 0, 1], "<f4")
/// sha = hashlib.sha256()
/// for a in (kernel, bias):
///     sha.update(struct.pack("<II", 1, a.ndim) + struct.pack(f"<{a.ndim}Q", *a.shape) + a.tobytes())
/// ```
const TINY_TRUNK_SHA256: &str = "c16c27119c5d8b303f010e1e1466a5fb1df6117d135380701b353f3494dc2c8c";

fn node_outputs(model: &OnnxModel) -> Vec<&str> {
    let nodes = model.graph().node.iter();
    nodes.map(|node| node.output[0].as_str()).collect()
}

fn initializers(model: &OnnxModel) -> Vec<&str> {
    let mut names: Vec<_> = model
        .graph()
        .initializer
        .iter()
        .map(TensorProto::name)
        .collect();
    names.sort_unstable();
    names
}

fn refused(proto: ModelProto) -> String {
    let error = OnnxModel::from_proto(proto, Path::new(ORIGIN)).unwrap_err();
    assert!(matches!(error, GraphError::Unsound { .. }), "{error}");
    error.to_string()
}

#[test]
fn a_cut_keeps_only_what_the_output_needs() {
    let mut model = tiny();
    model.cut_after("features").unwrap();
    assert_eq!(
        node_outputs(&model),
        ["first", "linear", "relu", "features"]
    );
    assert_eq!(initializers(&model), ["bias", "kernel"]);
    assert_eq!(model.inputs(), [("input", batch("unk__1", &[2, 2, 3]))]);
    assert_eq!(model.outputs().len(), 1);
    let domains: Vec<_> = model
        .proto()
        .opset_import
        .iter()
        .map(|opset| opset.domain())
        .collect();
    assert_eq!(domains, [""], "no node uses ai.onnx.ml");
}

#[test]
fn a_cut_model_survives_its_own_bytes() {
    let trunk = tiny_trunk();
    let bytes = trunk.to_bytes();
    let again = OnnxModel::from_bytes(bytes.clone().into(), Path::new(ORIGIN)).unwrap();
    assert_eq!(again.proto(), trunk.proto());
    assert_eq!(again.to_bytes(), bytes);
    assert_eq!(again.outputs(), [("features", batch("N", &[2, 2, 4]))]);
    assert_eq!(again.outputs()[0].1.to_string(), "float32 [N, 2, 2, 4]");
}

#[test]
fn a_cut_keeps_what_only_a_branch_reads() {
    let mut proto = tiny_proto();
    let graph = proto.graph.as_mut().unwrap();
    let branch = GraphProto {
        node: vec![node("Add", &["relu", "kernel"], "inside")],
        output: vec![value("inside")],
        ..GraphProto::default()
    };
    let mut choice = node("If", &["bias"], "chosen");
    choice.attribute.push(AttributeProto {
        g: Some(branch),
        ..AttributeProto::default()
    });
    graph.node.push(choice);
    let mut model = OnnxModel::from_proto(proto, Path::new(ORIGIN)).unwrap();
    model.rename("relu", "positive").unwrap();
    model.cut_after("chosen").unwrap();
    assert_eq!(
        node_outputs(&model),
        ["first", "linear", "positive", "chosen"]
    );
    let branch = model.graph().node[3].attribute[0].g.as_ref().unwrap();
    assert_eq!(branch.node[0].input, ["positive", "kernel"]);
}

#[test]
fn a_cut_after_an_unknown_tensor_names_the_known_ones() {
    let error = tiny().cut_after("block5_pool").unwrap_err();
    assert_eq!(
        error.to_string(),
        "some/tiny.onnx has no tensor named \"block5_pool\" there; \
         it has features, first, flat, linear, logits, probabilities, relu"
    );
    let error = tiny().cut_after("input").unwrap_err();
    assert!(
        matches!(error, GraphError::NoTensor { .. }),
        "an input is not computed: {error}"
    );
}

#[test]
fn a_renamed_tensor_is_renamed_wherever_it_is_read() {
    let mut model = tiny_trunk();
    model.rename("input", "picture").unwrap();
    model.rename("kernel", "conv/kernel").unwrap();
    model.rename("features", "codes").unwrap();
    assert_eq!(model.inputs()[0].0, "picture");
    assert_eq!(model.outputs()[0].0, "codes");
    assert_eq!(
        model.graph().node[1].input,
        ["first", "conv/kernel", "bias"]
    );
    OnnxModel::from_proto(model.into_proto(), Path::new(ORIGIN)).unwrap();
}

#[test]
fn renaming_refuses_unknown_and_taken_names() {
    let mut model = tiny();
    let unknown = model.rename("nowhere", "x").unwrap_err();
    assert!(matches!(unknown, GraphError::NoTensor { .. }), "{unknown}");
    let taken = model.rename("relu", "bias").unwrap_err();
    assert!(matches!(taken, GraphError::NameTaken { .. }), "{taken}");
    model.rename("relu", "relu").unwrap();
}

#[test]
fn declaring_an_unknown_tensor_is_an_error() {
    let error = tiny()
        .declare("relu", &batch("N", &[1]))
        .unwrap_err()
        .to_string();
    assert!(error.contains("input, probabilities"), "{error}");
}

#[test]
fn metadata_is_sorted_and_set_once() {
    let mut model = tiny();
    model.set_metadata("b", "1");
    model.set_metadata("a", "2");
    model.set_metadata("b", "3");
    let entries = model.proto().metadata_props.iter();
    let entries: Vec<_> = entries.map(|entry| (entry.key(), entry.value())).collect();
    assert_eq!(entries, [("a", "2"), ("b", "3")]);
    assert_eq!(model.metadata("b"), Some("3"));
    assert_eq!(model.metadata("c"), None);
}

#[test]
fn files_that_are_no_models_are_refused_by_name() {
    let missing = OnnxModel::read(Path::new("no/such.onnx")).unwrap_err();
    assert!(matches!(missing, GraphError::Read { .. }), "{missing}");
    assert!(missing.to_string().contains("no/such.onnx"));
    let garbage =
        OnnxModel::from_bytes(b"\xFF\xFFnot a model"[..].into(), Path::new("x.onnx")).unwrap_err();
    assert!(
        garbage.to_string().starts_with("x.onnx is no ONNX file: "),
        "{garbage}"
    );
    let empty = OnnxModel::from_bytes(b""[..].into(), Path::new("x.onnx")).unwrap_err();
    assert_eq!(
        empty.to_string(),
        "x.onnx is no usable ONNX file: it holds no graph with nodes"
    );
    let half = &tiny().to_bytes()[..300];
    let half = OnnxModel::from_bytes(half.to_vec().into(), Path::new("x.onnx")).unwrap_err();
    assert!(matches!(half, GraphError::NotOnnx { .. }), "{half}");
}

#[test]
fn graphs_that_break_the_order_are_refused() {
    let mut shuffled = tiny_proto();
    shuffled.graph.as_mut().unwrap().node.swap(0, 1);
    assert!(refused(shuffled).contains("reads tensor \"first\", which nothing before it defines"));
    let mut twice = tiny_proto();
    twice.graph.as_mut().unwrap().node[2].output[0] = "linear".to_owned();
    assert!(refused(twice).contains("tensor \"linear\" is defined twice"));
    let mut nowhere = tiny_proto();
    nowhere.graph.as_mut().unwrap().output[0].name = Some("nowhere".to_owned());
    assert!(refused(nowhere).contains("nothing computes its output \"nowhere\""));
    let mut silent = tiny_proto();
    silent.graph.as_mut().unwrap().output.clear();
    assert!(refused(silent).contains("declares no output"));
}

fn seed(name: &str) -> ModelProto {
    OnnxModel::read(&seed_file(name)).unwrap().into_proto()
}

#[test]
fn weights_in_another_file_are_refused_wherever_they_stand() {
    let refused_in = |name: &str, find: &dyn Fn(&mut ModelProto) -> &mut TensorProto| {
        let mut proto = seed(name);
        find(&mut proto).data_location = Some(DataLocation::External as i32);
        let said = refused(proto);
        assert!(
            said.contains("has its values in another file; save the model with its weights inside"),
            "{said}"
        );
    };
    fn graph(proto: &mut ModelProto) -> &mut GraphProto {
        proto.graph.as_mut().unwrap()
    }
    // Else is the first attribute, then the second.
    fn branch(proto: &mut ModelProto, index: usize) -> &mut GraphProto {
        let body = graph(proto).node[0].attribute[0].g.as_mut().unwrap();
        body.node[0].attribute[index].g.as_mut().unwrap()
    }
    refused_in("initializers", &|proto| &mut graph(proto).initializer[0]);
    refused_in("constants", &|proto| {
        graph(proto).node[0].attribute[0].t.as_mut().unwrap()
    });
    refused_in("loop_and_if", &|proto| {
        branch(proto, 1).node[0].attribute[0].t.as_mut().unwrap()
    });
    refused_in("loop_and_if", &|proto| &mut branch(proto, 0).initializer[0]);
    refused_in("function", &|proto| {
        proto.functions[0].node[0].attribute[0].t.as_mut().unwrap()
    });
    refused_in("sparse", &|proto| {
        graph(proto).sparse_initializer[0].indices.as_mut().unwrap()
    });
    refused_in("sparse", &|proto| {
        let sparse = &mut graph(proto).node[1].attribute[0].sparse_tensor;
        sparse.as_mut().unwrap().values.as_mut().unwrap()
    });
}

#[test]
fn two_tensors_of_one_name_are_refused_in_bodies_and_functions_too() {
    let mut twice = tiny_proto();
    twice.graph.as_mut().unwrap().initializer.push(kernel());
    assert!(refused(twice).contains("tensor \"kernel\" is defined twice"));
    let mut computed = tiny_proto();
    let graph = computed.graph.as_mut().unwrap();
    graph.initializer.push(TensorProto {
        name: Some("relu".to_owned()),
        ..bias()
    });
    assert!(refused(computed).contains("tensor \"relu\" is defined twice"));
    let mut inside = seed("loop_and_if");
    let nodes = &mut inside.graph.as_mut().unwrap().node;
    let body = nodes[0].attribute[0].g.as_mut().unwrap();
    let branch = body.node[0].attribute[0].g.as_mut().unwrap();
    branch.initializer.push(branch.initializer[0].clone());
    assert!(refused(inside).contains("tensor \"w2\" is defined twice"));
    let mut function = seed("function");
    function.functions[0].node[1].output[0] = "w".to_owned();
    assert!(refused(function).contains("tensor \"w\" is defined twice"));
    let mut functions = seed("function");
    functions.functions.push(functions.functions[0].clone());
    assert!(refused(functions).contains("function \"Scaled\" is defined twice"));
    let mut versions = tiny_proto();
    versions.opset_import.push(opset("ai.onnx", 11));
    assert!(refused(versions).contains("wants versions 13 and 11"));
}

#[test]
fn a_body_may_not_read_a_tensor_before_it_computes_it() {
    // "x" is the file's input too: ONNX Runtime could take either.
    let mut proto = seed("loop_and_if");
    let nodes = &mut proto.graph.as_mut().unwrap().node;
    let body = nodes[0].attribute[0].g.as_mut().unwrap();
    let branch = body.node[0].attribute[1].g.as_mut().unwrap();
    branch.node[1].input[0] = "x".to_owned();
    branch.node.push(node("Neg", &["t"], "x"));
    assert!(refused(proto).contains("reads tensor \"x\", which nothing before it defines"));
}

#[test]
fn the_tensor_hash_is_the_one_that_python_computes() {
    let hash = hash_tensors(&tiny_trunk()).unwrap();
    assert_eq!(hash.sha256, TINY_TRUNK_SHA256);
    assert_eq!((hash.n_tensors, hash.n_parameters), (2, 16));
}

#[test]
fn names_encoding_and_unused_tensors_make_no_difference_to_the_hash() {
    let mut model = tiny_trunk();
    model.rename("kernel", "a/kernel").unwrap();
    model.set_metadata("licence", "none");
    let mut proto = model.into_proto();
    let tensors = &mut proto.graph.as_mut().unwrap().initializer;
    for tensor in tensors.iter_mut() {
        let raw = tensor.raw_data.take().unwrap();
        let values = raw
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        tensor.float_data = values.collect();
    }
    tensors.reverse();
    tensors.push(TensorProto {
        name: Some("unused".to_owned()),
        ..bias()
    });
    let model = OnnxModel::from_proto(proto, Path::new(ORIGIN)).unwrap();
    assert_eq!(hash_tensors(&model).unwrap().sha256, TINY_TRUNK_SHA256);
}

#[test]
fn values_and_shapes_make_a_difference_to_the_hash() {
    let with = |tensor: TensorProto| {
        let mut proto = tiny_trunk().into_proto();
        let tensors = &mut proto.graph.as_mut().unwrap().initializer;
        tensors.retain(|old| old.name() != tensor.name());
        tensors.push(tensor);
        hash_tensors(&OnnxModel::from_proto(proto, Path::new(ORIGIN)).unwrap())
    };
    assert_eq!(with(kernel()).unwrap().sha256, TINY_TRUNK_SHA256);
    let mut flipped = kernel();
    let mut bytes = flipped.raw_data.take().unwrap().to_vec();
    bytes[5] ^= 1;
    flipped.raw_data = Some(bytes.into());
    assert_ne!(with(flipped).unwrap().sha256, TINY_TRUNK_SHA256);
    let mut reshaped = kernel();
    reshaped.dims = vec![3, 4, 1, 1];
    assert_ne!(with(reshaped).unwrap().sha256, TINY_TRUNK_SHA256);
    let mut short = kernel();
    short.dims = vec![5, 3, 1, 1];
    let error = with(short).unwrap_err();
    let text = "tensor \"kernel\" of some/tiny.onnx cannot be read: it holds 48 bytes of values where 60 belong";
    assert_eq!(error.to_string(), text);
    let source = std::error::Error::source(&error).unwrap();
    assert!(matches!(
        source.downcast_ref(),
        Some(TensorError::WrongLength {
            expected: 60,
            actual: 48
        })
    ));
}
