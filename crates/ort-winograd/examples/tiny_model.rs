//! Makes a model of two convolutions, rewrites it, and runs it on a picture.
//!
//!     cargo run -p ort-winograd --example tiny_model -- PATH/OF/libonnxruntime.so
//!
//! ONNX Runtime's libraries send telemetry unless ORT_DISABLE_TELEMETRY=1 is set before they load.

use ort::environment::Environment;
use ort::session::Session;
use ort::value::TensorRef;
use ort_winograd::OnnxModel;
use ort_winograd::onnx::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorType,
    ValueInfoProto, float32_tensor,
};

/// Side of the picture in pixels.
pub const SIDE: usize = 12;

#[allow(dead_code, reason = "the test that runs this has a `main` of its own")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let library = std::env::args()
        .nth(1)
        .ok_or("give ONNX Runtime's library")?;
    let environment = ort::init_from(library)?.with_telemetry(false).build()?;
    let mut session = open(&environment, &model()?.to_bytes(), 2)?;
    println!("{:?}", &run(&mut session, &[1.0; 3 * SIDE * SIDE])?[..4]);
    Ok(())
}

/// A session on the CPU, with the convolutions of ort-winograd where the model has any for it.
pub fn open(
    environment: &Environment,
    onnx: &[u8],
    threads: usize,
) -> Result<Session, Box<dyn std::error::Error>> {
    let mut builder = Session::builder(environment)?.with_intra_threads(threads)?;
    let Some(rewritten) = ort_winograd::rewrite(onnx, threads)? else {
        return Ok(builder.commit_from_memory(onnx)?);
    };
    println!("{}", rewritten.summary());
    let mut builder = builder.with_operators(rewritten.operators()?)?;
    Ok(builder.commit_from_memory(rewritten.onnx_bytes())?)
}

/// Output (1, 16, 12, 12) for one picture (3, 12, 12).
pub fn run(session: &mut Session, picture: &[f32]) -> ort::Result<Vec<f32>> {
    let input = TensorRef::from_array_view(([1, 3, SIDE, SIDE], picture))?;
    let outputs = session.run(ort::inputs!["picture" => input])?;
    Ok(outputs["features"].try_extract_tensor::<f32>()?.1.to_vec())
}

/// Two convolutions with a ReLU between them: 3 channels to 16, and 16 to 16.
pub fn model() -> Result<OnnxModel, ort_winograd::GraphError> {
    let border = |node: NodeProto| node.with(AttributeProto::ints("pads", &[1; 4]));
    let weights = |n_in: usize| (0..16 * n_in * 9).map(|i| (i % 7) as f32 * 0.01 - 0.02);
    let (first, second): (Vec<_>, Vec<_>) = (weights(3).collect(), weights(16).collect());
    let side = SIDE as u64;
    let graph = GraphProto {
        name: Some("tiny".to_owned()),
        node: vec![
            border(NodeProto::new("Conv", &["picture", "first"], "edges")),
            NodeProto::new("Relu", &["edges"], "positive"),
            border(NodeProto::new("Conv", &["positive", "second"], "features")),
        ],
        initializer: vec![
            float32_tensor("first", &[16, 3, 3, 3], &first),
            float32_tensor("second", &[16, 16, 3, 3], &second),
        ],
        input: vec![ValueInfoProto::new(
            "picture",
            &TensorType::float32_batch(&[3, side, side]),
        )],
        output: vec![ValueInfoProto::new(
            "features",
            &TensorType::float32_batch(&[16, side, side]),
        )],
        ..GraphProto::default()
    };
    let model = ModelProto {
        ir_version: Some(7),
        opset_import: vec![OperatorSetIdProto::new("", 13)],
        graph: Some(graph),
        ..ModelProto::default()
    };
    OnnxModel::from_proto(model, "tiny.onnx".as_ref())
}
