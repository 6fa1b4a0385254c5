//! Drafted model cards: what the graph and a hub's configuration say, and what is told to be a guess.

use crate::support;

use cnn_codes::model::card::ModelCard;
use cnn_codes::model::{DraftCardError, DraftedCard, draft_card};
use cnn_codes::picture::{Layout, Recipe};
use image::{Rgb, RgbImage};
use ort_winograd::onnx::{DataType, TensorType};

use support::onnx::{batch, tiny_trunk};

/// As `facebook/convnext-tiny-224` has it, with what does not matter left out.
const CONFIG: &str = r#"{
    "crop_pct": 0.875, "do_normalize": true, "do_resize": true, "resample": 3,
    "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225],
    "size": {"shortest_edge": 224}
}"#;

#[test]
fn names_shapes_and_hashes_are_the_graphs_and_guesses_are_told() {
    let model = tiny_trunk();
    let DraftedCard { card, guesses } = draft_card(&model, "mine", "mine.onnx", None).unwrap();
    assert_eq!((card.input.width, card.input.height), (2, 2));
    assert_eq!(card.input.layout, Layout::ChannelsLast);
    assert_eq!(
        (card.output.name.as_str(), &*card.output.shape),
        ("features", &[2, 2, 4][..])
    );
    assert_eq!(card.output.layout, Some(Layout::ChannelsLast));
    card.check_weights(&model).unwrap();
    for told in [
        "the recipe is not in the file",
        "the layout of features",
        "licence",
    ] {
        assert!(
            guesses.iter().any(|guess| guess.contains(told)),
            "{guesses:?}"
        );
    }
    let again = ModelCard::parse(&card.to_text().unwrap(), "mine.toml").unwrap();
    assert!(again.says_the_same_as(&card));
}

#[test]
fn a_hubs_configuration_becomes_a_recipe_of_the_same_numbers() {
    let drafted = |config: &str| draft_card(&tiny_trunk(), "mine", "mine.onnx", Some(config));
    let DraftedCard { card, guesses } = drafted(CONFIG).unwrap();
    assert!(
        !guesses.iter().any(|guess| guess.contains("recipe")),
        "{guesses:?}"
    );
    let picture = RgbImage::from_pixel(1, 1, Rgb([0, 100, 255]));
    let mut tensor = [0.0; 3];
    card.input
        .recipe
        .apply(&picture, Layout::ChannelsLast, &mut tensor);
    // (level / 255 - mean) / deviation, by hand.
    let expected = [
        (0.0 - 0.485) / 0.229,
        (100.0 / 255.0 - 0.456) / 0.224,
        (1.0 - 0.406) / 0.225,
    ];
    for (number, expected) in tensor.iter().zip(expected) {
        assert!(
            (f64::from(*number) - expected).abs() < 1e-6,
            "{number} for {expected}"
        );
    }
    // SigLIP's, and one that does not normalise.
    let half = r#"{"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "rescale_factor": 0.00392156862745098}"#;
    let recipe = drafted(half).unwrap().card.input.recipe;
    assert_eq!(recipe.to_string(), "(rgb - 127.5) / 127.5");
    let plain = drafted(r#"{"do_normalize": false, "do_rescale": true}"#).unwrap();
    assert_eq!(plain.card.input.recipe.to_string(), "(rgb - 0) / 255");
    for broken in [
        "{",
        r#"{"do_normalize": true}"#,
        r#"{"image_mean": [1], "image_std": [1]}"#,
    ] {
        let error = drafted(broken).unwrap_err();
        assert!(matches!(error, DraftCardError::Config { .. }), "{error}");
    }
}

#[test]
fn pictures_of_any_size_get_the_configurations_and_bytes_need_no_recipe() {
    let mut model = tiny_trunk();
    model
        .declare(
            "input",
            &TensorType {
                dims: None,
                ..batch("N", &[2, 2, 3])
            },
        )
        .unwrap();
    let error = draft_card(&model, "mine", "mine.onnx", None).unwrap_err();
    assert!(matches!(error, DraftCardError::NoInput { .. }), "{error}");
    let mut bytes = tiny_trunk();
    let of_bytes = TensorType {
        element: DataType::Uint8,
        ..batch("N", &[2, 2, 3])
    };
    bytes.declare("input", &of_bytes).unwrap();
    let card = draft_card(&bytes, "mine", "mine.onnx", None).unwrap().card;
    assert_eq!(card.input.recipe, Recipe::None);
    let mut other = tiny_trunk();
    other
        .declare("features", &batch("N", &[2, 2, 2, 2]))
        .unwrap();
    let error = draft_card(&other, "mine", "mine.onnx", None).unwrap_err();
    assert!(
        error.to_string().contains("its outputs are features"),
        "{error}"
    );
}

#[test]
fn a_hubs_configuration_becomes_a_fit_and_a_filter() {
    let drafted =
        |config: &str| draft_card(&tiny_trunk(), "mine", "mine.onnx", Some(config)).unwrap();
    let fitted = |config: &str| {
        let input = drafted(config).card.input;
        let or_none = |word: Option<String>| word.unwrap_or("none".to_owned());
        let (fit, filter) = (
            input.fit.map(|fit| fit.to_string()),
            input.filter.map(|filter| filter.to_string()),
        );
        (or_none(fit), or_none(filter))
    };
    // The trunk's input is 2 x 2. DINOv2's, ViT's, ConvNeXt's small and large; then what only an old version writes.
    for (config, fit, filter) in [
        (
            r#"{"size": {"shortest_edge": 3}, "crop_size": {"height": 2, "width": 2}, "do_center_crop": true, "resample": 3}"#,
            "crop:3",
            "bicubic",
        ),
        (
            r#"{"size": {"height": 2, "width": 2}, "resample": 2}"#,
            "stretch",
            "bilinear",
        ),
        (
            r#"{"size": {"shortest_edge": 2}, "crop_pct": 0.5, "resample": 1}"#,
            "crop:4",
            "lanczos",
        ),
        (
            r#"{"size": {"shortest_edge": 384}, "crop_pct": 1.0, "resample": 3}"#,
            "crop",
            "bicubic",
        ),
        (
            r#"{"size": 4, "crop_size": 2, "resample": 0}"#,
            "crop:4",
            "nearest",
        ),
        (r#"{"size": 2, "crop_size": 2}"#, "crop", "none"),
        (
            r#"{"size": 2, "crop_size": 1, "do_center_crop": false}"#,
            "stretch",
            "none",
        ),
        (
            r#"{"image_mean": [0, 0, 0], "image_std": [1, 1, 1]}"#,
            "none",
            "none",
        ),
    ] {
        assert_eq!(
            fitted(config),
            (fit.to_owned(), filter.to_owned()),
            "{config}"
        );
    }
    for (config, told) in [
        (r#"{"size": 1, "crop_size": 1}"#, "shorter side 1 pixels"),
        (r#"{"size": 2, "resample": 5}"#, "filter 5"),
        (
            r#"{"size": {"shortest_edge": 2}}"#,
            "longer than they are wide",
        ),
    ] {
        let guesses = drafted(config).guesses;
        assert!(
            guesses.iter().any(|guess| guess.contains(told)),
            "{guesses:?}"
        );
    }
}
