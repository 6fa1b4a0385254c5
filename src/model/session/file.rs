//! A trunk's ONNX file, read once.

use std::path::Path;

use bytes::Bytes;
use ort_winograd::{GraphError, OnnxModel, hash_graph, hash_tensors};
use sha2::{Digest, Sha256};

use super::error::TrunkError;
use crate::model::adapter::has_halves;
use crate::model::card::ModelCard;
use crate::model::identity::TrunkIdentity;
use cnn_codes_onnxruntime::sha256::hex;

/// An ONNX file that has the card's input and output. It is read once, so that the hashed bytes are
/// the ones that run.
pub(super) struct TrunkFile {
    /// The file.
    file: Bytes,
    /// The bytes that run: the file, or a model with another output made from it.
    pub(super) bytes: Bytes,
    /// Its weights are slices of `bytes`.
    pub(super) model: OnnxModel,
}

impl TrunkFile {
    pub(super) fn read(card: &ModelCard, path: &Path) -> Result<Self, TrunkError> {
        let file = Bytes::from(std::fs::read(path).map_err(|source| GraphError::Read {
            path: path.to_owned(),
            source,
        })?);
        let model = OnnxModel::from_bytes(file.clone(), path)?;
        let had_halves = has_halves(&model);
        let model = card.with_output(model)?;
        card.check_against(&model)?;
        let is_made = card.made_of.is_some() || card.tuned.is_some() || had_halves;
        let bytes = match is_made {
            true => model.to_bytes().into(),
            false => file.clone(),
        };
        Ok(Self { file, bytes, model })
    }

    /// Hashes the file, and checks its weights and operators against the card.
    pub(super) fn identify(&self, card: &ModelCard) -> Result<TrunkIdentity, TrunkError> {
        let hash = hash_tensors(&self.model)?;
        card.check_tensors_hash(&self.model, &hash)?;
        let graph = match card.is_cut_at_input() {
            true => None,
            false => Some(hash_graph(&self.model, &card.output.name)?),
        };
        if let Some(graph) = &graph {
            card.check_graph_hash(&self.model, graph)?;
        }
        Ok(TrunkIdentity {
            name: card.name.clone(),
            sha256: hex(&Sha256::digest(&self.file)),
            tensors_sha256: hash.sha256,
            graph_sha256: graph,
        })
    }
}
