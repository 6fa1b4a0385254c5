//! Which name a mistyped one may have meant, where clap does not know the names.

use clap::error::{ContextKind, ContextValue};
use cnn_codes::picture::Recipe;

/// How much alike two names must be, from 0 to 1: as for clap's own suggestions.
const ALIKE: f64 = 0.7;

/// The one of `names` that is most like `given`, if any is.
pub fn similar<'n>(given: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let scored = names
        .into_iter()
        .map(|name| (strsim::jaro(given, name), name));
    let alike = scored.filter(|(score, _)| *score > ALIKE);
    alike
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, name)| name)
}

/// The error of a command line, with the recipe that a mistyped one may have meant: clap takes formulas too, so it
/// has no list of names.
pub fn with_recipe(mut error: clap::Error) -> clap::Error {
    if let (Some(ContextValue::String(option)), Some(ContextValue::String(given))) = (
        error.get(ContextKind::InvalidArg),
        error.get(ContextKind::InvalidValue),
    ) && option.starts_with("--recipe")
        && let Some(name) = similar(given, Recipe::NAMES.iter().copied())
    {
        let name = ContextValue::String(name.to_owned());
        error.insert(ContextKind::SuggestedValue, name);
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_like_those_with_a_letter_more_less_or_moved() {
        let names = ["vgg16", "efficientnet-lite0", "efficientnet-lite1"];
        for (given, meant) in [
            ("vgg61", Some("vgg16")),
            ("vgg-16", Some("vgg16")),
            ("efficientnet_lite1", Some("efficientnet-lite1")),
            ("resnet50", None),
        ] {
            assert_eq!(similar(given, names), meant, "{given}");
        }
    }
}
