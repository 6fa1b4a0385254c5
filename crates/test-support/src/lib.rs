//! What the integration tests of several packages share: small stores and trunks, what the machine
//! may lack, and how a test says that it is skipped.

#![allow(missing_docs, reason = "helpers of tests, named for what they do")]

pub mod damage;
pub mod onnx;
pub mod place;
pub mod promises;
pub mod skips;
pub mod split;
pub mod tiny_trunk;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use cnn_codes::codes::{
    Code, CodesIdentity, Dtype, PictureRow, Pool, StoreDescription, StoreWriter,
};
use cnn_codes::model::{OutputSpec, TrunkIdentity};
use cnn_codes::picture::{Decoding, Filter, Fit, Recipe, Resize};
use cnn_codes_files::Existing;

/// A description of codes of shape (2, 1, 3), of the classes `a` and `b c`.
pub fn description(dtype: Dtype, pool: Pool) -> StoreDescription {
    StoreDescription {
        codes: CodesIdentity {
            trunk: TrunkIdentity {
                name: "tiny".to_owned(),
                sha256: "0".repeat(64),
                tensors_sha256: "1".repeat(64),
                graph_sha256: None,
            },
            recipe: Recipe::Caffe,
            resize: Resize {
                width: 224,
                height: 224,
                fit: Fit::Stretch,
                filter: Filter::Bilinear,
                decoding: Decoding::Full,
            },
            output: OutputSpec {
                name: "out".to_owned(),
                shape: vec![2, 1, 3],
                layers: Vec::new(),
            },
            pool,
        },
        dtype,
        views: cnn_codes::picture::Views::None,
        classes: vec!["a".to_owned(), "b c".to_owned()],
        listing: None,
        part: None,
        root: None,
        decoder: "none".to_owned(),
        onnxruntime: "1.32.0".to_owned(),
        provider: "CPUExecutionProvider".to_owned(),
        kernels: "onnxruntime".to_owned(),
        max_pixels: None,
        grouped: false,
    }
}

/// Writes a store whose value at `i`, counted over all codes, is `i / 4`; labels as given.
pub fn write_store(out: &Path, description: StoreDescription, labels: &[usize]) {
    let code_len = description.codes.code_len();
    let mut writer = StoreWriter::create(out, Existing::Keep, description).unwrap();
    for (row, &label) in labels.iter().enumerate() {
        let start = row * code_len;
        let codes: Vec<f32> = (start..start + code_len).map(|i| i as f32 / 4.0).collect();
        let picture = PictureRow {
            group: None,
            path: format!("a/{row}, \"é\".jpg").into(),
            label: Some(label),
            width: 10,
            height: 20,
            blake3: blake3::hash(&row.to_le_bytes()),
        };
        writer.append(&picture, Code::Values(&codes)).unwrap();
    }
    writer.finish().unwrap();
}

/// Writes a store of these (label, code), whose pictures are called `0.jpg` and so on.
pub fn write_codes(out: &Path, description: StoreDescription, rows: &[(usize, Vec<f32>)]) {
    let mut writer = StoreWriter::create(out, Existing::Keep, description).unwrap();
    for (row, (label, code)) in rows.iter().enumerate() {
        let picture = PictureRow {
            group: None,
            path: format!("{row}.jpg").into(),
            label: Some(*label),
            width: 1,
            height: 1,
            blake3: hash_of_row(out, row),
        };
        writer.append(&picture, Code::Values(code)).unwrap();
    }
    writer.finish().unwrap();
}

/// The hash of a picture that is in no other store.
fn hash_of_row(store: &Path, row: usize) -> blake3::Hash {
    blake3::hash(format!("{row} of {:?}", store.file_name()).as_bytes())
}

/// The checkout: the folder of the workspace.
pub fn root() -> &'static Path {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    root.expect("crates/test-support lies in the checkout")
}

/// The models folder of the checkout, whatever was fetched into it.
pub fn models() -> PathBuf {
    root().join("models")
}

/// The models folder of the checkout; without ONNX Runtime in it the test is skipped.
pub fn models_with_onnxruntime() -> Option<PathBuf> {
    let models = models();
    if models.join("onnxruntime").is_dir() {
        return Some(models);
    }
    skip!(
        "no ONNX Runtime in {} (run `cnn-codes fetch`)",
        models.display()
    );
    None
}

/// The trunk of VGG16 in the models folder; without it the test is skipped.
pub fn vgg16() -> Option<PathBuf> {
    let trunk = models().join("vgg16_notop.onnx");
    if trunk.exists() {
        return Some(trunk);
    }
    skip!("no {} (run `cnn-codes fetch`)", trunk.display());
    None
}

/// A program of `examples/`, which cargo builds beside the tests unless it is told which tests to build.
pub fn example(name: &str) -> Command {
    let test = std::env::current_exe().unwrap();
    let built = test.ancestors().nth(2).unwrap().join("examples");
    let program = built
        .join(name)
        .with_extension(std::env::consts::EXE_EXTENSION);
    assert!(
        program.exists(),
        "{} is not built; `cargo build --package cnn-codes --example {name}` builds it",
        program.display()
    );
    Command::new(program)
}

/// Waits until `is_so`, and panics with `otherwise` where that takes longer than any machine does.
pub fn wait_for(otherwise: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !is_so() {
        assert!(Instant::now() < deadline, "{otherwise}");
        // How often to look, not how long it takes.
        thread::sleep(Duration::from_millis(2));
    }
}

/// What a command that succeeds prints.
pub fn stdout(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// A command with nothing in its environment that switches ONNX Runtime's telemetry off, and `home`
/// to write to.
pub fn in_empty_home(program: impl AsRef<OsStr>, home: &Path) -> Command {
    let mut command = Command::new(program);
    std::fs::create_dir_all(home).unwrap();
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .env("XDG_CACHE_HOME", home.join("cache"))
        .env("CNN_CODES_MODELS", models());
    command
}

/// A file of ../shared, which is beside the project and no part of it; without it the test is skipped.
pub fn shared(path: impl AsRef<Path>) -> Option<PathBuf> {
    let path = root().join("../shared").join(path);
    if path.exists() {
        return Some(path);
    }
    skip!("there is no {}", path.display());
    None
}

/// Python with NumPy and onnxruntime, which scripts/test.sh sets up; without it the test is skipped.
pub fn python() -> Option<PathBuf> {
    let python = std::env::var_os("CNN_CODES_TEST_PYTHON").map(PathBuf::from);
    if python.is_none() {
        skip!("CNN_CODES_TEST_PYTHON names no Python with NumPy (see scripts/test.sh)");
    }
    python
}

/// Runs a Python program with `arguments`, and returns what it printed.
pub fn run_python(python: &Path, program: &str, arguments: &[&Path]) -> String {
    stdout(Command::new(python).args(["-c", program]).args(arguments))
}
