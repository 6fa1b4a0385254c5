//! What the integration tests share: small stores, and the Python that opens them.

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod damage;
pub mod download;
pub mod http_server;
pub mod judged;
pub mod onnx;
pub mod place;
pub mod scenes;
#[cfg(target_os = "linux")]
pub mod terminal;
pub mod tiny_trunk;
pub mod two_classes;

use std::path::{Path, PathBuf};
use std::process::Command;

use cnn_codes::codes::{
    Code, CodesIdentity, Dtype, PictureRow, Pool, StoreDescription, StoreWriter,
};
use cnn_codes::files::Existing;
use cnn_codes::model::{OutputSpec, TrunkIdentity};
use cnn_codes::picture::{Filter, Fit, Recipe, Resize};

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
        root: None,
        decoder: "none".to_owned(),
        onnxruntime: "1.32.0".to_owned(),
        provider: "CPUExecutionProvider".to_owned(),
        kernels: "onnxruntime".to_owned(),
        max_pixels: None,
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
            path: format!("a/{row}, \"é\".jpg").into(),
            label: Some(label),
            width: 10,
            height: 20,
            blake3: blake3::hash(b"picture"),
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
            path: format!("{row}.jpg").into(),
            label: Some(*label),
            width: 1,
            height: 1,
            blake3: blake3::hash(&[0]),
        };
        writer.append(&picture, Code::Values(code)).unwrap();
    }
    writer.finish().unwrap();
}

/// The models folder of the checkout, if ONNX Runtime was fetched into it; says so where not.
pub fn models_with_onnxruntime() -> Option<PathBuf> {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    if models.join("onnxruntime").is_dir() {
        return Some(models);
    }
    eprintln!(
        "skipped: no ONNX Runtime in {} (run `cnn-codes fetch`)",
        models.display()
    );
    None
}

/// The built command, with the models folder of the checkout and no say of the environment.
pub fn cnn_codes() -> assert_cmd::Command {
    let mut command = assert_cmd::Command::new(assert_cmd::cargo::cargo_bin!("cnn-codes"));
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    command
        .env_remove("ORT_DYLIB_PATH")
        .env("CNN_CODES_MODELS", models);
    command
}

/// A command that a hangup reaches, even where the tests themselves run under nohup.
#[cfg(unix)]
pub fn with_hangups(command: &mut Command) -> &mut Command {
    use std::os::unix::process::CommandExt;
    // SAFETY: between fork and exec, signal is one of the calls that are allowed.
    unsafe {
        command.pre_exec(|| {
            libc::signal(libc::SIGHUP, libc::SIG_DFL);
            Ok(())
        })
    }
}

/// A file of ../shared, which is beside the project and no part of it; says so where it is absent.
pub fn shared(path: &Path) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared")
        .join(path);
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: there is no {}", path.display());
    None
}

/// Python with NumPy and onnxruntime, which scripts/test.sh sets up; says so where it is absent.
pub fn python() -> Option<PathBuf> {
    let python = std::env::var_os("CNN_CODES_TEST_PYTHON").map(PathBuf::from);
    if python.is_none() {
        eprintln!(
            "skipped: CNN_CODES_TEST_PYTHON names no Python with NumPy (see scripts/test.sh)"
        );
    }
    python
}

/// Runs a Python program with `arguments`, and returns what it printed.
pub fn run_python(python: &Path, program: &str, arguments: &[&Path]) -> String {
    let output = Command::new(python)
        .args(["-c", program])
        .args(arguments)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    String::from_utf8(output.stdout).unwrap()
}
