//! The nodes between two tensors of a graph.

use std::collections::{BTreeSet, HashMap, HashSet};

use ort_winograd::onnx::{GraphProto, NodeProto};

use super::constants::Constants;
use super::form::{Form, Unread};
use crate::TailError;

/// Exactly the nodes that lead from one tensor to another.
pub(super) struct Path<'a> {
    pub(super) from: &'a str,
    pub(super) to: &'a str,
    /// The nodes in the order in which they are computed.
    pub(super) steps: Vec<Step<'a>>,
    /// Tensors on which alone `to` depends, through nodes that a tail can have, from back to front.
    cuts: Vec<&'a str>,
}

/// A node of the path.
pub(super) struct Step<'a> {
    pub(super) node: &'a NodeProto,
    pub(super) form: Form,
    /// How many of the path's cuts come after it.
    n_cuts: usize,
}

impl<'a> Step<'a> {
    pub(super) fn output(&self) -> &'a str {
        &self.node.output[0]
    }

    /// The tensors that it reads.
    pub(super) fn inputs(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let node = self.node;
        node.input[..self.form.n_inputs()]
            .iter()
            .map(String::as_str)
    }
}

impl<'a> Path<'a> {
    /// The nodes between `from` and `to`.
    ///
    /// Goes from back to front, since nodes are in order, and keeps the set of tensors still
    /// needed. When there is only one, the trunk could be cut there.
    pub(super) fn between(
        graph: &'a GraphProto,
        constants: &Constants,
        from: &'a str,
        to: &'a str,
    ) -> Result<Self, TailError> {
        check_names(graph, from, to)?;
        let mut path = Self {
            from,
            to,
            steps: Vec::new(),
            cuts: Vec::new(),
        };
        let mut needed = BTreeSet::from([to]);
        let mut has_weights = false;
        for node in graph.node.iter().rev() {
            if needed.len() == 1 && needed.contains(from) {
                break;
            }
            let mut outputs = node.output.iter().map(String::as_str);
            if outputs.clone().any(|name| name == from)
                || !outputs.any(|name| needed.contains(name))
            {
                continue;
            }
            if has_weights {
                path.note_cut(&needed);
            }
            path.push(node, constants)?;
            for output in &node.output {
                needed.remove(output.as_str());
            }
            if let Some(step) = path.steps.last() {
                has_weights |= step.form.has_weights();
                needed.extend(step.inputs());
            }
        }
        if needed.len() == 1 && needed.contains(from) {
            path.steps.reverse();
            return path.with_folded(graph);
        }
        Err(TailError::NotAlone {
            from: from.to_owned(),
            to: to.to_owned(),
            others: (needed.into_iter())
                .filter(|&name| name != from)
                .map(str::to_owned)
                .collect(),
            cuts: path.names_of_cuts(path.cuts.len()),
        })
    }

    /// Why a step of the path cannot be a layer.
    pub(super) fn refusal(&self, step: &Step, reason: &str) -> TailError {
        let unread = Unread::Form(reason.to_owned());
        self.refused(step.node, unread, step.n_cuts)
    }

    fn push(&mut self, node: &'a NodeProto, constants: &Constants) -> Result<(), TailError> {
        let n_cuts = self.cuts.len();
        let form = Form::of(node, constants);
        let form = form.map_err(|unread| self.refused(node, unread, n_cuts))?;
        self.steps.push(Step { node, form, n_cuts });
        Ok(())
    }

    /// Records a cut at a single needed tensor. A normalization is never the first layer.
    fn note_cut(&mut self, needed: &BTreeSet<&'a str>) {
        let last = self.steps.last();
        let is_first = last.is_some_and(|step| matches!(step.form, Form::Normalization(_)));
        if let (Some(&name), 1, false) = (needed.first(), needed.len(), is_first) {
            self.cuts.push(name);
        }
    }

    /// Checks that each normalization follows a convolution whose result nothing else reads.
    fn with_folded(self, graph: &GraphProto) -> Result<Self, TailError> {
        let convolutions = self.steps.iter().filter(|step| step.form.has_weights());
        let convolutions: HashSet<&str> = convolutions.map(Step::output).collect();
        let n_readers = n_readers(graph);
        for step in &self.steps {
            let Form::Normalization(_) = step.form else {
                continue;
            };
            let input = step.node.input[0].as_str();
            if !convolutions.contains(input) || n_readers.get(input) != Some(&1) {
                return Err(self.refusal(step, "it does not follow a convolution of its own"));
            }
        }
        Ok(self)
    }

    fn refused(&self, node: &NodeProto, unread: Unread, n_cuts: usize) -> TailError {
        let name = match node.name() {
            "" => node.output.first().map_or("", String::as_str),
            name => name,
        };
        let (node_name, cuts) = (name.to_owned(), self.names_of_cuts(n_cuts));
        let operator = match node.domain() {
            "" | "ai.onnx" => node.op_type().to_owned(),
            domain => format!("{domain}.{}", node.op_type()),
        };
        match unread {
            Unread::Operator => TailError::Operator {
                operator,
                node: node_name,
                cuts,
            },
            Unread::Form(reason) => TailError::Form {
                operator,
                node: node_name,
                reason,
                cuts,
            },
        }
    }

    /// The first `n` cuts, which are the last ones in the graph, from front to back.
    fn names_of_cuts(&self, n: usize) -> Vec<String> {
        let cuts = self.cuts[..n].iter().rev();
        cuts.map(|&name| name.to_owned()).collect()
    }
}

/// How many node inputs each tensor is; one more if it is an output of the graph.
fn n_readers(graph: &GraphProto) -> HashMap<&str, usize> {
    let inputs = graph.node.iter().flat_map(|node| &node.input);
    let outputs = graph.output.iter().map(|info| info.name());
    let mut n_readers = HashMap::new();
    for name in inputs.map(String::as_str).chain(outputs) {
        *n_readers.entry(name).or_default() += 1;
    }
    n_readers
}

fn check_names(graph: &GraphProto, from: &str, to: &str) -> Result<(), TailError> {
    let inputs = graph.input.iter().map(|info| info.name());
    let computed = graph.node.iter().flat_map(|node| &node.output);
    let mut computed: HashSet<&str> = computed.map(String::as_str).collect();
    computed.remove("");
    let starts: HashSet<&str> = computed.iter().copied().chain(inputs).collect();
    for (name, there) in [(to, &computed), (from, &starts)] {
        if !there.contains(name) {
            let mut there: Vec<String> = there.iter().map(|&name| name.to_owned()).collect();
            there.sort();
            return Err(TailError::NoTensor {
                name: name.to_owned(),
                there,
            });
        }
    }
    if from == to {
        return Err(TailError::NothingToTune {
            from: from.to_owned(),
            to: to.to_owned(),
        });
    }
    Ok(())
}
