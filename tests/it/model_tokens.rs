//! Vision transformers' tokens, in float32 and float16, against onnx's reference evaluator in Python:
//! tests/fixtures/tokens/make_tokens_fixture.py tells how.

use std::fs;

use cnn_codes::model::card::ModelCard;
use cnn_codes::model::{
    Device, DraftedCard, Library, OnnxModel, Runtime, Take, Trunk, TrunkOptions, draft_card,
};
use ort_winograd::onnx::DataType;

use crate::support::{models, models_with_onnxruntime, root};

const SIDE: u32 = 32;
const N_NUMBERS: usize = 8;

/// What a card says of normalising by a half.
const CONFIG: &str = r#"{"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}"#;

#[test]
fn a_card_is_drafted_and_codes_are_pythons() {
    if models_with_onnxruntime().is_none() {
        return;
    }
    let runtime = Runtime::load(&Library::find(None, &models()).unwrap()).unwrap();
    let folder = root().join("tests/fixtures/tokens");
    let planes = (0..3).flat_map(|c| (0..SIDE).map(move |y| (c, y)));
    let levels = planes.flat_map(|(c, y)| (0..SIDE).map(move |x| (7 * x + 13 * y + 29 * c) % 256));
    let pixels: Vec<f32> = levels.map(|level| (level as f32 - 127.5) / 127.5).collect();
    let expected = fs::read_to_string(folder.join("codes.csv")).unwrap();
    assert_eq!(expected.lines().count(), 4);
    for row in expected.lines() {
        let fields: Vec<_> = row.split(',').collect();
        let [element, take, ref code @ ..] = fields[..] else {
            panic!("{row}");
        };
        let file = folder.join(format!("vit_{element}.onnx"));
        let model = OnnxModel::read(&file).unwrap();
        let name = format!("vit_{element}.onnx");
        let drafted = draft_card(&model, "vit", &name, Some(CONFIG)).unwrap();
        let DraftedCard { mut card, guesses } = drafted;
        assert_eq!((card.input.width, card.input.height), (SIDE, SIDE));
        assert_eq!(card.input.recipe.to_string(), "(rgb - 127.5) / 127.5");
        assert_eq!(
            (&*card.output.shape, card.output.take),
            (&[5, 8][..], Some(Take::Cls))
        );
        assert!(
            guesses.iter().any(|guess| guess.contains("class token")),
            "{guesses:?}"
        );
        card.output.take = Some(take.parse().unwrap());
        let again = ModelCard::parse(&card.to_text().unwrap(), "vit.toml").unwrap();
        assert!(again.says_the_same_as(&card));

        let options = TrunkOptions::default().with_device(Device::Cpu);
        let mut trunk = Trunk::load(&runtime, card, &file, options).unwrap();
        assert_eq!(trunk.output().name, format!("{take}(last_hidden_state)"));
        let (mut codes, batch) = (Vec::new(), [pixels.as_slice(); 3].concat());
        trunk.run(&batch, &mut codes).unwrap();
        assert_eq!(codes.len(), 3 * N_NUMBERS);
        // A float16 rounds by 5e-4, some ten times over; float32 by 6e-8.
        let allowed = if element == "float16" { 1e-2 } else { 1e-5 };
        for (code, expected) in codes
            .chunks(N_NUMBERS)
            .flat_map(|codes| codes.iter().zip(code))
        {
            let expected: f64 = expected.parse().unwrap();
            let off = (f64::from(*code) - expected).abs();
            assert!(off < allowed, "{element} {take}: {code} for {expected}");
        }
    }
}

#[test]
fn cards_of_tokens_say_which_and_only_those() {
    let model = OnnxModel::read(&root().join("tests/fixtures/tokens/vit_float16.onnx")).unwrap();
    let halves = model
        .inputs()
        .iter()
        .chain(&model.outputs())
        .all(|(_, kind)| kind.element == DataType::Float16);
    assert!(halves, "the fixture is of float16");
    let card = draft_card(&model, "vit", "vit.onnx", None).unwrap().card;
    let refused = |change: fn(&mut ModelCard)| {
        let mut card = card.clone();
        change(&mut card);
        card.validate().unwrap_err().to_string()
    };
    assert!(refused(|card| card.output.take = None).contains("output.take is missing"));
    assert!(refused(|card| card.output.shape = vec![8]).contains("it is for tokens"));
    assert!(refused(|card| card.format = 1).contains("format = 2"));
}

#[test]
fn a_file_with_the_cards_weights_and_another_graph_is_refused_although_a_code_is_made_of_it() {
    let Some(_) = models_with_onnxruntime() else {
        return;
    };
    let runtime = Runtime::load(&Library::find(None, &models()).unwrap()).unwrap();
    let file = root().join("tests/fixtures/tokens/vit_float32.onnx");
    let model = OnnxModel::read(&file).unwrap();
    let mut card = draft_card(&model, "vit", "vit.onnx", None).unwrap().card;
    card.graph_sha256 = Some("0".repeat(64));
    let options = TrunkOptions::default().with_device(Device::Cpu);
    let error = Trunk::load(&runtime, card, &file, options).unwrap_err();
    assert!(error.to_string().contains("the graph in"), "{error}");
}
