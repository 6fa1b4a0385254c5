//! VGG16 without its top, cut out of the model in the pinned wheel.

use super::card::ModelCard;
use ort_winograd::onnx::NodeProto;
use ort_winograd::{GraphError, OnnxModel};

/// The last tensor of the trunk in the wheel's model: block5's pooling, channels last.
const SOURCE_OUTPUT: &str = "Transpose__90:0";

/// How many convolutions each of VGG16's blocks has.
const CONVS_PER_BLOCK: [usize; 5] = [2, 2, 3, 3, 3];

/// Makes the trunk's model from the wheel's.
///
/// Everything up to the transposition after block5's pooling is kept. The batch axis is freed, the
/// input gets the card's size, and nodes and tensors get Keras' layer names. `source` is written
/// into the file's metadata, with the card's licence, attribution and recipe.
///
/// # Errors
/// [`GraphError::NoTensor`] or [`GraphError::Unsound`] if the model is not the one expected.
pub fn cut_trunk(
    mut model: OnnxModel,
    card: &ModelCard,
    source: &str,
) -> Result<OnnxModel, GraphError> {
    model.cut_after(SOURCE_OUTPUT)?;
    for (from, to) in renaming(&model)? {
        model.rename(&from, &to)?;
    }
    model.declare(&card.input.name, &card.input_type())?;
    model.declare(&card.output.name, &card.output_type())?;
    model = tidy(model)?;
    model.set_metadata("licence", &card.licence);
    model.set_metadata("attribution", &card.attribution);
    model.set_metadata("recipe", &card.input.recipe.to_string());
    model.set_metadata("source", source);
    Ok(model)
}

/// VGG16's nodes in order: operator, and the name of the tensor it computes.
fn layers() -> Vec<(&'static str, String)> {
    let mut layers = vec![("Transpose", "input/channels_first".to_owned())];
    for (block, n_convs) in (1..).zip(CONVS_PER_BLOCK) {
        for conv in 1..=n_convs {
            layers.push(("Conv", format!("block{block}_conv{conv}/linear")));
            layers.push(("Relu", format!("block{block}_conv{conv}")));
        }
        layers.push(("MaxPool", format!("block{block}_pool")));
    }
    if let Some((_, last)) = layers.last_mut() {
        last.push_str("/channels_first");
    }
    layers.push(("Transpose", "block5_pool".to_owned()));
    layers
}

/// The old and the new name of every tensor, after a check that the nodes are VGG16's.
fn renaming(model: &OnnxModel) -> Result<Vec<(String, String)>, GraphError> {
    let nodes = &model.graph().node;
    let layers = layers();
    let operators = nodes.iter().map(NodeProto::op_type);
    if !operators.eq(layers.iter().map(|(operator, _)| *operator)) {
        return Err(unsound(model, "its nodes are not those of VGG16"));
    }
    let mut names = Vec::new();
    for (node, (operator, name)) in nodes.iter().zip(layers) {
        match (operator, &node.input[..]) {
            ("Conv", [_, kernel, bias]) => {
                let layer = name.trim_end_matches("/linear");
                names.push((kernel.clone(), format!("{layer}/kernel")));
                names.push((bias.clone(), format!("{layer}/bias")));
            }
            (_, [_]) => {}
            _ => {
                return Err(unsound(
                    model,
                    "a node has more inputs, or fewer, than in VGG16",
                ));
            }
        }
        let [output] = &node.output[..] else {
            return Err(unsound(model, "a node has more outputs than in VGG16"));
        };
        names.push((output.clone(), name));
    }
    Ok(names)
}

/// Gives everything arbitrary a fixed order and name, so that equal weights give equal files.
fn tidy(model: OnnxModel) -> Result<OnnxModel, GraphError> {
    let origin = model.origin().to_owned();
    let order: Vec<_> = model
        .graph()
        .node
        .iter()
        .flat_map(|node| node.input.clone())
        .collect();
    let mut proto = model.into_proto();
    proto.producer_name = Some("cnn-codes".to_owned());
    proto.producer_version = None;
    proto.doc_string = None;
    proto.metadata_props.clear();
    if let Some(graph) = &mut proto.graph {
        graph.name = Some("vgg16_notop".to_owned());
        graph.doc_string = None;
        (graph.initializer)
            .sort_by_key(|tensor| order.iter().position(|name| name == tensor.name()));
        for node in &mut graph.node {
            node.name = node.output.first().cloned();
            node.domain = None;
            node.attribute.sort_by(|a, b| a.name().cmp(b.name()));
        }
    }
    OnnxModel::from_proto(proto, &origin)
}

fn unsound(model: &OnnxModel, reason: &str) -> GraphError {
    GraphError::Unsound {
        path: model.origin().to_owned(),
        reason: reason.to_owned(),
    }
}
