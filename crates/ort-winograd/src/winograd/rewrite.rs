//! Finds the convolutions of a graph that have a kernel here, and replaces them.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use super::convolution::{Convolution, FilterTransforms};
use super::direct::DirectConvolution;
use super::tiles::Epilogue;
use super::weights::{Turn, Weights};
use crate::instructions::LANES;
use crate::model::OnnxModel;
use crate::onnx::names::reads;
use crate::onnx::{
    AttributeProto, Dim, GraphProto, NodeProto, OperatorSetIdProto, TensorProto, TensorType,
    float32_bytes, float32_values, floats,
};

/// The domain of the operators. It only occurs in models in memory, never in a file.
pub(super) const DOMAIN: &str = "ort_winograd";
/// Convolves blocks; its attribute [`LAYER`] is the index in the list of layers.
pub(super) const CONVOLUTION: &str = "BlockedConvolution";
/// From (N, C, H, W) to blocks; C must be its attribute [`CHANNELS`].
pub(super) const TO_BLOCKS: &str = "ToBlocks";
/// From blocks to (N, C, H, W); C is its attribute [`CHANNELS`].
pub(super) const FROM_BLOCKS: &str = "FromBlocks";
pub(super) const LAYER: &str = "layer";
pub(super) const CHANNELS: &str = "channels";

/// Most input channels of a direct convolution: those of a picture.
const FEW_CHANNELS: usize = 4;

/// A convolution of the rewritten graph.
#[derive(Debug)]
pub(super) enum Layer {
    /// From blocks to blocks.
    Winograd(Convolution),
    /// From (N, C, H, W) to blocks.
    Direct(DirectConvolution),
}

/// A graph with convolutions replaced.
#[derive(Debug)]
pub(super) struct RewrittenGraph {
    /// The ONNX file's bytes, without the weights that went into `layers`.
    pub(super) bytes: Vec<u8>,
    /// In the order of their indices.
    pub(super) layers: Vec<Layer>,
}

/// Replaces the convolutions that have a kernel here; `None` if there are none.
///
/// A `Conv` is replaced if it has 3 x 3 filters in one group, stride 1, no dilation, a border of 1,
/// weights in the file, and at least 16 channels on either side. Its kernel also does the `Relu`
/// and the 2 x 2 `MaxPool` after it, if nothing else reads their inputs. A `Conv` of 1 to 4 input
/// channels is replaced if one of those reads its result.
///
/// Two kinds are not replaced: a `Conv` whose filters are for another number of channels than its
/// input has, which ONNX Runtime refuses, and a `Conv` before a `BatchNormalization`, because ONNX
/// Runtime folds the two into one. A graph with operators of [`DOMAIN`] is left unchanged.
pub(super) fn rewrite(model: &OnnxModel, transforms: FilterTransforms) -> Option<RewrittenGraph> {
    let mut imports = model.proto().opset_import.iter();
    if imports.any(|import| import.domain() == DOMAIN) {
        return None;
    }
    let graph = Graph::new(model.graph());
    let mut found: Vec<Found> = (0..graph.proto.node.len())
        .filter_map(|index| graph.find(index))
        .collect();
    let channels = graph.channels(&found);
    found.retain(|found| {
        channels
            .get(found.input)
            .is_none_or(|there| *there == found.n_in)
    });
    let fused: HashSet<&str> = (found.iter().filter(|found| !found.is_direct()))
        .map(|found| found.input)
        .collect();
    found.retain(|found| !found.is_direct() || fused.contains(found.output));
    if !found.iter().any(|found| !found.is_direct()) {
        return None;
    }
    let nodes = graph.replaced(&found);
    let layers = found.iter().map(|found| found.layer(transforms)).collect();
    let mut proto = model.proto().clone();
    proto.opset_import.push(OperatorSetIdProto::new(DOMAIN, 1));
    let rewritten = proto.graph.get_or_insert_default();
    rewritten.node = nodes;
    drop_unread(rewritten);
    let model = OnnxModel::from_proto(proto, model.origin()).ok()?;
    Some(RewrittenGraph {
        bytes: model.to_bytes(),
        layers,
    })
}

/// A convolution that has a kernel here, with the nodes after it that the kernel also computes.
struct Found<'a> {
    /// Nodes that it replaces; it takes the place of the last one.
    nodes: Vec<usize>,
    input: &'a str,
    output: &'a str,
    /// Float32, little-endian; they are converted to numbers one layer at a time.
    filters: Cow<'a, [u8]>,
    bias: Vec<f32>,
    n_in: usize,
    epilogue: Epilogue,
}

impl Found<'_> {
    fn is_direct(&self) -> bool {
        self.n_in <= FEW_CHANNELS
    }

    fn layer(&self, transforms: FilterTransforms) -> Layer {
        let weights = Weights {
            filters: &floats(&self.filters),
            bias: &self.bias,
            n_in: self.n_in,
            turn: Turn::None,
        };
        if self.is_direct() {
            Layer::Direct(DirectConvolution::new(weights, self.epilogue.relu))
        } else {
            Layer::Winograd(Convolution::new(weights, self.epilogue, transforms))
        }
    }
}

/// A graph, indexed by the tensors that its nodes read and compute.
struct Graph<'a> {
    proto: &'a GraphProto,
    initializers: HashMap<&'a str, &'a TensorProto>,
    readers: HashMap<&'a str, Vec<usize>>,
    outputs: HashSet<&'a str>,
}

impl<'a> Graph<'a> {
    fn new(proto: &'a GraphProto) -> Self {
        let mut readers = HashMap::<&str, Vec<usize>>::new();
        for (index, node) in proto.node.iter().enumerate() {
            for name in reads(node) {
                readers.entry(name).or_default().push(index);
            }
        }
        let initializers = proto.initializer.iter();
        Self {
            proto,
            initializers: initializers.map(|tensor| (tensor.name(), tensor)).collect(),
            readers,
            outputs: proto.output.iter().map(|info| info.name()).collect(),
        }
    }

    /// The convolution at `index`, if it has a kernel here.
    fn find(&self, index: usize) -> Option<Found<'a>> {
        let node = self.operator(index, "Conv")?;
        let [input, filters, rest @ ..] = node.input.as_slice() else {
            return None;
        };
        let tensor = self.initializers.get(filters.as_str())?;
        let &[n_out, n_in, 3, 3] = tensor.dims.as_slice() else {
            return None;
        };
        let (n_out, n_in) = (usize::try_from(n_out).ok()?, usize::try_from(n_in).ok()?);
        let is_blocked = n_in >= LANES || (1..=FEW_CHANNELS).contains(&n_in);
        if n_out < LANES || !is_blocked || !has_stride_1_and_border_1(node) {
            return None;
        }
        let filters = float32_bytes(tensor)?;
        let bias = match rest.first().filter(|name| !name.is_empty()) {
            None => vec![0.0; n_out],
            Some(name) => {
                let tensor = self.initializers.get(name.as_str())?;
                if tensor.dims != [i64::try_from(n_out).ok()?] {
                    return None;
                }
                float32_values(tensor)?
            }
        };
        let mut found = Found {
            nodes: vec![index],
            input,
            output: node.output.first()?,
            filters,
            bias,
            n_in,
            epilogue: Epilogue::default(),
        };
        if let Some(reader) = self.only_reader(found.output) {
            if self.operator(reader, "BatchNormalization").is_some() {
                return None;
            }
            self.take_epilogue(&mut found, reader);
        }
        Some(found)
    }

    /// The channels of tensors, as far as filters and declared shapes show them; if filters for
    /// different numbers read a tensor, the first counts.
    fn channels(&self, found: &[Found<'a>]) -> HashMap<&'a str, usize> {
        let mut channels = HashMap::new();
        for found in found {
            channels.entry(found.input).or_insert(found.n_in);
        }
        let infos = self.proto.value_info.iter().chain(&self.proto.input);
        for info in infos.chain(&self.proto.output) {
            if let Some([_, Dim::Fixed(there), _, _]) = TensorType::read(info).dims.as_deref() {
                channels.insert(info.name(), usize::try_from(*there).unwrap_or(usize::MAX));
            }
        }
        channels.extend(found.iter().map(|found| (found.output, found.bias.len())));
        channels
    }

    /// Adds the Relu and the pooling that begin at node `reader`.
    fn take_epilogue(&self, found: &mut Found<'a>, reader: usize) {
        let mut next = Some(reader);
        if let Some(relu) = self.operator(reader, "Relu") {
            found.nodes.push(reader);
            found.output = &relu.output[0];
            found.epilogue.relu = true;
            next = self.only_reader(found.output);
        }
        let Some(reader) = next.filter(|_| !found.is_direct()) else {
            return;
        };
        if let Some(pool) = self.operator(reader, "MaxPool").filter(|pool| halves(pool)) {
            found.nodes.push(reader);
            found.output = &pool.output[0];
            found.epilogue.pool = true;
        }
    }

    /// The node at `index`, if its operator is ONNX's own `name`.
    fn operator(&self, index: usize, name: &str) -> Option<&'a NodeProto> {
        let node = &self.proto.node[index];
        let is_onnx = matches!(node.domain(), "" | "ai.onnx");
        (is_onnx && node.op_type() == name && !node.output.is_empty()).then_some(node)
    }

    /// The only node that reads `tensor`, if the tensor is not an output of the graph.
    fn only_reader(&self, tensor: &str) -> Option<usize> {
        match self.readers.get(tensor)?.as_slice() {
            &[reader] if !self.outputs.contains(tensor) => Some(reader),
            _ => None,
        }
    }

    /// The nodes, with those of `found` replaced, and with layout conversions where both kinds
    /// meet.
    fn replaced(&self, found: &[Found]) -> Vec<NodeProto> {
        let mut blocked = Blocked::new(self.proto);
        let by_last: HashMap<usize, usize> = (found.iter().enumerate())
            .map(|(layer, found)| (found.nodes[found.nodes.len() - 1], layer))
            .collect();
        let gone: HashSet<usize> = found
            .iter()
            .flat_map(|found| &found.nodes)
            .copied()
            .collect();
        let fused: HashSet<usize> = (found.iter().filter(|found| !found.is_direct()))
            .map(|found| found.nodes[0])
            .collect();
        for (index, node) in self.proto.node.iter().enumerate() {
            if let Some(&layer) = by_last.get(&index) {
                let is_read_as_it_was = self.outputs.contains(found[layer].output)
                    || (self.readers.get(found[layer].output).into_iter().flatten())
                        .any(|reader| !fused.contains(reader));
                blocked.push_layer(layer, &found[layer], is_read_as_it_was);
            } else if !gone.contains(&index) {
                blocked.nodes.push(node.clone());
            }
        }
        blocked.nodes
    }
}

/// The nodes of the rewritten graph so far, and the blocked versions of tensors.
struct Blocked<'a> {
    nodes: Vec<NodeProto>,
    twins: HashMap<&'a str, String>,
    prefix: String,
}

impl<'a> Blocked<'a> {
    fn new(graph: &GraphProto) -> Self {
        // The names of blocked tensors begin with a prefix that no other name has.
        let mut prefix = "blocked:".to_owned();
        let outputs = || graph.node.iter().flat_map(|node| &node.output);
        while outputs().any(|name| name.starts_with(&prefix)) {
            prefix.push(':');
        }
        Self {
            nodes: Vec::new(),
            twins: HashMap::new(),
            prefix,
        }
    }

    fn push_layer(&mut self, layer: usize, found: &Found<'a>, is_read_as_it_was: bool) {
        let input = if found.is_direct() {
            found.input.to_owned()
        } else {
            self.twin(found.input, found.n_in)
        };
        let output = format!("{}{}", self.prefix, found.output);
        self.push(CONVOLUTION, &input, &output, (LAYER, layer));
        if is_read_as_it_was {
            let channels = (CHANNELS, found.bias.len());
            self.push(FROM_BLOCKS, &output, found.output, channels);
        }
        self.twins.insert(found.output, output);
    }

    /// The blocked version of `tensor`, which has `n_channels`; created here if there is none.
    fn twin(&mut self, tensor: &'a str, n_channels: usize) -> String {
        if let Some(twin) = self.twins.get(tensor) {
            return twin.clone();
        }
        let twin = format!("{}{tensor}", self.prefix);
        self.push(TO_BLOCKS, tensor, &twin, (CHANNELS, n_channels));
        self.twins.insert(tensor, twin.clone());
        twin
    }

    fn push(&mut self, operator: &str, input: &str, output: &str, (name, value): (&str, usize)) {
        let value = i64::try_from(value).expect("channels and layers were counted in memory");
        let node = NodeProto::new(operator, &[input], output);
        self.nodes.push(NodeProto {
            domain: Some(DOMAIN.to_owned()),
            name: Some(format!("{operator} for {output}")),
            attribute: vec![AttributeProto::int(name, value)],
            ..node
        });
    }
}

/// Removes the weights that no node reads any more, and the shapes of removed tensors.
fn drop_unread(graph: &mut GraphProto) {
    let outputs = graph.output.iter().map(|info| info.name().to_owned());
    let mut there: HashSet<String> = outputs.collect();
    for node in &graph.node {
        there.extend(reads(node).into_iter().map(str::to_owned));
    }
    graph
        .initializer
        .retain(|tensor| there.contains(tensor.name()));
    let given: HashSet<&str> = graph.initializer.iter().map(TensorProto::name).collect();
    // Older files list their initializers among the inputs.
    graph
        .input
        .retain(|info| there.contains(info.name()) || given.contains(info.name()));
    graph.value_info.retain(|info| there.contains(info.name()));
    graph
        .quantization_annotation
        .retain(|note| there.contains(note.tensor_name()));
}

fn has_stride_1_and_border_1(conv: &NodeProto) -> bool {
    let has_border = match conv
        .attribute_named("auto_pad")
        .and_then(|pad| pad.s.as_deref())
    {
        Some(b"SAME_UPPER" | b"SAME_LOWER") => true,
        None | Some(b"NOTSET") => ints(conv, "pads", &[0; 4]) == [1; 4],
        Some(_) => false,
    };
    let has_one_group = conv
        .attribute_named("group")
        .is_none_or(|group| group.i() == 1);
    let ones = [1, 1];
    has_border
        && has_one_group
        && ints(conv, "strides", &ones) == ones
        && ints(conv, "dilations", &ones) == ones
        && ints(conv, "kernel_shape", &[3, 3]) == [3, 3]
}

/// Whether a MaxPool takes the maximum of each 2 x 2, and drops an odd last row or column.
fn halves(pool: &NodeProto) -> bool {
    let has_no_border = match pool
        .attribute_named("auto_pad")
        .and_then(|pad| pad.s.as_deref())
    {
        None | Some(b"NOTSET" | b"VALID") => ints(pool, "pads", &[0; 4]) == [0; 4],
        Some(_) => false,
    };
    has_no_border
        && pool.output.len() == 1
        && pool
            .attribute_named("ceil_mode")
            .is_none_or(|mode| mode.i() == 0)
        && ints(pool, "kernel_shape", &[]) == [2, 2]
        && ints(pool, "strides", &[1, 1]) == [2, 2]
        && ints(pool, "dilations", &[1, 1]) == [1, 1]
}

fn ints<'a>(node: &'a NodeProto, name: &str, default: &'a [i64]) -> &'a [i64] {
    node.attribute_named(name)
        .map_or(default, |attribute| &attribute.ints)
}
