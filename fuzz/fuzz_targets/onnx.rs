//! Any bytes are a model that is hashed, cut, checked and written back, or an error. ONNX Runtime
//! has no part in it: what is tried is the code that reads a model before ONNX Runtime does.
#![no_main]

use std::path::Path;

use cnn_codes::model::ModelCard;
use libfuzzer_sys::fuzz_target;
use ort_winograd::onnx::Dim;
use ort_winograd::{GraphError, OnnxModel, Rewritten, hash_graph, hash_tensors};

/// The file that errors name.
const ORIGIN: &str = "model.onnx";

/// Cutting costs a copy of the model; this many of its tensors are tried.
const MAX_CUTS: usize = 4;

fuzz_target!(|bytes: &[u8]| {
    let Some(model) = read(bytes) else {
        return;
    };
    hash(&model);
    check_cards(&model);
    check_written(&model);
    let nodes = model.graph().node.iter().rev();
    let names = nodes.flat_map(|node| &node.output);
    for name in names.filter(|name| !name.is_empty()).take(MAX_CUTS) {
        cut(&model, name);
    }
    if let Some(rewritten) = Rewritten::of(&model, 1) {
        read(rewritten.onnx_bytes()).expect("a rewritten model is sound");
    }
});

fn read(bytes: &[u8]) -> Option<OnnxModel> {
    match OnnxModel::from_bytes(bytes.to_vec().into(), Path::new(ORIGIN)) {
        Ok(model) => Some(model),
        Err(error) => {
            assert!(error.to_string().starts_with(ORIGIN));
            None
        }
    }
}

/// The hashes of the weights and of what computes the first output, where all can be read.
fn hash(model: &OnnxModel) -> Option<(String, String)> {
    let output = model.outputs()[0].0;
    let weights = said(hash_tensors(model))?.sha256;
    Some((weights, said(hash_graph(model, output))?))
}

fn said<T>(result: Result<T, GraphError>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            assert!(error.to_string().contains(ORIGIN));
            None
        }
    }
}

/// VGG16's card, and one that says what the model itself declares.
fn check_cards(model: &OnnxModel) {
    let mut card = ModelCard::vgg16();
    let _ = card.check_against(model);
    let _ = card.check_weights(model);
    if let Some((name, _)) = model.inputs().first() {
        card.input.name = (*name).to_owned();
    }
    if let Some((name, declared)) = model.outputs().first() {
        card.output.name = (*name).to_owned();
        let axes = declared.dims.iter().flatten().skip(1);
        card.output.shape = axes
            .map(|axis| match axis {
                Dim::Fixed(length) => *length,
                Dim::Free(_) => 1,
            })
            .collect();
    }
    let _ = card.validate();
    if let Err(error) = card.check_against(model) {
        assert!(error.to_string().contains(ORIGIN));
    }
}

/// What is written is read again, and is the same.
fn check_written(model: &OnnxModel) {
    let bytes = model.to_bytes();
    let again = read(&bytes).expect("a sound model stays sound");
    assert_eq!(again.to_bytes(), bytes);
    assert_eq!(hash(&again), hash(model));
}

/// A model cut after one of its tensors has that output alone, and is sound.
fn cut(model: &OnnxModel, name: &str) {
    let mut cut = model.clone();
    cut.cut_after(name).expect("a node computes it");
    assert_eq!(cut.outputs().len(), 1);
    assert_eq!(cut.outputs()[0].0, name);
    if let Some(hash) = said(hash_graph(model, name)) {
        assert_eq!(hash_graph(&cut, name).expect("as before"), hash);
    }
    check_written(&cut);
}
