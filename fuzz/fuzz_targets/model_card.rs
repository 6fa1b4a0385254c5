//! Any text is a model card that has a tensor's types to tell, or an error.
#![no_main]

use cnn_codes::model::ModelCard;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(card) = ModelCard::parse(text, "card.toml") {
        card.validate().unwrap();
        let _ = (card.input_type(), card.output_type());
        let shape: u64 = card.output.shape.iter().product();
        assert!(shape > 0);
    }
});
