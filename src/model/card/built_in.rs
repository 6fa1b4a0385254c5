//! The built-in cards of the trunks that can be fetched.

use super::ModelCard;

/// The built-in cards' texts, by trunk name.
const BUILT_IN: [(&str, &str); 4] = [
    (VGG16, include_str!("../../../models/vgg16.toml")),
    (
        "efficientnet-lite0",
        include_str!("../../../models/efficientnet-lite0.toml"),
    ),
    (
        "efficientnet-lite1",
        include_str!("../../../models/efficientnet-lite1.toml"),
    ),
    (
        "efficientnet-lite2",
        include_str!("../../../models/efficientnet-lite2.toml"),
    ),
];

const VGG16: &str = "vgg16";

impl ModelCard {
    /// The built-in card of VGG16.
    ///
    /// # Panics
    /// Never: a test reads the card.
    #[must_use]
    pub fn vgg16() -> Self {
        Self::built_in(VGG16).expect("VGG16 has a card")
    }

    /// The built-in card of the trunk called `name`, if there is one.
    ///
    /// # Panics
    /// Never: a test reads all cards.
    #[must_use]
    pub fn built_in(name: &str) -> Option<Self> {
        let text = Self::built_in_text(name)?;
        let card = Self::parse(text, &format!("the built-in card of {name}"));
        Some(card.expect("the built-in card is valid"))
    }

    /// The built-in card of the trunk called `name` as the text of its file.
    #[must_use]
    pub fn built_in_text(name: &str) -> Option<&'static str> {
        let (_, text) = BUILT_IN.iter().find(|(built_in, _)| *built_in == name)?;
        Some(text)
    }
}
