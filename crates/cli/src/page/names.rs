//! How names, classes and heads are shown.

use cnn_codes::head::HeadKind;
pub(super) use cnn_codes::messages::visible;
use maud::{Markup, html};

/// Colours that classes are told apart by; style.css has them, after M. Okabe and K. Ito, "Color
/// universal design", 2008.
const COLOURS: usize = 8;

/// Outlines of the marks that classes are told apart by besides, about the origin.
const MARKS: [&str; 6] = [
    "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0Z",
    "M-3.6-3.6H3.6V3.6H-3.6Z",
    "M0-4.8L4.6 3.6H-4.6Z",
    "M0-5.2L5.2 0L0 5.2L-5.2 0Z",
    "M0 4.8L4.6-3.6H-4.6Z",
    "M-1.6-5H1.6V-1.6H5V1.6H1.6V5H-1.6V1.6H-5V-1.6H-1.6Z",
];

/// The marks, once in a page, to be used by their ids.
pub(super) fn symbols() -> Markup {
    html! {
        svg width="0" height="0" aria-hidden="true" class="symbols" {
            defs {
                @for (index, outline) in MARKS.iter().enumerate() {
                    path id={ "m" (index) } d=(outline) {}
                }
            }
        }
    }
}

/// The style class of a class's colour.
pub(super) fn colour(class: usize) -> String {
    format!("c{}", class % COLOURS)
}

/// Where the outline of a class's mark is: the next one for the next class, and again for the next
/// class of the same colour.
pub(super) fn mark(class: usize) -> String {
    format!("#m{}", (class + 5 * (class / COLOURS)) % MARKS.len())
}

/// A class with its mark.
pub(super) fn class(index: usize, classes: &[String]) -> Markup {
    html! {
        span.class {
            svg class={ "mark " (colour(index)) } viewBox="-6 -6 12 12" aria-hidden="true" {
                use href=(mark(index)) {}
            }
            bdi { (visible(&classes[index])) }
        }
    }
}

/// With a minus before negative numbers.
pub(super) fn typographic(sentence: &str) -> String {
    sentence.replace(" -", " \u{2212}")
}

/// A head's name in a sentence.
pub(super) fn head(name: &str) -> &str {
    match name.parse::<HeadKind>() {
        Ok(kind) => kind.title(),
        Err(_) => name,
    }
}

/// A number of pictures in a sentence.
pub(super) fn pictures(n: usize) -> String {
    match n {
        1 => "1 picture".to_owned(),
        n => format!("{n} pictures"),
    }
}

pub(super) fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or(String::new(), |first| {
        first.to_uppercase().chain(characters).collect()
    })
}

/// The name, cut in its middle if it is longer than `max` characters.
pub(super) fn shortened(name: &str, max: usize) -> String {
    let text: Vec<char> = visible(name).chars().collect();
    if text.len() <= max {
        return text.into_iter().collect();
    }
    let head = (max - 1).div_ceil(2);
    let tail = max - 1 - head;
    let parts = text[..head].iter().chain(['…'].iter());
    parts.chain(&text[text.len() - tail..]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_keep_both_ends() {
        assert_eq!(shortened("abcdefghij", 5), "ab…ij");
        assert_eq!(shortened("abcdefghij", 10), "abcdefghij");
    }

    #[test]
    fn the_first_48_classes_differ_in_colour_or_mark() {
        let mut looks: Vec<_> = (0..48).map(|class| (colour(class), mark(class))).collect();
        looks.sort();
        looks.dedup();
        assert_eq!(looks.len(), 48);
    }
}
