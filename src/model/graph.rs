//! Reading, checking and cutting ONNX graphs.
//!
//! An [`OnnxModel`] is a model file in memory that has been found sound: every tensor is defined
//! once, and before it is read, and all weights are inside. That makes cutting one pass over the
//! nodes from the back.

use std::collections::HashSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use prost::Message;
use prost::bytes::Bytes;

use super::onnx::tensor_proto::DataType;
use super::onnx::tensor_shape_proto::{Dimension, dimension};
use super::onnx::type_proto::{Tensor, Value};
use super::onnx::{
    GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorShapeProto, TypeProto, ValueInfoProto,
};
use super::soundness::soundness;

/// How many tensor names an error lists before it counts the rest.
const LISTED_NAMES: usize = 12;

/// Why an ONNX file or its graph could not be used.
#[derive(Debug, thiserror::Error)]
pub enum GraphError {
    /// The file could not be read at all.
    #[error("cannot read the ONNX file {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system answered.
        source: std::io::Error,
    },
    /// The file's bytes are no ONNX model.
    #[error("{} is no ONNX file: {source}", path.display())]
    NotOnnx {
        /// The file.
        path: PathBuf,
        /// Where the decoder stopped.
        source: prost::DecodeError,
    },
    /// The file decodes, but its graph breaks a rule of the format.
    #[error("{} is no usable ONNX file: {reason}", path.display())]
    Unsound {
        /// The file.
        path: PathBuf,
        /// The rule that it breaks.
        reason: String,
    },
    /// A tensor was named that the graph does not have.
    #[error("{} has no tensor named {name:?} there; it has {there}", path.display())]
    NoTensor {
        /// The file.
        path: PathBuf,
        /// The name that was asked for.
        name: String,
        /// The names that could have been meant.
        there: String,
    },
    /// A tensor was to get a name that another one has.
    #[error("cannot rename tensor {from:?} of {}: {to:?} is there already", path.display())]
    NameTaken {
        /// The file.
        path: PathBuf,
        /// The tensor's name.
        from: String,
        /// The name it was to get.
        to: String,
    },
    /// An initializer's values could not be read.
    #[error("tensor {tensor:?} of {} cannot be read: {source}", path.display())]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The initializer's name.
        tensor: String,
        /// What is wrong with its values.
        source: super::tensor::TensorError,
    },
}

/// One axis of a declared shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dim {
    /// A fixed length.
    Fixed(u64),
    /// Any length; named, or the empty string.
    Free(String),
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(length) => write!(f, "{length}"),
            Self::Free(name) if name.is_empty() => f.write_str("?"),
            Self::Free(name) => f.write_str(name),
        }
    }
}

/// What a graph declares of an input or output. Exporters may leave either part out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorType {
    /// The element type; [`DataType::Undefined`] where the file says nothing.
    pub element: DataType,
    /// The shape; `None` where the file says nothing, not even the rank.
    pub dims: Option<Vec<Dim>>,
}

impl TensorType {
    /// A float32 tensor of the given shape.
    #[must_use]
    pub fn float32(dims: impl IntoIterator<Item = Dim>) -> Self {
        Self {
            element: DataType::Float,
            dims: Some(dims.into_iter().collect()),
        }
    }

    pub(super) fn read(info: &ValueInfoProto) -> Self {
        let Some(Value::TensorType(tensor)) =
            info.r#type.as_ref().and_then(|kind| kind.value.as_ref())
        else {
            return Self {
                element: DataType::Undefined,
                dims: None,
            };
        };
        Self {
            element: DataType::try_from(tensor.elem_type()).unwrap_or(DataType::Undefined),
            dims: tensor
                .shape
                .as_ref()
                .map(|shape| shape.dim.iter().map(read_dim).collect()),
        }
    }

    /// The type as a file declares it.
    pub(crate) fn to_proto(&self) -> TypeProto {
        TypeProto {
            denotation: None,
            value: Some(Value::TensorType(Tensor {
                elem_type: Some(self.element as i32),
                shape: self.dims.as_ref().map(|dims| TensorShapeProto {
                    dim: dims.iter().map(write_dim).collect(),
                }),
            })),
        }
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(element_name(self.element))?;
        match &self.dims {
            None => f.write_str(" of unknown shape"),
            Some(dims) => {
                let dims: Vec<_> = dims.iter().map(Dim::to_string).collect();
                write!(f, " [{}]", dims.join(", "))
            }
        }
    }
}

/// An element type's name as NumPy and ONNX Runtime's messages have it.
#[must_use]
pub fn element_name(element: DataType) -> &'static str {
    match element {
        DataType::Undefined => "unknown type",
        DataType::Float => "float32",
        DataType::Double => "float64",
        DataType::Float16 => "float16",
        DataType::Bfloat16 => "bfloat16",
        DataType::Uint8 => "uint8",
        DataType::Int8 => "int8",
        DataType::Uint16 => "uint16",
        DataType::Int16 => "int16",
        DataType::Uint32 => "uint32",
        DataType::Int32 => "int32",
        DataType::Uint64 => "uint64",
        DataType::Int64 => "int64",
        DataType::Bool => "bool",
        DataType::String => "string",
        other => other.as_str_name(),
    }
}

/// An ONNX model whose graph has been checked.
#[derive(Clone, Debug)]
pub struct OnnxModel {
    origin: PathBuf,
    proto: ModelProto,
}

impl OnnxModel {
    /// Reads and checks an ONNX file.
    ///
    /// # Errors
    /// [`GraphError::Read`], [`GraphError::NotOnnx`] or [`GraphError::Unsound`].
    pub fn read(path: &Path) -> Result<Self, GraphError> {
        let bytes = fs::read(path).map_err(|source| GraphError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::from_bytes(bytes.into(), path)
    }

    /// Decodes and checks a model. Raw weights stay slices of `bytes`.
    ///
    /// `origin` is the file that errors name.
    ///
    /// # Errors
    /// [`GraphError::NotOnnx`] or [`GraphError::Unsound`].
    pub fn from_bytes(bytes: Bytes, origin: &Path) -> Result<Self, GraphError> {
        let proto = ModelProto::decode(bytes).map_err(|source| GraphError::NotOnnx {
            path: origin.to_owned(),
            source,
        })?;
        Self::from_proto(proto, origin)
    }

    /// Checks a model that was built in memory.
    ///
    /// # Errors
    /// [`GraphError::Unsound`].
    pub fn from_proto(mut proto: ModelProto, origin: &Path) -> Result<Self, GraphError> {
        proto.graph.get_or_insert_default();
        soundness(&proto).map_err(|reason| GraphError::Unsound {
            path: origin.to_owned(),
            reason,
        })?;
        Ok(Self {
            origin: origin.to_owned(),
            proto,
        })
    }

    /// The file that this model came from, as errors name it.
    #[must_use]
    pub fn origin(&self) -> &Path {
        &self.origin
    }

    /// The whole model.
    #[must_use]
    pub fn proto(&self) -> &ModelProto {
        &self.proto
    }

    /// The whole model, to be changed. [`OnnxModel::from_proto`] checks it again.
    pub fn into_proto(self) -> ModelProto {
        self.proto
    }

    /// The model's graph.
    ///
    /// # Panics
    /// Never: the constructors see to it that there is one.
    #[must_use]
    pub fn graph(&self) -> &GraphProto {
        self.proto.graph.as_ref().expect("checked when constructed")
    }

    fn graph_mut(&mut self) -> &mut GraphProto {
        self.proto.graph.get_or_insert_default()
    }

    /// The file's bytes: equal for equal models.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.proto.encode_to_vec()
    }

    /// The inputs that a caller has to give: name and declared type, in the file's order.
    #[must_use]
    pub fn inputs(&self) -> Vec<(&str, TensorType)> {
        let graph = self.graph();
        let given: HashSet<_> = graph
            .initializer
            .iter()
            .map(|tensor| tensor.name())
            .collect();
        let open = graph
            .input
            .iter()
            .filter(|info| !given.contains(info.name()));
        open.map(|info| (info.name(), TensorType::read(info)))
            .collect()
    }

    /// The outputs: name and declared type, in the file's order.
    #[must_use]
    pub fn outputs(&self) -> Vec<(&str, TensorType)> {
        let outputs = self.graph().output.iter();
        outputs
            .map(|info| (info.name(), TensorType::read(info)))
            .collect()
    }

    /// The version of ONNX' own operators that the file uses, if it says so.
    #[must_use]
    pub fn operator_set(&self) -> Option<i64> {
        let mut imports = self.proto.opset_import.iter();
        imports
            .find(|import| plain_domain(import.domain()).is_empty())
            .map(OperatorSetIdProto::version)
    }

    /// Makes `tensor` the only output and drops all that it does not need: nodes, inputs,
    /// initializers, intermediate shapes and operator sets.
    ///
    /// Where the file says nothing about the tensor's type, [`OnnxModel::declare`] must follow.
    ///
    /// # Errors
    /// [`GraphError::NoTensor`] if no node computes `tensor`.
    pub fn cut_after(&mut self, tensor: &str) -> Result<(), GraphError> {
        let graph = self.graph_mut();
        if !graph
            .node
            .iter()
            .any(|node| node.output.iter().any(|name| name == tensor))
        {
            let there = graph.node.iter().flat_map(|node| &node.output);
            let there = listed(there.map(String::as_str));
            return Err(self.no_tensor(tensor, there));
        }
        let declared =
            (graph.output.iter().chain(&graph.value_info)).find(|info| info.name() == tensor);
        let output = declared.cloned().unwrap_or_else(|| ValueInfoProto {
            name: Some(tensor.to_owned()),
            ..ValueInfoProto::default()
        });
        graph.output = vec![output];
        keep_needed(graph, tensor);
        self.drop_unused_domains();
        Ok(())
    }

    /// Declares the type of an input or output.
    ///
    /// # Errors
    /// [`GraphError::NoTensor`] if `name` is neither.
    pub fn declare(&mut self, name: &str, declared: &TensorType) -> Result<(), GraphError> {
        let graph = self.graph_mut();
        let mut infos = graph.input.iter_mut().chain(&mut graph.output);
        match infos.find(|info| info.name() == name) {
            Some(info) => {
                info.r#type = Some(declared.to_proto());
                Ok(())
            }
            None => {
                let infos = self.graph().input.iter().chain(&self.graph().output);
                let there = listed(infos.map(ValueInfoProto::name));
                Err(self.no_tensor(name, there))
            }
        }
    }

    /// Renames a tensor wherever it is defined or read.
    ///
    /// # Errors
    /// [`GraphError::NoTensor`] if there is no `from`, [`GraphError::NameTaken`] if there is a `to`.
    pub fn rename(&mut self, from: &str, to: &str) -> Result<(), GraphError> {
        if from == to {
            return Ok(());
        }
        let defined = defined_names(self.graph());
        if !defined.contains(from) {
            let there = listed(defined.iter().copied());
            return Err(self.no_tensor(from, there));
        }
        if defined.contains(to) {
            return Err(GraphError::NameTaken {
                path: self.origin.clone(),
                from: from.to_owned(),
                to: to.to_owned(),
            });
        }
        rename_in(self.graph_mut(), from, to);
        Ok(())
    }

    /// Sets an entry of the file's metadata, which keeps its keys sorted.
    pub fn set_metadata(&mut self, key: &str, value: &str) {
        let entries = &mut self.proto.metadata_props;
        entries.retain(|entry| entry.key() != key);
        entries.push(StringStringEntryProto {
            key: Some(key.to_owned()),
            value: Some(value.to_owned()),
        });
        entries.sort_by(|a, b| a.key().cmp(b.key()));
    }

    /// Sets the text that tells people what the model is.
    pub fn set_doc_string(&mut self, text: &str) {
        self.proto.doc_string = Some(text.to_owned());
    }

    /// An entry of the file's metadata.
    #[must_use]
    pub fn metadata(&self, key: &str) -> Option<&str> {
        let mut entries = self.proto.metadata_props.iter();
        entries
            .find(|entry| entry.key() == key)
            .map(|entry| entry.value())
    }

    fn drop_unused_domains(&mut self) {
        if !self.proto.functions.is_empty() {
            return;
        }
        let mut used = HashSet::new();
        collect_domains(self.graph(), &mut used);
        let used: HashSet<String> = used.into_iter().map(str::to_owned).collect();
        (self.proto.opset_import).retain(|opset| used.contains(plain_domain(opset.domain())));
    }

    fn no_tensor(&self, name: &str, there: String) -> GraphError {
        GraphError::NoTensor {
            path: self.origin.clone(),
            name: name.to_owned(),
            there,
        }
    }
}

/// The two spellings of ONNX' own domain as one.
pub(super) fn plain_domain(domain: &str) -> &str {
    if domain == "ai.onnx" { "" } else { domain }
}

fn read_dim(dim: &Dimension) -> Dim {
    match &dim.value {
        Some(dimension::Value::DimValue(length)) if *length >= 0 => {
            Dim::Fixed(length.unsigned_abs())
        }
        Some(dimension::Value::DimParam(name)) => Dim::Free(name.clone()),
        // Some exporters write -1 for "any".
        Some(dimension::Value::DimValue(_)) | None => Dim::Free(String::new()),
    }
}

fn write_dim(dim: &Dim) -> Dimension {
    let value = match dim {
        Dim::Fixed(length) => Some(dimension::Value::DimValue(
            i64::try_from(*length).unwrap_or(i64::MAX),
        )),
        Dim::Free(name) if name.is_empty() => None,
        Dim::Free(name) => Some(dimension::Value::DimParam(name.clone())),
    };
    Dimension {
        denotation: None,
        value,
    }
}

/// The first names, and how many more there are.
fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<_> = names.filter(|name| !name.is_empty()).collect();
    names.sort_unstable();
    let more = names.len().saturating_sub(LISTED_NAMES);
    names.truncate(LISTED_NAMES);
    match (names.is_empty(), more) {
        (true, _) => "none".to_owned(),
        (false, 0) => names.join(", "),
        (false, more) => format!("{} and {more} more", names.join(", ")),
    }
}

/// The graphs inside a node's attributes: the branches of an `If`, the body of a `Loop`.
pub(super) fn subgraphs(node: &NodeProto) -> impl Iterator<Item = &GraphProto> {
    (node.attribute.iter()).flat_map(|attribute| attribute.g.iter().chain(&attribute.graphs))
}

/// The tensors of the enclosing graph that a node reads, by its inputs or inside its subgraphs.
pub(super) fn reads(node: &NodeProto) -> Vec<&str> {
    let mut names: Vec<_> = (node.input.iter().map(String::as_str))
        .filter(|name| !name.is_empty())
        .collect();
    for graph in subgraphs(node) {
        let own = defined_names(graph);
        let results = graph.output.iter().map(ValueInfoProto::name);
        let inner = graph.node.iter().flat_map(reads).chain(results);
        names.extend(inner.filter(|name| !own.contains(name)));
    }
    names
}

/// Every tensor that a graph itself defines: inputs, initializers and what its nodes compute.
fn defined_names(graph: &GraphProto) -> HashSet<&str> {
    let computed = graph
        .node
        .iter()
        .flat_map(|node| &node.output)
        .map(String::as_str);
    given_names(graph)
        .chain(computed)
        .filter(|name| !name.is_empty())
        .collect()
}

pub(super) fn given_names(graph: &GraphProto) -> impl Iterator<Item = &str> {
    let sparse = (graph.sparse_initializer.iter()).filter_map(|tensor| tensor.values.as_ref());
    (graph.input.iter().map(ValueInfoProto::name)).chain(
        graph
            .initializer
            .iter()
            .chain(sparse)
            .map(|tensor| tensor.name()),
    )
}

/// Drops what `tensor` does not need. One pass from the back does, as nodes are in order.
fn keep_needed(graph: &mut GraphProto, tensor: &str) {
    let mut needed: HashSet<&str> = HashSet::from([tensor]);
    let mut kept = vec![false; graph.node.len()];
    for (node, kept) in graph.node.iter().zip(&mut kept).rev() {
        *kept = node
            .output
            .iter()
            .any(|name| needed.contains(name.as_str()));
        if *kept {
            needed.extend(reads(node));
        }
    }
    let needed: HashSet<String> = needed.into_iter().map(str::to_owned).collect();
    let mut kept = kept.into_iter();
    graph.node.retain(|_| kept.next().unwrap_or(false));
    graph
        .initializer
        .retain(|initializer| needed.contains(initializer.name()));
    graph.sparse_initializer.retain(|sparse| {
        let values = sparse.values.as_ref();
        values.is_some_and(|values| needed.contains(values.name()))
    });
    graph.input.retain(|input| needed.contains(input.name()));
    graph
        .value_info
        .retain(|info| needed.contains(info.name()) && info.name() != tensor);
    graph
        .quantization_annotation
        .retain(|note| needed.contains(note.tensor_name()));
}

fn collect_domains<'a>(graph: &'a GraphProto, domains: &mut HashSet<&'a str>) {
    for node in &graph.node {
        domains.insert(plain_domain(node.domain()));
        for inner in subgraphs(node) {
            collect_domains(inner, domains);
        }
    }
}

fn rename_in(graph: &mut GraphProto, from: &str, to: &str) {
    let renamed = |name: &mut String| {
        if name == from {
            to.clone_into(name);
        }
    };
    let infos = graph
        .input
        .iter_mut()
        .chain(&mut graph.output)
        .chain(&mut graph.value_info);
    infos
        .filter_map(|info| info.name.as_mut())
        .for_each(renamed);
    let sparse = (graph.sparse_initializer.iter_mut()).filter_map(|tensor| tensor.values.as_mut());
    let tensors = graph.initializer.iter_mut().chain(sparse);
    tensors
        .filter_map(|tensor| tensor.name.as_mut())
        .for_each(renamed);
    let notes = graph.quantization_annotation.iter_mut();
    notes
        .filter_map(|note| note.tensor_name.as_mut())
        .for_each(renamed);
    for node in &mut graph.node {
        node.input
            .iter_mut()
            .chain(&mut node.output)
            .for_each(renamed);
        for attribute in &mut node.attribute {
            for inner in attribute.g.iter_mut().chain(&mut attribute.graphs) {
                if !defined_names(inner).contains(from) {
                    rename_in(inner, from, to);
                }
            }
        }
    }
}
