//! Tuned weights back into the graph that they came from.

use std::collections::HashSet;

use ort_winograd::OnnxModel;
use ort_winograd::onnx::{GraphProto, NodeProto, TensorProto, float32_tensor};

use crate::layers::{Nodes, Operation, Weights};
use crate::tail::WeightTensor;
use crate::{Tail, TailError};

impl Tail {
    /// Puts the weights into `model`, which must have the nodes that they were read from.
    ///
    /// Weights keep their names in the file, unless something else reads them there. A `BatchNormalization` that
    /// became part of a convolution's weights becomes an `Identity`. All tensors keep their names, so the model
    /// can be cut and read as before; and another tail can be written into the result. After an error the model
    /// is as before.
    ///
    /// # Errors
    /// [`TailError::OtherGraph`], or [`TailError::Graph`].
    pub fn write_into(&self, model: &mut OnnxModel) -> Result<(), TailError> {
        let mut proto = model.proto().clone();
        let mut writer = Writer::new(proto.graph.get_or_insert_default());
        for layer in &self.layers {
            if let Operation::Convolution(convolution) = &layer.operation {
                writer.write(&convolution.weights, &self.tensors)?;
            }
            if let Operation::Depthwise(depthwise) = &layer.operation {
                writer.write(&depthwise.weights, &self.tensors)?;
            }
        }
        writer.drop_unread();
        *model = OnnxModel::from_proto(proto, model.origin())?;
        Ok(())
    }
}

/// A graph that weights are written into.
struct Writer<'a> {
    graph: &'a mut GraphProto,
    /// What nodes read before.
    read_before: HashSet<String>,
    /// Whether nodes have graphs inside, which may read what nobody else does.
    has_inner_graphs: bool,
}

impl<'a> Writer<'a> {
    fn new(graph: &'a mut GraphProto) -> Self {
        let mut attributes = graph.node.iter().flat_map(|node| &node.attribute);
        let has_inner_graphs = attributes.any(|a| a.g.is_some() || !a.graphs.is_empty());
        Self {
            read_before: reads(graph),
            has_inner_graphs,
            graph,
        }
    }

    fn write(&mut self, weights: &Weights, tensors: &[WeightTensor]) -> Result<(), TailError> {
        let Nodes {
            convolution,
            normalization,
        } = &weights.nodes;
        let index = self.node(convolution, &["Conv"])?;
        let filters = &tensors[weights.filters];
        let there = self.shape_of(&self.graph.node[index], 1);
        if there.as_ref().is_some_and(|there| *there != filters.shape) {
            return Err(other(format!(
                "the filters of {convolution:?} are {there:?}, and {:?} here",
                filters.shape
            )));
        }
        self.put(index, 1, filters);
        if let Some(bias) = weights.bias {
            self.put(index, 2, &tensors[bias]);
        }
        if let Some(normalization) = normalization {
            let index = self.node(normalization, &["BatchNormalization", "Identity"])?;
            let node = &mut self.graph.node[index];
            if node.input.first() != Some(convolution) {
                return Err(other(format!(
                    "{normalization:?} is not computed from {convolution:?}"
                )));
            }
            node.op_type = Some("Identity".to_owned());
            node.input.truncate(1);
            node.output.truncate(1);
            node.attribute.clear();
        }
        Ok(())
    }

    /// The node that computes `tensor`, which must be one of `operators`.
    fn node(&self, tensor: &str, operators: &[&str]) -> Result<usize, TailError> {
        let mut nodes = self.graph.node.iter();
        let index = nodes.position(|node| node.output.first().is_some_and(|name| name == tensor));
        let index = index.filter(|&index| operators.contains(&self.graph.node[index].op_type()));
        index.ok_or_else(|| other(format!("no {} computes {tensor:?}", operators[0])))
    }

    /// The shape of an input that is in the file.
    fn shape_of(&self, node: &NodeProto, slot: usize) -> Option<Vec<usize>> {
        let name = node.input.get(slot)?;
        let mut tensors = self.graph.initializer.iter();
        let tensor = tensors.find(|tensor| tensor.name() == name)?;
        let dims = tensor.dims.iter().map(|&dim| usize::try_from(dim).ok());
        dims.collect()
    }

    /// Makes `weights` the input `slot` of a node.
    fn put(&mut self, index: usize, slot: usize, weights: &WeightTensor) {
        let node = &mut self.graph.node[index];
        if node.input.len() <= slot {
            node.input.resize(slot + 1, String::new());
        }
        let name = self.graph.node[index].input[slot].clone();
        let place = (self.graph.initializer.iter()).position(|tensor| tensor.name() == name);
        match place.filter(|_| self.is_own(&name)) {
            Some(place) => self.graph.initializer[place] = initializer(&name, weights),
            None => {
                let name = self.new_name(&weights.name);
                self.graph.initializer.push(initializer(&name, weights));
                self.graph.node[index].input[slot] = name;
            }
        }
    }

    /// Whether a single node reads a tensor, and nobody else.
    fn is_own(&self, name: &str) -> bool {
        let inputs = self.graph.node.iter().flat_map(|node| &node.input);
        let n_reads = inputs.filter(|input| *input == name).count();
        let is_output = self.graph.output.iter().any(|info| info.name() == name);
        n_reads == 1 && !is_output && !self.has_inner_graphs
    }

    /// A name that no tensor of the graph has, nor of one inside.
    fn new_name(&self, wanted: &str) -> String {
        let graph = &self.graph;
        let mut taken: HashSet<&str> = graph.initializer.iter().map(TensorProto::name).collect();
        taken.extend(graph.input.iter().map(|info| info.name()));
        let nodes = graph.node.iter();
        taken.extend(nodes.flat_map(|node| node.output.iter().map(String::as_str)));
        let mut name = wanted.to_owned();
        while taken.contains(name.as_str()) || (self.has_inner_graphs && name == wanted) {
            name.push_str("/tuned");
        }
        name
    }

    /// Drops the initializers that were read before and are no more.
    fn drop_unread(&mut self) {
        if self.has_inner_graphs {
            return;
        }
        let read_now = reads(self.graph);
        let gone: HashSet<&String> = self.read_before.difference(&read_now).collect();
        let is_there = |name: &str| !gone.contains(&name.to_owned());
        let initializers: HashSet<String> = (self.graph.initializer.iter())
            .map(|tensor| tensor.name().to_owned())
            .collect();
        (self.graph.initializer).retain(|tensor| is_there(tensor.name()));
        // Older files list their initializers among the inputs.
        let is_input = |name: &str| is_there(name) || !initializers.contains(name);
        self.graph.input.retain(|info| is_input(info.name()));
    }
}

/// All that nodes read and the graph gives.
fn reads(graph: &GraphProto) -> HashSet<String> {
    let inputs = graph.node.iter().flat_map(|node| &node.input).cloned();
    let outputs = graph.output.iter().map(|info| info.name().to_owned());
    inputs.chain(outputs).collect()
}

fn initializer(name: &str, weights: &WeightTensor) -> TensorProto {
    let dims: Vec<u64> = weights.shape.iter().map(|&dim| dim as u64).collect();
    float32_tensor(name, &dims, &weights.values)
}

fn other(reason: String) -> TailError {
    TailError::OtherGraph { reason }
}
