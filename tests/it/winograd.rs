//! Trunks whose convolutions run here, against ONNX Runtime's own kernels.

use crate::support;

use std::path::{Path, PathBuf};

use cnn_codes::model::graph::OnnxModel;
use cnn_codes::model::onnx::{
    AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, attribute_proto,
};
use cnn_codes::model::tensor::float32_tensor;
use cnn_codes::model::winograd::Replacement;
use cnn_codes::model::{
    Device, Kernels, Library, ModelCard, Runtime, Trunk, TrunkError, TrunkOptions,
};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use support::onnx::{batch, node, opset, value, with_ints};

const HEIGHT: usize = 19;
const WIDTH: usize = 22;
const N_OUT: usize = 20;

fn conv(inputs: &[&str], output: &str, border: i64) -> NodeProto {
    with_ints(node("Conv", inputs, output), "pads", &[border; 4])
}

fn with_text(mut node: NodeProto, name: &str, text: &str) -> NodeProto {
    node.attribute.push(AttributeProto {
        name: Some(name.to_owned()),
        r#type: Some(attribute_proto::AttributeType::String as i32),
        s: Some(text.as_bytes().to_vec()),
        ..AttributeProto::default()
    });
    node
}

fn halved(input: &str, output: &str) -> NodeProto {
    let pool = with_ints(node("MaxPool", &[input], output), "kernel_shape", &[2, 2]);
    with_ints(pool, "strides", &[2, 2])
}

fn weights(name: &str, dims: &[u64], rng: &mut impl Rng) -> TensorProto {
    let n: u64 = dims.iter().product();
    let values: Vec<f32> = (0..n).map(|_| rng.gen_range(-0.2..0.2)).collect();
    float32_tensor(name, dims, &values)
}

/// A network with odd sizes, in which kernels of both kinds meet in every way: a picture goes
/// through two convolutions, a tensor is read by kernels of both kinds, some convolutions do not
/// fit, and the last one does.
fn network() -> OnnxModel {
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(11);
    let strided = conv(&["sum", "w5", "b5"], "strided", 1);
    let nodes = vec![
        with_ints(node("Transpose", &["input"], "x"), "perm", &[0, 3, 1, 2]),
        conv(&["x", "w1", "b1"], "c1", 1),
        node("Relu", &["c1"], "r1"),
        conv(&["r1", "w2"], "c2", 1),
        node("Relu", &["c2"], "r2"),
        halved("r2", "p2"),
        conv(&["p2", "w3", "b3"], "c3", 1),
        node("Relu", &["c3"], "r3"),
        with_text(
            node("Conv", &["r3", "w4", "b4"], "c4"),
            "auto_pad",
            "SAME_UPPER",
        ),
        node("Add", &["r3", "c4"], "sum"),
        with_ints(strided, "strides", &[2, 2]),
        conv(&["strided", "w6", "b6"], "point", 0),
        conv(&["point", "w7", "b7"], "c7", 1),
        with_ints(node("Transpose", &["c7"], "codes"), "perm", &[0, 2, 3, 1]),
    ];
    let mut initializer = vec![
        weights("w1", &[17, 3, 3, 3], rng),
        weights("w2", &[24, 17, 3, 3], rng),
        weights("w3", &[40, 24, 3, 3], rng),
        weights("w4", &[40, 40, 3, 3], rng),
        weights("w5", &[40, 40, 3, 3], rng),
        weights("w6", &[16, 40, 1, 1], rng),
        weights("w7", &[N_OUT as u64, 16, 3, 3], rng),
    ];
    for (name, n) in [
        ("b1", 17),
        ("b3", 40),
        ("b4", 40),
        ("b5", 40),
        ("b6", 16),
        ("b7", 20),
    ] {
        initializer.push(weights(name, &[n], rng));
    }
    let proto = ModelProto {
        ir_version: Some(7),
        opset_import: vec![opset("", 13)],
        graph: Some(GraphProto {
            name: Some("mixed".to_owned()),
            node: nodes,
            initializer,
            input: vec![value("input")],
            output: vec![value("codes")],
            ..GraphProto::default()
        }),
        ..ModelProto::default()
    };
    let mut model = OnnxModel::from_proto(proto, Path::new("mixed.onnx")).unwrap();
    let input = batch("N", &[HEIGHT as u64, WIDTH as u64, 3]);
    model.declare("input", &input).unwrap();
    let output = batch("N", &[5, 6, N_OUT as u64]);
    model.declare("codes", &output).unwrap();
    model
}

fn write_card(folder: &Path) -> PathBuf {
    let path = folder.join("mixed.toml");
    let text = format!(
        "format = 1\nname = \"mixed\"\nfile = \"mixed.onnx\"\nlicence = \"CC0-1.0\"\n\
         attribution = \"none\"\nsources = [\"made by a test\"]\n\n\
         [input]\nname = \"input\"\nwidth = {WIDTH}\nheight = {HEIGHT}\n\
         layout = \"channels_last\"\nrecipe = \"none\"\n\n\
         [output]\nname = \"codes\"\nshape = [5, 6, {N_OUT}]\nlayout = \"channels_last\"\n"
    );
    std::fs::write(&path, text).unwrap();
    path
}

/// Codes of `tensor` in one call for each of `batches`.
fn codes(
    folder: &Path,
    kernels: Kernels,
    threads: usize,
    tensor: &[f32],
    batches: &[usize],
) -> Vec<f32> {
    let models = support::models_with_onnxruntime().unwrap();
    let runtime = Runtime::load(&Library::find(None, &models).unwrap()).unwrap();
    let options = TrunkOptions {
        device: Device::Cpu,
        threads,
        kernels,
    };
    let card = ModelCard::load(&write_card(folder)).unwrap();
    let mut trunk = Trunk::load(&runtime, card, &folder.join("mixed.onnx"), options).unwrap();
    assert_eq!(trunk.kernels(), kernels);
    let (mut all, mut some, mut tensor) = (Vec::new(), Vec::new(), tensor);
    for &n in batches {
        let first = tensor.split_off(..n * HEIGHT * WIDTH * 3).unwrap();
        trunk.run(first, n, &mut some).unwrap();
        all.extend_from_slice(&some);
    }
    all
}

fn pictures(n: usize) -> Vec<f32> {
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(12);
    (0..n * HEIGHT * WIDTH * 3)
        .map(|_| rng.gen_range(-1.0..1.0))
        .collect()
}

#[test]
fn codes_are_those_of_onnx_runtime_for_any_batch_and_number_of_threads() {
    if support::models_with_onnxruntime().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mixed.onnx"), network().to_bytes()).unwrap();
    let tensor = pictures(9);
    let codes = |kernels, threads, batches: &[usize]| {
        codes(folder.path(), kernels, threads, &tensor, batches)
    };
    let expected = codes(Kernels::OnnxRuntime, 1, &[9]);
    let winograd = codes(Kernels::Winograd, 1, &[9]);
    let size = expected
        .iter()
        .fold(0.0_f32, |size, code| size.max(code.abs()));
    assert!(size > 0.1);
    // Both round in float32, by 6e-8, some hundred times over.
    for (code, expected) in winograd.iter().zip(&expected) {
        assert!(
            (code - expected).abs() < 1e-5 * size,
            "{code} for {expected}"
        );
    }
    assert_eq!(codes(Kernels::Winograd, 3, &[9]), winograd);
    assert_eq!(codes(Kernels::Winograd, 2, &[1, 1, 2, 5]), winograd);
}

/// The network, with other weights of these names.
fn network_with(others: &[(&str, &[u64])]) -> OnnxModel {
    let mut proto = network().into_proto();
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(13);
    for tensor in &mut proto.graph.as_mut().unwrap().initializer {
        if let Some((name, dims)) = others.iter().find(|(name, _)| *name == tensor.name()) {
            *tensor = weights(name, dims, rng);
        }
    }
    OnnxModel::from_proto(proto, Path::new("mixed.onnx")).unwrap()
}

#[test]
fn filters_for_another_number_of_channels_are_left_to_onnx_runtime_which_refuses_them() {
    // c2 has filters for 17 channels, which are as many blocks of 16 as 20.
    let model = network_with(&[("w1", &[20, 3, 3, 3]), ("b1", &[20])]);
    let replacement = Replacement::of(&model, 1).unwrap();
    let summary = replacement.summary();
    assert!(
        summary.starts_with("3 convolutions by Winograd F(4x4, 3x3) and 0 directly"),
        "{summary}"
    );
    for kernels in [Kernels::Winograd, Kernels::OnnxRuntime] {
        let Some(error) = error_of(&model, kernels) else {
            return;
        };
        let said = error.to_string();
        assert!(
            said.contains("C: 20 kernel channels: 17"),
            "{kernels}: {said}"
        );
    }
}

#[test]
fn filters_for_another_number_of_channels_than_a_run_has_are_refused_by_the_run() {
    // `point` has 20 channels, which only its own convolution tells, and that runs in ONNX Runtime.
    let model = network_with(&[
        ("w6", &[20, 40, 1, 1]),
        ("b6", &[20]),
        ("w7", &[N_OUT as u64, 17, 3, 3]),
    ]);
    let Some(error) = error_of(&model, Kernels::Winograd) else {
        return;
    };
    let said = error.to_string();
    assert!(
        said.contains("filters for 17 channels, and its input has 20"),
        "{said}"
    );
}

/// Why the network cannot be loaded or run; `None` where there is no ONNX Runtime.
fn error_of(model: &OnnxModel, kernels: Kernels) -> Option<TrunkError> {
    let models = support::models_with_onnxruntime()?;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mixed.onnx");
    std::fs::write(&path, model.to_bytes()).unwrap();
    let runtime = Runtime::load(&Library::find(None, &models).unwrap()).unwrap();
    let options = TrunkOptions {
        device: Device::Cpu,
        threads: 1,
        kernels,
    };
    let card = ModelCard::load(&write_card(folder.path())).unwrap();
    let trunk = Trunk::load(&runtime, card, &path, options);
    let run = trunk.and_then(|mut trunk| trunk.run(&pictures(1), 1, &mut Vec::new()));
    Some(run.unwrap_err())
}

#[test]
fn what_fits_is_replaced_and_what_does_not_is_left() {
    let replacement = Replacement::of(&network(), 1).unwrap();
    let summary = replacement.summary();
    assert!(
        summary.starts_with("4 convolutions by Winograd F(4x4, 3x3) and 1 directly"),
        "{summary}"
    );
    let bytes = replacement.onnx_bytes().to_vec().into();
    let rewritten = OnnxModel::from_bytes(bytes, Path::new("rewritten")).unwrap();
    let nodes: Vec<_> = (rewritten.graph().node.iter())
        .map(|node| (node.op_type(), node.output[0].as_str()))
        .collect();
    assert_eq!(
        nodes,
        [
            ("Transpose", "x"),
            ("BlockedConvolution", "blocked:r1"),
            ("BlockedConvolution", "blocked:p2"),
            ("BlockedConvolution", "blocked:r3"),
            ("FromBlocks", "r3"),
            ("BlockedConvolution", "blocked:c4"),
            ("FromBlocks", "c4"),
            ("Add", "sum"),
            ("Conv", "strided"),
            ("Conv", "point"),
            ("ToBlocks", "blocked:point"),
            ("BlockedConvolution", "blocked:c7"),
            ("FromBlocks", "c7"),
            ("Transpose", "codes"),
        ]
    );
    let weights: Vec<_> = (rewritten.graph().initializer.iter())
        .map(TensorProto::name)
        .collect();
    assert_eq!(weights, ["w5", "w6", "b5", "b6"]);
    assert!(Replacement::of(&support::onnx::tiny(), 1).is_none());
}

/// What replaces convolutions of the network after `change` to its graph.
fn summary_after(change: impl FnOnce(&mut GraphProto)) -> String {
    let mut proto = network().into_proto();
    change(proto.graph.as_mut().unwrap());
    let model = OnnxModel::from_proto(proto, Path::new("changed")).unwrap();
    Replacement::of(&model, 1).unwrap().summary()
}

fn with_attribute(index: usize, attribute: AttributeProto) -> impl FnOnce(&mut GraphProto) {
    move |graph| {
        let attributes = &mut graph.node[index].attribute;
        attributes.retain(|old| old.name != attribute.name);
        attributes.push(attribute);
    }
}

const ALL: &str = "4 convolutions by Winograd F(4x4, 3x3) and 1 directly";
const ALL_BUT_ONE: &str = "3 convolutions by Winograd F(4x4, 3x3) and 1 directly";

#[test]
fn a_change_to_any_attribute_leaves_a_convolution_to_onnx_runtime() {
    for (name, values) in [
        ("pads", &[0, 0, 0, 0][..]),
        ("pads", &[1, 1, 1, 0]),
        ("strides", &[2, 2]),
        ("strides", &[1, 2]),
        ("dilations", &[2, 1]),
        ("kernel_shape", &[3, 1]),
    ] {
        let attribute = with_ints(NodeProto::default(), name, values).attribute[0].clone();
        let summary = summary_after(with_attribute(6, attribute));
        assert!(
            summary.starts_with(ALL_BUT_ONE),
            "{name} {values:?}: {summary}"
        );
    }
    let groups = AttributeProto {
        name: Some("group".to_owned()),
        r#type: Some(attribute_proto::AttributeType::Int as i32),
        i: Some(2),
        ..AttributeProto::default()
    };
    assert!(summary_after(with_attribute(6, groups)).starts_with(ALL_BUT_ONE));
    let valid = with_text(NodeProto::default(), "auto_pad", "VALID").attribute[0].clone();
    assert!(summary_after(with_attribute(6, valid)).starts_with(ALL_BUT_ONE));
    // A pooling with a border goes to ONNX Runtime alone.
    let padded = with_ints(NodeProto::default(), "pads", &[0, 0, 1, 1]).attribute[0].clone();
    assert!(summary_after(with_attribute(5, padded)).starts_with(ALL));
}

#[test]
fn weights_of_another_kind_leave_a_convolution_to_onnx_runtime() {
    let tensor = |graph: &mut GraphProto, name: &str| {
        let mut tensors = graph.initializer.iter();
        tensors.position(|tensor| tensor.name() == name).unwrap()
    };
    let without_bias = summary_after(|graph| graph.node[6].input.truncate(2));
    assert!(without_bias.starts_with(ALL), "{without_bias}");
    let bias_of_rank_2 = summary_after(|graph| {
        let bias = tensor(graph, "b3");
        graph.initializer[bias].dims = vec![1, 40];
    });
    assert!(bias_of_rank_2.starts_with(ALL_BUT_ONE), "{bias_of_rank_2}");
    let computed = summary_after(|graph| {
        let filters = tensor(graph, "w3");
        graph.initializer[filters].name = Some("before".to_owned());
        let identity = node("Identity", &["before"], "w3");
        graph.node.insert(0, identity);
    });
    assert!(computed.starts_with(ALL_BUT_ONE), "{computed}");
    let foreign = summary_after(|graph| graph.node[6].domain = Some("com.example".to_owned()));
    assert!(foreign.starts_with(ALL_BUT_ONE), "{foreign}");
    let spelled_out = summary_after(|graph| graph.node[6].domain = Some("ai.onnx".to_owned()));
    assert!(spelled_out.starts_with(ALL), "{spelled_out}");
}

#[test]
fn a_graph_that_was_rewritten_is_not_rewritten_again() {
    let bytes = Replacement::of(&network(), 1)
        .unwrap()
        .onnx_bytes()
        .to_vec();
    let rewritten = OnnxModel::from_bytes(bytes.into(), Path::new("rewritten")).unwrap();
    assert!(Replacement::of(&rewritten, 1).is_none());
}

#[test]
fn kernels_of_the_cpu_are_refused_for_cuda() {
    let Some(models) = support::models_with_onnxruntime() else {
        return;
    };
    let runtime = Runtime::load(&Library::find(None, &models).unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mixed.onnx"), network().to_bytes()).unwrap();
    let options = TrunkOptions {
        device: Device::Cuda,
        threads: 1,
        kernels: Kernels::Winograd,
    };
    let card = ModelCard::load(&write_card(folder.path())).unwrap();
    let error =
        Trunk::load(&runtime, card, &folder.path().join("mixed.onnx"), options).unwrap_err();
    assert!(matches!(error, TrunkError::Kernels { .. }), "{error}");
}
