//! Means and deviations without a named recipe.

use std::fmt;
use std::str::FromStr;

use super::recipe::Recipe;

/// (x - mean) / deviation for each colour, on levels from 0 to 255, rounded to float32 after each
/// step.
///
/// Cards and stores write it as a formula: `(rgb - 127) / 128`, or with one number per colour
/// `(bgr - [103.53, 116.28, 123.675]) / [57.375, 57.12, 58.395]`. `rgb` or `bgr` is the order in
/// which the network takes the colours; the numbers are in the same order.
///
/// ```
/// use cnn_codes::picture::Normalization;
///
/// let centred: Normalization = "(rgb - 127) / 128".parse()?;
/// assert_eq!(centred.mean, [127.0; 3]);
/// assert_eq!(centred.to_string(), "(rgb - 127) / 128");
/// # Ok::<(), cnn_codes::picture::NotANormalization>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Normalization {
    /// Whether blue is the first colour.
    pub is_blue_first: bool,
    /// The numbers to subtract, in the order of the colours.
    pub mean: [f32; 3],
    /// The numbers to divide by, in the order of the colours; never 0.
    pub deviation: [f32; 3],
}

/// A text is not a [`Normalization`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{given}' is no recipe: it must be {}, or a formula such as (rgb - 127) / 128 \
     or (bgr - [103.5, 116.3, 123.7]) / [57.4, 57.1, 58.4]",
    Recipe::NAMES.join(", ")
)]
pub struct NotANormalization {
    given: String,
}

impl Normalization {
    /// The index of `channel` (0 is red) in the network's order.
    pub(super) fn place(self, channel: usize) -> usize {
        if self.is_blue_first {
            2 - channel
        } else {
            channel
        }
    }

    /// The number that a level of `channel` (0 is red) becomes.
    pub(super) fn value(self, channel: usize, level: f32) -> f32 {
        let place = self.place(channel);
        (level - self.mean[place]) / self.deviation[place]
    }

    fn bits(self) -> (bool, [u32; 3], [u32; 3]) {
        let bits = |numbers: [f32; 3]| numbers.map(f32::to_bits);
        (self.is_blue_first, bits(self.mean), bits(self.deviation))
    }

    fn read(text: &str) -> Option<Self> {
        let (order, rest) = text.strip_prefix('(')?.split_once('-')?;
        let (mean, deviation) = rest.split_once(')')?;
        let deviation = deviation.trim().strip_prefix('/')?;
        let is_blue_first = match order.trim() {
            "rgb" => false,
            "bgr" => true,
            _ => return None,
        };
        let deviation = numbers(deviation)?;
        let is_sound = deviation.iter().all(|&number| number != 0.0);
        is_sound.then_some(Self {
            is_blue_first,
            mean: numbers(mean)?,
            deviation,
        })
    }
}

/// One number for all colours, or three in brackets.
fn numbers(text: &str) -> Option<[f32; 3]> {
    let number = |text: &str| {
        let number: f32 = text.trim().parse().ok()?;
        number.is_finite().then_some(number)
    };
    let text = text.trim();
    let Some(listed) = text.strip_prefix('[') else {
        return Some([number(text)?; 3]);
    };
    let listed: Option<Vec<f32>> = listed.strip_suffix(']')?.split(',').map(number).collect();
    listed?.try_into().ok()
}

impl PartialEq for Normalization {
    fn eq(&self, other: &Self) -> bool {
        self.bits() == other.bits()
    }
}

impl Eq for Normalization {}

impl std::hash::Hash for Normalization {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.bits().hash(state);
    }
}

impl FromStr for Normalization {
    type Err = NotANormalization;

    fn from_str(text: &str) -> Result<Self, NotANormalization> {
        Self::read(text).ok_or_else(|| NotANormalization {
            given: text.to_owned(),
        })
    }
}

impl fmt::Display for Normalization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |[a, b, c]: [f32; 3]| {
            if a == b && b == c {
                a.to_string()
            } else {
                format!("[{a}, {b}, {c}]")
            }
        };
        let order = if self.is_blue_first { "bgr" } else { "rgb" };
        let (mean, deviation) = (text(self.mean), text(self.deviation));
        f.pad(&format!("({order} - {mean}) / {deviation}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_read_as_they_are_written_and_others_are_refused() {
        for text in [
            "(rgb - 127) / 128",
            "(rgb - 127.5) / [58.395, 57.12, 57.375]",
            "(bgr - [103.53, 116.28, 123.675]) / 1",
            "(rgb - -1) / -2",
        ] {
            assert_eq!(text.parse::<Normalization>().unwrap().to_string(), text);
        }
        let spaced: Normalization = "( rgb-[1,2 , 3])/[ 4,5,6]".parse().unwrap();
        assert_eq!(spaced.to_string(), "(rgb - [1, 2, 3]) / [4, 5, 6]");
        for text in [
            "",
            "x",
            "(rgb - 127)",
            "(rgb - 127) / 0",
            "(grb - 127) / 128",
            "(rgb - [1, 2]) / 128",
            "(rgb - [1, 2, 3, 4]) / 128",
            "(rgb - nan) / 128",
            "(rgb - 1) / inf",
            "rgb / 255",
        ] {
            let error = text.parse::<Normalization>().unwrap_err();
            assert!(error.to_string().contains("(rgb - 127) / 128"), "{text}");
        }
    }

    #[test]
    fn numbers_are_in_the_order_in_which_the_network_takes_colours() {
        let recipe: Normalization = "(bgr - [1, 2, 3]) / [4, 5, 6]".parse().unwrap();
        let (red, blue) = (0, 2);
        assert_eq!((recipe.place(red), recipe.place(blue)), (2, 0));
        assert_eq!(recipe.value(red, 9.0), (9.0 - 3.0) / 6.0);
        assert_eq!(recipe.value(blue, 9.0), (9.0 - 1.0) / 4.0);
    }
}
