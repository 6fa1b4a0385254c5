//! Outputs that are made of an ONNX file's own: several layers, one of tokens, float32 of float16.

use std::path::Path;
use std::sync::Arc;

use ort_winograd::{OnnxModel, hash_graph};

use super::{CardError, CardOutput, ModelCard};
use crate::model::adapter::{has_halves, in_float32};
use crate::model::identity::{LayerColumns, OutputSpec};
use crate::model::layers::Layers;
use crate::model::tuned::TunedTail;
use crate::picture::Layout;

/// The output that an ONNX file itself has, where another one is made of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OwnOutput {
    output: CardOutput,
    /// What [`hash_graph`] must give for it.
    graph_sha256: Option<String>,
    /// What [`hash_tensors`](ort_winograd::hash_tensors) must give for all of the file, where the trunk is cut.
    tensors_sha256: Option<String>,
    /// The columns of each layer, where the output is of several.
    layers: Vec<LayerColumns>,
}

/// Weights that are others than those of the file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tuned {
    tail: Arc<TunedTail>,
    /// The card of the file.
    published: Box<ModelCard>,
}

impl ModelCard {
    /// The card of the same trunk with the tuned weights of `tail`: the file stays the published one, and is
    /// checked as such before the weights are put into what is read of it.
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

    /// The card of the same trunk with these layers for its output, which have so many numbers each:
    /// [`Layers::channels`].
    #[must_use]
    pub fn with_layers(self, layers: &Layers, channels: &[u64]) -> Self {
        let names = layers.names().iter().zip(channels);
        let columns = names.map(|(layer, &channels)| LayerColumns {
            layer: layer.clone(),
            columns: usize::try_from(channels).unwrap_or(usize::MAX),
        });
        // A file may claim any number; one that is too large fits no file, which is checked later.
        let n_numbers = channels.iter().copied().fold(0, u64::saturating_add);
        self.with_made(layers.to_string(), vec![n_numbers], columns.collect())
    }

    /// The card of the same trunk, cut behind a feature map (C, H, W) inside of its graph, whose shape
    /// [`shape_of`](crate::model::shape_of) tells; the same card where that is its output already.
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

    /// The card for what a store or a head records of codes: with their layers, where they are of several.
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

    /// The card with one code for its output where that is tokens.
    #[must_use]
    pub(in crate::model) fn with_token(self) -> Self {
        let (Some(take), &[_, width]) = (self.output.take, self.output.shape.as_slice()) else {
            return self;
        };
        let name = take.name_of(&self.output.name);
        self.with_made(name, vec![width], Vec::new())
    }

    /// The card with another output, made of what the file has.
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

    /// The columns of each layer, where the output is of several.
    pub(super) fn layers(&self) -> Vec<LayerColumns> {
        let own = self.made_of.as_ref();
        own.map_or(Vec::new(), |own| own.layers.clone())
    }

    /// Whether the codes are the prepared pixels themselves, and nothing of the graph runs.
    #[must_use]
    pub(in crate::model) fn is_cut_at_input(&self) -> bool {
        self.output.name == self.input.name
    }

    /// The model with the output inside of its graph for its only one, and nothing that it does not need.
    fn cut(&self, mut model: OnnxModel) -> Result<OnnxModel, CardError> {
        if self.is_cut_at_input() {
            return Ok(model);
        }
        model.cut_after(&self.output.name)?;
        model.declare(&self.output.name, &self.output_type())?;
        Ok(model)
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
