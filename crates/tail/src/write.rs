//! Writes tuned weights back into their graph.

use std::collections::{HashMap, HashSet};

use ort_winograd::OnnxModel;
use ort_winograd::onnx::{GraphProto, NodeProto, TensorProto, float32_tensor};

use crate::layers::{Nodes, Weights};
use crate::tail::WeightTensor;
use crate::{Tail, TailError};

impl Tail {
    /// Writes the weights into `model`, which must have the nodes that they were read from.
    ///
    /// Weights keep their names in the file, unless something else reads them there. A
    /// `BatchNormalization` that was folded into a convolution becomes an `Identity`. All tensors
    /// keep their names, so the model can be cut and read as before, and another tail can be
    /// written into the result. After an error the model is unchanged.
    ///
    /// # Errors
    /// [`TailError::OtherGraph`], or [`TailError::Graph`].
    pub fn write_into(&self, model: &mut OnnxModel) -> Result<(), TailError> {
        let mut proto = model.proto().clone();
        let mut writer = Writer::new(proto.graph.get_or_insert_default());
        for weights in self
            .layers
            .iter()
            .filter_map(|layer| layer.operation.weights())
        {
            writer.write(weights, &self.tensors)?;
        }
        writer.drop_unread();
        *model = OnnxModel::from_proto(proto, model.origin())?;
        Ok(())
    }
}

/// A graph that is being written to.
struct Writer<'a> {
    graph: &'a mut GraphProto,
    /// Indices of nodes, by the first tensor that they compute.
    nodes: HashMap<String, usize>,
    /// Indices of initializers, by name.
    initializers: HashMap<String, usize>,
    /// How many node inputs and graph outputs each tensor was before.
    n_readers: HashMap<String, usize>,
    /// Names in use.
    taken: HashSet<String>,
    /// Whether nodes contain graphs, which may read otherwise unread tensors.
    has_inner_graphs: bool,
}

impl<'a> Writer<'a> {
    fn new(graph: &'a mut GraphProto) -> Self {
        let mut attributes = graph.node.iter().flat_map(|node| &node.attribute);
        let has_inner_graphs = attributes.any(|a| a.g.is_some() || !a.graphs.is_empty());
        let nodes = graph.node.iter().enumerate();
        let nodes = nodes.filter_map(|(place, node)| Some((node.output.first()?.clone(), place)));
        let initializers = graph.initializer.iter().map(TensorProto::name);
        let inputs = graph.input.iter().map(|info| info.name());
        let computed = graph.node.iter().flat_map(|node| &node.output);
        let taken = initializers
            .clone()
            .chain(inputs)
            .chain(computed.map(String::as_str));
        let initializers = initializers.enumerate();
        Self {
            nodes: nodes.collect(),
            taken: taken.map(str::to_owned).collect(),
            initializers: initializers
                .map(|(place, name)| (name.to_owned(), place))
                .collect(),
            n_readers: n_readers(graph),
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

    /// The node that computes `tensor`; its operator must be one of `operators`.
    fn node(&self, tensor: &str, operators: &[&str]) -> Result<usize, TailError> {
        let index = self.nodes.get(tensor).copied();
        let index = index.filter(|&index| operators.contains(&self.graph.node[index].op_type()));
        index.ok_or_else(|| other(format!("no {} computes {tensor:?}", operators[0])))
    }

    /// The shape of an input whose values are in the file.
    fn shape_of(&self, node: &NodeProto, slot: usize) -> Option<Vec<usize>> {
        let &place = self.initializers.get(node.input.get(slot)?)?;
        let dims = self.graph.initializer[place].dims.iter();
        dims.map(|&dim| usize::try_from(dim).ok()).collect()
    }

    /// Makes `weights` the input `slot` of a node.
    fn put(&mut self, index: usize, slot: usize, weights: &WeightTensor) {
        let node = &mut self.graph.node[index];
        if node.input.len() <= slot {
            node.input.resize(slot + 1, String::new());
        }
        let name = &mut node.input[slot];
        // Whether nothing else reads it.
        let is_own = self.n_readers.get(name) == Some(&1) && !self.has_inner_graphs;
        match self.initializers.get(name).filter(|_| is_own) {
            Some(&place) => self.graph.initializer[place] = initializer(name, weights),
            None => {
                let mut new = weights.name.clone();
                while !self.taken.insert(new.clone()) {
                    new.push_str("/tuned");
                }
                self.graph.initializer.push(initializer(&new, weights));
                *name = new;
            }
        }
    }

    /// Removes the initializers that are no longer read.
    fn drop_unread(&mut self) {
        if self.has_inner_graphs {
            return;
        }
        let read_now = n_readers(self.graph);
        let is_gone =
            |name: &str| self.n_readers.contains_key(name) && !read_now.contains_key(name);
        (self.graph.initializer).retain(|tensor| !is_gone(tensor.name()));
        // Older files list their initializers among the inputs.
        let is_initializer = |name: &str| self.initializers.contains_key(name);
        (self.graph.input).retain(|info| !(is_initializer(info.name()) && is_gone(info.name())));
    }
}

/// How many node inputs each tensor is; one more if it is an output of the graph.
fn n_readers(graph: &GraphProto) -> HashMap<String, usize> {
    let inputs = graph.node.iter().flat_map(|node| &node.input);
    let outputs = graph.output.iter().map(|info| info.name());
    let mut n_readers = HashMap::new();
    for name in inputs.map(String::as_str).chain(outputs) {
        *n_readers.entry(name.to_owned()).or_default() += 1;
    }
    n_readers
}

fn initializer(name: &str, weights: &WeightTensor) -> TensorProto {
    let dims: Vec<u64> = weights.shape.iter().map(|&dim| dim as u64).collect();
    float32_tensor(name, &dims, &weights.values)
}

fn other(reason: String) -> TailError {
    TailError::OtherGraph { reason }
}
