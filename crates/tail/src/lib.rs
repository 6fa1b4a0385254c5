//! Fine-tuning: the last layers of a ConvNet, forward and backward, without a framework.
//!
//! The front of a trunk is frozen: its outputs for the pictures, the codes, are computed once. This
//! crate reads the layers after it, the **tail**, from the trunk's ONNX graph, trains them on the
//! codes, and writes the tuned weights back into the graph.
//!
//! ```text
//! read       an ONNX graph, between two tensors -> plain layers and their weights: a Tail
//! layers     each layer, forward and backward side by side
//! pass       a batch through the layers, with a tape; and gradients back along it
//! gradients  of all weights: their norm, clipped
//! optimizer  SGD with momentum, AdamW; rates by layer, a pull towards the start
//! blend      interpolation between two tails' weights: WiSE-FT
//! saved      weights to safetensors and back
//! write      tuned weights back into the graph
//! ```
//!
//! Shapes: N pictures, H rows, W columns, C channels; O and I are output and input channels.
//! Batches are (N, H, W, C) in C order, like stores of codes; weights are (O, I, k, k), as in the
//! ONNX file. Internally, tensors are (N, C/16, H, W, 16): see [`ort_winograd::blocked`].
//!
//! Everything is float32. Work is divided among the threads of rayon's current pool. Results depend
//! neither on their number nor on the processor's vector instructions, not even in the last bit.
//!
//! ```
//! use cnn_codes_tail::{Batch, InputGradient, Optimizer, OptimizerOptions, Tail, TailError};
//! # use ort_winograd::OnnxModel;
//! # use ort_winograd::onnx::{AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
//! #     TensorType, ValueInfoProto, float32_tensor};
//! # let conv = NodeProto::new("Conv", &["codes", "filters"], "y").with(AttributeProto::ints("pads", &[1; 4]));
//! # let shape = TensorType::float32_batch(&[1, 2, 2]);
//! # let graph = GraphProto {
//! #     name: Some("one convolution".to_owned()),
//! #     node: vec![conv],
//! #     initializer: vec![float32_tensor("filters", &[1, 1, 3, 3], &[0.5; 9])],
//! #     input: vec![ValueInfoProto::new("codes", &shape)],
//! #     output: vec![ValueInfoProto::new("y", &shape)],
//! #     ..GraphProto::default()
//! # };
//! # let proto = ModelProto { ir_version: Some(7), opset_import: vec![OperatorSetIdProto::new("", 13)],
//! #     graph: Some(graph), ..ModelProto::default() };
//! # let mut model = OnnxModel::from_proto(proto, "one.onnx".as_ref())?;
//! let mut tail = Tail::read(&model, "codes", "y")?;
//! let mut optimizer = Optimizer::new(&tail, OptimizerOptions::default());
//! let rates = tail.layer_rates(0.01, 0.5);
//! let codes = Batch { shape: [1, 2, 2, 1], values: &[1.0, 2.0, 3.0, 4.0] };
//! for _ in 0..10 {
//!     let (outputs, tape) = tail.forward(codes)?;
//!     // Of (y - 1)^2 / 2, the mean of which shall be small.
//!     let d_outputs: Vec<f32> = outputs.iter().map(|y| (y - 1.0) / 4.0).collect();
//!     let mut gradients = tail.backward(&tape, &d_outputs, InputGradient::Unwanted)?;
//!     gradients.clip(1.0);
//!     optimizer.step(&mut tail, &gradients, &rates)?;
//! }
//! let error = |y: &f32| (y - 1.0) * (y - 1.0);
//! assert!(tail.outputs(codes)?.iter().map(error).sum::<f32>() < 25.0);
//! tail.write_into(&mut model)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![deny(missing_docs)]

mod blend;
mod error;
mod gradients;
mod layers;
mod optimizer;
mod pass;
mod read;
mod saved;
mod tail;
#[cfg(test)]
mod tests;
mod write;

pub use self::error::TailError;
pub use self::gradients::Gradients;
pub use self::optimizer::{AdamMeans, Optimizer, OptimizerOptions, UpdateRule};
pub use self::pass::{Batch, InputGradient, Tape};
pub use self::tail::{Role, Tail, WeightTensor};
