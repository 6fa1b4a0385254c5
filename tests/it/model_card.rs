//! Model cards: what is accepted, and what each refusal says.

use crate::support;

use std::path::Path;

use cnn_codes::model::card::{CardError, ModelCard};
use cnn_codes::picture::{Layout, Recipe};
use ort_winograd::onnx::{DataType, Dim, TensorType};
use ort_winograd::{OnnxModel, hash_graph, hash_tensors};

use support::onnx::{ORIGIN, batch, tiny_proto, tiny_trunk, value};

const CARD: &str = r#"
format = 1
name = "tiny"
file = "tiny.onnx"
licence = "CC0-1.0"
attribution = "nobody"
sources = []

[input]
name = "input"
width = 2
height = 2
layout = "channels_last"
recipe = "none"

[output]
name = "features"
shape = [2, 2, 4]
layout = "channels_last"
"#;

fn card() -> ModelCard {
    ModelCard::parse(CARD, "cards/tiny.toml").unwrap()
}

/// The error for the card with one piece of text replaced.
fn refused(old: &str, new: &str) -> String {
    assert!(CARD.contains(old), "{old} is not in the card");
    let error = ModelCard::parse(&CARD.replacen(old, new, 1), "cards/tiny.toml").unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("cards/tiny.toml"), "{text}");
    text
}

fn unfit(card: &ModelCard, model: &OnnxModel) -> CardError {
    let error = card.check_against(model).unwrap_err();
    assert!(
        error.to_string().contains(ORIGIN),
        "names the ONNX file: {error}"
    );
    error
}

/// The trunk with another declared type of its input or output.
fn redeclared(name: &str, declared: &TensorType) -> OnnxModel {
    let mut model = tiny_trunk();
    model.declare(name, declared).unwrap();
    model
}

#[test]
fn the_built_in_card_is_vgg16s() {
    let card = ModelCard::vgg16();
    assert_eq!(card.name, "vgg16");
    assert_eq!(card.file, "vgg16_notop.onnx");
    assert_eq!(card.licence, "CC-BY-4.0");
    assert!(card.attribution.contains("Oxford"));
    assert_eq!(card.input.recipe, Recipe::Caffe);
    assert_eq!(card.input.layout, Layout::ChannelsLast);
    assert_eq!(card.input_type().to_string(), "float32 [N, 224, 224, 3]");
    assert_eq!(card.output_type().to_string(), "float32 [N, 7, 7, 512]");
    assert!(card.tensors_sha256.is_some());
}

#[test]
fn a_card_is_loaded_from_its_file() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("tiny.toml");
    std::fs::write(&path, CARD).unwrap();
    let card = ModelCard::load(&path).unwrap();
    assert_eq!(card.origin(), path.display().to_string());
    assert_eq!(card.tensors_sha256, None);
    let missing = ModelCard::load(&place.path().join("none.toml")).unwrap_err();
    assert!(matches!(missing, CardError::Read { .. }), "{missing}");
    assert!(missing.to_string().contains("none.toml"), "{missing}");
}

#[test]
fn unknown_missing_and_misspelt_keys_are_refused() {
    let misspelt = ModelCard::parse(&CARD.replace("licence", "license"), "x.toml").unwrap_err();
    assert!(matches!(misspelt, CardError::Syntax { .. }));
    assert!(misspelt.to_string().contains("license"), "{misspelt}");
    for (old, new) in [
        ("width = 2\n", ""),
        ("\"none\"", "\"cafe\""),
        ("[input]", "[input"),
    ] {
        let error = ModelCard::parse(&CARD.replace(old, new), "x.toml").unwrap_err();
        assert!(matches!(error, CardError::Syntax { .. }), "{new}: {error}");
    }
}

#[test]
fn a_wrong_card_is_told_in_one_line_with_the_place() {
    // `license` is in line 5: the card begins with an empty one.
    let misspelt = ModelCard::parse(&CARD.replace("licence", "license"), "x.toml").unwrap_err();
    let text = misspelt.to_string();
    assert!(
        text.starts_with("x.toml is no model card: unknown field `license`, expected one of"),
        "{text}"
    );
    assert!(text.ends_with("(at line 5, column 1)"), "{text}");
    assert!(!text.contains('\n'), "{text}");
}

#[test]
fn a_card_of_a_later_format_says_so_whatever_else_it_holds() {
    let later = CARD.replace("format = 1", "format = 3\nsurprise = true");
    let error = ModelCard::parse(&later, "x.toml").unwrap_err();
    assert!(
        matches!(error, CardError::Format { actual: 3, .. }),
        "{error}"
    );
}

#[test]
fn impossible_values_are_refused_by_key() {
    for (old, new, expected) in [
        ("\"tiny\"", "\" \"", "name is empty"),
        ("\"CC0-1.0\"", "\"\"", "licence is empty"),
        ("\"nobody\"", "\"\"", "attribution is empty"),
        ("\"input\"", "\"\"", "input.name is empty"),
        ("\"features\"", "\"\"", "output.name is empty"),
        (
            "\"tiny.onnx\"",
            "\"../tiny.onnx\"",
            "file is \"../tiny.onnx\"",
        ),
        ("width = 2", "width = 0", "input.width is 0"),
        ("height = 2", "height = 0", "input.height is 0"),
        (
            "sources = []",
            "sources = []\ntensors_sha256 = \"abc\"",
            "tensors_sha256 is \"abc\"",
        ),
        ("[2, 2, 4]", "[2, 0, 4]", "output.shape is [2, 0, 4]"),
        ("[2, 2, 4]", "[2, 4]", "output.shape is [2, 4]"),
        ("[2, 2, 4]", "[]", "output.shape is []"),
        ("[2, 2, 4]", "[16]", "output.layout is given"),
        (
            "[2, 2, 4]\nlayout = \"channels_last\"",
            "[2, 2, 4]",
            "output.layout is missing",
        ),
        ("[2, 2, 4]", "[4294967296, 4294967296, 4]", "output.shape"),
    ] {
        let error = refused(old, new);
        assert!(error.contains(expected), "{new}: {error}");
    }
}

#[test]
fn a_card_that_fits_is_accepted_open_axes_and_all() {
    card().check_against(&tiny_trunk()).unwrap();
    let open = || Dim::Free(String::new());
    let any = TensorType::float32([open(), open(), open(), Dim::Fixed(3)]);
    card().check_against(&redeclared("input", &any)).unwrap();
    let silent = TensorType {
        element: DataType::Float,
        dims: None,
    };
    card()
        .check_against(&redeclared("features", &silent))
        .unwrap();
}

#[test]
fn a_channels_first_card_wants_its_channels_first() {
    let card = ModelCard::parse(
        &CARD.replacen("channels_last", "channels_first", 1),
        "x.toml",
    )
    .unwrap();
    assert_eq!(card.input_type().to_string(), "float32 [N, 3, 2, 2]");
    assert!(matches!(
        unfit(&card, &tiny_trunk()),
        CardError::Shape { .. }
    ));
    card.check_against(&redeclared("input", &batch("N", &[3, 2, 2])))
        .unwrap();
}

#[test]
fn an_input_or_output_that_is_not_there_is_named_with_those_that_are() {
    let mut card = card();
    card.input.name = "picture".to_owned();
    let error = unfit(&card, &tiny_trunk());
    assert!(matches!(error, CardError::NoTensor { role: "input", .. }));
    let expected =
        "cards/tiny.toml names the input \"picture\", but some/tiny.onnx has only: input";
    assert_eq!(error.to_string(), expected);
    card.input.name = "input".to_owned();
    card.output.name = "relu".to_owned();
    let error = unfit(&card, &tiny_trunk());
    assert!(
        matches!(error, CardError::NoTensor { role: "output", .. }),
        "{error}"
    );
}

#[test]
fn a_second_input_is_refused() {
    let mut proto = tiny_proto();
    proto.graph.as_mut().unwrap().input.push(value("training"));
    let mut model = OnnxModel::from_proto(proto, Path::new(ORIGIN)).unwrap();
    model.declare("input", &batch("N", &[2, 2, 3])).unwrap();
    let error = unfit(&card(), &model);
    assert!(
        matches!(&error, CardError::OtherInputs { others, .. } if others == "training"),
        "{error}"
    );
}

#[test]
fn another_element_type_is_refused() {
    let half = TensorType {
        element: DataType::Float16,
        ..batch("N", &[2, 2, 3])
    };
    let error = unfit(&card(), &redeclared("input", &half));
    assert!(
        matches!(
            error,
            CardError::Element {
                actual: DataType::Float16,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn another_shape_is_refused_with_both_shapes() {
    let error = unfit(&card(), &redeclared("features", &batch("N", &[2, 2, 5])));
    assert_eq!(
        error.to_string(),
        "the output \"features\" of some/tiny.onnx is float32 [N, 2, 2, 5], \
         but cards/tiny.toml says float32 [N, 2, 2, 4]"
    );
    let error = unfit(&card(), &redeclared("features", &batch("N", &[16])));
    assert!(matches!(error, CardError::Shape { .. }), "{error}");
}

#[test]
fn a_fixed_batch_is_refused_with_advice() {
    let one = TensorType::float32([1, 2, 2, 3].map(Dim::Fixed));
    let error = unfit(&card(), &redeclared("input", &one));
    assert!(matches!(error, CardError::FixedBatch { .. }));
    assert!(
        error
            .to_string()
            .contains("export the model with a free batch axis"),
        "{error}"
    );
}

#[test]
fn another_graph_is_refused_with_both_hashes() {
    let mut card = card();
    let trunk = tiny_trunk();
    let actual = hash_graph(&trunk, &card.output.name).unwrap();
    card.graph_sha256 = Some(actual.clone());
    card.check_weights(&trunk).unwrap();
    let mut proto = trunk.into_proto();
    let mut nodes = proto.graph.as_mut().unwrap().node.iter_mut();
    let relu = nodes.find(|node| node.op_type() == "Relu").unwrap();
    relu.op_type = Some("Sigmoid".to_owned());
    let other = OnnxModel::from_proto(proto, Path::new(ORIGIN)).unwrap();
    let error = card.check_weights(&other).unwrap_err();
    assert!(matches!(error, CardError::OtherGraph { .. }));
    let text = error.to_string();
    let found = hash_graph(&other, &card.output.name).unwrap();
    for part in [&actual, &found, "cards/tiny.toml", ORIGIN] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn other_weights_are_refused_with_both_hashes() {
    let mut card = card();
    card.check_weights(&tiny_trunk()).unwrap();
    let actual = hash_tensors(&tiny_trunk()).unwrap().sha256;
    card.tensors_sha256 = Some(actual.clone());
    card.check_weights(&tiny_trunk()).unwrap();
    let other = "ab".repeat(32);
    card.tensors_sha256 = Some(other.clone());
    let error = card.check_weights(&tiny_trunk()).unwrap_err();
    assert!(matches!(error, CardError::Weights { .. }));
    let text = error.to_string();
    for part in [&actual, &other, "cards/tiny.toml", ORIGIN] {
        assert!(text.contains(part), "{text}");
    }
}

/// The card of a classifier that takes bytes.
fn classifier() -> String {
    CARD.replace(
        "recipe = \"none\"",
        "recipe = \"none\"\nelement = \"uint8\"",
    )
    .replace(
        "shape = [2, 2, 4]\nlayout = \"channels_last\"",
        "shape = [2]",
    ) + "\n[classifier]\nclasses = [\"a\", \"b\"]\nfit = \"crop\"\nfilter = \"bicubic\"\n"
}

#[test]
fn a_classifiers_card_survives_being_written() {
    let card = ModelCard::parse(&classifier(), "x.toml").unwrap();
    assert_eq!(card.input_type().to_string(), "uint8 [N, 2, 2, 3]");
    let again = ModelCard::parse(&card.to_text().unwrap(), "x.toml").unwrap();
    assert_eq!(again, card);
    // What is left out stays left out, so that older cards are written as they were.
    let plain = self::card().to_text().unwrap();
    assert!(
        !plain.contains("element") && !plain.contains("classifier"),
        "{plain}"
    );
}

#[test]
fn a_fit_needs_format_2_and_a_shorter_side_that_fills_the_input() {
    let with = |line: &str| {
        let card = CARD.replace("format = 1", "format = 2");
        ModelCard::parse(&card.replace("width = 2", line), "cards/tiny.toml")
    };
    let card = with("width = 2\nfit = \"crop:3\"\nfilter = \"lanczos\"").unwrap();
    let again = ModelCard::parse(&card.to_text().unwrap(), "cards/tiny.toml").unwrap();
    assert_eq!(again, card);
    let resize = card.resize();
    assert_eq!(
        (resize.fit.to_string().as_str(), resize.filter.name()),
        ("crop:3", "lanczos")
    );
    for key in ["fit = \"crop\"", "filter = \"lanczos\""] {
        let said = refused("width = 2", &format!("width = 2\n{key}"));
        assert!(said.contains("needs a card with format = 2"), "{said}");
    }
    let said = with("width = 2\nfit = \"crop:1\"").unwrap_err().to_string();
    assert!(
        said.contains("the shorter side must be 2 at least"),
        "{said}"
    );
    let said = with("width = 2\nfit = \"corp\"").unwrap_err().to_string();
    assert!(said.contains("unknown fit 'corp'"), "{said}");
}

#[test]
fn a_classifiers_card_must_not_contradict_itself() {
    let refused = |old: &str, new: &str| {
        let card = classifier().replacen(old, new, 1);
        ModelCard::parse(&card, "x.toml").unwrap_err().to_string()
    };
    assert_eq!(
        refused("\"none\"\nelement", "\"caffe\"\nelement"),
        "x.toml: input.recipe is caffe; with input.element = \"uint8\" it must be none"
    );
    assert_eq!(
        refused("shape = [2]", "shape = [3]"),
        "x.toml: classifier.classes names 2 classes, and output.shape is [3]"
    );
}

#[test]
fn vgg16_has_the_graph_of_its_card() {
    let card = ModelCard::vgg16();
    let path = support::root().join("models").join(&card.file);
    if !path.exists() {
        support::skip!("there is no {}", path.display());
        return;
    }
    let model = OnnxModel::read(&path).unwrap();
    let hash = hash_graph(&model, &card.output.name).unwrap();
    assert_eq!(card.graph_sha256, Some(hash));
}
