//! Small grey pictures, and the file that holds them until they are compared.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use cnn_codes::picture::{Decoding, Filter, Fit, Resize, RgbImage};
use cnn_codes_files::read_exact_at;

/// Pixels along each side of a thumbnail.
pub(super) const SIDE: usize = 32;

/// Grey levels of a thumbnail, row by row.
pub(super) type Levels = [f32; SIDE * SIDE];

/// Levels (standard deviation of the most varying channel) below which a picture is blank: noise
/// and JPEG artefacts in a plain area stay below it.
const BLANK_DEVIATION: f64 = 3.0;

/// Levels by which the channels of a grey pixel may differ after JPEG compression.
const GREY_SPREAD: u8 = 6;

/// A picture as 32 x 32 grey levels, row by row, whatever its aspect ratio.
#[derive(Clone, Debug)]
pub struct Thumbnail {
    levels: [u8; SIDE * SIDE],
    is_blank: bool,
    is_colorless: bool,
}

impl Thumbnail {
    /// # Panics
    /// If the picture has no pixels.
    #[must_use]
    pub fn new(picture: &RgbImage) -> Self {
        let resize = Resize {
            width: SIDE as u32,
            height: SIDE as u32,
            fit: Fit::Stretch,
            filter: Filter::Bilinear,
            decoding: Decoding::Full,
        };
        let small = resize.apply(picture);
        let mut levels = [0; SIDE * SIDE];
        for (level, pixel) in levels.iter_mut().zip(small.pixels()) {
            let [red, green, blue] = pixel.0.map(u32::from);
            // ITU-R BT.601, as in Pillow's convert("L").
            *level = ((299 * red + 587 * green + 114 * blue + 500) / 1000) as u8;
        }
        let deviation = (0..3)
            .map(|channel| deviation(small.pixels().map(|pixel| pixel.0[channel])))
            .fold(0.0, f64::max);
        Self {
            levels,
            is_blank: deviation < BLANK_DEVIATION,
            is_colorless: small.pixels().all(|pixel| spread(pixel.0) <= GREY_SPREAD),
        }
    }

    /// Whether the picture is almost plain.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        self.is_blank
    }

    /// Whether all pixels are grey.
    #[must_use]
    pub fn is_colorless(&self) -> bool {
        self.is_colorless
    }

    /// The levels, row by row.
    pub(super) fn levels(&self) -> &[u8; SIDE * SIDE] {
        &self.levels
    }
}

/// The difference between a pixel's largest and smallest channel.
fn spread([red, green, blue]: [u8; 3]) -> u8 {
    red.max(green).max(blue) - red.min(green).min(blue)
}

/// Standard deviation.
fn deviation(levels: impl Iterator<Item = u8> + Clone) -> f64 {
    let n = levels.clone().count() as f64;
    let mean = levels.clone().map(f64::from).sum::<f64>() / n;
    let squares = levels.map(|level| (f64::from(level) - mean).powi(2));
    (squares.sum::<f64>() / n).sqrt()
}

/// Levels of thumbnails in a temporary file, which the system removes when it is closed.
#[derive(Debug)]
pub(super) struct Thumbnails {
    file: BufWriter<File>,
}

impl Thumbnails {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            file: BufWriter::with_capacity(1 << 16, tempfile::tempfile()?),
        })
    }

    pub(super) fn push(&mut self, thumbnail: &Thumbnail) -> io::Result<()> {
        self.file.write_all(&thumbnail.levels)
    }

    /// Makes all written thumbnails readable.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.file.flush()
    }

    /// The levels of thumbnail number `at`.
    pub(super) fn read(&self, at: u32) -> io::Result<[u8; SIDE * SIDE]> {
        let mut levels = [0; SIDE * SIDE];
        let offset = u64::from(at) * levels.len() as u64;
        read_exact_at(self.file.get_ref(), &mut levels, offset)?;
        Ok(levels)
    }
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    #[test]
    fn levels_are_those_of_the_standard() {
        let red = Thumbnail::new(&RgbImage::from_pixel(40, 20, Rgb([255, 0, 0])));
        assert_eq!(red.levels()[0], 76); // 0.299 * 255 = 76.2
        assert!(red.is_blank());
    }

    #[test]
    fn noise_of_a_few_levels_is_blank_and_a_faint_shape_is_not() {
        let noisy = RgbImage::from_fn(64, 64, |x, y| Rgb([200 + ((x * 7 + y * 13) % 5) as u8; 3]));
        assert!(Thumbnail::new(&noisy).is_blank());
        // A disc 20 levels darker in a twentieth of the area: sqrt(0.05 * 0.95) * 20 = 4.4 levels.
        let disc = RgbImage::from_fn(64, 64, |x, y| {
            let inside = (x as i32 - 32).pow(2) + (y as i32 - 32).pow(2) < 65;
            Rgb([if inside { 180 } else { 200 }; 3])
        });
        assert!(!Thumbnail::new(&disc).is_blank());
    }

    #[test]
    fn thumbnails_come_back_as_they_were_pushed() {
        let mut thumbnails = Thumbnails::new().unwrap();
        let shade = |level| Thumbnail::new(&RgbImage::from_pixel(1, 1, Rgb([level; 3])));
        for level in 0..100 {
            thumbnails.push(&shade(level)).unwrap();
        }
        thumbnails.finish().unwrap();
        assert!(
            thumbnails
                .read(37)
                .unwrap()
                .iter()
                .all(|&level| level == 37)
        );
        assert!(thumbnails.read(100).is_err());
    }
}
