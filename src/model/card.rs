//! Model cards: what has to be known of a trunk besides its ONNX file.

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

/// The versions of the card format that this crate reads: 2 has formulas for recipes besides.
const CARD_FORMATS: std::ops::RangeInclusive<u32> = 1..=2;

/// The longest side of a trunk's input: far above any trunk, and below what exhausts memory by a
/// typing error.
const MAX_SIDE: u32 = 4096;

/// Colour channels of a picture, and so of every trunk's input.
const N_CHANNELS: u64 = 3;

/// The element type of a trunk's input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Element {
    /// Numbers that a recipe made.
    #[default]
    Float32,
    /// The levels 0 to 255 as bytes: the file has its recipe inside, and the card's is `none`.
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

/// What a trunk takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardInput {
    /// The input's name in the ONNX file.
    pub name: String,
    /// Pixels from left to right.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
    /// Where the colour axis is.
    pub layout: Layout,
    /// How pixels become numbers.
    pub recipe: Recipe,
    /// What the numbers are given as.
    #[serde(default, skip_serializing_if = "Element::is_float32")]
    pub element: Element,
    /// How the pictures that it was trained on got the input's size; stretched where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fit: Option<picture::Fit>,
    /// The filter with which they were resampled; bilinear where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filter>,
}

/// What a trunk gives: its codes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardOutput {
    /// The output's name in the ONNX file.
    pub name: String,
    /// The shape without the batch axis: three axes of a feature map, two of tokens, one of a vector.
    pub shape: Vec<u64>,
    /// Where a feature map's channel axis is; a vector has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layout: Option<Layout>,
    /// Which of the tokens is the code, where the output has two axes: tokens and their numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub take: Option<Take>,
}

/// What the card of an exported classifier says besides: its codes are probabilities.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardClassifier {
    /// Class names in the order of the output.
    pub classes: Vec<String>,
    /// How the pictures that it was trained on got the input's size.
    pub fit: picture::Fit,
    /// The filter with which they were resampled.
    pub filter: Filter,
    /// Whether large ones were decoded at a smaller size before; those of earlier cards were not.
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
    /// The licence of the weights, as an SPDX identifier where there is one.
    pub licence: String,
    /// Whom the licence wants named, and how.
    pub attribution: String,
    /// Where the weights come from.
    pub sources: Vec<String>,
    /// What [`hash_tensors`] must give for the ONNX file; without it any weights will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tensors_sha256: Option<String>,
    /// What [`hash_graph`] must give for the ONNX file's output; without it any operators will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub graph_sha256: Option<String>,
    /// What the trunk takes.
    pub input: CardInput,
    /// What the trunk gives.
    pub output: CardOutput,
    /// What is known of the output's classes, where the file is a classifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classifier: Option<CardClassifier>,
    /// Pictures with their codes, by which a trunk is proved on a machine.
    #[serde(default, rename = "reference", skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<Reference>,
    /// The file's own output, where that of the card is made of it.
    #[serde(skip)]
    pub(crate) made_of: Option<OwnOutput>,
    /// Weights that are others than the file's; no card on a disk says so.
    #[serde(skip)]
    pub(crate) tuned: Option<Tuned>,
    /// The card's file, for messages.
    #[serde(skip)]
    pub(crate) origin: String,
}

/// The one key that every version of the format has.
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

    /// How a picture gets the size of the trunk's input, where nothing else is asked for.
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

    /// Reads and checks a card's text; `origin` is what errors call it.
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

    /// Whether two cards differ in nothing but the file that they were read from.
    #[must_use]
    pub fn says_the_same_as(&self, other: &Self) -> bool {
        // What proves it is no part of what it is, and cards of before had none.
        let here = Self {
            origin: other.origin.clone(),
            references: other.references.clone(),
            format: other.format,
            ..self.clone()
        };
        here == *other
    }

    /// The card's file, as messages name it.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The input's type in an ONNX file that fits.
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
    /// Never: all that a card holds can be written as TOML.
    pub fn to_text(&self) -> Result<String, CardError> {
        self.validate()?;
        Ok(toml::to_string(self).expect("a card holds strings, numbers and tables"))
    }

    /// The output's type in an ONNX file that fits.
    #[must_use]
    pub fn output_type(&self) -> TensorType {
        TensorType::float32_batch(&self.output.shape)
    }

    /// Checks what a card promises by itself, without its ONNX file.
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

    /// Refuses a fit whose shorter side is less than the trunk's input.
    ///
    /// # Errors
    /// What is wrong with it.
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
    /// Axes that the file leaves open fit any length; a session learns their lengths by running.
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

    /// Checks that an ONNX file has the weights and the operators that the card was written for,
    /// as far as it says so.
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

    /// A part of [`ModelCard::check_weights`], for a file whose weights are hashed already.
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

    /// A part of [`ModelCard::check_weights`], for a file whose graph is hashed already.
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

/// What is wrong with a card, and where, without the lines of the card that TOML's own message quotes.
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

/// Whether a declared shape leaves room for the expected one, whose first axis is the batch.
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
