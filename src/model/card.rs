//! Model cards: what must be known about a trunk besides its ONNX file.

mod built_in;
mod error;
mod made_output;
mod reference;

use std::fs;
use std::path::Path;

use ort_winograd::onnx::{DataType, Dim, TensorType};
use ort_winograd::{OnnxModel, TensorHash, hash_graph, hash_tensors};
use serde::{Deserialize, Serialize};

use super::adapter::Take;
use super::identity::OutputSpec;
use crate::named;
use crate::picture::{self, Decoding, Filter, Layout, Recipe, Resize};

pub use self::error::CardError;
pub(crate) use self::made_output::OwnOutput;
pub(crate) use self::made_output::Tuned;
pub use self::reference::Reference;

/// The versions of the card format that this crate reads; version 2 adds formulas for recipes.
const CARD_FORMATS: std::ops::RangeInclusive<u32> = 1..=2;

/// The longest side of a trunk's input: far above any trunk, and small enough that a typing error
/// does not exhaust memory.
const MAX_SIDE: u32 = 4096;

/// Colour channels of a picture, and so of every trunk's input.
const N_CHANNELS: u64 = 3;

/// The element type of a trunk's input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Element {
    /// Numbers made by a recipe.
    #[default]
    Float32,
    /// The levels 0 to 255 as bytes: the recipe is inside the file, and the card's recipe is
    /// `none`.
    Uint8,
}

named!(Element, "element type", Float32 => "float32", Uint8 => "uint8");

impl Element {
    fn is_float32(&self) -> bool {
        *self == Self::Float32
    }

    fn data_type(self) -> DataType {
        match self {
            Self::Float32 => DataType::Float,
            Self::Uint8 => DataType::Uint8,
        }
    }
}

/// A trunk's input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardInput {
    /// The input's name in the ONNX file.
    pub name: String,
    /// Pixels from left to right.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
    /// The position of the colour axis.
    pub layout: Layout,
    /// How pixels become numbers.
    pub recipe: Recipe,
    /// The element type of the numbers.
    #[serde(default, skip_serializing_if = "Element::is_float32")]
    pub element: Element,
    /// How the training pictures were brought to the input's size; stretched if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fit: Option<picture::Fit>,
    /// The filter with which they were resampled; bilinear if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filter>,
}

/// A trunk's output: its codes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardOutput {
    /// The output's name in the ONNX file.
    pub name: String,
    /// The shape without the batch axis: three axes for a feature map, two for tokens, one for a
    /// vector.
    pub shape: Vec<u64>,
    /// The position of a feature map's channel axis; `None` for a vector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layout: Option<Layout>,
    /// Which of the tokens is the code, if the output has two axes: tokens and their features.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub take: Option<Take>,
}

/// Further entries in the card of an exported classifier, whose codes are probabilities.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardClassifier {
    /// Class names in the order of the output.
    pub classes: Vec<String>,
    /// How the training pictures were brought to the input's size.
    pub fit: picture::Fit,
    /// The filter with which they were resampled.
    pub filter: Filter,
    /// Whether large pictures were decoded at a smaller size first; in earlier cards they were not.
    #[serde(default = "Decoding::full")]
    pub decoding: Decoding,
}

/// A trunk's model card.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelCard {
    /// The version of the card format, 1 or 2.
    pub format: u32,
    /// The trunk's name, as stores record it.
    pub name: String,
    /// The ONNX file's name; it lies beside the card.
    pub file: String,
    /// The licence of the weights, as an SPDX identifier if there is one.
    pub licence: String,
    /// The attribution that the licence asks for.
    pub attribution: String,
    /// The origin of the weights.
    pub sources: Vec<String>,
    /// The required result of [`hash_tensors`] for the ONNX file; if `None`, any weights are
    /// accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tensors_sha256: Option<String>,
    /// The required result of [`hash_graph`] for the ONNX file's output; if `None`, any operators
    /// are accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub graph_sha256: Option<String>,
    /// The trunk's input.
    pub input: CardInput,
    /// The trunk's output.
    pub output: CardOutput,
    /// What is known about the output's classes, if the file is a classifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classifier: Option<CardClassifier>,
    /// Pictures with their codes, used to check a trunk on a machine.
    #[serde(default, rename = "reference", skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<Reference>,
    /// The file's own output, if the card's output is made from it.
    #[serde(skip)]
    pub(crate) made_of: Option<OwnOutput>,
    /// Weights that differ from the file's; never part of a card on disk.
    #[serde(skip)]
    pub(crate) tuned: Option<Tuned>,
    /// The card's file, for messages.
    #[serde(skip)]
    pub(crate) origin: String,
}

/// The one key that all versions of the format share.
#[derive(Deserialize)]
struct FormatOnly {
    format: u32,
}

impl ModelCard {
    /// The trunk's output, with its channels last.
    #[must_use]
    pub(crate) fn output(&self) -> OutputSpec {
        let axes = self.output.shape.iter();
        let mut shape: Vec<_> = axes.map(|&axis| axis as usize).collect();
        if self.output.layout == Some(Layout::ChannelsFirst) {
            shape.rotate_left(1);
        }
        OutputSpec {
            name: self.output.name.clone(),
            shape,
            layers: self.layers(),
        }
    }

    /// The default way to bring a picture to the size of the trunk's input.
    #[must_use]
    pub fn resize(&self) -> Resize {
        Resize {
            width: self.input.width,
            height: self.input.height,
            fit: self.input.fit.unwrap_or_default(),
            filter: self.input.filter.unwrap_or_default(),
            decoding: Decoding::default(),
        }
    }

    /// Reads and checks a card.
    ///
    /// # Errors
    /// [`CardError::Read`], [`CardError::Syntax`], [`CardError::Format`], [`CardError::Invalid`].
    pub fn load(path: &Path) -> Result<Self, CardError> {
        let text = fs::read_to_string(path).map_err(|source| CardError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text, &path.display().to_string())
    }

    /// Reads and checks a card's text; `origin` is its name in errors.
    ///
    /// # Errors
    /// [`CardError::Syntax`], [`CardError::Format`] or [`CardError::Invalid`].
    pub fn parse(text: &str, origin: &str) -> Result<Self, CardError> {
        let syntax = |error| CardError::Syntax {
            card: origin.to_owned(),
            reason: in_one_line(&error),
        };
        let FormatOnly { format } = toml::from_str(text).map_err(syntax)?;
        if !CARD_FORMATS.contains(&format) {
            return Err(CardError::Format {
                card: origin.to_owned(),
                actual: format,
                supported: *CARD_FORMATS.end(),
            });
        }
        let mut card: Self = toml::from_str(text).map_err(syntax)?;
        origin.clone_into(&mut card.origin);
        card.validate()?;
        Ok(card)
    }

    /// Whether two cards differ only in the file that they were read from.
    #[must_use]
    pub fn says_the_same_as(&self, other: &Self) -> bool {
        // References do not change what a trunk is, and older cards had none.
        let here = Self {
            origin: other.origin.clone(),
            references: other.references.clone(),
            format: other.format,
            ..self.clone()
        };
        here == *other
    }

    /// The card's file, as named in messages.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The input's type in a matching ONNX file.
    #[must_use]
    pub fn input_type(&self) -> TensorType {
        let (height, width) = (u64::from(self.input.height), u64::from(self.input.width));
        let floats = TensorType::float32_batch(&match self.input.layout {
            Layout::ChannelsLast => [height, width, N_CHANNELS],
            Layout::ChannelsFirst => [N_CHANNELS, height, width],
        });
        TensorType {
            element: self.input.element.data_type(),
            ..floats
        }
    }

    /// The card as the text of its file.
    ///
    /// # Errors
    /// [`CardError::Invalid`], as `ModelCard::validate`.
    ///
    /// # Panics
    /// Never: every card can be written as TOML.
    pub fn to_text(&self) -> Result<String, CardError> {
        self.validate()?;
        Ok(toml::to_string(self).expect("a card holds strings, numbers and tables"))
    }

    /// The output's type in a matching ONNX file.
    #[must_use]
    pub fn output_type(&self) -> TensorType {
        TensorType::float32_batch(&self.output.shape)
    }

    /// Checks the card by itself, without its ONNX file.
    ///
    /// # Errors
    /// [`CardError::Invalid`] with the first key that is wrong.
    pub fn validate(&self) -> Result<(), CardError> {
        let texts = [
            ("name", &self.name),
            ("file", &self.file),
            ("licence", &self.licence),
            ("attribution", &self.attribution),
            ("input.name", &self.input.name),
            ("output.name", &self.output.name),
        ];
        if let Some((key, _)) = texts.iter().find(|(_, text)| text.trim().is_empty()) {
            return Err(self.invalid(key, "is empty"));
        }
        if Path::new(&self.file).file_name() != Some(self.file.as_ref()) {
            let reason = format!(
                "is {:?}; it must be a file's name, without directories",
                self.file
            );
            return Err(self.invalid("file", reason));
        }
        self.validate_hash("tensors_sha256", self.tensors_sha256.as_deref())?;
        self.validate_hash("graph_sha256", self.graph_sha256.as_deref())?;
        let sides = [
            ("input.width", self.input.width),
            ("input.height", self.input.height),
        ];
        if let Some((key, side)) = sides
            .iter()
            .find(|(_, side)| !(1..=MAX_SIDE).contains(side))
        {
            return Err(self.invalid(key, format!("is {side}; it must be 1 to {MAX_SIDE}")));
        }
        if self.input.element == Element::Uint8 && self.input.recipe != Recipe::None {
            let reason = format!(
                "is {}; with input.element = \"uint8\" it must be none",
                self.input.recipe
            );
            return Err(self.invalid("input.recipe", reason));
        }
        if self.format < 2 && matches!(self.input.recipe, Recipe::Normalized(_)) {
            let reason = format!(
                "is {}; a formula needs a card with format = 2",
                self.input.recipe
            );
            return Err(self.invalid("input.recipe", reason));
        }
        if self.format < 2 && self.input.fit.is_some() {
            return Err(self.invalid("input.fit", "needs a card with format = 2"));
        }
        if self.format < 2 && self.input.filter.is_some() {
            return Err(self.invalid("input.filter", "needs a card with format = 2"));
        }
        if let Some(fit) = self.input.fit {
            self.check_fit(fit)
                .map_err(|reason| self.invalid("input.fit", reason))?;
        }
        if self.format < 2 && !self.references.is_empty() {
            return Err(self.invalid("reference", "needs a card with format = 2"));
        }
        if self.format < 2 && self.output.take.is_some() {
            return Err(self.invalid("output.take", "needs a card with format = 2"));
        }
        self.validate_output()?;
        self.validate_classifier()
    }

    /// Refuses a fit whose shorter side is less than the side of the trunk's input.
    ///
    /// # Errors
    /// A message that says what is wrong.
    pub fn check_fit(&self, fit: picture::Fit) -> Result<(), String> {
        let larger = self.input.width.max(self.input.height);
        match fit {
            picture::Fit::CropAt { shorter_side } if shorter_side < larger => Err(format!(
                "is {fit}; {} x {} pixels are cut out, so the shorter side must be {larger} at least",
                self.input.width, self.input.height
            )),
            _ => Ok(()),
        }
    }

    fn validate_hash(&self, key: &'static str, hash: Option<&str>) -> Result<(), CardError> {
        let is_hexadecimal = |hash: &str| {
            hash.len() == 64 && hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        };
        match hash.filter(|hash| !is_hexadecimal(hash)) {
            Some(hash) => {
                let reason = format!("is {hash:?}; it must be 64 lower-case hexadecimal digits");
                Err(self.invalid(key, reason))
            }
            None => Ok(()),
        }
    }

    fn validate_classifier(&self) -> Result<(), CardError> {
        let Some(CardClassifier { classes, .. }) = &self.classifier else {
            return Ok(());
        };
        if self.output.shape == [classes.len() as u64] {
            return Ok(());
        }
        let reason = format!(
            "names {} classes, and output.shape is {:?}",
            classes.len(),
            self.output.shape
        );
        Err(self.invalid("classifier.classes", reason))
    }

    fn validate_output(&self) -> Result<(), CardError> {
        let shape = &self.output.shape;
        let size = shape
            .iter()
            .try_fold(1_u64, |size, &axis| size.checked_mul(axis));
        if !matches!(size, Some(1..)) {
            let reason = format!(
                "is {shape:?}; it must hold at least one number, and not too many to count"
            );
            return Err(self.invalid("output.shape", reason));
        }
        if self.output.take.is_some() && shape.len() != 2 {
            let reason = "is given; it is for tokens, a shape of two axes";
            return Err(self.invalid("output.take", reason));
        }
        match (shape.len(), self.output.layout) {
            (3, Some(_)) | (1, None) => Ok(()),
            (2, None) if self.output.take.is_some() => Ok(()),
            (2, None) => Err(self.invalid(
                "output.take",
                "is missing; tokens, a shape of two axes, need cls or mean",
            )),
            (3, None) => Err(self.invalid(
                "output.layout",
                "is missing; a shape of three axes needs it",
            )),
            (1, Some(_)) => Err(self.invalid(
                "output.layout",
                "is given, but a shape of one axis has no layout",
            )),
            _ => {
                let reason = format!(
                    "is {shape:?}; it must have three axes, two or one, without the batch axis"
                );
                Err(self.invalid("output.shape", reason))
            }
        }
    }

    /// Checks that an ONNX file has the input and the output that the card describes.
    ///
    /// Axes whose length the file leaves open match any length; only a run shows their lengths.
    ///
    /// # Errors
    /// [`CardError::NoTensor`], [`CardError::OtherInputs`], [`CardError::Element`],
    /// [`CardError::Shape`] or [`CardError::FixedBatch`].
    pub fn check_against(&self, model: &OnnxModel) -> Result<(), CardError> {
        let inputs = model.inputs();
        self.check_tensor(model, "input", &self.input.name, &inputs, self.input_type())?;
        let others: Vec<_> = (inputs.iter().map(|(name, _)| *name))
            .filter(|name| *name != self.input.name)
            .collect();
        if !others.is_empty() {
            return Err(CardError::OtherInputs {
                card: self.origin.clone(),
                model: model.origin().to_owned(),
                others: others.join(", "),
            });
        }
        if self.is_cut_at_input() {
            return Ok(());
        }
        self.check_tensor(
            model,
            "output",
            &self.output.name,
            &model.outputs(),
            self.output_type(),
        )
    }

    /// Checks that an ONNX file has the weights and the operators that the card was written for, as
    /// far as the card has hashes of them.
    ///
    /// # Errors
    /// [`CardError::Weights`] or [`CardError::OtherGraph`]; [`CardError::Graph`] if they cannot be
    /// read.
    pub fn check_weights(&self, model: &OnnxModel) -> Result<(), CardError> {
        if self.tensors_sha256.is_some() {
            self.check_tensors_hash(model, &hash_tensors(model)?)?;
        }
        if self.graph_sha256.is_some() {
            self.check_graph_hash(model, &hash_graph(model, &self.output.name)?)?;
        }
        Ok(())
    }

    /// The part of [`ModelCard::check_weights`] for a file whose weights have been hashed.
    pub(super) fn check_tensors_hash(
        &self,
        model: &OnnxModel,
        hash: &TensorHash,
    ) -> Result<(), CardError> {
        match &self.tensors_sha256 {
            Some(expected) if *expected != hash.sha256 => Err(CardError::Weights {
                card: self.origin.clone(),
                model: model.origin().to_owned(),
                expected: expected.clone(),
                actual: hash.sha256.clone(),
            }),
            _ => Ok(()),
        }
    }

    /// The part of [`ModelCard::check_weights`] for a file whose graph has been hashed.
    pub(super) fn check_graph_hash(&self, model: &OnnxModel, hash: &str) -> Result<(), CardError> {
        match &self.graph_sha256 {
            Some(expected) if expected != hash => Err(CardError::OtherGraph {
                card: self.origin.clone(),
                model: model.origin().to_owned(),
                expected: expected.clone(),
                actual: hash.to_owned(),
            }),
            _ => Ok(()),
        }
    }

    fn check_tensor(
        &self,
        model: &OnnxModel,
        role: &'static str,
        name: &str,
        there: &[(&str, TensorType)],
        expected: TensorType,
    ) -> Result<(), CardError> {
        let (card, model, name) = (
            self.origin.clone(),
            model.origin().to_owned(),
            name.to_owned(),
        );
        let Some((_, actual)) = there.iter().find(|(other, _)| *other == name) else {
            let there: Vec<_> = there.iter().map(|(name, _)| *name).collect();
            let there = there.join(", ");
            return Err(CardError::NoTensor {
                card,
                model,
                role,
                name,
                there,
            });
        };
        if actual.element != expected.element && actual.element != DataType::Undefined {
            return Err(CardError::Element {
                card,
                model,
                role,
                name,
                expected: expected.element,
                actual: actual.element,
            });
        }
        let fit = fit(&expected, actual);
        let (expected, actual) = (Box::new(expected), Box::new(actual.clone()));
        match fit {
            Fit::Fits => Ok(()),
            Fit::FixedBatch => Err(CardError::FixedBatch {
                model,
                role,
                name,
                actual,
            }),
            Fit::Differs => Err(CardError::Shape {
                card,
                model,
                role,
                name,
                expected,
                actual,
            }),
        }
    }

    fn invalid(&self, key: &'static str, reason: impl Into<String>) -> CardError {
        CardError::Invalid {
            card: self.origin.clone(),
            key,
            reason: reason.into(),
        }
    }
}

/// What is wrong with a card, and where, without the card's lines that TOML's own message quotes.
fn in_one_line(error: &toml::de::Error) -> String {
    let text = error.to_string();
    match text.lines().next() {
        Some(place) if place.starts_with("TOML parse error at") => {
            let place = place.trim_start_matches("TOML parse error ");
            format!("{} ({place})", error.message())
        }
        _ => error.message().to_owned(),
    }
}

enum Fit {
    Fits,
    FixedBatch,
    Differs,
}

/// Whether a declared shape is compatible with the expected one, whose first axis is the batch.
fn fit(expected: &TensorType, actual: &TensorType) -> Fit {
    let (Some(expected), Some(actual)) = (&expected.dims, &actual.dims) else {
        return Fit::Fits;
    };
    let fits =
        |(expected, actual): (&Dim, &Dim)| matches!(actual, Dim::Free(_)) || expected == actual;
    if expected.len() != actual.len() || !expected.iter().zip(actual).skip(1).all(fits) {
        return Fit::Differs;
    }
    match actual.first() {
        Some(Dim::Fixed(_)) => Fit::FixedBatch,
        _ => Fit::Fits,
    }
}
