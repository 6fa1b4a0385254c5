//! A trunk small enough to compute by hand: the mean of each channel over each quarter of the
//! picture, each channel then times its own weight.

use std::fs;
use std::path::{Path, PathBuf};

use ort_winograd::OnnxModel;
use ort_winograd::onnx::{AttributeProto, GraphProto, ModelProto, TensorType, float32_tensor};

use super::onnx::{node, opset, value, with_ints};

/// Side of the input in pixels; a quarter of the picture is half as wide and half as high.
pub const SIDE: u64 = 8;
/// What each channel of the input tensor is multiplied with.
pub const WEIGHTS: [f32; 3] = [1.0, 2.0, -1.0];

/// Writes `tiny.onnx` and `tiny.toml` into `folder`, and returns both paths. The recipe on the
/// card is `none`, so that codes are means of the levels 0 to 255.
pub fn write(folder: &Path) -> (PathBuf, PathBuf) {
    write_with(folder, "channels_last", [2, 2, 3])
}

/// The same network, whose output may keep its channels first.
pub fn write_with(
    folder: &Path,
    output_layout: &str,
    output_shape: [u64; 3],
) -> (PathBuf, PathBuf) {
    let (model, card) = (folder.join("tiny.onnx"), folder.join("tiny.toml"));
    let bytes = onnx(output_layout == "channels_last", output_shape, WEIGHTS);
    fs::write(&model, bytes).unwrap();
    let text = format!(
        "format = 1\nname = \"tiny\"\nfile = \"tiny.onnx\"\nlicence = \"CC0-1.0\"\n\
         attribution = \"none\"\nsources = [\"made by a test\"]\n\n\
         [input]\nname = \"input\"\nwidth = {SIDE}\nheight = {SIDE}\nlayout = \"channels_last\"\n\
         recipe = \"none\"\n\n\
         [output]\nname = \"means\"\nshape = {output_shape:?}\nlayout = \"{output_layout}\"\n"
    );
    fs::write(&card, text).unwrap();
    (model, card)
}

/// The network with other weights, in place of the one that is there.
pub fn write_weights(folder: &Path, weights: [f32; 3]) {
    fs::write(folder.join("tiny.onnx"), onnx(true, [2, 2, 3], weights)).unwrap();
}

/// Writes the same network into `folder`, with `weights` in a `Constant` node: it has no
/// initializers.
pub fn write_with_constant(folder: &Path, weights: [f32; 3]) {
    write(folder);
    let model = folder.join("tiny.onnx");
    let mut proto = OnnxModel::read(&model).unwrap().into_proto();
    let graph = proto.graph.as_mut().unwrap();
    let mut tensor = graph.initializer.remove(0);
    let bytes = weights.iter().flat_map(|weight| weight.to_le_bytes());
    tensor.raw_data = Some(bytes.collect::<Vec<u8>>().into());
    let constant = node("Constant", &[], "weights");
    let constant = constant.with(AttributeProto::tensor("value", tensor));
    graph.node.insert(0, constant);
    let written = OnnxModel::from_proto(proto, &model).unwrap().to_bytes();
    fs::write(&model, written).unwrap();
}

fn onnx(channels_last: bool, output_shape: [u64; 3], weights: [f32; 3]) -> Vec<u8> {
    let half = i64::try_from(SIDE / 2).unwrap();
    let pool = node("AveragePool", &["first"], "pooled");
    let pool = with_ints(pool, "kernel_shape", &[half, half]);
    let mut nodes = vec![
        with_ints(
            node("Transpose", &["input"], "first"),
            "perm",
            &[0, 3, 1, 2],
        ),
        with_ints(pool, "strides", &[half, half]),
    ];
    if channels_last {
        nodes.push(node("Mul", &["pooled", "weights"], "weighted"));
        let last = node("Transpose", &["weighted"], "means");
        nodes.push(with_ints(last, "perm", &[0, 2, 3, 1]));
    } else {
        nodes.push(node("Mul", &["pooled", "weights"], "means"));
    }
    let proto = ModelProto {
        ir_version: Some(7),
        opset_import: vec![opset("", 13)],
        graph: Some(GraphProto {
            name: Some("tiny".to_owned()),
            node: nodes,
            initializer: vec![float32_tensor("weights", &[1, 3, 1, 1], &weights)],
            input: vec![value("input")],
            output: vec![value("means")],
            ..GraphProto::default()
        }),
        ..ModelProto::default()
    };
    let mut model = OnnxModel::from_proto(proto, Path::new("tiny.onnx")).unwrap();
    let batch_of = TensorType::float32_batch;
    model.declare("input", &batch_of(&[SIDE, SIDE, 3])).unwrap();
    model.declare("means", &batch_of(&output_shape)).unwrap();
    model.to_bytes()
}
