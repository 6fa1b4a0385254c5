//! Views of a picture: itself, its mirror image, and parts of it.
//!
//! Each view goes through the trunk like a picture of its own; the codes of all views are stored as
//! one row. A head trained on them sees more variety. A prediction averaged over the views makes
//! fewer errors if the views err differently (A. Krizhevsky, I. Sutskever and G. Hinton, "ImageNet
//! classification with deep convolutional neural networks", 2012, section 4.1).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Which views of a picture go through the trunk.
///
/// As a word: `none`, `flip`, or `flips+crops:6` with the number of views.
///
/// ```
/// use cnn_codes::picture::Views;
///
/// let views: Views = "flips+crops:4".parse()?;
/// let names: Vec<_> = views.iter().map(|view| view.to_string()).collect();
/// assert_eq!(names, ["whole", "whole, mirrored", "part 1", "part 2, mirrored"]);
/// # Ok::<(), cnn_codes::picture::NotViews>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Views {
    /// Only the picture itself.
    #[default]
    None,
    /// The picture and its mirror image, left and right exchanged.
    Flip,
    /// The picture, its mirror image, and parts of it, every other one mirrored.
    FlipsAndCrops {
        /// Total number of views, 3 to 32.
        n: usize,
    },
}

/// The most views of a picture: 32 views take VGG16 a second on two threads.
const MOST: usize = 32;

/// The shortest and the longest side of a part, as a share of the picture's side: 49 to 90% of its
/// area.
const SIDES: [f64; 2] = [0.7, 0.95];

/// A word is not a [`Views`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{given}' names no views (choose from: none, flip, flips+crops:N with the number of views in all, 3 to {MOST})"
)]
#[non_exhaustive]
pub struct NotViews {
    /// The word that was given.
    pub given: String,
}

/// One view of a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    /// Its number among the parts, from 1; 0 for the whole picture.
    part: u32,
    /// Whether left and right are exchanged.
    pub(super) is_mirrored: bool,
}

/// A part of a picture, in shares of its sides: left, top, width and height.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Part {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) side: f64,
}

impl Views {
    /// The number of views per picture, V.
    #[must_use]
    pub fn n(self) -> usize {
        match self {
            Self::None => 1,
            Self::Flip => 2,
            Self::FlipsAndCrops { n } => n,
        }
    }

    /// Whether the picture itself is the only view.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::None
    }

    /// The views, V of them; the first is the picture itself.
    pub fn iter(self) -> impl Iterator<Item = View> {
        (0..self.n()).map(|index| View {
            part: index.saturating_sub(1) as u32,
            is_mirrored: index % 2 == 1,
        })
    }
}

impl View {
    /// The part of the picture that this view shows; `None` for the whole picture.
    ///
    /// Parts have the picture's own aspect ratio. Their sizes and positions come from a Halton
    /// sequence, which is spread evenly whatever its length (J. Halton, 1960). They are the same
    /// for every picture.
    pub(super) fn part(self) -> Option<Part> {
        let [shortest, longest] = SIDES;
        let side = shortest + (longest - shortest) * halton(self.part, 5);
        let spare = 1.0 - side;
        (self.part > 0).then(|| Part {
            left: spare * halton(self.part, 2),
            top: spare * halton(self.part, 3),
            side,
        })
    }
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.part {
            0 => f.write_str("whole")?,
            part => write!(f, "part {part}")?,
        }
        f.write_str(if self.is_mirrored { ", mirrored" } else { "" })
    }
}

/// Element `number`, from 1 on, of the van der Corput sequence in this base: the digits of
/// `number`, reversed, behind the point.
fn halton(mut number: u32, base: u32) -> f64 {
    let (mut value, mut place) = (0.0, 1.0);
    while number > 0 {
        place /= f64::from(base);
        value += place * f64::from(number % base);
        number /= base;
    }
    value
}

impl fmt::Display for Views {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.pad("none"),
            Self::Flip => f.pad("flip"),
            Self::FlipsAndCrops { n } => f.pad(&format!("flips+crops:{n}")),
        }
    }
}

impl FromStr for Views {
    type Err = NotViews;

    fn from_str(given: &str) -> Result<Self, NotViews> {
        let not_views = || NotViews {
            given: given.to_owned(),
        };
        match given {
            "none" => Ok(Self::None),
            "flip" => Ok(Self::Flip),
            _ => {
                let n = given.strip_prefix("flips+crops:").ok_or_else(not_views)?;
                // A sign is not a digit, although integers are parsed with one.
                let is_number = n.bytes().all(|byte| byte.is_ascii_digit());
                match n.parse() {
                    Ok(n @ 3..=MOST) if is_number => Ok(Self::FlipsAndCrops { n }),
                    _ => Err(not_views()),
                }
            }
        }
    }
}

impl From<Views> for String {
    fn from(views: Views) -> Self {
        views.to_string()
    }
}

impl TryFrom<String> for Views {
    type Error = NotViews;

    fn try_from(text: String) -> Result<Self, NotViews> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_are_written() {
        for word in ["none", "flip", "flips+crops:3", "flips+crops:32"] {
            assert_eq!(word.parse::<Views>().unwrap().to_string(), word);
        }
        for word in [
            "",
            "flips",
            "flips+crops",
            "flips+crops:",
            "flips+crops:2",
            "flips+crops:33",
            "flips+crops:+4",
        ] {
            assert!(word.parse::<Views>().is_err(), "{word}");
        }
    }

    #[test]
    fn the_sequence_is_haltons() {
        // From the definition: 1 to 5 in base 2 are 1, 10, 11, 100, 101.
        let base_2: Vec<_> = (1..6).map(|number| halton(number, 2)).collect();
        assert_eq!(base_2, [0.5, 0.25, 0.75, 0.125, 0.625]);
        let base_3: Vec<_> = (1..4)
            .map(|number| (9.0 * halton(number, 3)).round())
            .collect();
        assert_eq!(base_3, [3.0, 6.0, 1.0]);
    }

    #[test]
    fn parts_lie_within_the_picture_and_differ() {
        let parts: Vec<_> = Views::FlipsAndCrops { n: MOST }
            .iter()
            .map(View::part)
            .collect();
        assert_eq!(parts[..2], [None, None]);
        for (index, part) in parts.iter().enumerate().skip(2) {
            let Part { left, top, side } = part.unwrap();
            assert!(left >= 0.0 && top >= 0.0 && left + side <= 1.0 && top + side <= 1.0);
            assert!((0.7..0.95).contains(&side), "{side}");
            assert!(parts[..index].iter().all(|other| other != part));
        }
    }
}
