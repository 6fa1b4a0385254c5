//! The rules of the format that a model must keep before it is used.

use std::collections::{HashMap, HashSet};

use crate::onnx::names::{given_names, plain_domain, subgraphs};
use crate::onnx::{
    AttributeProto, DataLocation, FunctionProto, GraphProto, ModelProto, NodeProto,
    OperatorSetIdProto, SparseTensorProto, TensorProto, ValueInfoProto,
};

/// Checks that the graph computes something, defines each tensor once and before it is read, and
/// has all values inside. The same rules hold for graphs in attributes, and for the file's
/// functions.
///
/// Of two tensors with the same name, ONNX Runtime and this crate could otherwise use different
/// ones.
pub(super) fn soundness(model: &ModelProto) -> Result<(), String> {
    let graph = model.graph.as_ref();
    let Some(graph) = graph.filter(|graph| !graph.node.is_empty()) else {
        return Err("it holds no graph with nodes".to_owned());
    };
    if graph.output.is_empty() {
        return Err("its graph declares no output".to_owned());
    }
    check_versions(&model.opset_import)?;
    Scope::default().check_graph(graph)?;
    let mut there = HashSet::new();
    for function in &model.functions {
        let domain = plain_domain(function.domain());
        if !there.insert((domain, function.name(), function.overload())) {
            return Err(format!("function {:?} is defined twice", function.name()));
        }
        Scope::default().check_function(function)?;
    }
    Ok(())
}

/// Checks that no operator set is imported in two versions.
fn check_versions(imports: &[OperatorSetIdProto]) -> Result<(), String> {
    let mut versions = HashMap::new();
    for import in imports {
        let domain = plain_domain(import.domain());
        let version = *versions.entry(domain).or_insert(import.version());
        if version != import.version() {
            return Err(format!(
                "it wants versions {version} and {} of the operators of {domain:?}",
                import.version()
            ));
        }
    }
    Ok(())
}

/// The tensors that a node may read, while nodes are visited in order.
#[derive(Default)]
struct Scope<'a> {
    known: HashSet<&'a str>,
}

impl<'a> Scope<'a> {
    fn check_graph(&mut self, graph: &'a GraphProto) -> Result<(), String> {
        let sparse = graph.sparse_initializer.iter();
        let values = sparse.clone().filter_map(|sparse| sparse.values.as_ref());
        let tensors = graph.initializer.iter();
        check_once(graph.input.iter().map(ValueInfoProto::name))?;
        check_once(tensors.clone().chain(values).map(TensorProto::name))?;
        check_inside(tensors.chain(sparse.flat_map(parts)), "an initializer")?;
        // If a graph computes a name of the graph around it, the name means the new tensor
        // everywhere inside.
        let computed = graph.node.iter().flat_map(|node| &node.output);
        let hidden: Vec<&str> = computed
            .filter_map(|name| self.known.take(name.as_str()))
            .collect();
        let given = given_names(graph).filter(|name| !name.is_empty());
        let given: Vec<_> = given.filter(|name| self.known.insert(name)).collect();
        self.check_nodes(&graph.node)?;
        let mut outputs = graph.output.iter().map(ValueInfoProto::name);
        if let Some(output) = outputs.find(|name| !self.known.contains(name)) {
            return Err(format!("nothing computes its output {output:?}"));
        }
        for name in graph.node.iter().flat_map(|node| &node.output) {
            self.known.remove(name.as_str());
        }
        for name in given {
            self.known.remove(name);
        }
        self.known.extend(hidden);
        Ok(())
    }

    fn check_function(&mut self, function: &'a FunctionProto) -> Result<(), String> {
        check_versions(&function.opset_import)?;
        let inputs = || function.input.iter().map(String::as_str);
        check_once(inputs())?;
        check_attributes(&function.attribute_proto, "function", function.name())?;
        self.known.extend(inputs());
        self.check_nodes(&function.node)?;
        let mut outputs = function.output.iter();
        match outputs.find(|name| !self.known.contains(name.as_str())) {
            Some(output) => Err(format!(
                "nothing computes the output {output:?} of function {:?}",
                function.name()
            )),
            None => Ok(()),
        }
    }

    fn check_nodes(&mut self, nodes: &'a [NodeProto]) -> Result<(), String> {
        for node in nodes {
            let mut inputs = node.input.iter().filter(|name| !name.is_empty());
            if let Some(missing) = inputs.find(|name| !self.known.contains(name.as_str())) {
                return Err(format!(
                    "node {:?} ({}) reads tensor {missing:?}, which nothing before it defines",
                    node.name(),
                    node.op_type()
                ));
            }
            check_attributes(&node.attribute, "node", node.op_type())?;
            for graph in subgraphs(node) {
                self.check_graph(graph)?;
            }
            let mut outputs = node.output.iter().filter(|name| !name.is_empty());
            if let Some(twice) = outputs.find(|name| !self.known.insert(name)) {
                return Err(defined_twice(twice));
            }
        }
        Ok(())
    }
}

fn check_once<'a>(names: impl Iterator<Item = &'a str>) -> Result<(), String> {
    let mut there = HashSet::new();
    let mut names = names.filter(|name| !name.is_empty());
    match names.find(|name| !there.insert(*name)) {
        Some(twice) => Err(defined_twice(twice)),
        None => Ok(()),
    }
}

fn defined_twice(name: &str) -> String {
    format!("tensor {name:?} is defined twice")
}

/// Checks that the tensors in the attributes of a `what` of this name have their values inside.
fn check_attributes(attributes: &[AttributeProto], what: &str, name: &str) -> Result<(), String> {
    let tensors = attributes.iter().flat_map(|attribute| {
        let sparse = (attribute.sparse_tensor.iter()).chain(&attribute.sparse_tensors);
        (attribute.t.iter().chain(&attribute.tensors)).chain(sparse.flat_map(parts))
    });
    check_inside(tensors, &format!("of a {what} {name:?}"))
}

fn parts(sparse: &SparseTensorProto) -> impl Iterator<Item = &TensorProto> {
    sparse.values.iter().chain(&sparse.indices)
}

/// Refuses tensors with values in another file: a change of that file would change the model
/// unnoticed.
fn check_inside<'a>(
    mut tensors: impl Iterator<Item = &'a TensorProto>,
    holder: &str,
) -> Result<(), String> {
    match tensors.find(|tensor| tensor.data_location() == DataLocation::External) {
        Some(tensor) => Err(format!(
            "tensor {:?} ({holder}) has its values in another file; save the model with its \
             weights inside, as Python's onnx.save(onnx.load(\"old.onnx\"), \"new.onnx\") does",
            tensor.name()
        )),
        None => Ok(()),
    }
}
