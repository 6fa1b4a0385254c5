//! Where assets are looked for, and that nothing which came with somebody's pictures is run.
#![cfg(unix)]

use crate::support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// The program, installed outside of its checkout, and a working folder and a home folder.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["bin", "home", "work"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let place = Self { folder };
        let built = assert_cmd::cargo::cargo_bin!("cnn-codes");
        // A link is not open for writing in a child of another test, as a copy may be for a moment.
        let installed = place.path("bin/cnn-codes");
        if fs::hard_link(built, &installed).is_err() {
            fs::copy(built, &installed).unwrap();
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.path("bin/cnn-codes"));
        command
            .current_dir(self.path("work"))
            .env_remove("ORT_DYLIB_PATH")
            .env_remove("CNN_CODES_MODELS")
            .env_remove("XDG_DATA_HOME")
            .env("HOME", self.path("home"));
        command
    }

    /// What was fetched into the checkout, linked into `models`; without it the test is skipped.
    fn link_onnxruntime(&self, models: &str) -> Option<PathBuf> {
        let fetched = support::models_with_onnxruntime()?.join("onnxruntime");
        let folder = self.path(models).join("onnxruntime");
        fs::create_dir_all(&folder).unwrap();
        for entry in fs::read_dir(fetched).unwrap() {
            let entry = entry.unwrap();
            symlink(entry.path(), folder.join(entry.file_name())).unwrap();
        }
        Some(folder)
    }
}

/// What doctor found of something, and whether it is good.
fn found(output: &Output, what: &str) -> (String, bool) {
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = document["findings"].as_array().unwrap();
    let finding = findings.iter().find(|finding| finding["what"] == what);
    let finding = finding.unwrap_or_else(|| panic!("{findings:?}"));
    let text = finding["found"].as_str().unwrap().to_owned();
    (text, finding["ok"].as_bool().unwrap())
}

fn doctor(place: &Place, change: impl FnOnce(&mut Command)) -> Output {
    let mut doctor = place.command();
    doctor.args(["doctor", "--format", "json"]);
    change(&mut doctor);
    doctor.output().unwrap()
}

#[test]
fn an_installed_program_keeps_assets_in_the_users_data_folder_and_not_in_the_working_folder() {
    let place = Place::new();
    fs::create_dir_all(place.path("work/models/onnxruntime")).unwrap();
    fs::write(
        place.path("work/models/onnxruntime/libonnxruntime.so.9"),
        "planted",
    )
    .unwrap();

    let output = doctor(&place, |_| {});
    let (models, _) = found(&output, "models");
    let data = if cfg!(target_os = "macos") {
        "home/Library/Application Support/cnn-codes"
    } else {
        "home/.local/share/cnn-codes"
    };
    let expected = format!(
        "{} (in your data folder, for all projects); models in the current folder is not looked at: \
         `--models models` takes it",
        place.path(data).display()
    );
    assert_eq!(models, expected);
    let (runtime, is_good) = found(&output, "ONNX Runtime");
    assert!(!is_good && runtime.contains("was not found"), "{runtime}");

    let given = doctor(&place, |doctor| {
        doctor.args(["--models", "elsewhere"]);
    });
    let given = found(&given, "models").0;
    assert_eq!(given, "elsewhere (given by --models or CNN_CODES_MODELS)");
    if cfg!(target_os = "macos") {
        return;
    }
    for (variable, expected) in [
        (place.path("data"), "data/cnn-codes"),
        ("data".into(), data),
    ] {
        let output = doctor(&place, |doctor| {
            doctor.env("XDG_DATA_HOME", &variable);
        });
        let expected = format!("{} (in your data", place.path(expected).display());
        let models = found(&output, "models").0;
        assert!(models.starts_with(&expected), "{models}");
    }
}

#[test]
fn in_its_checkout_the_program_takes_the_checkouts_models() {
    let place = Place::new();
    let checkout = support::root();
    let output = doctor(&place, |doctor| {
        doctor.current_dir(checkout);
    });
    let expected = "models (of the checkout that the program was built from)";
    assert_eq!(found(&output, "models").0, expected);
}

#[test]
fn a_library_beside_the_fetched_one_is_not_loaded_and_fetch_moves_it_aside() {
    let place = Place::new();
    let Some(folder) = place.link_onnxruntime("work/models") else {
        return;
    };
    let in_models = |doctor: &mut Command| {
        doctor.args(["--models", "models"]);
    };
    let output = doctor(&place, in_models);
    assert!(found(&output, "ONNX Runtime").1);
    // The last one is what the fetched library itself needs, and looks for beside itself first.
    for planted in ["libonnxruntime.so.9", "libonnxruntime.so", "libstdc++.so.6"] {
        fs::write(folder.join(planted), "no library: loading it fails").unwrap();
        let output = doctor(&place, in_models);
        let (runtime, is_good) = found(&output, "ONNX Runtime");
        let expected = format!("it also holds {planted}, which is not of onnxruntime");
        assert!(!is_good && runtime.contains(&expected), "{runtime}");
        assert!(
            runtime.contains("nothing is loaded from models/onnxruntime"),
            "{runtime}"
        );

        let mut fetch = place.command();
        fetch.args(["fetch", "onnxruntime", "--models", "models"]);
        let fetched = fetch.output().unwrap();
        let said = String::from_utf8_lossy(&fetched.stderr);
        assert!(fetched.status.success() && said.contains(planted), "{said}");
        assert!(fetched.stdout.starts_with(b"already there"));
        assert!(found(&doctor(&place, in_models), "ONNX Runtime").1);
    }
}

#[test]
fn a_library_with_a_record_of_its_own_is_not_loaded() {
    let place = Place::new();
    let Some(folder) = place.link_onnxruntime("work/models") else {
        return;
    };
    let record: Value =
        serde_json::from_slice(&fs::read(folder.join("asset.json")).unwrap()).unwrap();
    let library = record["library"].as_str().unwrap();
    let planted = b"no library: loading it fails";
    fs::remove_file(folder.join(library)).unwrap();
    fs::write(folder.join(library), planted).unwrap();
    let mut changed = record.clone();
    for file in changed["files"].as_array_mut().unwrap() {
        if file["name"] == library {
            use sha2::{Digest, Sha256};
            file["sha256"] = format!("{:x}", Sha256::digest(planted)).into();
            file["bytes"] = planted.len().into();
        }
    }
    let mut other_wheel = changed.clone();
    other_wheel["wheel_sha256"] = "0".repeat(64).into();
    for (record, expected) in [
        (record, "is not the one of onnxruntime"),
        (changed, "is not the one of onnxruntime"),
        (
            other_wheel,
            "which is not what this cnn-codes was built for",
        ),
    ] {
        fs::remove_file(folder.join("asset.json")).unwrap();
        fs::write(folder.join("asset.json"), record.to_string()).unwrap();
        let output = doctor(&place, |doctor| {
            doctor.args(["--models", "models"]);
        });
        let (runtime, is_good) = found(&output, "ONNX Runtime");
        assert!(!is_good && runtime.contains(expected), "{runtime}");
    }
}

#[test]
fn a_card_of_vgg16_in_the_models_folder_changes_nothing_and_is_named() {
    let place = Place::new();
    for class in ["a", "b"] {
        let folder = place.path("work/pictures").join(class);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("1.png"), "").unwrap();
    }
    fs::create_dir(place.path("work/models")).unwrap();
    let card = include_str!("../../../../models/vgg16.toml");
    let extract = || {
        let mut extract = place.command();
        extract.args(["extract-features", "pictures", "--out", "store"]);
        extract.args(["--models", "models"]);
        String::from_utf8(extract.output().unwrap().stderr).unwrap()
    };
    for (text, is_named) in [
        (card.to_owned(), false),
        (card.replace("vgg16_notop.onnx", "planted.onnx"), true),
        (card.replace("\"caffe\"", "\"none\""), true),
        ("no card".to_owned(), true),
    ] {
        fs::write(place.path("work/models/vgg16.toml"), text).unwrap();
        let said = extract();
        let named =
            "models/vgg16.toml is different from the built-in card of vgg16, and is ignored";
        assert_eq!(said.contains(named), is_named, "{said}");
        assert!(
            said.contains("no trunk at models/vgg16_notop.onnx"),
            "{said}"
        );
    }
}
