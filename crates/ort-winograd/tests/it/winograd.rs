//! Models whose convolutions run on the kernels of this crate, against ONNX Runtime's own.

use std::path::Path;

use ort::environment::Environment;
use ort::session::Session;
use ort::value::TensorRef;
use ort_winograd::onnx::{AttributeProto, GraphProto, TensorProto};
use ort_winograd::{OnnxModel, Rewritten, rewrite};
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::mixed::{HEIGHT, N_OUT, WIDTH, network, pictures, weights};
use crate::onnx::{node, tiny};
use crate::support::environment;

/// Codes of `pixels` in one call for each of `batches`, on a session with so many threads.
fn codes(
    environment: &Environment,
    kernels: Kernels,
    threads: usize,
    pixels: &[f32],
    batches: &[usize],
) -> Vec<f32> {
    let mut session = open(environment, &network(), kernels, threads).unwrap();
    let (mut all, mut pixels) = (Vec::new(), pixels);
    for &n in batches {
        let first = pixels.split_off(..n * HEIGHT * WIDTH * 3).unwrap();
        all.extend(run(&mut session, n, first).unwrap());
    }
    all
}

/// Whose kernels do what convolutions they can.
#[derive(Clone, Copy, Debug)]
enum Kernels {
    OnnxRuntime,
    Winograd,
}

/// A session of `model`; what rewrites it is gone when it runs.
fn open(
    environment: &Environment,
    model: &OnnxModel,
    kernels: Kernels,
    threads: usize,
) -> ort::Result<Session> {
    let mut builder = Session::builder(environment)?.with_intra_threads(threads)?;
    match kernels {
        Kernels::OnnxRuntime => builder.commit_from_memory(&model.to_bytes()),
        Kernels::Winograd => {
            let rewritten = rewrite(&model.to_bytes(), threads).unwrap().unwrap();
            let mut builder = builder.with_operators(rewritten.operators()?)?;
            builder.commit_from_memory(rewritten.onnx_bytes())
        }
    }
}

/// Codes of `n` pictures.
fn run(session: &mut Session, n: usize, pixels: &[f32]) -> ort::Result<Vec<f32>> {
    let input = TensorRef::from_array_view(([n, HEIGHT, WIDTH, 3], pixels))?;
    let outputs = session.run(ort::inputs!["input" => input])?;
    Ok(outputs["codes"].try_extract_tensor::<f32>()?.1.to_vec())
}

#[test]
fn codes_are_those_of_onnx_runtime_for_any_batch_and_number_of_threads() {
    let Some(environment) = environment() else {
        return;
    };
    let pixels = pictures(9);
    let codes = |kernels, threads, batches: &[usize]| {
        codes(environment, kernels, threads, &pixels, batches)
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
    let rewritten = Rewritten::of(&model, 1).unwrap();
    let summary = rewritten.summary();
    assert!(
        summary.starts_with("3 convolutions by Winograd F(4x4, 3x3) and 0 directly"),
        "{summary}"
    );
    for kernels in [Kernels::Winograd, Kernels::OnnxRuntime] {
        let Some(said) = error_of(&model, kernels) else {
            return;
        };
        assert!(
            said.contains("C: 20 kernel channels: 17"),
            "{kernels:?}: {said}"
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
    let Some(said) = error_of(&model, Kernels::Winograd) else {
        return;
    };
    assert!(
        said.contains("filters for 17 channels, and its input has 20"),
        "{said}"
    );
}

/// What ONNX Runtime says where the model cannot be loaded or run; `None` without ONNX Runtime.
fn error_of(model: &OnnxModel, kernels: Kernels) -> Option<String> {
    let session = open(environment()?, model, kernels, 1);
    let codes = session.and_then(|mut session| run(&mut session, 1, &pictures(1)));
    Some(codes.unwrap_err().to_string())
}

#[test]
fn what_fits_is_replaced_and_what_does_not_is_left() {
    let rewritten = Rewritten::of(&network(), 1).unwrap();
    let summary = rewritten.summary();
    assert!(
        summary.starts_with("4 convolutions by Winograd F(4x4, 3x3) and 1 directly"),
        "{summary}"
    );
    assert_eq!((rewritten.n_winograd(), rewritten.n_direct()), (4, 1));
    let bytes = rewritten.onnx_bytes().to_vec().into();
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
    assert!(Rewritten::of(&tiny(), 1).is_none());
}

/// What replaces convolutions of the network after `change` to its graph.
fn summary_after(change: impl FnOnce(&mut GraphProto)) -> String {
    let mut proto = network().into_proto();
    change(proto.graph.as_mut().unwrap());
    let model = OnnxModel::from_proto(proto, Path::new("changed")).unwrap();
    Rewritten::of(&model, 1).unwrap().summary()
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
        let attribute = AttributeProto::ints(name, values);
        let summary = summary_after(with_attribute(6, attribute));
        assert!(
            summary.starts_with(ALL_BUT_ONE),
            "{name} {values:?}: {summary}"
        );
    }
    let groups = AttributeProto::int("group", 2);
    assert!(summary_after(with_attribute(6, groups)).starts_with(ALL_BUT_ONE));
    let valid = AttributeProto::text("auto_pad", "VALID");
    assert!(summary_after(with_attribute(6, valid)).starts_with(ALL_BUT_ONE));
    // A pooling with a border goes to ONNX Runtime alone.
    let padded = AttributeProto::ints("pads", &[0, 0, 1, 1]);
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
    let bytes = Rewritten::of(&network(), 1).unwrap().onnx_bytes().to_vec();
    let rewritten = OnnxModel::from_bytes(bytes.into(), Path::new("rewritten")).unwrap();
    assert!(Rewritten::of(&rewritten, 1).is_none());
}
