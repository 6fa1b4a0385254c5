//! `scripts/export_trunk.py`: models of PyTorch as trunks, whose codes of pictures are PyTorch's own, prepared by the
//! library's own transform. Skipped where no Python has PyTorch: CNN_CODES_TORCH_PYTHON names one.

use crate::support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cnn_codes::codes::Store;
use support::{models_with_onnxruntime, root, skip, stdout};

/// Pictures of the demo data that are not square, nor of any trunk's size.
const PICTURES: [&str; 3] = [
    "data/train/birds/pink_flamingo.jpg",
    "data/train/fruit/Apricot_whole.jpg",
    "data/train/birds/peacock.jpg",
];

/// A DINOv2 of two blocks with 16 patches, and how its pictures are prepared.
const DINO: [(&str, &str); 2] = [
    (
        "config.json",
        r#"{"model_type": "dinov2", "architectures": ["Dinov2Model"], "hidden_size": 32, "num_hidden_layers": 2,
            "num_attention_heads": 4, "mlp_ratio": 2, "image_size": 56, "patch_size": 14}"#,
    ),
    (
        "preprocessor_config.json",
        r#"{"image_processor_type": "BitImageProcessor", "crop_size": {"height": 56, "width": 56},
            "do_center_crop": true, "do_convert_rgb": true, "do_normalize": true, "do_rescale": true,
            "do_resize": true, "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225],
            "resample": 3, "rescale_factor": 0.00392156862745098, "size": {"shortest_edge": 64}}"#,
    ),
];

fn torch() -> Option<PathBuf> {
    let python = std::env::var_os("CNN_CODES_TORCH_PYTHON").map(PathBuf::from);
    if python.is_none() {
        skip!("CNN_CODES_TORCH_PYTHON names no Python with scripts/torch-requirements.txt");
    }
    python
}

#[test]
fn codes_of_exported_models_are_pytorchs_own() {
    let (Some(python), Some(_)) = (torch(), models_with_onnxruntime()) else {
        return;
    };
    let place = tempfile::tempdir().unwrap();
    let dino = place.path().join("dino");
    fs::create_dir(&dino).unwrap();
    for (name, text) in DINO {
        fs::write(dino.join(name), text).unwrap();
    }
    let pictures = place.path().join("pictures");
    fs::create_dir_all(&pictures).unwrap();
    for (place, picture) in PICTURES.iter().enumerate() {
        // Cut to a shape of its own, and saved without loss.
        let picture = image::open(root().join(picture)).unwrap();
        let picture = picture.crop_imm(3, 5, 180 - 20 * place as u32, 130 + 25 * place as u32);
        picture.save(pictures.join(format!("{place}.png"))).unwrap();
    }
    let files: Vec<_> = (0..PICTURES.len())
        .map(|place| pictures.join(format!("{place}.png")))
        .collect();
    let lines = files.iter().map(|file| format!("{}\n", file.display()));
    let listed: String = lines.collect();
    let dino = format!("transformers:{}", dino.display());
    for (model, kind) in [
        ("timm:resnet10t", "map"),
        ("timm:resnet10t", "pooled"),
        ("timm:vit_tiny_patch16_224", "mean"),
        ("torchvision:mobilenet_v3_small", "pooled"),
        (&dino, "cls"),
    ] {
        let trunk = place.path().join(kind).join("trunk.onnx");
        let mut export = Command::new(&python);
        export.arg(root().join("scripts/export_trunk.py"));
        export.args([
            model, "--codes", kind, "--random", "--name", "trunk", "--out",
        ]);
        stdout(export.arg(trunk.parent().unwrap()));
        let store = place.path().join("store");
        let mut extract = support::cnn_codes();
        extract.args(["extract-features", "-", "--overwrite", "--model"]);
        extract.arg(&trunk).arg("--out").arg(&store);
        extract.write_stdin(listed.clone()).assert().success();
        let store = Store::open(&store).unwrap();
        assert_same(
            &store,
            &codes_of_pytorch(&python, model, kind, &files),
            model,
        );
        fs::remove_dir_all(trunk.parent().unwrap()).unwrap();
    }
}

fn codes_of_pytorch(python: &Path, model: &str, kind: &str, pictures: &[PathBuf]) -> Vec<Vec<f32>> {
    let mut torch = Command::new(python);
    torch
        .arg(root().join("tests/fixtures/torch_codes.py"))
        .args([model, kind])
        .args(pictures);
    serde_json::from_str(&stdout(&mut torch)).unwrap()
}

/// Within 1e-4 of the largest number: a level that is rounded the other way is more.
fn assert_same(store: &Store, expected: &[Vec<f32>], model: &str) {
    let codes = store.read_codes().unwrap();
    assert_eq!(codes.dim(), (expected.len(), expected[0].len()), "{model}");
    let expected = expected.concat();
    let size = expected
        .iter()
        .fold(0.0_f32, |size, code| size.max(code.abs()));
    let pairs = codes.iter().zip(&expected);
    let off = pairs.fold(0.0_f32, |off, (ours, torch)| off.max((ours - torch).abs()));
    assert!(off <= 1e-4 * size, "{model}: {off} of {size}");
}
