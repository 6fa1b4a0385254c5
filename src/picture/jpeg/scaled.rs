//! Large JPEGs at a half, a quarter or an eighth of their size, straight from their coefficients.
//!
//! A block of 8 x 8 pixels is stored as 64 frequencies. The n-point transform of the lowest n x n
//! of them, instead of the 8-point one, gives the block at n/8 of its size, without the detail that
//! so few pixels cannot show:
//!
//! ```text
//! f(x) = sum over k < n of a_k F_k cos((2 x + 1) k pi / 2 n),   a_0 = 1 / sqrt 8, a_k = 1/2
//! ```
//!
//! (K. R. Rao and P. Yip, "Discrete cosine transform", 1990; with n = 8 it is the transform of ITU-T T.81,
//! A.3.3.) The other frequencies are skipped, often two in one table lookup. That saves most of the
//! time: for a photograph of 12 megapixels, reading the bits is the larger part of the work.
//!
//! Only JPEGs as cameras write them are decoded here: 8 bits, sequential, Huffman codes, one scan,
//! grey or YCbCr. All others, and irregular files, are left to the full decoder, and its verdict
//! counts.
//!
//! ```text
//! segments    tables and headers up to the scan
//! bits        the scan's bits, without what is stuffed between them
//! huffman     codes to symbols, and several symbols passed over at once
//! transform   frequencies of a block to n x m samples
//! scan        all blocks to planes
//! ```

mod bits;
mod huffman;
mod scan;
mod segments;
mod transform;

use image::RgbImage;

use self::scan::Planes;
use self::segments::Segments;
use crate::picture::resize::Margins;

/// How much smaller a picture is decoded: by 2, 4 or 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::picture) struct Reduction(u32);

impl Reduction {
    /// The largest reduction with which a picture of `size` (width, height) is still at least as
    /// large as `least`; `None` if there is none.
    pub(in crate::picture) fn down_to(size: (u32, u32), least: (u32, u32)) -> Option<Self> {
        let keeps = |by: &u32| size.0 / by >= least.0 && size.1 / by >= least.1;
        [8, 4, 2].into_iter().find(keeps).map(Self)
    }

    /// Samples along a side of a block.
    fn samples(self) -> usize {
        8 / self.0 as usize
    }

    /// How far the last samples of a picture of `size` (width, height) reach beyond it.
    pub(in crate::picture) fn margins(self, size: (u32, u32)) -> Margins {
        let beyond =
            |pixels: u32| f64::from(self.of(pixels)) - f64::from(pixels) / f64::from(self.0);
        Margins {
            right: beyond(size.0),
            bottom: beyond(size.1),
            ..Margins::default()
        }
    }

    /// The number of samples along a side of `pixels` pixels.
    fn of(self, pixels: u32) -> u32 {
        pixels.div_ceil(self.0)
    }
}

/// The pixels as they are stored, reduced; `None` if the picture is not of a kind that is decoded
/// here.
pub(super) fn decode(bytes: &[u8], reduction: Reduction) -> Option<RgbImage> {
    let segments = Segments::read(bytes)?;
    let planes = Planes::read(&segments, reduction)?;
    let (width, height) = (reduction.of(segments.width), reduction.of(segments.height));
    RgbImage::from_raw(width, height, planes.rgb(width as usize, height as usize))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use rand::{Rng, SeedableRng};

    use super::*;

    /// The frame header of so many components, none of which is described.
    fn without_components(n: u8) -> Vec<u8> {
        let frame = [0xFF, 0xC0, 0, 8, 8, 0, 64, 0, 64, n];
        [&[0xFF, 0xD8][..], &frame, &[0xFF, 0xDA, 0, 2, 0, 0]].concat()
    }

    #[test]
    fn a_frame_without_its_components_is_left_to_the_other_decoder() {
        for n in [0, 1, 3] {
            assert!(decode(&without_components(n), Reduction(2)).is_none());
        }
    }

    #[test]
    fn damage_is_a_picture_of_its_size_or_left_to_the_other_decoder() {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/picture");
        let mut rng = rand_xoshiro::Xoshiro256PlusPlus::seed_from_u64(3);
        let (mut whole, mut left) = (0, 0);
        for name in ["420.jpg", "422.jpg", "444.jpg", "grey.jpg", "restarts.jpg"] {
            let bytes = fs::read(fixtures.join(name)).unwrap();
            assert!(decode(&bytes, Reduction(2)).is_some(), "{name}");
            for end in (0..bytes.len()).step_by(11) {
                left += usize::from(decode(&bytes[..end], Reduction(4)).is_none());
            }
            for _ in 0..250 {
                let mut damaged = bytes.clone();
                for _ in 0..rng.gen_range(1..4) {
                    let at = rng.gen_range(2..damaged.len());
                    damaged[at] = rng.r#gen();
                }
                // A damaged size may be as large as one can be.
                let size =
                    Segments::read(&damaged).map(|segments| (segments.width, segments.height));
                if size.is_some_and(|(width, height)| width * height > 1 << 18) {
                    continue;
                }
                for reduction in [2, 4, 8].map(Reduction) {
                    match decode(&damaged, reduction) {
                        None => left += 1,
                        Some(picture) => {
                            let (width, height) = size.unwrap();
                            let expected = (reduction.of(width), reduction.of(height));
                            assert_eq!(picture.dimensions(), expected);
                            whole += 1;
                        }
                    }
                }
            }
        }
        assert!(whole > 500 && left > 500, "{whole} {left}");
    }
}
