//! ONNX files of strangers: whatever their bytes, they are read and written back, or an error.

use std::path::{Path, PathBuf};

use ort_winograd::{OnnxModel, Rewritten, hash_graph, hash_tensors, rewrite};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::damage::{damage, damaged};
use crate::support::checkout;

/// The file that errors name.
const ORIGIN: &str = "some/model.onnx";

/// Good models, with which fuzzing begins too: weights in every place that a file has for them.
fn seeds() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(checkout("fuzz/seeds/onnx")).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn read(bytes: &[u8]) -> Result<OnnxModel, String> {
    let model = OnnxModel::from_bytes(bytes.to_vec().into(), Path::new(ORIGIN));
    model.map_err(|error| error.to_string())
}

/// Does all that is done with a model before ONNX Runtime gets it.
fn use_model(model: &OnnxModel) {
    let bytes = model.to_bytes();
    let again = read(&bytes).unwrap();
    assert_eq!(again.to_bytes(), bytes);
    let hash = |model| hash_tensors(model).map_err(|error| error.to_string());
    assert_eq!(hash(&again), hash(model));
    let names = model.graph().node.iter().flat_map(|node| &node.output);
    for name in names.filter(|name| !name.is_empty()) {
        let mut cut = model.clone();
        cut.cut_after(name).unwrap();
        assert_eq!(cut.outputs()[0].0, name);
        // What is cut away has no part in what computes the tensor.
        if let Ok(hash) = hash_graph(model, name) {
            assert_eq!(hash_graph(&cut, name).unwrap(), hash);
        }
        assert_eq!(read(&cut.to_bytes()).unwrap().to_bytes(), cut.to_bytes());
    }
    if let Some(rewritten) = Rewritten::of(model, 1) {
        read(rewritten.onnx_bytes()).unwrap();
    }
}

#[test]
fn good_models_are_read_hashed_cut_and_written_back() {
    for file in seeds() {
        let bytes = std::fs::read(&file).unwrap();
        let model = read(&bytes).unwrap();
        assert_eq!(model.to_bytes(), bytes, "{}", file.display());
        hash_tensors(&model).unwrap();
        for (name, _) in model.outputs() {
            hash_graph(&model, name).unwrap();
        }
        use_model(&model);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn damaged_bytes_are_a_sound_model_or_an_error_that_names_the_file(
        file in select(seeds()),
        damages in vec(damage(), 0..6),
    ) {
        let bytes = std::fs::read(file).unwrap();
        match read(&damaged(bytes, &damages)) {
            Ok(model) => use_model(&model),
            Err(error) => prop_assert!(error.starts_with(ORIGIN), "{error}"),
        }
    }
}

#[test]
fn bytes_that_are_no_model_cannot_be_rewritten() {
    let error = rewrite(b"\xFF\xFFnot a model", 1).unwrap_err().to_string();
    assert!(error.starts_with("the model is no ONNX file: "), "{error}");
}
