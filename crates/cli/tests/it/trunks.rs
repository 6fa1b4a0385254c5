//! Trunks besides VGG16, and several layers of one: through the program, on some of data/'s pictures. Skipped where
//! they are not fetched.

use crate::support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use assert_cmd::Command;
use cnn_codes::codes::{Pool, Store};
use cnn_codes::model::ModelCard;
use serde_json::Value;
use support::{models, models_with_onnxruntime, root, skip};
use tempfile::TempDir;

/// A folder with eight pictures of two classes.
struct Place(TempDir);

impl Place {
    fn new(trunks: &[&str]) -> Option<Self> {
        let models = models_with_onnxruntime()?;
        for trunk in trunks {
            let file = models.join(trunk).with_extension("onnx");
            if !file.exists() {
                skip!("no {} (run `cnn-codes fetch`)", file.display());
                return None;
            }
        }
        let place = tempfile::tempdir().unwrap();
        for class in ["birds", "fruit"] {
            let folder = place.path().join("pictures").join(class);
            fs::create_dir_all(&folder).unwrap();
            let there = fs::read_dir(root().join("data/train").join(class)).unwrap();
            let mut there: Vec<PathBuf> = there.map(|entry| entry.unwrap().path()).collect();
            there.sort();
            for picture in &there[..8] {
                fs::copy(picture, folder.join(picture.file_name().unwrap())).unwrap();
            }
        }
        Some(Self(place))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, arguments: &str) -> Output {
        let mut command = Command::cargo_bin("cnn-codes").unwrap();
        command
            .current_dir(self.0.path())
            .args(arguments.split(' '));
        if !["train-head", "evaluate"]
            .iter()
            .any(|verb| arguments.starts_with(verb))
        {
            command.arg("--models").arg(models());
        }
        command.output().unwrap()
    }

    fn ok(&self, arguments: &str) -> String {
        let output = self.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn refused(&self, arguments: &str) -> String {
        let output = self.run(arguments);
        assert!(!output.status.success(), "{arguments}");
        String::from_utf8(output.stderr).unwrap()
    }
}

fn codes(store: &Path) -> Vec<f32> {
    let codes = Store::open(store).unwrap().read_codes().unwrap();
    codes.into_raw_vec_and_offset().0
}

/// Within what float32 rounds in another order of summing, of the largest of them.
fn assert_close(codes: &[f32], expected: &[f32]) {
    assert_eq!(codes.len(), expected.len());
    let size = expected.iter().fold(0.0_f32, |size, code| size.max(*code));
    let mut pairs = codes.iter().zip(expected);
    let off = pairs.find(|(code, expected)| (*code - *expected).abs() > 1e-6 * size);
    assert!(off.is_none(), "{off:?}, of {size}");
}

#[test]
fn layers_are_means_side_by_side_and_heads_take_them_from_pictures_as_well() {
    let Some(place) = Place::new(&["efficientnet-lite0"]) else {
        return;
    };
    let extract = "extract-features pictures --trunk efficientnet-lite0";
    place.ok(&format!("{extract} --out pooled"));
    place.ok(&format!(
        "{extract} --out features --output features --pool avg"
    ));
    assert_close(
        &codes(&place.path("features")),
        &codes(&place.path("pooled")),
    );
    place.ok(&format!(
        "{extract} --out two --output block3/project,features --pool max --unit-length"
    ));
    let two = codes(&place.path("two"));
    let layers = two
        .chunks(40 + 1280)
        .flat_map(|code| [&code[..40], &code[40..]]);
    assert_eq!(layers.clone().count(), 32);
    for layer in layers {
        let norm: f64 = layer.iter().map(|&value| f64::from(value).powi(2)).sum();
        assert!((norm - 1.0).abs() < 1e-5, "{norm}");
    }
    place.ok("train-head --train two --folds 2 --head logistic --out head");
    let of_store = place.ok("predict head two --format json");
    let of_pictures = place.ok("predict head pictures --format json");
    let classes = |text: &str| -> Vec<Value> {
        let rows = text.lines().map(serde_json::from_str::<Value>);
        rows.filter_map(|row| row.ok()?.get("class").cloned())
            .collect()
    };
    assert_eq!(classes(&of_store), classes(&of_pictures));
    place.ok("export head --out head.onnx --check pictures");

    // Columns of one layer are what that layer alone gives.
    place.ok(&format!(
        "{extract} --out one --output features --pool max --unit-length"
    ));
    let train = "train-head --folds 2 --head logistic --overwrite --train";
    place.ok(&format!("{train} two --columns features --out of_two"));
    place.ok(&format!("{train} one --out of_one"));
    for file in ["logistic.safetensors", "predictions.csv"] {
        let read = |head: &str| fs::read(place.path(head).join(file)).unwrap();
        assert_eq!(read("of_two"), read("of_one"), "{file}");
    }
    let by_columns = |given: &str| place.ok(&format!("predict of_two {given} --format json"));
    assert_eq!(by_columns("two"), by_columns("one"));
    assert_eq!(
        classes(&by_columns("two")),
        classes(&by_columns("pictures"))
    );
    place.ok("export of_two --out of_two.onnx --check pictures");
    let said = place.refused(&format!("{train} two --columns block9/sum --out three"));
    assert!(
        said.contains("no columns of block9/sum") && said.contains("block3/project, features"),
        "{said}"
    );
    let said = place.refused(&format!("{train} pooled --columns features --out three"));
    assert!(said.contains("several layers side by side"), "{said}");

    let said = place.refused(&format!(
        "{extract} --out three --output block77/sum --pool avg"
    ));
    assert!(
        said.contains("block77/sum") && said.contains("block2/sum"),
        "{said}"
    );
    let said = place.refused(&format!(
        "{extract} --out three --output block3/project,features --pool none"
    ));
    assert!(said.contains("--pool avg"), "{said}");
}

#[test]
fn the_trunks_own_output_is_pooled_by_its_own_layout() {
    let Some(place) = Place::new(&["vgg16_notop"]) else {
        return;
    };
    place.ok("extract-features pictures --out whole");
    place.ok("extract-features pictures --out layer --output block5_pool --pool avg");
    let whole = Store::open(&place.path("whole"))
        .unwrap()
        .pooled(Pool::Avg)
        .unwrap();
    let whole = whole.read_codes().unwrap();
    assert_close(&codes(&place.path("layer")), whole.as_slice().unwrap());
}

#[test]
fn trunks_are_compared_in_the_same_folds_and_stores_are_taken_again() {
    let Some(place) = Place::new(&["efficientnet-lite0", "efficientnet-lite1"]) else {
        return;
    };
    fs::write(
        place.path("pictures/birds/broken.jpg"),
        [0xff, 0xd8, 0xff, 0xe0],
    )
    .unwrap();
    let compare = "compare-trunks pictures --out stores --folds 4 \
                   --trunks efficientnet-lite0,efficientnet-lite1";
    let output = place.run(compare);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        told.contains("could not be used, and left out: 1 ("),
        "{told}"
    );
    let text = place.ok(compare);
    for part in [
        "16 pictures",
        "* efficientnet-lite",
        "train-head --train stores/efficientnet-lite",
    ] {
        assert!(text.contains(part), "{text}");
    }
    place.ok(&format!("{compare} --html page.html"));
    let page = fs::read_to_string(place.path("page.html")).unwrap();
    assert_eq!(page.matches("<circle class=\"bin").count(), 2);
    assert!(page.contains("default-src 'none'") && page.contains("(take this)"));
    let codes_of = || fs::metadata(place.path("stores/efficientnet-lite0/codes.npy")).unwrap();
    let before = codes_of().modified().unwrap();
    let again: Value =
        serde_json::from_str(&place.ok(&format!("{compare} --format json"))).unwrap();
    assert_eq!(
        codes_of().modified().unwrap(),
        before,
        "the store was made again"
    );
    let trunks = again["trunks"].as_array().unwrap();
    assert_eq!(trunks.len(), 2);
    assert_eq!(
        trunks
            .iter()
            .filter(|trunk| trunk["is_chosen"] == true)
            .count(),
        1
    );
    // As train-head judges it, whose heads are calibrated too.
    place.ok("train-head --train stores/efficientnet-lite0 --folds 4 --calibrate --out head");
    let metrics = fs::read_to_string(place.path("head/metrics.json")).unwrap();
    let metrics: Value = serde_json::from_str(&metrics).unwrap();
    let best = trunks[0]["head"].as_str().unwrap();
    assert_eq!(
        metrics["heads"][best]["metrics"]["log_loss"],
        trunks[0]["log_loss"]
    );

    // The same stores, as they are: nothing is known of speed.
    let stores = "compare-trunks stores/efficientnet-lite0 stores/efficientnet-lite1 --folds 4";
    let as_they_are: Value =
        serde_json::from_str(&place.ok(&format!("{stores} --format json"))).unwrap();
    assert_eq!(as_they_are["trunks"][0]["log_loss"], trunks[0]["log_loss"]);
    assert!(as_they_are["trunks"][0]["pictures_per_second"].is_null());
    assert!(
        place
            .refused(&format!("{stores} --out x"))
            .contains("leave it out")
    );
    assert!(
        place
            .refused("compare-trunks pictures")
            .contains("--out is missing")
    );

    let said =
        place.refused("compare-trunks pictures --out stores --trunks efficientnet-lite0,vgg61");
    assert!(said.contains("there is no trunk 'vgg61'"), "{said}");
    let said = place.refused("compare-trunks pictures --out stores --trunks efficientnet-lite0");
    assert!(said.contains("not two trunks"), "{said}");
}

#[test]
fn trunks_are_listed_with_what_is_here() {
    let Some(place) = Place::new(&["efficientnet-lite0"]) else {
        return;
    };
    let list: Value = serde_json::from_str(&place.ok("trunks --format json")).unwrap();
    let trunks = list["trunks"].as_array().unwrap();
    let lite0 = trunks
        .iter()
        .find(|trunk| trunk["name"] == "efficientnet-lite0")
        .unwrap();
    assert_eq!(lite0["is_here"], true);
    assert_eq!(lite0["parameters"], 3_350_000);
    assert!(place.ok("trunks").contains("vgg16"));
}

#[test]
fn a_transformer_in_float16_goes_the_whole_way_with_a_drafted_card() {
    let Some(place) = Place::new(&[]) else { return };
    let fixture = root().join("tests/fixtures/tokens/vit_float16.onnx");
    fs::copy(fixture, place.path("vit.onnx")).unwrap();
    let config = r#"{"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}"#;
    fs::write(place.path("preprocessor_config.json"), config).unwrap();
    let card = |arguments: &str| {
        let mut command = Command::cargo_bin("cnn-codes").unwrap();
        command
            .current_dir(place.0.path())
            .args(arguments.split(' '));
        command.output().unwrap()
    };
    let drafted = card("card vit.onnx --out vit.toml");
    let told = String::from_utf8_lossy(&drafted.stderr);
    assert!(
        drafted.status.success() && told.contains("class token"),
        "{told}"
    );
    let again = card("card vit.onnx --out vit.toml");
    assert!(String::from_utf8_lossy(&again.stderr).contains("exists already"));
    place.ok("extract-features pictures --model vit.onnx --out store");
    assert_eq!(codes(&place.path("store")).len(), 16 * 8);
    place.ok("train-head --train store --folds 2 --head logistic --out head");
    let of_store = place.ok("predict head store");
    let of_pictures = place.ok("predict head pictures --model vit.onnx");
    assert_eq!(of_store.lines().count(), of_pictures.lines().count());
    place.ok("export head --model vit.onnx --out all.onnx --check pictures");
}

#[test]
fn a_drafted_card_proves_its_trunk_by_the_codes_that_jax_has() {
    let Some(place) = Place::new(&["efficientnet-lite0"]) else {
        return;
    };
    let built_in = ModelCard::built_in("efficientnet-lite0").unwrap();
    let file = models().join(&built_in.file);
    fs::copy(file, place.path("mine.onnx")).unwrap();
    let (mean, deviation) = (127.0 / 255.0, 128.0 / 255.0);
    let config = format!(
        r#"{{"image_mean": [{mean}, {mean}, {mean}], "image_std": [{deviation}, {deviation}, {deviation}]}}"#
    );
    fs::write(place.path("preprocessor_config.json"), config).unwrap();
    place.ok("card mine.onnx --out mine.toml --references");
    let drafted = ModelCard::load(&place.path("mine.toml")).unwrap();
    assert_eq!(drafted.references.len(), built_in.references.len());
    for (ours, jax) in drafted.references.iter().zip(&built_in.references) {
        assert_eq!(ours.picture, jax.picture);
        let size = jax.codes.iter().fold(0.0_f32, |size, code| size.max(*code));
        let mut pairs = ours.codes.iter().zip(&jax.codes);
        assert!(pairs.len() >= 16 && size > 0.0);
        let off = pairs.find(|(ours, jax)| (*ours - *jax).abs() > 1e-5 * size);
        assert!(off.is_none(), "{off:?}, of {size}");
    }
}

#[test]
fn doctor_proves_a_trunk_by_its_reference_codes_and_finds_a_wrong_recipe() {
    let Some(place) = Place::new(&["efficientnet-lite0", "vgg16_notop"]) else {
        return;
    };
    // Only VGG16 has convolutions for kernels of our own.
    for (trunk, n) in [("efficientnet-lite0", 1), ("vgg16", 2)] {
        let text = place.ok(&format!("doctor --trunk {trunk}"));
        assert_eq!(
            text.matches("its reference codes come out").count(),
            n,
            "{text}"
        );
    }
    let nowhere = place.run("doctor --trunk vgg61");
    let text = String::from_utf8(nowhere.stdout).unwrap();
    assert_eq!(nowhere.status.code(), Some(1), "{text}");
    assert_eq!(
        text.matches("there is no trunk 'vgg61'").count(),
        1,
        "{text}"
    );
    let mine = place.path("mine");
    fs::create_dir(&mine).unwrap();
    fs::copy(
        models().join("efficientnet-lite0.onnx"),
        mine.join("efficientnet-lite0.onnx"),
    )
    .unwrap();
    let card = fs::read_to_string(root().join("models/efficientnet-lite0.toml")).unwrap();
    let wrong = card
        .replace("name = \"efficientnet-lite0\"", "name = \"mine\"")
        .replace("(rgb - 127) / 128", "(bgr - 127) / 128");
    fs::write(mine.join("mine.toml"), wrong).unwrap();
    let mut doctor = Command::cargo_bin("cnn-codes").unwrap();
    doctor
        .args(["doctor", "--trunk", "mine", "--models"])
        .arg(&mine);
    doctor
        .arg("--onnxruntime")
        .arg(models().join("onnxruntime"));
    let output = doctor.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("its reference codes are off by"), "{text}");
}
