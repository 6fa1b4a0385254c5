//! Scaling a picture to the trunk's input size, byte for byte as Pillow does.
//!
//! Trunks and their codes are compared with Python, so the resampler is Pillow's own: separable,
//! across first and then down, with its weights in fixed point and bytes between the two passes,
//! and a support that grows with the reduction (antialiasing). The algorithm is that of
//! `src/libImaging/Resample.c` and, for [`Filter::Nearest`], of `ImagingScaleAffine` in
//! `Geometry.c`; the geometry of [`Fit`] is that of `PIL.ImageOps`. Checked against Pillow 13.0.0.

use std::borrow::Cow;
use std::f64::consts::PI;
use std::ops::Range;

use image::{Rgb, RgbImage, imageops};
use serde::{Deserialize, Serialize};

use crate::names::named;

/// A target size and how to get there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Resize {
    /// Width of the result in pixels, 1 or more.
    pub width: u32,
    /// Height of the result in pixels, 1 or more.
    pub height: u32,
    /// What happens to a picture of another shape.
    pub fit: Fit,
    /// How pixels are made from pixels.
    pub filter: Filter,
}

/// What happens to a picture whose width : height is not the target's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    /// It is distorted: `Image.resize(size)`, and what Keras' `load_img` does.
    Stretch,
    /// It fills the target and loses what sticks out, the same on both sides: `ImageOps.fit`.
    Crop,
    /// It fits into the target, in the middle of white bars: `ImageOps.pad(color="white")`.
    Pad,
}

named!(Fit, "fit", Stretch => "stretch", Crop => "crop", Pad => "pad");

/// How pixels are made from pixels; the names are Pillow's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Filter {
    /// The nearest pixel; no antialiasing. Keras' default.
    Nearest,
    /// A triangle over 2 pixels.
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
    /// The picture at the target size. One that has that size already comes back unchanged.
    ///
    /// # Panics
    ///
    /// When a side of the target or of `picture` is 0.
    pub fn apply(&self, picture: &RgbImage) -> RgbImage {
        self.resized(picture).into_owned()
    }

    /// As [`Resize::apply`], without a copy where nothing changes.
    pub(super) fn resized<'a>(&self, picture: &'a RgbImage) -> Cow<'a, RgbImage> {
        let size = (self.width, self.height);
        assert!(
            size.0 > 0 && size.1 > 0,
            "a picture without pixels was asked for"
        );
        assert!(
            picture.width() > 0 && picture.height() > 0,
            "a picture without pixels"
        );
        if picture.dimensions() == size {
            return Cow::Borrowed(picture);
        }
        Cow::Owned(match self.fit {
            Fit::Stretch => self.filter.scale(picture, whole(picture), size),
            Fit::Crop => self.filter.scale(picture, crop_area(picture, size), size),
            Fit::Pad => self.pad(picture),
        })
    }

    /// `ImageOps.pad` with the picture in the middle.
    fn pad(&self, picture: &RgbImage) -> RgbImage {
        let inner = contained_size(picture, (self.width, self.height));
        let scaled = if picture.dimensions() == inner {
            Cow::Borrowed(picture)
        } else {
            Cow::Owned(self.filter.scale(picture, whole(picture), inner))
        };
        let mut padded = RgbImage::from_pixel(self.width, self.height, PADDING);
        let left = middle(self.width - inner.0);
        let top = middle(self.height - inner.1);
        imageops::replace(&mut padded, &*scaled, left, top);
        padded
    }
}

/// Half of what is left over, as Python's `round` has it: halves go to the even number.
fn middle(spare: u32) -> i64 {
    (f64::from(spare) * 0.5).round_ties_even() as i64
}

/// Part of a picture along one axis, in pixels. Pillow hands it over in single precision, which
/// shows in the result.
#[derive(Clone, Copy)]
struct Span {
    start: f32,
    end: f32,
}

/// A rectangle of a picture: its spans across and down.
type Area = (Span, Span);

fn span(start: f64, length: f64) -> Span {
    Span {
        start: start as f32,
        end: (start + length) as f32,
    }
}

fn whole(picture: &RgbImage) -> Area {
    let (width, height) = picture.dimensions();
    (span(0.0, f64::from(width)), span(0.0, f64::from(height)))
}

/// The largest centred area with the shape of `size`: `ImageOps.fit`.
fn crop_area(picture: &RgbImage, size: (u32, u32)) -> Area {
    let (width, height) = (f64::from(picture.width()), f64::from(picture.height()));
    let ratio = f64::from(size.0) / f64::from(size.1);
    let (crop_width, crop_height) = if width / height == ratio {
        (width, height)
    } else if width / height >= ratio {
        (ratio * height, height)
    } else {
        (width, width / ratio)
    };
    (
        span((width - crop_width) * 0.5, crop_width),
        span((height - crop_height) * 0.5, crop_height),
    )
}

/// The largest size within `size` with the shape of `picture`: `ImageOps.contain`, except that no
/// side goes down to 0.
fn contained_size(picture: &RgbImage, size: (u32, u32)) -> (u32, u32) {
    let (width, height) = (f64::from(picture.width()), f64::from(picture.height()));
    let (target_width, target_height) = (f64::from(size.0), f64::from(size.1));
    let rounded = |side: f64| (side.round_ties_even() as u32).max(1);
    if width / height > target_width / target_height {
        (size.0, rounded(height / width * target_width).min(size.1))
    } else {
        (rounded(width / height * target_height).min(size.0), size.1)
    }
}

impl Filter {
    /// `area` of `picture`, scaled to `size`.
    fn scale(self, picture: &RgbImage, area: Area, size: (u32, u32)) -> RgbImage {
        let Some(kernel) = self.kernel() else {
            return nearest(picture, area, size);
        };
        let across = Weights::new(kernel, area.0, picture.width(), size.0);
        let down = Weights::new(kernel, area.1, picture.height(), size.1);
        let rows = down.rows();
        let narrow = across.combine_pixels(picture, rows.clone());
        let bytes = down.combine_rows(&narrow, rows.start, 3 * size.0 as usize);
        RgbImage::from_raw(size.0, size.1, bytes).expect("3 bytes were made for every pixel")
    }

    /// The filter's curve, or nothing where single pixels are picked.
    fn kernel(self) -> Option<Kernel> {
        let (support, curve): (f64, fn(f64) -> f64) = match self {
            Self::Nearest => return None,
            Self::Bilinear => (1.0, triangle),
            Self::Bicubic => (2.0, cubic),
            Self::Lanczos => (3.0, windowed_sinc),
        };
        Some(Kernel {
            curve,
            support,
            stretch: 1.0,
        })
    }
}

/// Pixels picked as Pillow picks them, which adds up positions instead of multiplying.
fn nearest(picture: &RgbImage, area: Area, size: (u32, u32)) -> RgbImage {
    let columns = nearest_positions(area.0, picture.width(), size.0);
    let rows = nearest_positions(area.1, picture.height(), size.1);
    RgbImage::from_fn(size.0, size.1, |x, y| {
        *picture.get_pixel(columns[x as usize], rows[y as usize])
    })
}

fn nearest_positions(span: Span, size_in: u32, size_out: u32) -> Vec<u32> {
    let step = f64::from(span.end - span.start) / f64::from(size_out);
    let first = f64::from(span.start) + step * 0.5;
    std::iter::successors(Some(first), |position| Some(position + step))
        .map(|position| (position as u32).min(size_in - 1))
        .take(size_out as usize)
        .collect()
}

/// A filter curve around 0.
#[derive(Clone, Copy)]
struct Kernel {
    curve: fn(f64) -> f64,
    /// How far from 0 the curve reaches, in pixels.
    support: f64,
    /// How much wider than its formula the curve is: 1 unless the picture shrinks.
    stretch: f64,
}

impl Kernel {
    fn stretched(self, stretch: f64) -> Self {
        Self {
            curve: self.curve,
            support: self.support * stretch,
            stretch,
        }
    }

    /// The pixels, of `n_pixels`, that the curve reaches when it stands at `center`.
    fn window(self, center: f64, n_pixels: u32) -> Range<u32> {
        // A cast to an unsigned integer stops at 0, and so does the window.
        let start = (center - self.support + 0.5) as u32;
        let end = (center + self.support + 0.5) as u32;
        start..end.min(n_pixels)
    }

    /// The weight, not yet divided by the sum of all, of a pixel when the curve stands at `center`.
    fn weight(self, pixel: u32, center: f64) -> f64 {
        // Pillow multiplies by the inverse; a division would round otherwise.
        (self.curve)((f64::from(pixel) - center + 0.5) * (1.0 / self.stretch))
    }
}

fn triangle(x: f64) -> f64 {
    (1.0 - x.abs()).max(0.0)
}

/// Keys' cubic convolution with a = -0.5.
fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

/// Lanczos with three lobes.
fn windowed_sinc(x: f64) -> f64 {
    if (-3.0..3.0).contains(&x) {
        sinc(x) * sinc(x / 3.0)
    } else {
        0.0
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 {
        1.0
    } else {
        (x * PI).sin() / (x * PI)
    }
}

/// Fixed point of the weights: of 32 bits, 8 are the result's and 2 are spare for weights that
/// add up to more than 1 before the negative ones come off. Pillow's `PRECISION_BITS`.
const WEIGHT_BITS: u32 = 32 - 8 - 2;
/// Half a level, so that dropping the fraction rounds.
const HALF: i32 = 1 << (WEIGHT_BITS - 1);

/// For every output pixel of one axis, the input pixels that it is made of and their weights.
struct Weights {
    /// First input pixel and number of input pixels, for every output pixel.
    windows: Vec<(usize, usize)>,
    /// `stride` weights for every output pixel, of which its window uses the first.
    weights: Vec<i32>,
    stride: usize,
    /// Whether every output pixel is the input pixel of the same index.
    identity: bool,
}

impl Weights {
    /// Pillow's `precompute_coeffs` and `normalize_coeffs_8bpc`: `span` of `size_in` pixels goes
    /// to `size_out` pixels.
    fn new(kernel: Kernel, span: Span, size_in: u32, size_out: u32) -> Self {
        let scale = f64::from(span.end - span.start) / f64::from(size_out);
        let kernel = kernel.stretched(scale.max(1.0));
        let stride = kernel.support.ceil() as usize * 2 + 1;
        let mut windows = Vec::with_capacity(size_out as usize);
        let mut weights = vec![0; size_out as usize * stride];
        for (out, weights) in (0..size_out).zip(weights.chunks_exact_mut(stride)) {
            let center = f64::from(span.start) + (f64::from(out) + 0.5) * scale;
            let window = kernel.window(center, size_in);
            let exact: Vec<f64> = window.clone().map(|x| kernel.weight(x, center)).collect();
            let total: f64 = exact.iter().sum();
            for (weight, exact) in weights.iter_mut().zip(exact) {
                *weight = fixed_point(if total == 0.0 { exact } else { exact / total });
            }
            windows.push((window.start as usize, window.len()));
        }
        let identity = size_in == size_out && span.start == 0.0 && span.end == size_in as f32;
        Self {
            windows,
            weights,
            stride,
            identity,
        }
    }

    /// The output pixels' windows and weights, in order.
    fn iter(&self) -> impl Iterator<Item = (usize, &[i32])> {
        self.windows
            .iter()
            .zip(self.weights.chunks_exact(self.stride))
            .map(|(&(first, count), weights)| (first, &weights[..count]))
    }

    /// The input pixels that any output pixel needs.
    fn rows(&self) -> Range<usize> {
        let first = self.windows.first().map_or(0, |window| window.0);
        let end = self.windows.last().map_or(0, |window| window.0 + window.1);
        first..end
    }

    /// The pass across: the given rows of `picture`, each at the output's width. RGB bytes.
    fn combine_pixels(&self, picture: &RgbImage, rows: Range<usize>) -> Vec<u8> {
        let stride_in = 3 * picture.width() as usize;
        let bytes_in = &picture.as_raw()[rows.start * stride_in..rows.end * stride_in];
        if self.identity {
            return bytes_in.to_vec();
        }
        let stride_out = 3 * self.windows.len();
        let mut bytes_out = vec![0; rows.len() * stride_out];
        for (row_in, row_out) in bytes_in
            .chunks_exact(stride_in)
            .zip(bytes_out.chunks_exact_mut(stride_out))
        {
            for ((first, weights), out) in self.iter().zip(row_out.chunks_exact_mut(3)) {
                let mut sums = [HALF; 3];
                for (pixel, weight) in row_in[3 * first..].chunks_exact(3).zip(weights) {
                    for (sum, byte) in sums.iter_mut().zip(pixel) {
                        add_weighted(sum, *byte, *weight);
                    }
                }
                out.copy_from_slice(&sums.map(to_byte));
            }
        }
        bytes_out
    }

    /// The pass down: rows of `stride` bytes, of which the first given one has index `offset`,
    /// become the output's rows.
    fn combine_rows(&self, bytes_in: &[u8], offset: usize, stride: usize) -> Vec<u8> {
        if self.identity {
            return bytes_in.to_vec();
        }
        let mut bytes_out = vec![0; self.windows.len() * stride];
        let mut sums = vec![HALF; stride];
        for ((first, weights), row_out) in self.iter().zip(bytes_out.chunks_exact_mut(stride)) {
            let rows_in = bytes_in[(first - offset) * stride..].chunks_exact(stride);
            sums.fill(HALF);
            for (row_in, weight) in rows_in.zip(weights) {
                for (sum, byte) in sums.iter_mut().zip(row_in) {
                    add_weighted(sum, *byte, *weight);
                }
            }
            for (out, sum) in row_out.iter_mut().zip(&sums) {
                *out = to_byte(*sum);
            }
        }
        bytes_out
    }
}

/// Pillow rounds halves away from 0.
fn fixed_point(weight: f64) -> i32 {
    let scaled = weight * f64::from(1 << WEIGHT_BITS);
    (if scaled < 0.0 {
        scaled - 0.5
    } else {
        scaled + 0.5
    }) as i32
}

/// Nothing wraps, since the weights' absolute values add up to less than 2 (tested below). It says
/// "wrapping" because checks for overflow, which tests run with, would keep vectors out of the loop.
#[inline]
fn add_weighted(sum: &mut i32, byte: u8, weight: i32) {
    *sum = sum.wrapping_add(i32::from(byte).wrapping_mul(weight));
}

#[inline]
fn to_byte(sum: i32) -> u8 {
    (sum >> WEIGHT_BITS).clamp(0, 255) as u8
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
            assert!(matches!(resize.resized(&picture), Cow::Borrowed(_)));
            assert_eq!(resize.apply(&picture), picture);
        }
    }

    #[test]
    fn weights_leave_room_in_32_bits() {
        for filter in FILTERS {
            let Some(kernel) = filter.kernel() else {
                continue;
            };
            for (size_in, size_out) in (1..70).flat_map(|a| (1..70).map(move |b| (a, b))) {
                let weights =
                    Weights::new(kernel, span(0.0, f64::from(size_in)), size_in, size_out);
                for (_, weights) in weights.iter() {
                    let total: i64 = weights.iter().map(|w| i64::from(w.abs())).sum();
                    assert!(total * 255 + i64::from(HALF) <= i64::from(i32::MAX));
                }
            }
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
