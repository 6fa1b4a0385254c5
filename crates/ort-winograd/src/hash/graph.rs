//! A SHA-256 of everything that computes an output of a model, wherever it is in the file. Two
//! models with the same hash compute the same.
//!
//! Every tensor of the graph gets a hash of how it is computed, made from the hashes of the tensors
//! it depends on. So the hash of the output covers the weights (initializers, sparse ones,
//! `Constant` nodes), the operators with their versions and attributes, the bodies of `If`, `Loop`
//! and `Scan`, and all connections between them. The following make no difference: names of tensors
//! and nodes, the order of nodes that do not depend on each other, metadata, `raw_data` instead of
//! `float_data`, parts that the output does not need, and whether weights are initializers or the
//! `value` of a `Constant`.
//!
//! Each hash is the SHA-256 of the parts below, one after the other. A number is an int64,
//! little-endian, 8 bytes; a text is its length in bytes as a number, and then its UTF-8 bytes; a
//! hash is 32 bytes; a list is its length as a number, and then its items. The first part is the
//! word in quotes, as a text.
//!
//! | hash of | parts |
//! |---|---|
//! | a tensor | "tensor", ONNX's number of the element type, list of dimensions, values in C order as `raw_data` has them (strings: each as a text) |
//! | a sparse tensor | "sparse", hash of the values' tensor, hash of the indices' tensor, list of dimensions |
//! | an input | "input", level of its graph (0 for the file's, 1 for a body in it, ...), its place among the inputs that are no initializers, number of its element type (0 if not declared) |
//! | a node | "node", domain ("" for ai.onnx), operator, overload, version of the domain (0 without one), sorted list of its attributes' hashes, list of its inputs' hashes (32 zeros for one left out), list of numbers, one for each output: 1, or 0 for one left out |
//! | a node's output | "output", hash of the node, place among its outputs |
//! | a `Constant`'s output | of one with the attribute `value` alone: the hash of that tensor |
//! | an attribute | "attribute", name, name of the function's attribute that it stands for ("" for none), number of its type, its value (none where it stands for another one) |
//! | a body | "graph", number of inputs that are no initializers, list of its outputs' hashes |
//! | a function | "function", domain, name, overload, number of inputs, list of its attributes' names, sorted list of its default attributes' hashes, list of its outputs' hashes |
//! | the model | "trunk", sorted list of the hashes of the file's functions, hash of the output |
//!
//! An attribute's value is 4 little-endian bytes of float32, a number, a text, the hash of a
//! tensor, body or sparse tensor, or, for a type, ONNX's bytes of it as a text; or a list of those.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use prost::Message;
use sha2::{Digest as _, Sha256};

use crate::model::{GraphError, OnnxModel};
use crate::onnx::names::plain_domain;
use crate::onnx::{
    AttributeProto, AttributeType, DataType, FunctionProto, GraphProto, NodeProto,
    OperatorSetIdProto, SparseTensorProto, TensorProto, TensorType, le_bytes,
};

/// Hashes everything that computes `output`, as defined on [this page](self): 64 lower-case
/// hexadecimal digits.
///
/// # Errors
/// [`GraphError::Tensor`] for a tensor whose values cannot be read, [`GraphError::Unsound`] for an
/// attribute without a type, or if the graph has no `output`.
pub fn hash_graph(model: &OnnxModel, output: &str) -> Result<String, GraphError> {
    let mut functions = (model.proto().functions.iter())
        .map(|function| hash_function(model.origin(), function))
        .collect::<Result<Vec<_>, _>>()?;
    functions.sort_unstable();
    let mut hasher = Hasher::new(model.origin(), &model.proto().opset_import);
    hasher.begin(model.graph());
    hasher.nodes(&model.graph().node)?;
    let mut record = Record::new("trunk");
    record.hashes(&functions);
    record.hash(&hasher.read(output)?);
    Ok(format!("{:x}", record.0.finalize()))
}

type Hash = [u8; 32];

fn hash_function(origin: &Path, function: &FunctionProto) -> Result<Hash, GraphError> {
    let mut hasher = Hasher::new(origin, &function.opset_import);
    for (index, name) in function.input.iter().enumerate() {
        let input = hasher.input(index, DataType::Undefined);
        hasher.define(name, Value::Hashed(input));
    }
    let defaults = hasher.attributes(&function.attribute_proto)?;
    hasher.nodes(&function.node)?;
    let mut record = Record::new("function");
    record.text(plain_domain(function.domain()));
    record.text(function.name());
    record.text(function.overload());
    record.count(function.input.len());
    record.count(function.attribute.len());
    for name in &function.attribute {
        record.text(name);
    }
    record.hashes(&defaults);
    record.count(function.output.len());
    for name in &function.output {
        record.hash(&hasher.read(name)?);
    }
    Ok(record.finish())
}

/// How a tensor is computed.
#[derive(Clone, Copy)]
enum Value<'a> {
    /// Its hash, which is known.
    Hashed(Hash),
    /// An initializer, hashed when it is read.
    Tensor(&'a TensorProto),
    Sparse(&'a SparseTensorProto),
}

/// The tensors of a graph, and of the graphs around it, while its nodes are visited.
struct Hasher<'a> {
    origin: &'a Path,
    versions: HashMap<&'a str, i64>,
    values: HashMap<&'a str, Value<'a>>,
    /// Names defined in a body, each with its previous meaning, to be restored at the body's end.
    undo: Vec<(&'a str, Option<Value<'a>>)>,
    level: usize,
}

impl<'a> Hasher<'a> {
    fn new(origin: &'a Path, imports: &'a [OperatorSetIdProto]) -> Self {
        let versions = imports.iter();
        Self {
            origin,
            versions: versions
                .map(|import| (plain_domain(import.domain()), import.version()))
                .collect(),
            values: HashMap::new(),
            undo: Vec::new(),
            level: 0,
        }
    }

    fn define(&mut self, name: &'a str, value: Value<'a>) {
        if !name.is_empty() {
            self.undo.push((name, self.values.insert(name, value)));
        }
    }

    /// Defines a graph's initializers and inputs, and returns how many inputs the caller provides.
    fn begin(&mut self, graph: &'a GraphProto) -> usize {
        let given = graph.initializer.iter().map(TensorProto::name);
        let given: HashSet<_> = given.collect();
        let open = graph.input.iter();
        let mut n_open = 0;
        for info in open.filter(|info| !given.contains(info.name())) {
            let element = TensorType::read(info).element;
            let input = self.input(n_open, element);
            self.define(info.name(), Value::Hashed(input));
            n_open += 1;
        }
        for tensor in &graph.initializer {
            self.define(tensor.name(), Value::Tensor(tensor));
        }
        for sparse in &graph.sparse_initializer {
            let name = sparse.values.as_ref().map_or("", TensorProto::name);
            self.define(name, Value::Sparse(sparse));
        }
        n_open
    }

    fn input(&self, index: usize, element: DataType) -> Hash {
        let mut record = Record::new("input");
        record.count(self.level);
        record.count(index);
        record.number(i64::from(element as i32));
        record.finish()
    }

    /// The hash of a defined tensor.
    fn read(&mut self, name: &'a str) -> Result<Hash, GraphError> {
        let value = self.values.get(name).copied();
        let hash = match value {
            Some(Value::Hashed(hash)) => return Ok(hash),
            Some(Value::Tensor(tensor)) => self.tensor(tensor)?,
            Some(Value::Sparse(sparse)) => self.sparse(sparse)?,
            None => return Err(self.unsound(format!("it has no tensor {name:?}"))),
        };
        self.values.insert(name, Value::Hashed(hash));
        Ok(hash)
    }

    fn nodes(&mut self, nodes: &'a [NodeProto]) -> Result<(), GraphError> {
        nodes.iter().try_for_each(|node| self.node(node))
    }

    fn node(&mut self, node: &'a NodeProto) -> Result<(), GraphError> {
        if let Some((name, tensor)) = constant(node) {
            let hash = self.tensor(tensor)?;
            self.define(name, Value::Hashed(hash));
            return Ok(());
        }
        let domain = plain_domain(node.domain());
        let mut record = Record::new("node");
        record.text(domain);
        record.text(node.op_type());
        record.text(node.overload());
        record.number(self.versions.get(domain).copied().unwrap_or(0));
        record.hashes(&self.attributes(&node.attribute)?);
        record.count(node.input.len());
        for name in &node.input {
            let is_left_out = name.is_empty();
            record.hash(&if is_left_out {
                [0; 32]
            } else {
                self.read(name)?
            });
        }
        record.count(node.output.len());
        for name in &node.output {
            record.number(i64::from(!name.is_empty()));
        }
        let hash = record.finish();
        for (index, name) in node.output.iter().enumerate() {
            let mut record = Record::new("output");
            record.hash(&hash);
            record.count(index);
            self.define(name, Value::Hashed(record.finish()));
        }
        Ok(())
    }

    /// The attributes' hashes, sorted, because their order has no meaning.
    fn attributes(&mut self, attributes: &'a [AttributeProto]) -> Result<Vec<Hash>, GraphError> {
        let hashes = attributes.iter().map(|attribute| self.attribute(attribute));
        let mut hashes = hashes.collect::<Result<Vec<_>, _>>()?;
        hashes.sort_unstable();
        Ok(hashes)
    }

    fn attribute(&mut self, attribute: &'a AttributeProto) -> Result<Hash, GraphError> {
        let mut record = Record::new("attribute");
        record.text(attribute.name());
        record.text(attribute.ref_attr_name());
        record.number(i64::from(attribute.r#type() as i32));
        if attribute.ref_attr_name().is_empty() {
            self.value(attribute, &mut record)?;
        }
        Ok(record.finish())
    }

    fn value(
        &mut self,
        attribute: &'a AttributeProto,
        record: &mut Record,
    ) -> Result<(), GraphError> {
        match attribute.r#type() {
            AttributeType::Float => record.float(attribute.f()),
            AttributeType::Int => record.number(attribute.i()),
            AttributeType::String => record.text(attribute.s()),
            AttributeType::TypeProto => {
                record.text(attribute.tp.as_ref().map_or(vec![], Message::encode_to_vec));
            }
            AttributeType::Tensor => self.each(record, &attribute.t, Self::tensor)?,
            AttributeType::Graph => self.each(record, &attribute.g, Self::body)?,
            AttributeType::SparseTensor => {
                self.each(record, &attribute.sparse_tensor, Self::sparse)?;
            }
            AttributeType::Floats => {
                record.list(&attribute.floats, |record, &value| record.float(value));
            }
            AttributeType::Ints => {
                record.list(&attribute.ints, |record, &value| record.number(value));
            }
            AttributeType::Strings => {
                record.list(&attribute.strings, |record, text| record.text(text));
            }
            AttributeType::TypeProtos => record.list(&attribute.type_protos, |record, kind| {
                record.text(kind.encode_to_vec());
            }),
            AttributeType::Tensors => {
                record.count(attribute.tensors.len());
                self.each(record, &attribute.tensors, Self::tensor)?;
            }
            AttributeType::Graphs => {
                record.count(attribute.graphs.len());
                self.each(record, &attribute.graphs, Self::body)?;
            }
            AttributeType::SparseTensors => {
                record.count(attribute.sparse_tensors.len());
                self.each(record, &attribute.sparse_tensors, Self::sparse)?;
            }
            AttributeType::Undefined => {
                let name = attribute.name();
                return Err(self.unsound(format!("its attribute {name:?} has no type")));
            }
        }
        Ok(())
    }

    /// Appends the hash of each item to `record`.
    fn each<T>(
        &mut self,
        record: &mut Record,
        items: impl IntoIterator<Item = &'a T>,
        hash: fn(&mut Self, &'a T) -> Result<Hash, GraphError>,
    ) -> Result<(), GraphError> {
        for item in items {
            record.hash(&hash(self, item)?);
        }
        Ok(())
    }

    /// The hash of a graph in an attribute, which may also read tensors of the graphs around it.
    fn body(&mut self, graph: &'a GraphProto) -> Result<Hash, GraphError> {
        let outside = self.undo.len();
        self.level += 1;
        let n_inputs = self.begin(graph);
        self.nodes(&graph.node)?;
        let mut record = Record::new("graph");
        record.count(n_inputs);
        record.count(graph.output.len());
        for info in &graph.output {
            record.hash(&self.read(info.name())?);
        }
        for (name, before) in self.undo.drain(outside..).rev() {
            match before {
                Some(value) => self.values.insert(name, value),
                None => self.values.remove(name),
            };
        }
        self.level -= 1;
        Ok(record.finish())
    }

    fn tensor(&mut self, tensor: &'a TensorProto) -> Result<Hash, GraphError> {
        let mut record = Record::new("tensor");
        record.number(i64::from(tensor.data_type()));
        record.list(&tensor.dims, |record, &dim| record.number(dim));
        if tensor.data_type() == DataType::String as i32 {
            for text in &tensor.string_data {
                record.text(text);
            }
        } else {
            let bytes = le_bytes(tensor).map_err(|source| GraphError::Tensor {
                path: self.origin.to_owned(),
                tensor: tensor.name().to_owned(),
                source,
            })?;
            record.0.update(&bytes);
        }
        Ok(record.finish())
    }

    fn sparse(&mut self, sparse: &'a SparseTensorProto) -> Result<Hash, GraphError> {
        let (Some(values), Some(indices)) = (&sparse.values, &sparse.indices) else {
            return Err(self.unsound("a sparse tensor has no values, or no indices".to_owned()));
        };
        let mut record = Record::new("sparse");
        record.hash(&self.tensor(values)?);
        record.hash(&self.tensor(indices)?);
        record.list(&sparse.dims, |record, &dim| record.number(dim));
        Ok(record.finish())
    }

    fn unsound(&self, reason: String) -> GraphError {
        GraphError::Unsound {
            path: self.origin.to_owned(),
            reason,
        }
    }
}

/// The output of a `Constant` with a tensor value, and the tensor.
fn constant(node: &NodeProto) -> Option<(&str, &TensorProto)> {
    let ([output], [attribute]) = (&node.output[..], &node.attribute[..]) else {
        return None;
    };
    let is_constant = plain_domain(node.domain()).is_empty() && node.op_type() == "Constant";
    let is_tensor = attribute.name() == "value"
        && attribute.r#type() == AttributeType::Tensor
        && attribute.ref_attr_name().is_empty();
    let tensor = attribute.t.as_ref()?;
    (is_constant && is_tensor).then_some((output, tensor))
}

/// The parts of one hash.
struct Record(Sha256);

impl Record {
    fn new(what: &str) -> Self {
        let mut record = Self(Sha256::new());
        record.text(what);
        record
    }

    fn number(&mut self, number: i64) {
        self.0.update(number.to_le_bytes());
    }

    fn count(&mut self, count: usize) {
        self.0.update((count as u64).to_le_bytes());
    }

    fn float(&mut self, value: f32) {
        self.0.update(value.to_le_bytes());
    }

    fn text(&mut self, text: impl AsRef<[u8]>) {
        self.count(text.as_ref().len());
        self.0.update(text);
    }

    fn hash(&mut self, hash: &Hash) {
        self.0.update(hash);
    }

    fn hashes(&mut self, hashes: &[Hash]) {
        self.list(hashes, Self::hash);
    }

    fn list<T>(&mut self, items: &[T], part: impl Fn(&mut Self, &T)) {
        self.count(items.len());
        for item in items {
            part(self, item);
        }
    }

    fn finish(self) -> Hash {
        self.0.finalize().into()
    }
}
