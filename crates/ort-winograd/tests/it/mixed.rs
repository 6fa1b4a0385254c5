//! A network in which convolutions of every kind meet; cnn-codes tests its trunks with it too.

use std::path::Path;

use ort_winograd::OnnxModel;
use ort_winograd::onnx::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorType,
    ValueInfoProto, float32_tensor,
};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// Rows of a picture.
pub const HEIGHT: usize = 19;
/// Columns of a picture.
pub const WIDTH: usize = 22;
/// Channels of the output, (N, 5, 6, 20).
pub const N_OUT: usize = 20;

fn conv(inputs: &[&str], output: &str, border: i64) -> NodeProto {
    let conv = NodeProto::new("Conv", inputs, output);
    conv.with(AttributeProto::ints("pads", &[border; 4]))
}

fn halved(input: &str, output: &str) -> NodeProto {
    let pool = NodeProto::new("MaxPool", &[input], output);
    pool.with(AttributeProto::ints("kernel_shape", &[2, 2]))
        .with(AttributeProto::ints("strides", &[2, 2]))
}

fn transposed(input: &str, output: &str, axes: &[i64]) -> NodeProto {
    let transpose = NodeProto::new("Transpose", &[input], output);
    transpose.with(AttributeProto::ints("perm", axes))
}

/// Numbers from -0.2 to 0.2.
pub fn weights(name: &str, dims: &[u64], rng: &mut impl Rng) -> TensorProto {
    let n: u64 = dims.iter().product();
    let values: Vec<f32> = (0..n).map(|_| rng.gen_range(-0.2..0.2)).collect();
    float32_tensor(name, dims, &values)
}

/// A network with odd sizes, in which kernels of both kinds meet in every way: a picture goes
/// through two convolutions, a tensor is read by kernels of both kinds, some convolutions do not
/// fit, and the last one does.
pub fn network() -> OnnxModel {
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(11);
    let strided = conv(&["sum", "w5", "b5"], "strided", 1);
    let nodes = vec![
        transposed("input", "x", &[0, 3, 1, 2]),
        conv(&["x", "w1", "b1"], "c1", 1),
        NodeProto::new("Relu", &["c1"], "r1"),
        conv(&["r1", "w2"], "c2", 1),
        NodeProto::new("Relu", &["c2"], "r2"),
        halved("r2", "p2"),
        conv(&["p2", "w3", "b3"], "c3", 1),
        NodeProto::new("Relu", &["c3"], "r3"),
        NodeProto::new("Conv", &["r3", "w4", "b4"], "c4")
            .with(AttributeProto::text("auto_pad", "SAME_UPPER")),
        NodeProto::new("Add", &["r3", "c4"], "sum"),
        strided.with(AttributeProto::ints("strides", &[2, 2])),
        conv(&["strided", "w6", "b6"], "point", 0),
        conv(&["point", "w7", "b7"], "c7", 1),
        transposed("c7", "codes", &[0, 2, 3, 1]),
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
    let input = TensorType::float32_batch(&[HEIGHT as u64, WIDTH as u64, 3]);
    let output = TensorType::float32_batch(&[5, 6, N_OUT as u64]);
    let proto = ModelProto {
        ir_version: Some(7),
        opset_import: vec![OperatorSetIdProto::new("", 13)],
        graph: Some(GraphProto {
            name: Some("mixed".to_owned()),
            node: nodes,
            initializer,
            input: vec![ValueInfoProto::new("input", &input)],
            output: vec![ValueInfoProto::new("codes", &output)],
            ..GraphProto::default()
        }),
        ..ModelProto::default()
    };
    OnnxModel::from_proto(proto, Path::new("mixed.onnx")).unwrap()
}

/// `n` pictures of numbers from -1 to 1, (N, H, W, 3).
pub fn pictures(n: usize) -> Vec<f32> {
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(12);
    (0..n * HEIGHT * WIDTH * 3)
        .map(|_| rng.gen_range(-1.0..1.0))
        .collect()
}
