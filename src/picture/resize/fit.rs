//! How a picture is fitted to another aspect ratio.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::weights::span;
use super::{Area, Extent};
use crate::names::UnknownName;

/// How a picture is fitted if its aspect ratio is not the target's.
///
/// As a word: `stretch`, `crop`, `pad`, or `crop:256` with the pixels of the shorter side.
///
/// ```
/// use cnn_codes::picture::Fit;
///
/// let fit: Fit = "crop:256".parse()?;
/// assert_eq!(fit, Fit::CropAt { shorter_side: 256 });
/// # Ok::<(), cnn_codes::picture::NotAFit>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Fit {
    /// The picture is distorted: `Image.resize(size)`, as in Keras' `load_img`.
    #[default]
    Stretch,
    /// The picture fills the target and is cut equally on both sides: `ImageOps.fit`.
    Crop,
    /// The picture fits into the target, in the middle of white bars:
    /// `ImageOps.pad(color="white")`.
    Pad,
    /// The shorter side is scaled to this many pixels, and the target is cut out of the middle:
    /// torchvision's `Resize(shorter_side)` and `CenterCrop(size)`, used to evaluate most PyTorch
    /// trunks.
    CropAt {
        /// Pixels, 1 or more. If the target is larger, its larger side is used.
        shorter_side: u32,
    },
}

/// The longest shorter side: twice the side of the largest trunk input.
const MAX_SHORTER_SIDE: u32 = 8192;

/// A word is not a [`Fit`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotAFit {
    /// The word begins with none of the names.
    #[error("{0}, or crop:N with the pixels of the shorter side, such as crop:256")]
    Unknown(UnknownName),
    /// The text after `crop:` is not a number of pixels.
    #[error(
        "'{given}' is no fit: after crop: comes the number of pixels of the shorter side, 1 to {MAX_SHORTER_SIDE}"
    )]
    NoSide {
        /// The word that was given.
        given: String,
    },
}

impl Fit {
    /// The names of the fits that need no number.
    pub const NAMES: &'static [&'static str] = &["stretch", "crop", "pad"];

    const NAMED: [Self; 3] = [Self::Stretch, Self::Crop, Self::Pad];
}

impl fmt::Display for Fit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CropAt { shorter_side } => f.pad(&format!("crop:{shorter_side}")),
            Self::Stretch => f.pad("stretch"),
            Self::Crop => f.pad("crop"),
            Self::Pad => f.pad("pad"),
        }
    }
}

impl FromStr for Fit {
    type Err = NotAFit;

    fn from_str(given: &str) -> Result<Self, NotAFit> {
        if let Some(side) = given.strip_prefix("crop:") {
            // A sign is not a digit, although integers are parsed with one.
            let is_number = side.bytes().all(|byte| byte.is_ascii_digit());
            return match side.parse() {
                Ok(shorter_side @ 1..=MAX_SHORTER_SIDE) if is_number => {
                    Ok(Self::CropAt { shorter_side })
                }
                _ => Err(NotAFit::NoSide {
                    given: given.to_owned(),
                }),
            };
        }
        match Self::NAMES.iter().position(|name| *name == given) {
            Some(place) => Ok(Self::NAMED[place]),
            None => Err(NotAFit::Unknown(UnknownName {
                kind: "fit",
                given: given.to_owned(),
                names: Self::NAMES,
            })),
        }
    }
}

impl From<Fit> for String {
    fn from(fit: Fit) -> Self {
        fit.to_string()
    }
}

impl TryFrom<String> for Fit {
    type Error = NotAFit;

    fn try_from(text: String) -> Result<Self, NotAFit> {
        text.parse()
    }
}

/// The largest centred area with the shape of `size`: `ImageOps.fit`.
pub(super) fn crop_area(whole: Extent, size: (u32, u32)) -> Area {
    let Extent { width, height, .. } = whole;
    let ratio = f64::from(size.0) / f64::from(size.1);
    let (crop_width, crop_height) = if width / height == ratio {
        (width, height)
    } else if width / height >= ratio {
        (ratio * height, height)
    } else {
        (width, width / ratio)
    };
    (
        span(whole.left + (width - crop_width) * 0.5, crop_width),
        span(whole.top + (height - crop_height) * 0.5, crop_height),
    )
}

/// The largest size within `size` with the shape of `picture`: `ImageOps.contain`, except that no
/// side becomes 0.
pub(super) fn contained_size(whole: Extent, size: (u32, u32)) -> (u32, u32) {
    let Extent { width, height, .. } = whole;
    let (target_width, target_height) = (f64::from(size.0), f64::from(size.1));
    let rounded = |side: f64| (side.round_ties_even() as u32).max(1);
    if width / height > target_width / target_height {
        (size.0, rounded(height / width * target_width).min(size.1))
    } else {
        (rounded(width / height * target_height).min(size.0), size.1)
    }
}

/// The size whose shorter side is `side`, with the shape of the picture: torchvision's
/// `_compute_resized_output_size`, which drops fractions.
pub(super) fn size_with_shorter_side(whole: Extent, side: u32) -> (u32, u32) {
    let Extent { width, height, .. } = whole;
    let longer = |long: f64, short: f64| ((f64::from(side) * long / short) as u32).max(side);
    if width <= height {
        (side, longer(height, width))
    } else {
        (longer(width, height), side)
    }
}

/// Half of the spare pixels, rounded as Python's `round` does: halves go to the even number.
pub(super) fn middle(spare: u32) -> u32 {
    (f64::from(spare) * 0.5).round_ties_even() as u32
}
