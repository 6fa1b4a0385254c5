//! A model in memory: reading, checking, declaring, describing.
//!
//! An [`OnnxModel`] has been checked: every tensor is defined once, and before it is read, and all
//! weights are inside. So cutting needs only one pass over the nodes from the back.

mod cut;
mod error;
mod rename;
mod soundness;

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use prost::Message;

pub use self::error::GraphError;
use self::soundness::soundness;
use crate::onnx::names::plain_domain;
use crate::onnx::{
    GraphProto, ModelProto, OperatorSetIdProto, StringStringEntryProto, TensorType, ValueInfoProto,
};

/// How many tensor names an error lists before it only counts the rest.
const LISTED_NAMES: usize = 12;

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

    /// Decodes and checks a model. Raw weights remain slices of `bytes`.
    ///
    /// `origin` is the file named in errors.
    ///
    /// # Errors
    /// [`GraphError::NotOnnx`] or [`GraphError::Unsound`].
    pub fn from_bytes(bytes: Bytes, origin: &Path) -> Result<Self, GraphError> {
        let proto = ModelProto::decode(bytes).map_err(|source| GraphError::NotOnnx {
            path: origin.to_owned(),
            source: source.into(),
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

    /// The file that this model came from, as named in errors.
    #[must_use]
    pub fn origin(&self) -> &Path {
        &self.origin
    }

    /// The whole model.
    #[must_use]
    pub fn proto(&self) -> &ModelProto {
        &self.proto
    }

    /// The whole model, for changes. [`OnnxModel::from_proto`] checks it again.
    pub fn into_proto(self) -> ModelProto {
        self.proto
    }

    /// The model's graph.
    ///
    /// # Panics
    /// Never: the constructors ensure that it exists.
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

    /// The number of bytes that [`OnnxModel::to_bytes`] returns.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        self.proto.encoded_len()
    }

    /// The inputs that a caller must provide: name and declared type, in the file's order.
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

    /// The version of ONNX's own operators, if the file states it.
    #[must_use]
    pub fn operator_set(&self) -> Option<i64> {
        let mut imports = self.proto.opset_import.iter();
        imports
            .find(|import| plain_domain(import.domain()).is_empty())
            .map(OperatorSetIdProto::version)
    }

    /// Declares the type of an input or output.
    ///
    /// # Errors
    /// [`GraphError::NoTensor`] if `name` is neither an input nor an output.
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

    /// Sets the text that describes the model to people.
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

    fn no_tensor(&self, name: &str, there: String) -> GraphError {
        GraphError::NoTensor {
            path: self.origin.clone(),
            name: name.to_owned(),
            there,
        }
    }
}

/// The first names, and the number of the others.
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
