//! One ONNX file from pictures to probabilities: recipe, trunk and head.
//!
//! ```text
//! pixels           recipe           trunk          pooling, scaling, layers,     probabilities
//! uint8 RGB    ->  float32      ->  codes      ->  temperature, softmax      ->  float32 (N, K)
//! (N, H, W, 3)     as the card      (N, 7, 7,      as trained; no dropout        label_index
//!                  has it           512)                                         int64 (N)
//! ```
//!
//! The file keeps the trunk's operator set and adds only plain operators whose meaning has not
//! changed since set `MIN_OPERATOR_SET`, so that every runtime can load it. Pictures must have the
//! size that the file declares. Fitting them is left to the caller; the metadata record how the
//! training pictures were fitted.
//!
//! With [`Precision::Float16`] the weights of trunk and layers are float16, and so are their
//! results. The recipe, pooling, scaling and everything after the last layer's product stay
//! float32: they cost nothing, and the squares of codes and an absent class's intercept do not fit
//! float16. [`check`] measures the change. A processor without float16 computes such nodes in
//! float32, so the rounding between them may differ from that of a graphics card.

mod chain;
mod check;
mod error;
mod half;
mod head;
mod metadata;
mod recipe;
mod target;

use std::path::Path;

use ort_winograd::onnx::{
    DataType, GraphProto, ModelProto, OperatorSetIdProto, TensorType, ValueInfoProto,
};
use serde::{Deserialize, Serialize};

use self::chain::Chain;
pub use self::check::{Against, CheckPictures, Drift, LargestInside, check};
pub use self::error::ExportError;
pub use self::target::Target;
use crate::codes::{CodesIdentity, Pool};
use crate::head::HeadKind;
use crate::head::saved::SavedHead;
use crate::model::card::{CardClassifier, CardInput, CardOutput, Element};
use crate::model::{ModelCard, OnnxModel, TrunkIdentity, hash_graph, hash_tensors};
use crate::named;
use crate::picture::{Layout, Recipe};

/// Name of a complete classifier's input: uint8 RGB (N, H, W, 3).
pub(crate) const PIXELS: &str = "pixels";
/// Name of the input of a head on its own: float32, in the shape of a store's codes.npy.
pub(crate) const CODES: &str = "codes";
/// Name of the output with probabilities: float32 (N, K), rows sum to 1.
pub(crate) const PROBABILITIES: &str = "probabilities";
/// Name of the output with the index of the most probable class: int64 (N).
pub(crate) const LABEL_INDEX: &str = "label_index";

/// The oldest operator set in which all operators used here have today's meaning (`Max` broadcasts
/// since then).
pub(crate) const MIN_OPERATOR_SET: i64 = 8;
/// The operator set of a head on its own: that of VGG16's trunk.
const HEAD_OPERATOR_SET: i64 = 13;
/// The IR version of that operator set, and the first one that does not list initializers among the
/// inputs.
const HEAD_IR_VERSION: i64 = 7;
const MIN_IR_VERSION: i64 = 4;
/// Prefixes of the tensor names in this module.
const OWN_NAMES: [&str; 2] = ["recipe/", "head/"];

/// Element type of the weights and of the results computed with them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// As trained.
    #[default]
    Float32,
    /// Half the file size; the module lists what stays float32.
    Float16,
}

named!(Precision, "precision", Float32 => "float32", Float16 => "float16");

/// What to export from a HEAD.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ExportOptions {
    /// Which head.
    pub head: HeadKind,
    /// In which precision.
    pub precision: Precision,
}

impl ExportOptions {
    /// This head, as it was trained.
    #[must_use]
    pub fn of(head: HeadKind) -> Self {
        Self {
            head,
            precision: Precision::default(),
        }
    }
}

/// A model to write, and its card.
#[derive(Clone, Debug)]
pub struct Exported {
    /// The model.
    pub model: OnnxModel,
    /// The card that makes the file a trunk that takes bytes; `None` for a head on its own. Its
    /// `file` is set when it is written.
    pub card: Option<ModelCard>,
}

/// Makes one model of recipe, trunk and head.
///
/// `trunk` and `card` must be those whose codes `head` was trained on. The recipe is the one that
/// the codes were made with, which may differ from the card's. Equal arguments give equal bytes.
///
/// # Errors
/// [`ExportError::OtherTrunk`], [`ExportError::NoHead`], [`ExportError::OldOperators`],
/// [`ExportError::Card`], [`ExportError::Graph`] or [`ExportError::NotHalved`].
pub fn export_classifier(
    mut trunk: OnnxModel,
    card: &ModelCard,
    head: &SavedHead,
    options: ExportOptions,
) -> Result<Exported, ExportError> {
    check_trunk(&trunk, card, head)?;
    trunk.cut_after(&card.output.name)?;
    let (input, output) = make_room(&mut trunk, card)?;
    let mut pixels = Chain::starting_at(PIXELS);
    recipe::append(&mut pixels, head.codes.recipe, card.input.layout);
    let mut codes = Chain::starting_at(&output);
    let origin = trunk.origin().to_owned();
    let mut proto = trunk.into_proto();
    if options.precision == Precision::Float16 {
        half::halve_model(&mut proto, &origin)?;
        pixels.cast(DataType::Float16, "recipe/float16");
        codes.cast(DataType::Float, "head/codes");
    }
    pixels.end_as(&input);
    append_pooling(&mut codes, head.codes.pool, card);
    head::append(&mut codes, head, options, &origin)?;

    proto.ir_version = Some(proto.ir_version().max(MIN_IR_VERSION));
    let graph = proto.graph.get_or_insert_default();
    enclose(graph, pixels, codes);
    let (height, width) = (u64::from(card.input.height), u64::from(card.input.width));
    graph.input = vec![declared(PIXELS, DataType::Uint8, &[height, width, 3])];
    let mut model = finish(proto, head, options, &origin)?;
    metadata::describe_classifier(&mut model, card, head);
    let card = classifier_card(&model, card, head, options)?;
    Ok(Exported {
        model,
        card: Some(card),
    })
}

/// Makes a model of a head on its own. The input `codes` is float32, in the shape of a store's
/// codes.npy, (N, 7, 7, 512) or (N, D); the codes of a float16 store must be converted to float32.
///
/// # Errors
/// [`ExportError::NoHead`] or [`ExportError::NotHalved`].
pub fn export_head(head: &SavedHead, options: ExportOptions) -> Result<Exported, ExportError> {
    let origin = Path::new("the exported head");
    let mut chain = Chain::starting_at(CODES);
    head::append(&mut chain, head, options, origin)?;
    let (node, initializer) = chain.into_parts();
    let shape = head.codes.pool.shape(&head.codes.output.shape);
    let shape: Vec<_> = shape.into_iter().map(|axis| axis as u64).collect();
    let proto = ModelProto {
        ir_version: Some(HEAD_IR_VERSION),
        opset_import: vec![OperatorSetIdProto::new("", HEAD_OPERATOR_SET)],
        graph: Some(GraphProto {
            node,
            initializer,
            input: vec![declared(CODES, DataType::Float, &shape)],
            ..GraphProto::default()
        }),
        ..ModelProto::default()
    };
    let mut model = finish(proto, head, options, origin)?;
    metadata::describe_head(&mut model, head);
    Ok(Exported { model, card: None })
}

/// Refuses a trunk whose codes differ from those that the head takes.
fn check_trunk(trunk: &OnnxModel, card: &ModelCard, head: &SavedHead) -> Result<(), ExportError> {
    card.check_against(trunk)?;
    card.check_weights(trunk)?;
    let codes = &head.codes;
    let other = |difference: String| ExportError::OtherTrunk {
        path: trunk.origin().to_owned(),
        name: codes.trunk.name.clone(),
        difference,
    };
    let here = TrunkIdentity {
        name: codes.trunk.name.clone(),
        // For another file, the hashes of its contents must decide.
        sha256: String::new(),
        tensors_sha256: hash_tensors(trunk)?.sha256,
        graph_sha256: Some(hash_graph(trunk, &card.output.name)?),
    };
    let here = CodesIdentity::new(here, card, codes.recipe, codes.resize, codes.pool);
    if let Some(difference) = here.difference(codes) {
        return Err(other(difference));
    }
    if card.input.element == Element::Uint8 {
        return Err(other("it has its recipe inside already".to_owned()));
    }
    match trunk.operator_set() {
        Some(MIN_OPERATOR_SET..) => Ok(()),
        version => Err(ExportError::OldOperators {
            path: trunk.origin().to_owned(),
            version: version.unwrap_or(0),
        }),
    }
}

/// Renames the trunk's tensors whose names are needed here, and returns the names of its input and
/// its output.
fn make_room(trunk: &mut OnnxModel, card: &ModelCard) -> Result<(String, String), ExportError> {
    let is_taken = |name: &str| {
        [PIXELS, PROBABILITIES, LABEL_INDEX].contains(&name)
            || OWN_NAMES
                .iter()
                .any(|beginning| name.starts_with(beginning))
    };
    let graph = trunk.graph();
    let names = (graph.input.iter().map(ValueInfoProto::name))
        .chain(graph.initializer.iter().map(|tensor| tensor.name()))
        .chain(
            graph
                .node
                .iter()
                .flat_map(|node| &node.output)
                .map(String::as_str),
        );
    let mut taken: Vec<String> = names
        .filter(|name| is_taken(name))
        .map(str::to_owned)
        .collect();
    taken.sort_unstable();
    taken.dedup();
    let room = |name: &str| format!("trunk/{name}");
    for name in &taken {
        trunk.rename(name, &room(name))?;
    }
    let now = |name: &String| {
        if taken.contains(name) {
            room(name)
        } else {
            name.clone()
        }
    };
    Ok((now(&card.input.name), now(&card.output.name)))
}

/// Turns the trunk's output into a store's form: pooled, or with its channels last.
fn append_pooling(chain: &mut Chain, pool: Pool, card: &ModelCard) {
    let Some(layout) = card.output.layout else {
        return;
    };
    let operator = match pool {
        Pool::None => {
            if layout == Layout::ChannelsFirst {
                chain.transpose(&[0, 2, 3, 1], "head/channels_last");
            }
            return;
        }
        Pool::Avg => "GlobalAveragePool",
        Pool::Max => "GlobalMaxPool",
    };
    if layout == Layout::ChannelsLast {
        chain.transpose(&[0, 3, 1, 2], "head/channels_first");
    }
    chain.apply(operator, &[], "head/pooled");
}

/// Puts one chain before a graph's nodes and another after them.
fn enclose(graph: &mut GraphProto, before: Chain, after: Chain) {
    let (mut nodes, mut initializers) = before.into_parts();
    let (nodes_after, initializers_after) = after.into_parts();
    nodes.append(&mut graph.node);
    nodes.extend(nodes_after);
    initializers.append(&mut graph.initializer);
    initializers.extend(initializers_after);
    graph.node = nodes;
    graph.initializer = initializers;
}

/// Sets a model's outputs and the metadata that every export has.
fn finish(
    mut proto: ModelProto,
    head: &SavedHead,
    options: ExportOptions,
    origin: &Path,
) -> Result<OnnxModel, ExportError> {
    proto.producer_name = Some("cnn-codes".to_owned());
    proto.producer_version = Some(env!("CARGO_PKG_VERSION").to_owned());
    proto.metadata_props.clear();
    let graph = proto.graph.get_or_insert_default();
    graph.name = Some("classifier".to_owned());
    graph.doc_string = None;
    // Their batch axis or element types may no longer be true.
    graph.value_info.clear();
    graph.output = vec![
        declared(PROBABILITIES, DataType::Float, &[head.classes.len() as u64]),
        declared(LABEL_INDEX, DataType::Int64, &[]),
    ];
    let mut model = OnnxModel::from_proto(proto, origin)?;
    metadata::describe(&mut model, head, options);
    Ok(model)
}

/// The declaration of an input or output: a batch of any size, of the given shape.
fn declared(name: &str, element: DataType, shape: &[u64]) -> ValueInfoProto {
    let floats = TensorType::float32_batch(shape);
    ValueInfoProto::new(name, &TensorType { element, ..floats })
}

/// The card that makes an exported classifier a trunk.
fn classifier_card(
    model: &OnnxModel,
    trunk: &ModelCard,
    head: &SavedHead,
    options: ExportOptions,
) -> Result<ModelCard, ExportError> {
    let card = ModelCard {
        format: 1,
        name: format!("{}-{}", trunk.name, options.head),
        file: "classifier.onnx".to_owned(),
        tensors_sha256: Some(hash_tensors(model)?.sha256),
        graph_sha256: Some(hash_graph(model, PROBABILITIES)?),
        input: CardInput {
            fit: None,
            filter: None,
            name: PIXELS.to_owned(),
            layout: Layout::ChannelsLast,
            recipe: Recipe::None,
            element: Element::Uint8,
            ..trunk.input.clone()
        },
        made_of: None,
        tuned: None,
        references: Vec::new(),
        output: CardOutput {
            name: PROBABILITIES.to_owned(),
            shape: vec![head.classes.len() as u64],
            layout: None,
            take: None,
        },
        classifier: Some(CardClassifier {
            classes: head.classes.clone(),
            fit: head.codes.resize.fit,
            filter: head.codes.resize.filter,
            decoding: head.codes.resize.decoding,
        }),
        origin: "the card of the exported classifier".to_owned(),
        ..trunk.clone()
    };
    card.validate()?;
    Ok(card)
}
