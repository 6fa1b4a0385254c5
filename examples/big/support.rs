use std::path::{Path, PathBuf};
use std::process::Command;

use cnn_codes::codes::{
    Code, CodesIdentity, Dtype, OutputSpec, Pool, StoreDescription, StoreWriter, TrunkIdentity,
    WrittenPicture,
};
use cnn_codes::draft::Existing;
use cnn_codes::picture::{Filter, Fit, Recipe, Resize};

/// A description of codes of shape (2, 1, 3), of the classes `a` and `b c`.
pub fn description(dtype: Dtype, pool: Pool) -> StoreDescription {
    StoreDescription {
        codes: CodesIdentity {
            trunk: TrunkIdentity {
                name: "tiny".to_owned(),
                sha256: "0".repeat(64),
                tensors_sha256: "1".repeat(64),
            },
            recipe: Recipe::Caffe,
            resize: Resize {
                width: 224,
                height: 224,
                fit: Fit::Stretch,
                filter: Filter::Bilinear,
            },
            output: OutputSpec {
                name: "out".to_owned(),
                shape: vec![2, 1, 3],
            },
            pool,
        },
        dtype,
        classes: vec!["a".to_owned(), "b c".to_owned()],
        listing: None,
        part: None,
        decoder: "none".to_owned(),
        onnxruntime: "1.32.0".to_owned(),
        provider: "CPUExecutionProvider".to_owned(),
    }
}
