//! Pictures that anyone can generate, used to check a trunk.

use image::{Rgb, RgbImage};
use serde::{Deserialize, Serialize};

/// A picture that anyone can generate, and the trunk's code for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// a, b and c of the picture: in channel k (0 is red), row y and column x it has the level
    /// (a x + b y + c k) mod 256.
    pub picture: [u32; 3],
    /// The first numbers of its code, with channels last.
    pub codes: Vec<f32>,
}

impl Reference {
    /// The pictures of the built-in cards: three that differ in direction, frequency and colour.
    pub(in crate::model) const PICTURES: [[u32; 3]; 3] = [[7, 13, 29], [1, 1, 85], [2, 5, 100]];
    /// How many numbers of a code a card holds: enough for a check, few enough to read.
    pub(in crate::model) const N_NUMBERS: usize = 32;

    /// The picture, of `width` x `height` pixels.
    #[must_use]
    pub fn picture(&self, width: u32, height: u32) -> RgbImage {
        let [a, b, c] = self.picture;
        let level = |x: u32, y: u32, channel: u32| {
            let sum = a.wrapping_mul(x).wrapping_add(b.wrapping_mul(y));
            (sum.wrapping_add(c.wrapping_mul(channel)) % 256) as u8
        };
        RgbImage::from_fn(width, height, |x, y| {
            Rgb([0, 1, 2].map(|channel| level(x, y, channel)))
        })
    }
}
