//! A model card drafted from an ONNX file and from the configuration that hubs publish beside image
//! models.
//!
//! What neither states is guessed, and each guess is reported: a wrong card gives wrong codes
//! without an error.

use std::path::Path;

use ort_winograd::onnx::{DataType, Dim, TensorType};
use ort_winograd::{OnnxModel, hash_graph, hash_tensors};
use serde::Deserialize;

use super::adapter::{Take, has_halves, in_float32};
use super::card::{CardError, CardInput, CardOutput, Element, ModelCard};
use crate::picture::{Filter, Fit, Layout, Normalization, Recipe};

/// Width and height if neither file states them.
const USUAL_SIDE: u32 = 224;

/// From this side on, inputs are whole pictures: `ConvNextImageProcessor`'s rule for `crop_pct`.
const WHOLE_FROM: u32 = 384;

/// A card, and the guesses in it.
#[derive(Clone, Debug)]
pub struct DraftedCard {
    /// The card.
    pub card: ModelCard,
    /// One sentence per guess that someone should check.
    pub guesses: Vec<String>,
}

/// Why no card could be drafted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DraftCardError {
    /// No input takes a batch of pictures.
    #[error("{model} takes no batch of pictures: its inputs are {inputs}")]
    NoInput {
        /// The ONNX file.
        model: String,
        /// Its inputs with their types.
        inputs: String,
    },
    /// No output can serve as codes.
    #[error(
        "no output of {model} can be codes, a vector (N, D), a feature map (N, C, H, W) or tokens (N, T, D) whose axes but the \
         first are fixed: its outputs are {outputs}"
    )]
    NoOutput {
        /// The ONNX file.
        model: String,
        /// Its outputs with their types.
        outputs: String,
    },
    /// The configuration is not that of an image model.
    #[error("the configuration is not a preprocessor_config.json of an image model: {reason}")]
    Config {
        /// What is wrong.
        reason: String,
    },
    /// The card or the model is invalid.
    #[error(transparent)]
    Card(#[from] CardError),
}

/// The relevant part of a preprocessor_config.json.
#[derive(Debug, Default, Deserialize)]
struct Config {
    image_mean: Option<[f64; 3]>,
    image_std: Option<[f64; 3]>,
    rescale_factor: Option<f64>,
    do_rescale: Option<bool>,
    do_normalize: Option<bool>,
    size: Option<Size>,
    crop_size: Option<Size>,
    do_center_crop: Option<bool>,
    crop_pct: Option<f64>,
    resample: Option<u32>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
enum Size {
    Side(u32),
    Sides { height: u32, width: u32 },
    Shortest { shortest_edge: u32 },
}

/// Drafts a card for `model`, with the trunk's `name` and the name of its `file`; `config` is the
/// text of a preprocessor_config.json.
///
/// # Errors
/// [`DraftCardError`].
pub fn draft_card(
    model: &OnnxModel,
    name: &str,
    file: &str,
    config: Option<&str>,
) -> Result<DraftedCard, DraftCardError> {
    let mut guesses = Vec::new();
    let adapted = match has_halves(model) {
        true => in_float32(model.clone()),
        false => Ok(model.clone()),
    };
    let model = &adapted.map_err(|error| DraftCardError::Card(error.into()))?;
    let config = config.map(serde_json::from_str::<Config>).transpose();
    let config = config.map_err(|error| DraftCardError::Config {
        reason: error.to_string(),
    })?;
    let input = input(model, config.as_ref(), &mut guesses)?;
    let output = output(model, &mut guesses)?;
    let hashed = |error: ort_winograd::GraphError| DraftCardError::Card(error.into());
    let card = ModelCard {
        format: 2,
        name: name.to_owned(),
        file: file.to_owned(),
        licence: "unknown".to_owned(),
        attribution: "unknown".to_owned(),
        sources: Vec::new(),
        tensors_sha256: Some(hash_tensors(model).map_err(hashed)?.sha256),
        graph_sha256: Some(hash_graph(model, &output.name).map_err(hashed)?),
        input,
        output,
        classifier: None,
        references: Vec::new(),
        made_of: None,
        tuned: None,
        origin: format!("the draft for {file}"),
    };
    guesses.push("licence and attribution are not in the file: write them".to_owned());
    card.validate()?;
    card.check_against(model)?;
    Ok(DraftedCard { card, guesses })
}

/// The first input that is a batch of pictures.
fn input(
    model: &OnnxModel,
    config: Option<&Config>,
    guesses: &mut Vec<String>,
) -> Result<CardInput, DraftCardError> {
    let inputs = model.inputs();
    let found = inputs.iter().find_map(|(name, kind)| {
        let element = match kind.element {
            DataType::Float => Element::Float32,
            DataType::Uint8 => Element::Uint8,
            _ => return None,
        };
        let [_, a, b, c] = kind.dims.as_deref()? else {
            return None;
        };
        let is_three = |dim: &Dim| *dim == Dim::Fixed(3);
        let (layout, height, width) = match (is_three(a), is_three(c)) {
            (true, _) => (Layout::ChannelsFirst, b, c),
            (_, true) => (Layout::ChannelsLast, a, b),
            _ => (Layout::ChannelsFirst, b, c),
        };
        Some((*name, element, layout, side(height), side(width)))
    });
    let Some((name, element, layout, height, width)) = found else {
        return Err(DraftCardError::NoInput {
            model: model.origin().display().to_string(),
            inputs: listed(&inputs),
        });
    };
    let wanted = config.and_then(|config| config.crop().or(config.size));
    let (wanted_width, wanted_height) = wanted.map_or((USUAL_SIDE, USUAL_SIDE), Size::sides);
    let (width_there, height_there) = (width, height);
    if (width.is_none() || height.is_none()) && config.is_none_or(|config| config.size.is_none()) {
        guesses.push(format!(
            "the file takes pictures of any size; {USUAL_SIDE} x {USUAL_SIDE} is usual"
        ));
    }
    let width = width_there.unwrap_or(wanted_width);
    let height = height_there.unwrap_or(wanted_height);
    Ok(CardInput {
        name: name.to_owned(),
        width,
        height,
        layout,
        recipe: recipe(config, element, guesses)?,
        element,
        fit: fit(config, width.max(height), guesses),
        filter: filter(config, guesses),
    })
}

impl Config {
    /// The size that is cut out of the middle, if there is one.
    fn crop(&self) -> Option<Size> {
        self.crop_size
            .filter(|_| self.do_center_crop != Some(false))
    }

    /// The shorter side of a picture before its middle is cut out.
    fn shorter_side(&self) -> Option<u32> {
        let (width, height) = self.size?.sides();
        match (self.crop(), self.crop_pct) {
            (Some(_), _) => Some(width.min(height)),
            // ConvNeXt's rule: small inputs are cut out of larger pictures, large ones are whole
            // pictures.
            (None, Some(share)) if share > 0.0 && width < WHOLE_FROM => {
                Some((f64::from(width) / share) as u32)
            }
            (None, _) => None,
        }
    }
}

impl Size {
    /// Width and height.
    fn sides(self) -> (u32, u32) {
        match self {
            Self::Side(side)
            | Self::Shortest {
                shortest_edge: side,
            } => (side, side),
            Self::Sides { height, width } => (width, height),
        }
    }
}

/// How pictures are brought to the input's size, whose larger side is `larger`.
fn fit(config: Option<&Config>, larger: u32, guesses: &mut Vec<String>) -> Option<Fit> {
    let config = config?;
    let size = config.size?;
    if let Some(shorter_side) = config.shorter_side() {
        let fit = match shorter_side == larger {
            true => Fit::Crop,
            false => Fit::CropAt { shorter_side },
        };
        if shorter_side < larger {
            guesses.push(format!(
                "the configuration makes the shorter side {shorter_side} pixels long, and the input has {larger}: \
                 the card has fit = \"crop\""
            ));
            return Some(Fit::Crop);
        }
        return Some(fit);
    }
    match size {
        Size::Shortest { .. } => {
            guesses.push(
                "the configuration leaves pictures longer than they are wide; the card has fit = \"crop\", as \
                 pictures of a batch have one size"
                    .to_owned(),
            );
            Some(Fit::Crop)
        }
        Size::Side(_) | Size::Sides { .. } => Some(Fit::Stretch),
    }
}

/// The filter, by Pillow's number for it.
fn filter(config: Option<&Config>, guesses: &mut Vec<String>) -> Option<Filter> {
    match config?.resample? {
        0 => Some(Filter::Nearest),
        1 => Some(Filter::Lanczos),
        2 => Some(Filter::Bilinear),
        3 => Some(Filter::Bicubic),
        other => {
            guesses.push(format!(
                "the configuration resamples with Pillow's filter {other}, which is not offered: the card has \
                 bilinear"
            ));
            Some(Filter::Bilinear)
        }
    }
}

/// How a colour becomes a number.
fn recipe(
    config: Option<&Config>,
    element: Element,
    guesses: &mut Vec<String>,
) -> Result<Recipe, DraftCardError> {
    if element == Element::Uint8 {
        return Ok(Recipe::None);
    }
    let Some(config) = config else {
        guesses.push(
            "the recipe is not in the file; torch, mean and deviation of ImageNet, is usual: a wrong one makes \
             wrong codes in silence"
                .to_owned(),
        );
        return Ok(Recipe::Torch);
    };
    let scale = match config.do_rescale {
        Some(false) => 1.0,
        _ => config.rescale_factor.unwrap_or(1.0 / 255.0),
    };
    let (mean, deviation) = match (config.do_normalize, config.image_mean, config.image_std) {
        (Some(false), ..) => ([0.0; 3], [1.0; 3]),
        (_, Some(mean), Some(deviation)) => (mean, deviation),
        (Some(true), ..) => {
            return Err(DraftCardError::Config {
                reason: "it normalises, and names no image_mean and image_std".to_owned(),
            });
        }
        (None, ..) => ([0.0; 3], [1.0; 3]),
    };
    // (x scale - mean) / deviation is (x - mean / scale) / (deviation / scale).
    let of_levels = |numbers: [f64; 3]| numbers.map(|number| (number / scale) as f32);
    let normalization = Normalization {
        is_blue_first: false,
        mean: of_levels(mean),
        deviation: of_levels(deviation),
    };
    let text = normalization.to_string();
    let read: Result<Normalization, _> = text.parse();
    let read = read.map_err(|_| DraftCardError::Config {
        reason: format!("its numbers make the recipe {text}"),
    })?;
    Ok(Recipe::Normalized(read))
}

/// The first output that can serve as codes; vectors are preferred to feature maps.
fn output(model: &OnnxModel, guesses: &mut Vec<String>) -> Result<CardOutput, DraftCardError> {
    let outputs = model.outputs();
    let shapes = outputs.iter().filter_map(|(name, kind)| {
        let dims = kind
            .dims
            .as_deref()
            .filter(|_| kind.element == DataType::Float)?;
        let fixed = dims.get(1..)?.iter().map(|dim| match dim {
            Dim::Fixed(length) => Some(*length),
            Dim::Free(_) => None,
        });
        Some((*name, fixed.collect::<Option<Vec<_>>>()?))
    });
    let shapes: Vec<_> = shapes
        .filter(|(_, shape)| (1..=3).contains(&shape.len()))
        .collect();
    let Some((name, shape)) = shapes.iter().min_by_key(|(_, shape)| shape.len()) else {
        return Err(DraftCardError::NoOutput {
            model: model.origin().display().to_string(),
            outputs: listed(&outputs),
        });
    };
    if shapes.len() > 1 {
        let others: Vec<_> = shapes.iter().map(|(name, _)| *name).collect();
        guesses.push(format!(
            "of the outputs {} the card takes {name}",
            others.join(", ")
        ));
    }
    let layout = match shape.as_slice() {
        &[first, _, last] => {
            let layout = match first >= last {
                true => Layout::ChannelsFirst,
                false => Layout::ChannelsLast,
            };
            guesses.push(format!(
                "the layout of {name} is guessed from its shape {shape:?}: {layout}, as channels are more than \
                 rows and columns"
            ));
            Some(layout)
        }
        _ => None,
    };
    let take = (shape.len() == 2).then_some(Take::Cls);
    if take.is_some() {
        guesses.push(format!(
            "of the {} tokens of {name} the card takes the first, as the class token; take = \"mean\" takes the mean \
             of all",
            shape[0]
        ));
    }
    Ok(CardOutput {
        name: (*name).to_owned(),
        shape: shape.clone(),
        layout,
        take,
    })
}

fn side(dim: &Dim) -> Option<u32> {
    match dim {
        Dim::Fixed(side) => u32::try_from(*side).ok(),
        Dim::Free(_) => None,
    }
}

fn listed(tensors: &[(&str, TensorType)]) -> String {
    let tensors: Vec<_> = tensors
        .iter()
        .map(|(name, kind)| format!("{name} {kind}"))
        .collect();
    match tensors.as_slice() {
        [] => "none".to_owned(),
        tensors => tensors.join(", "),
    }
}

/// The name of a file's trunk: the file name without its extension.
#[must_use]
pub fn name_of(file: &Path) -> String {
    let name = file.file_stem().unwrap_or_default();
    name.to_string_lossy().into_owned()
}
