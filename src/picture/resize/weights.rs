//! Which pixels an output pixel depends on, and with which weights: Pillow's, to the last bit.

use std::f64::consts::PI;
use std::ops::Range;

/// Fixed-point bits of the weights: of 32 bits, 8 hold the result and 2 are spare, for weights that
/// add up to more than 1 before the negative ones are subtracted. Pillow's `PRECISION_BITS`.
pub(super) const WEIGHT_BITS: u32 = 32 - 8 - 2;
/// Half a level, so that dropping the fraction rounds.
pub(super) const HALF: i32 = 1 << (WEIGHT_BITS - 1);

/// Part of a picture along one axis, in pixels. Pillow passes it in single precision, which changes
/// the result.
#[derive(Clone, Copy)]
pub(super) struct Span {
    pub(super) start: f32,
    pub(super) end: f32,
}

/// The pixels from `start` on, `length` of them.
pub(super) fn span(start: f64, length: f64) -> Span {
    Span {
        start: start as f32,
        end: (start + length) as f32,
    }
}

/// Output pixels along one axis: `len` of the `whole`, from `first` on.
#[derive(Clone, Copy)]
pub(super) struct Cut {
    pub(super) whole: u32,
    pub(super) first: u32,
    pub(super) len: u32,
}

impl Cut {
    /// All of the output pixels.
    pub(super) fn none(whole: u32) -> Self {
        Self {
            whole,
            first: 0,
            len: whole,
        }
    }
}

/// The input pixels and weights of every output pixel along one axis.
pub(super) struct Weights {
    /// First input pixel and number of input pixels, for every output pixel.
    windows: Vec<(usize, usize)>,
    /// `stride` weights for every output pixel; its window uses the first ones.
    weights: Vec<i32>,
    stride: usize,
    /// Whether every output pixel is the input pixel of the same index.
    pub(super) identity: bool,
}

impl Weights {
    /// Pillow's `precompute_coeffs` and `normalize_coeffs_8bpc`: scales `span` of `size_in` pixels
    /// to the whole of `cut`, and computes only the part that is cut out.
    pub(super) fn new(kernel: Kernel, span: Span, size_in: u32, cut: Cut) -> Self {
        let scale = f64::from(span.end - span.start) / f64::from(cut.whole);
        let kernel = kernel.stretched(scale.max(1.0));
        let stride = kernel.support.ceil() as usize * 2 + 1;
        let mut windows = Vec::with_capacity(cut.len as usize);
        let mut weights = vec![0; cut.len as usize * stride];
        for (out, weights) in (cut.first..).zip(weights.chunks_exact_mut(stride)) {
            let center = f64::from(span.start) + (f64::from(out) + 0.5) * scale;
            let window = kernel.window(center, size_in);
            let exact: Vec<f64> = window.clone().map(|x| kernel.weight(x, center)).collect();
            let total: f64 = exact.iter().sum();
            for (weight, exact) in weights.iter_mut().zip(exact) {
                *weight = fixed_point(if total == 0.0 { exact } else { exact / total });
            }
            windows.push((window.start as usize, window.len()));
        }
        let is_whole = cut.first == 0 && cut.len == cut.whole;
        let identity =
            is_whole && size_in == cut.whole && span.start == 0.0 && span.end == size_in as f32;
        Self {
            windows,
            weights,
            stride,
            identity,
        }
    }

    /// The number of output pixels.
    pub(super) fn len(&self) -> usize {
        self.windows.len()
    }

    /// The output pixels' windows and weights, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &[i32])> {
        self.windows
            .iter()
            .zip(self.weights.chunks_exact(self.stride))
            .map(|(&(first, count), weights)| (first, &weights[..count]))
    }

    /// The input pixels that any output pixel needs.
    pub(super) fn rows(&self) -> Range<usize> {
        let first = self.windows.first().map_or(0, |window| window.0);
        let end = self.windows.last().map_or(0, |window| window.0 + window.1);
        first..end
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

/// A filter curve around 0.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kernel {
    curve: fn(f64) -> f64,
    /// How far from 0 the curve reaches, in pixels.
    support: f64,
    /// How much wider than its formula the curve is: 1 unless the picture shrinks.
    stretch: f64,
}

impl Kernel {
    /// A triangle.
    pub(super) fn bilinear() -> Self {
        Self::new(1.0, triangle)
    }

    /// A cubic with a = -0.5.
    pub(super) fn bicubic() -> Self {
        Self::new(2.0, cubic)
    }

    /// A sinc with three lobes.
    pub(super) fn lanczos() -> Self {
        Self::new(3.0, windowed_sinc)
    }

    /// A curve that is 0 from `support` pixels on.
    fn new(support: f64, curve: fn(f64) -> f64) -> Self {
        Self {
            curve,
            support,
            stretch: 1.0,
        }
    }

    fn stretched(self, stretch: f64) -> Self {
        Self {
            curve: self.curve,
            support: self.support * stretch,
            stretch,
        }
    }

    /// The pixels, of `n_pixels`, that the curve reaches when centred at `center`.
    fn window(self, center: f64, n_pixels: u32) -> Range<u32> {
        // A cast to an unsigned integer saturates at 0, and so the window starts at 0.
        let start = (center - self.support + 0.5) as u32;
        let end = (center + self.support + 0.5) as u32;
        start..end.min(n_pixels)
    }

    /// The weight of a pixel when the curve is centred at `center`, before division by the sum of
    /// weights.
    fn weight(self, pixel: u32, center: f64) -> f64 {
        // Pillow multiplies by the inverse; a division would round differently.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_leave_room_in_32_bits() {
        for kernel in [Kernel::bilinear(), Kernel::bicubic(), Kernel::lanczos()] {
            for (size_in, size_out) in (1..70).flat_map(|a| (1..70).map(move |b| (a, b))) {
                let weights = Weights::new(
                    kernel,
                    span(0.0, f64::from(size_in)),
                    size_in,
                    Cut::none(size_out),
                );
                for (_, weights) in weights.iter() {
                    let total: i64 = weights.iter().map(|w| i64::from(w.abs())).sum();
                    assert!(total * 255 + i64::from(HALF) <= i64::from(i32::MAX));
                }
            }
        }
    }
}
