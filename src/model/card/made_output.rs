//! Outputs made from an ONNX file's own: several layers, one of the tokens, float32 from float16.

use std::path::Path;
use std::sync::Arc;

use ort_winograd::{OnnxModel, hash_graph};

use super::{CardError, CardOutput, ModelCard};
use crate::model::adapter::{has_halves, in_float32};
use crate::model::identity::{LayerColumns, OutputSpec};
use crate::model::layers::Layers;
use crate::model::tuned::TunedTail;
use crate::picture::Layout;

/// The output of the ONNX file itself, if the card's output is made from it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OwnOutput {
    output: CardOutput,
    /// The required result of [`hash_graph`] for it.
    graph_sha256: Option<String>,
    /// The required result of [`hash_tensors`](ort_winograd::hash_tensors) for the whole file, if
    /// the trunk is cut.
    tensors_sha256: Option<String>,
    /// The columns of each layer, if the output consists of several layers.
    layers: Vec<LayerColumns>,
}

/// Weights that differ from the file's.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tuned {
    tail: Arc<TunedTail>,
    /// The card of the published file.
    published: Box<ModelCard>,
}

impl ModelCard {
    /// The card of the same trunk with the tuned weights of `tail`. The file stays the published
    /// one and is checked as such, before the weights are put into the loaded model.
    #[must_use]
    pub fn tuned_by(self, tail: TunedTail) -> Self {
        Self {
            tensors_sha256: None,
            graph_sha256: None,
            references: Vec::new(),
            tuned: Some(Tuned {
                tail: Arc::new(tail),
                published: Box::new(self.clone()),
            }),
            ..self
        }
    }

    /// The card of the same trunk with these layers as its output. `channels` holds the number of
    /// channels of each: [`Layers::channels`].
    #[must_use]
    pub fn with_layers(self, layers: &Layers, channels: &[u64]) -> Self {
        let names = layers.names().iter().zip(channels);
        let columns = names.map(|(layer, &channels)| LayerColumns {
            layer: layer.clone(),
            columns: usize::try_from(channels).unwrap_or(usize::MAX),
        });
        // A file may state any number. One that is too large matches no file, which is checked
        // later.
        let n_numbers = channels.iter().copied().fold(0, u64::saturating_add);
        self.with_made(layers.to_string(), vec![n_numbers], columns.collect())
    }

    /// The card of the same trunk, cut behind a feature map (C, H, W) inside its graph. `shape`
    /// comes from [`shape_of`](crate::model::shape_of). If `tensor` is the output already, the card
    /// does not change.
    #[must_use]
    pub fn cut_at(self, tensor: &str, shape: [u64; 3]) -> Self {
        if tensor == self.output.name {
            return self;
        }
        let mut cut = self.with_made(tensor.to_owned(), shape.to_vec(), Vec::new());
        cut.output.layout = Some(Layout::ChannelsFirst);
        let tensors_sha256 = cut.tensors_sha256.take();
        if let Some(own) = &mut cut.made_of {
            own.tensors_sha256 = tensors_sha256;
        }
        cut
    }

    /// The card for codes that a store or a head records: with their layers, if there are several.
    #[must_use]
    pub fn for_output(self, output: &OutputSpec) -> Self {
        match (output.name.parse::<Layers>(), output.shape.as_slice()) {
            (Ok(_), &[n_numbers]) => {
                let shape = vec![n_numbers as u64];
                self.with_made(output.name.clone(), shape, output.layers.clone())
            }
            (Err(_), &[height, width, channels]) => {
                let shape = [channels, height, width].map(|axis| axis as u64);
                self.cut_at(&output.name, shape)
            }
            _ => self.with_token(),
        }
    }

    /// The card with one code as its output, if the output is tokens.
    #[must_use]
    pub(in crate::model) fn with_token(self) -> Self {
        let (Some(take), &[_, width]) = (self.output.take, self.output.shape.as_slice()) else {
            return self;
        };
        let name = take.name_of(&self.output.name);
        self.with_made(name, vec![width], Vec::new())
    }

    /// The card with another output, made from the file's.
    fn with_made(self, name: String, shape: Vec<u64>, layers: Vec<LayerColumns>) -> Self {
        let own = match self.made_of {
            Some(own) => OwnOutput { layers, ..own },
            None => OwnOutput {
                output: self.output,
                graph_sha256: self.graph_sha256,
                tensors_sha256: None,
                layers,
            },
        };
        Self {
            graph_sha256: None,
            made_of: Some(own),
            output: CardOutput {
                name,
                shape,
                layout: None,
                take: None,
            },
            ..self
        }
    }

    /// The columns of each layer, if the output consists of several layers.
    pub(super) fn layers(&self) -> Vec<LayerColumns> {
        let own = self.made_of.as_ref();
        own.map_or(Vec::new(), |own| own.layers.clone())
    }

    /// Whether the codes are the prepared pixels themselves, so that no part of the graph runs.
    #[must_use]
    pub(in crate::model) fn is_cut_at_input(&self) -> bool {
        self.output.name == self.input.name
    }

    /// The model with the inner output as its only output, without the nodes that it does not need.
    fn cut(&self, mut model: OnnxModel) -> Result<OnnxModel, CardError> {
        if self.is_cut_at_input() {
            return Ok(model);
        }
        model.cut_after(&self.output.name)?;
        model.declare(&self.output.name, &self.output_type())?;
        Ok(model)
    }

    /// Reads the trunk's ONNX file; if the card's output consists of several layers, it is made in
    /// the model.
    ///
    /// # Errors
    /// [`CardError::Graph`] or [`CardError::OtherGraph`].
    pub fn read_model(&self, path: &Path) -> Result<OnnxModel, CardError> {
        self.with_output(OnnxModel::read(path)?)
    }

    /// The model with the card's output, in float32: several layers or one of the tokens are made
    /// in it, and float16 is cast. The file's own graph is checked against the card before.
    pub(in crate::model) fn with_output(&self, model: OnnxModel) -> Result<OnnxModel, CardError> {
        if let Some(tuned) = &self.tuned {
            let published = &tuned.published;
            let model = published.with_output(model)?;
            published.check_weights(&model)?;
            return tuned
                .tail
                .in_model(model)
                .map_err(|error| Box::new(error).into());
        }
        let model = match has_halves(&model) {
            true => in_float32(model)?,
            false => model,
        };
        let Some(OwnOutput {
            output: own,
            graph_sha256,
            tensors_sha256,
            ..
        }) = &self.made_of
        else {
            return Ok(model);
        };
        if let Some(layout) = self.output.layout.filter(|_| self.output.shape.len() == 3) {
            debug_assert_eq!(layout, Layout::ChannelsFirst, "as it is inside of graphs");
            let of_file = Self {
                graph_sha256: graph_sha256.clone(),
                tensors_sha256: tensors_sha256.clone(),
                output: own.clone(),
                made_of: None,
                ..self.clone()
            };
            of_file.check_weights(&model)?;
            return self.cut(model);
        }
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
