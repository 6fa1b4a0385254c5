//! Scaling a picture to the trunk's input size, byte for byte as Pillow does.
//!
//! Trunks and their codes are compared with Python, so this is Pillow's own resampler: separable,
//! first across and then down, with fixed-point weights, bytes between the two passes, and a
//! support that grows with the reduction (antialiasing). The algorithm is that of
//! `src/libImaging/Resample.c` and, for [`Filter::Nearest`], of `ImagingScaleAffine` in
//! `Geometry.c`. The geometry of [`Fit`] is that of `PIL.ImageOps` and of torchvision. Checked
//! against Pillow 13.0.0.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod fit;
mod passes;
mod plain;
mod weights;

use std::borrow::Cow;

use image::metadata::Orientation;
use image::{Rgb, RgbImage, imageops};
use serde::{Deserialize, Serialize};

use self::fit::{contained_size, crop_area, middle, size_with_shorter_side};
use self::weights::{Cut, Kernel, Span, Weights, span};
use super::Decoding;
use super::views::Part;
use crate::named;

pub use self::fit::{Fit, NotAFit};

/// A target size and how to reach it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Resize {
    /// Width of the result in pixels, 1 or more.
    pub width: u32,
    /// Height of the result in pixels, 1 or more.
    pub height: u32,
    /// What happens to a picture with another aspect ratio.
    pub fit: Fit,
    /// How output pixels are computed from input pixels.
    pub filter: Filter,
    /// Whether large pictures may be decoded at a smaller size first. Older stores did not do this.
    #[serde(default = "Decoding::full", skip_serializing_if = "Decoding::is_full")]
    pub decoding: Decoding,
}

/// How output pixels are computed from input pixels; the names are Pillow's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Filter {
    /// The nearest pixel; no antialiasing. Keras' default.
    Nearest,
    /// A triangle over 2 pixels.
    #[default]
    Bilinear,
    /// A cubic (a = -0.5) over 4 pixels.
    Bicubic,
    /// A windowed sinc over 6 pixels.
    Lanczos,
}

named!(Filter, "filter",
    Nearest => "nearest", Bilinear => "bilinear", Bicubic => "bicubic", Lanczos => "lanczos");

/// What [`Fit::Pad`] puts around a picture.
const PADDING: Rgb<u8> = Rgb([255, 255, 255]);

impl Resize {
    /// The picture at the target size. A picture that already has that size is returned unchanged,
    /// except with [`Fit::CropAt`], which still cuts out the middle.
    ///
    /// # Panics
    ///
    /// When a side of the target or of `picture` is 0.
    pub fn apply(&self, picture: &RgbImage) -> RgbImage {
        self.shown(picture, Margins::default(), None).into_owned()
    }

    /// As [`Resize::apply`], for the picture within the margins or for a part of it, without a copy
    /// if nothing changes. A part is resized as by Pillow's `Image.resize(size, box=part)`.
    pub(super) fn shown<'a>(
        &self,
        picture: &'a RgbImage,
        margins: Margins,
        part: Option<Part>,
    ) -> Cow<'a, RgbImage> {
        let size = (self.width, self.height);
        assert!(
            size.0 > 0 && size.1 > 0,
            "a picture without pixels was asked for"
        );
        assert!(
            picture.width() > 0 && picture.height() > 0,
            "a picture without pixels"
        );
        let whole = Extent::of(picture, margins);
        let whole = part.map_or(whole, |part| whole.part(part));
        let is_cut = part.is_some() || matches!(self.fit, Fit::CropAt { .. });
        if !is_cut && picture.dimensions() == size {
            return Cow::Borrowed(picture);
        }
        Cow::Owned(match self.fit {
            Fit::Stretch => self.filter.scale(picture, whole.area(), all(size)),
            Fit::Crop => {
                let area = crop_area(whole, size);
                self.filter.scale(picture, area, all(size))
            }
            Fit::Pad => self.pad(picture, whole, is_cut),
            Fit::CropAt { shorter_side } => self.crop_at(picture, whole, shorter_side),
        })
    }

    /// The smallest size, width and height, to which a picture may be reduced before it is resized:
    /// twice the target, so that the reduction cannot be seen in the result. `None` if single
    /// pixels are picked, or if all pixels are to be decoded.
    pub(super) fn reducible_to(&self) -> Option<(u32, u32)> {
        let shorter_side = match self.fit {
            Fit::CropAt { shorter_side } => shorter_side,
            Fit::Stretch | Fit::Crop | Fit::Pad => 1,
        };
        let twice = |side: u32| side.max(shorter_side).saturating_mul(2);
        let may = self.decoding == Decoding::Scaled && self.filter != Filter::Nearest;
        may.then_some((twice(self.width), twice(self.height)))
    }

    /// The middle of the picture, scaled so that its shorter side has `shorter_side` pixels:
    /// torchvision's `Resize` and `CenterCrop`. Only the middle is computed, because a picture may
    /// be a line of millions of pixels.
    fn crop_at(&self, picture: &RgbImage, whole: Extent, shorter_side: u32) -> RgbImage {
        let enough = shorter_side.max(self.width).max(self.height);
        let (width, height) = size_with_shorter_side(whole, enough);
        let middle_of = |whole: u32, len: u32| Cut {
            whole,
            first: middle(whole - len),
            len,
        };
        let cuts = (middle_of(width, self.width), middle_of(height, self.height));
        self.filter.scale(picture, whole.area(), cuts)
    }

    /// `ImageOps.pad` with the picture in the middle.
    fn pad(&self, picture: &RgbImage, whole: Extent, is_cut: bool) -> RgbImage {
        let inner = contained_size(whole, (self.width, self.height));
        let scaled = if !is_cut && picture.dimensions() == inner {
            Cow::Borrowed(picture)
        } else {
            Cow::Owned(self.filter.scale(picture, whole.area(), all(inner)))
        };
        let mut padded = RgbImage::from_pixel(self.width, self.height, PADDING);
        let left = i64::from(middle(self.width - inner.0));
        let top = i64::from(middle(self.height - inner.1));
        imageops::replace(&mut padded, &*scaled, left, top);
        padded
    }
}

/// A rectangle of a picture: its spans across and down.
type Area = (Span, Span);

/// How far a picture's border lies inside its outermost pixels, 0 to 1 pixel on each side. The last
/// pixels of a reduced picture may stand for fewer pixels than the others.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Margins {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) right: f64,
    pub(super) bottom: f64,
}

impl Margins {
    /// The margins of the turned picture.
    pub(super) fn turned(self, orientation: Orientation) -> Self {
        let Self {
            left,
            top,
            right,
            bottom,
        } = self;
        let clockwise = Self {
            left: bottom,
            top: left,
            right: top,
            bottom: right,
        };
        let mirrored = |margins: Self| Self {
            left: margins.right,
            right: margins.left,
            ..margins
        };
        let upside_down = |margins: Self| Self {
            top: margins.bottom,
            bottom: margins.top,
            ..margins
        };
        let half = |margins: Self| mirrored(upside_down(margins));
        match orientation {
            Orientation::NoTransforms => self,
            Orientation::FlipHorizontal => mirrored(self),
            Orientation::FlipVertical => upside_down(self),
            Orientation::Rotate180 => half(self),
            Orientation::Rotate90 => clockwise,
            Orientation::Rotate270 => half(clockwise),
            Orientation::Rotate90FlipH => mirrored(clockwise),
            Orientation::Rotate270FlipH => mirrored(half(clockwise)),
        }
    }
}

/// The rectangle of a picture within its margins.
#[derive(Clone, Copy)]
struct Extent {
    left: f64,
    top: f64,
    width: f64,
    height: f64,
}

impl Extent {
    fn of(picture: &RgbImage, margins: Margins) -> Self {
        Self {
            left: margins.left,
            top: margins.top,
            width: f64::from(picture.width()) - margins.left - margins.right,
            height: f64::from(picture.height()) - margins.top - margins.bottom,
        }
    }

    /// A part of it.
    fn part(self, part: Part) -> Self {
        Self {
            left: self.left + self.width * part.left,
            top: self.top + self.height * part.top,
            width: self.width * part.side,
            height: self.height * part.side,
        }
    }

    fn area(self) -> Area {
        (span(self.left, self.width), span(self.top, self.height))
    }
}

impl Filter {
    /// The filter's curve; `None` if single pixels are picked.
    fn kernel(self) -> Option<Kernel> {
        match self {
            Self::Nearest => None,
            Self::Bilinear => Some(Kernel::bilinear()),
            Self::Bicubic => Some(Kernel::bicubic()),
            Self::Lanczos => Some(Kernel::lanczos()),
        }
    }

    /// Scales `area` of `picture` to the whole of `cuts`, and computes only the part that is cut
    /// out.
    fn scale(self, picture: &RgbImage, area: Area, cuts: (Cut, Cut)) -> RgbImage {
        let Some(kernel) = self.kernel() else {
            return nearest(picture, area, cuts);
        };
        let size = (cuts.0.len, cuts.1.len);
        let across = Weights::new(kernel, area.0, picture.width(), cuts.0);
        let down = Weights::new(kernel, area.1, picture.height(), cuts.1);
        let rows = down.rows();
        let row_len = 3 * picture.width() as usize;
        let needed = &picture.as_raw()[rows.start * row_len..rows.end * row_len];
        let narrow = passes::across(&across, needed, row_len);
        let bytes = passes::down(&down, &narrow, rows.start, 3 * size.0 as usize);
        RgbImage::from_raw(size.0, size.1, bytes).expect("3 bytes were made for every pixel")
    }
}

/// Picks pixels as Pillow does, which adds up positions instead of multiplying.
fn nearest(picture: &RgbImage, area: Area, cuts: (Cut, Cut)) -> RgbImage {
    let columns = nearest_positions(area.0, picture.width(), cuts.0);
    let rows = nearest_positions(area.1, picture.height(), cuts.1);
    RgbImage::from_fn(cuts.0.len, cuts.1.len, |x, y| {
        *picture.get_pixel(columns[x as usize], rows[y as usize])
    })
}

fn nearest_positions(span: Span, size_in: u32, cut: Cut) -> Vec<u32> {
    let step = f64::from(span.end - span.start) / f64::from(cut.whole);
    let mut first = f64::from(span.start) + step * 0.5;
    let mut left_out = cut.first;
    if left_out > MOST_ADDED {
        first += step * f64::from(left_out);
        left_out = 0;
    }
    std::iter::successors(Some(first), |position| Some(position + step))
        .skip(left_out as usize)
        .map(|position| (position as u32).min(size_in - 1))
        .take(cut.len as usize)
        .collect()
}

/// The most pixels that are skipped by adding, as Pillow does; for longer lines, positions are
/// multiplied.
const MOST_ADDED: u32 = 1 << 16;

/// Cuts that keep all pixels of a size.
fn all(size: (u32, u32)) -> (Cut, Cut) {
    (Cut::none(size.0), Cut::none(size.1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn gradient(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| {
            Rgb([(7 * x) as u8, (11 * y) as u8, 90])
        })
    }

    fn resize(width: u32, height: u32, fit: Fit, filter: Filter) -> Resize {
        Resize {
            width,
            height,
            fit,
            filter,
            decoding: Decoding::Full,
        }
    }

    const FITS: [Fit; 3] = [Fit::Stretch, Fit::Crop, Fit::Pad];
    const FILTERS: [Filter; 4] = [
        Filter::Nearest,
        Filter::Bilinear,
        Filter::Bicubic,
        Filter::Lanczos,
    ];

    #[test]
    fn a_picture_of_the_target_size_is_unchanged() {
        let picture = gradient(19, 13);
        for (fit, filter) in FITS.into_iter().zip(FILTERS) {
            let resize = resize(19, 13, fit, filter);
            assert!(matches!(
                resize.shown(&picture, Margins::default(), None),
                Cow::Borrowed(_)
            ));
            assert_eq!(resize.apply(&picture), picture);
        }
    }

    #[test]
    fn crop_takes_the_middle() {
        let mut picture = RgbImage::from_pixel(30, 10, Rgb([0, 0, 0]));
        imageops::replace(&mut picture, &RgbImage::from_pixel(10, 10, PADDING), 10, 0);
        let cropped = resize(10, 10, Fit::Crop, Filter::Nearest).apply(&picture);
        assert!(cropped.pixels().all(|pixel| *pixel == PADDING));
    }

    #[test]
    fn padding_goes_on_both_sides_and_a_thin_picture_keeps_a_pixel() {
        let black = RgbImage::new(2000, 1);
        let padded = resize(5, 5, Fit::Pad, Filter::Bilinear).apply(&black);
        let dark: Vec<_> = padded
            .enumerate_pixels()
            .filter(|p| *p.2 != PADDING)
            .collect();
        assert_eq!(dark.len(), 5);
        assert!(dark.iter().all(|p| p.1 == 2));
    }

    #[test]
    #[should_panic(expected = "without pixels")]
    fn a_target_without_pixels_panics() {
        resize(0, 5, Fit::Stretch, Filter::Nearest).apply(&gradient(3, 3));
    }

    proptest! {
        #[test]
        fn a_constant_picture_stays_constant(
            (width, height) in (1_u32..80, 1_u32..80),
            (new_width, new_height) in (1_u32..80, 1_u32..80),
            color in any::<[u8; 3]>(),
        ) {
            let picture = RgbImage::from_pixel(width, height, Rgb(color));
            for filter in FILTERS {
                for fit in [Fit::Stretch, Fit::Crop] {
                    let resized = resize(new_width, new_height, fit, filter).apply(&picture);
                    prop_assert_eq!(resized.dimensions(), (new_width, new_height));
                    prop_assert!(resized.pixels().all(|pixel| pixel.0 == color));
                }
                let padded = resize(new_width, new_height, Fit::Pad, filter).apply(&picture);
                prop_assert!(padded.pixels().all(|p| p.0 == color || *p == PADDING));
                prop_assert!(padded.pixels().any(|p| p.0 == color));
            }
        }
    }
}
