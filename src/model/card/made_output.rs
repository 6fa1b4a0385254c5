//! Outputs that are made of an ONNX file's own: several layers, one of tokens, float32 of float16.

use std::path::Path;

use ort_winograd::{OnnxModel, hash_graph};

use super::{CardError, CardOutput, ModelCard};
use crate::model::adapter::{has_halves, in_float32};
use crate::model::identity::OutputSpec;
use crate::model::layers::Layers;

/// The output that an ONNX file itself has, where another one is made of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OwnOutput {
    output: CardOutput,
    /// What [`hash_graph`] must give for it.
    graph_sha256: Option<String>,
}

impl ModelCard {
    /// The card of the same trunk with these layers for its output, which has so many numbers.
    #[must_use]
    pub fn with_layers(self, layers: &Layers, n_numbers: u64) -> Self {
        self.with_made(layers.to_string(), n_numbers)
    }

    /// The card for what a store or a head records of codes: with their layers, where they are of several.
    #[must_use]
    pub fn for_output(self, output: &OutputSpec) -> Self {
        match (output.name.parse(), output.shape.as_slice()) {
            (Ok(layers), &[n_numbers]) => self.with_layers(&layers, n_numbers as u64),
            _ => self.with_token(),
        }
    }

    /// The card with one code for its output where that is tokens.
    #[must_use]
    pub(in crate::model) fn with_token(self) -> Self {
        let (Some(take), &[_, width]) = (self.output.take, self.output.shape.as_slice()) else {
            return self;
        };
        let name = take.name_of(&self.output.name);
        self.with_made(name, width)
    }

    /// The card with a vector that is made of the file's own output.
    fn with_made(self, name: String, n_numbers: u64) -> Self {
        let own = self.made_of.unwrap_or(OwnOutput {
            output: self.output,
            graph_sha256: self.graph_sha256,
        });
        Self {
            graph_sha256: None,
            made_of: Some(own),
            output: CardOutput {
                name,
                shape: vec![n_numbers],
                layout: None,
                take: None,
            },
            ..self
        }
    }

    /// Reads the trunk's ONNX file, with the card's output made in it where that is of several layers.
    ///
    /// # Errors
    /// [`CardError::Graph`] or [`CardError::OtherGraph`].
    pub fn read_model(&self, path: &Path) -> Result<OnnxModel, CardError> {
        self.with_output(OnnxModel::read(path)?)
    }

    /// The model with the card's output: made in it where that is of several layers or one of tokens, and in
    /// float32 where the file's are float16. What the card says of the file's own graph is checked before.
    pub(in crate::model) fn with_output(&self, model: OnnxModel) -> Result<OnnxModel, CardError> {
        let model = match has_halves(&model) {
            true => in_float32(model)?,
            false => model,
        };
        let Some(OwnOutput {
            output: own,
            graph_sha256,
        }) = &self.made_of
        else {
            return Ok(model);
        };
        if graph_sha256.is_some() {
            let of_file = Self {
                graph_sha256: graph_sha256.clone(),
                ..self.clone()
            };
            of_file.check_graph_hash(&model, &hash_graph(&model, &own.name)?)?;
        }
        Ok(
            match (
                self.output.name.parse::<Layers>(),
                own.take,
                own.shape.as_slice(),
            ) {
                (Ok(layers), ..) => layers.made_in(model, own)?,
                (Err(_), Some(take), &[_, width]) => take.made_in(model, &own.name, width)?,
                _ => model,
            },
        )
    }
}
