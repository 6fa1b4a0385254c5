//! Small networks in which layers of every kind meet, for the tests of this folder and those of the layers.

use ort_winograd::OnnxModel;
use ort_winograd::onnx::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    ValueInfoProto, float32_tensor,
};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// A graph that is put together, from `x` to `y`.
pub struct Network {
    nodes: Vec<NodeProto>,
    weights: Vec<TensorProto>,
    rng: Xoshiro256PlusPlus,
}

impl Network {
    pub fn new(seed: u64) -> Self {
        Self {
            nodes: Vec::new(),
            weights: Vec::new(),
            rng: Xoshiro256PlusPlus::seed_from_u64(seed),
        }
    }

    pub fn node(&mut self, node: NodeProto) -> &mut Self {
        self.nodes.push(node);
        self
    }

    pub fn plain(&mut self, operator: &str, inputs: &[&str], output: &str) -> &mut Self {
        self.node(NodeProto::new(operator, inputs, output))
    }

    /// Weights of a size that keeps numbers near 1.
    pub fn tensor(&mut self, name: &str, dims: &[u64]) -> &mut Self {
        let n: u64 = dims.iter().product();
        let fan_in: u64 = dims.iter().skip(1).product();
        let size = (3.0 / fan_in as f32).sqrt();
        let values: Vec<f32> = (0..n).map(|_| self.rng.gen_range(-size..size)).collect();
        self.weights.push(float32_tensor(name, dims, &values));
        self
    }

    /// A convolution with weights `{output}/w` and `{output}/b`, and pads top, left, bottom, right.
    pub fn conv(&mut self, input: &str, output: &str, dims: [u64; 4], pads: [i64; 4]) -> &mut Self {
        let (filters, bias) = (format!("{output}/w"), format!("{output}/b"));
        self.tensor(&filters, &dims).tensor(&bias, &dims[..1]);
        let group = match dims[1] {
            1 => i64::try_from(dims[0]).unwrap(),
            _ => 1,
        };
        let conv = NodeProto::new("Conv", &[input, &filters, &bias], output);
        self.node(
            conv.with(AttributeProto::ints("pads", &pads))
                .with(AttributeProto::int("group", group)),
        )
    }

    pub fn pool(
        &mut self,
        operator: &str,
        [input, output]: [&str; 2],
        kernel: [i64; 2],
        strides: [i64; 2],
        pads: [i64; 4],
    ) -> &mut Self {
        let pool = NodeProto::new(operator, &[input], output);
        self.node(
            pool.with(AttributeProto::ints("kernel_shape", &kernel))
                .with(AttributeProto::ints("strides", &strides))
                .with(AttributeProto::ints("pads", &pads)),
        )
    }

    /// Clips from 0 to 6.
    pub fn clip(&mut self, input: &str, output: &str) -> &mut Self {
        for (name, value) in [("zero", 0.0), ("six", 6.0)] {
            if !self.weights.iter().any(|tensor| tensor.name() == name) {
                self.weights.push(float32_tensor(name, &[], &[value]));
            }
        }
        self.plain("Clip", &[input, "zero", "six"], output)
    }

    pub fn model(&self) -> OnnxModel {
        let value = |name: &str| ValueInfoProto {
            name: Some(name.to_owned()),
            ..ValueInfoProto::default()
        };
        let graph = GraphProto {
            name: Some("network".to_owned()),
            node: self.nodes.clone(),
            initializer: self.weights.clone(),
            input: vec![value("x")],
            output: vec![value("y")],
            ..GraphProto::default()
        };
        let proto = ModelProto {
            ir_version: Some(7),
            opset_import: vec![OperatorSetIdProto::new("", 13)],
            graph: Some(graph),
            ..ModelProto::default()
        };
        OnnxModel::from_proto(proto, "network.onnx".as_ref()).unwrap()
    }
}

/// A network, and the shape (N, H, W, C) of a batch for it.
pub struct Case {
    pub name: &'static str,
    pub model: OnnxModel,
    pub batch: [usize; 4],
}

/// Each layer by itself, and layers as networks have them.
pub fn cases() -> Vec<Case> {
    let mut cases = vec![];
    let mut push = |name, network: &Network, batch| {
        let model = network.model();
        cases.push(Case { name, model, batch });
    };
    for (name, dims, pads) in [
        ("3 x 3 with a border of 1", [19, 17, 3, 3], [1; 4]),
        ("3 x 3 without a border", [3, 20, 3, 3], [0; 4]),
        (
            "3 x 3 with borders of all kinds",
            [18, 5, 3, 3],
            [0, 2, 1, 0],
        ),
        ("3 x 3 with a border of 2", [2, 2, 3, 3], [2; 4]),
        ("1 x 1", [21, 18, 1, 1], [0; 4]),
        ("depthwise 3 x 3", [19, 1, 3, 3], [1; 4]),
        ("depthwise 5 x 4", [5, 1, 5, 4], [2, 0, 1, 3]),
    ] {
        let n_in = if dims[1] == 1 { dims[0] } else { dims[1] };
        let mut network = Network::new(1);
        network.conv("x", "y", dims, pads);
        push(name, &network, [2, 6, 7, n_in as usize]);
    }
    for (name, operator, kernel, strides, pads) in [
        ("largest of 2 x 2", "MaxPool", [2, 2], [2, 2], [0; 4]),
        (
            "largest of 3 x 2 that overlap",
            "MaxPool",
            [3, 2],
            [2, 1],
            [1, 0, 0, 1],
        ),
        (
            "mean of 3 x 3 inside",
            "AveragePool",
            [3, 3],
            [2, 2],
            [1; 4],
        ),
    ] {
        let mut network = Network::new(2);
        network.conv("x", "c", [18, 3, 1, 1], [0; 4]).pool(
            operator,
            ["c", "y"],
            kernel,
            strides,
            pads,
        );
        push(name, &network, [2, 7, 6, 3]);
    }
    push("a chain", &chain(), [3, 11, 9, 5]);
    push("a residual block", &residual(), [2, 7, 6, 20]);
    push("depthwise blocks", &depthwise(), [2, 6, 7, 6]);
    push("normalized, averaged", &normalized(), [3, 5, 4, 3]);
    cases
}

/// Convolutions, ReLUs and poolings in a row, with channels last on either side.
fn chain() -> Network {
    let mut network = Network::new(3);
    let to_first = NodeProto::new("Transpose", &["x"], "first");
    let to_last = NodeProto::new("Transpose", &["p2"], "y");
    network
        .node(to_first.with(AttributeProto::ints("perm", &[0, 3, 1, 2])))
        .conv("first", "c1", [20, 5, 3, 3], [1; 4])
        .plain("Relu", &["c1"], "r1")
        .pool("MaxPool", ["r1", "p1"], [2, 2], [2, 2], [0; 4])
        .conv("p1", "c2", [17, 20, 3, 3], [0, 1, 1, 2])
        .plain("Relu", &["c2"], "r2")
        .pool("MaxPool", ["r2", "p2"], [3, 3], [1, 2], [1; 4])
        .node(to_last.with(AttributeProto::ints("perm", &[0, 2, 3, 1])));
    network
}

/// Two convolutions around which the input goes, and once more what comes of the first.
fn residual() -> Network {
    let mut network = Network::new(4);
    network
        .conv("x", "c1", [20, 20, 3, 3], [1; 4])
        .plain("Relu", &["c1"], "r1")
        .conv("r1", "c2", [20, 20, 3, 3], [1; 4])
        .plain("Add", &["c2", "x"], "s1")
        .plain("Relu", &["s1"], "r2")
        .plain("Add", &["r2", "r1"], "s2")
        .conv("s2", "y", [3, 20, 1, 1], [0; 4]);
    network
}

/// As EfficientNet has them.
fn depthwise() -> Network {
    let mut network = Network::new(5);
    network
        .conv("x", "e1", [24, 6, 1, 1], [0; 4])
        .clip("e1", "a1")
        .conv("a1", "d1", [24, 1, 3, 3], [1; 4])
        .clip("d1", "b1")
        .conv("b1", "p1", [6, 24, 1, 1], [0; 4])
        .plain("Add", &["p1", "x"], "s1")
        .conv("s1", "e2", [33, 6, 1, 1], [0; 4])
        .clip("e2", "a2")
        .conv("a2", "d2", [33, 1, 5, 5], [2; 4])
        .clip("d2", "b2")
        .conv("b2", "y", [4, 33, 1, 1], [0; 4]);
    network
}

/// A normalized convolution, another one, both kinds of means, and the mean of all.
fn normalized() -> Network {
    let mut network = Network::new(6);
    for (name, dims) in [("scale", 18), ("shift", 18), ("mean", 18)] {
        network.tensor(name, &[dims]);
    }
    let variance: Vec<f32> = (1..=18).map(|i| i as f32 / 9.0).collect();
    network
        .weights
        .push(float32_tensor("variance", &[18], &variance));
    let average = NodeProto::new("AveragePool", &["c2"], "p")
        .with(AttributeProto::ints("kernel_shape", &[2, 3]))
        .with(AttributeProto::ints("pads", &[1, 1, 0, 1]))
        .with(AttributeProto::int("count_include_pad", 1));
    network
        .conv("x", "c1", [18, 3, 3, 3], [1; 4])
        .plain(
            "BatchNormalization",
            &["c1", "scale", "shift", "mean", "variance"],
            "n1",
        )
        .plain("Relu", &["n1"], "r1")
        .conv("r1", "c2", [17, 18, 3, 3], [1; 4])
        .node(average)
        .plain("GlobalAveragePool", &["p"], "g")
        .plain("Flatten", &["g"], "y");
    network
}
