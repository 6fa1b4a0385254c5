//! Any text is a model card that is written and read back as itself, or an error.
#![no_main]

use cnn_codes::model::ModelCard;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let card = match ModelCard::parse(text, "card.toml") {
        Ok(card) => card,
        Err(error) => {
            assert!(error.to_string().starts_with("card.toml"));
            return;
        }
    };
    let n_axes = |dims: Option<Vec<_>>| dims.map(|dims| dims.len());
    assert_eq!(n_axes(card.input_type().dims), Some(4));
    assert_eq!(
        n_axes(card.output_type().dims),
        Some(1 + card.output.shape.len())
    );
    let shape: u64 = card.output.shape.iter().product();
    assert!(shape > 0);
    let written = toml::to_string(&card).unwrap();
    assert_eq!(ModelCard::parse(&written, "card.toml").unwrap(), card);
});
