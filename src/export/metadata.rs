//! The metadata of an exported file. Lists are JSON.

use super::ExportOptions;
use crate::head::OneHead;
use crate::head::saved::{FORMAT, SavedHead};
use crate::model::{ModelCard, OnnxModel};

/// The entries of every export.
pub(super) fn describe(model: &mut OnnxModel, head: &SavedHead, options: ExportOptions) {
    let exported = head.of_kind(options.head);
    let temperature = exported.map(OneHead::temperature);
    let entries = [
        ("classes", json(&head.classes)),
        (
            "created_by",
            concat!("cnn-codes ", env!("CARGO_PKG_VERSION")).to_owned(),
        ),
        ("head", options.head.to_string()),
        ("head_format", FORMAT.to_string()),
        ("pool", head.codes.pool.to_string()),
        ("precision", options.precision.to_string()),
        ("recipe", head.codes.recipe.to_string()),
        ("resize", json(&head.codes.resize)),
        ("scaling", head.scaling.kind().to_string()),
        ("temperature", temperature.unwrap_or(1.0).to_string()),
        ("trunk", head.codes.trunk.name.clone()),
        (
            "trunk_tensors_sha256",
            head.codes.trunk.tensors_sha256.clone(),
        ),
    ];
    for (key, value) in entries {
        model.set_metadata(key, &value);
    }
    if let Some(graph) = &head.codes.trunk.graph_sha256 {
        model.set_metadata("trunk_graph_sha256", graph);
    }
}

/// Further entries of a complete classifier: the origin of its weights.
pub(super) fn describe_classifier(model: &mut OnnxModel, card: &ModelCard, head: &SavedHead) {
    model.set_metadata("licence", &card.licence);
    model.set_metadata("attribution", &card.attribution);
    model.set_metadata("sources", &json(&card.sources));
    let resize = head.codes.resize;
    model.set_doc_string(&format!(
        "Input: pixels, uint8 RGB (N, {}, {}, 3), 0 to 255; the recipe ({}) is inside. Fit pictures \
         to that size as the training pictures were: {}, {}. Outputs: probabilities, float32 (N, K), \
         and label_index, int64 (N), into the list 'classes' of the metadata.",
        resize.height, resize.width, head.codes.recipe, resize.fit, resize.filter,
    ));
}

/// Further entries of a head on its own.
pub(super) fn describe_head(model: &mut OnnxModel, head: &SavedHead) {
    model.set_doc_string(&format!(
        "Input: codes, float32, the array of a store (codes.npy) as it is, of the trunk '{}'. \
         Outputs: probabilities, float32 (N, K), and label_index, int64 (N), into the list \
         'classes' of the metadata.",
        head.codes.trunk.name,
    ));
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("strings and numbers can be written as JSON")
}
