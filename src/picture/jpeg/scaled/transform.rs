//! Transforms the frequencies of a block into fewer samples.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// Dequantized frequencies of a block.
pub(super) struct Block {
    /// Row by row: `[vertical * 8 + horizontal]`.
    frequencies: [f32; 64],
    /// One bit per row: whether the row has any value other than 0.
    rows: u8,
}

impl Block {
    /// A block of one level.
    #[inline(always)]
    pub(super) fn constant(value: f32) -> Self {
        let mut frequencies = [0.0; 64];
        frequencies[0] = value;
        Self {
            frequencies,
            rows: 1,
        }
    }

    /// Sets the frequency at this place, below 64.
    #[inline(always)]
    pub(super) fn set(&mut self, place: u8, value: f32) {
        let place = place & 63;
        self.frequencies[usize::from(place)] = value;
        self.rows |= 1 << (place >> 3);
    }
}

/// Factors of the n-point transform: `[frequency][sample]`, for n = 1, 2, 4 or 8.
type Factors = [[f32; 8]; 8];

fn factors(n: usize) -> Factors {
    let factor = |frequency: usize, sample: usize| {
        let size = if frequency == 0 { FRAC_1_SQRT_2 } else { 1.0 } / 2.0;
        let angle = (2 * sample + 1) as f64 * frequency as f64 * PI / (2 * n) as f64;
        (size * angle.cos()) as f32
    };
    std::array::from_fn(|frequency| {
        std::array::from_fn(|sample| match frequency < n && sample < n {
            true => factor(frequency, sample),
            false => 0.0,
        })
    })
}

/// The transform of a block into `height` x `width` samples.
#[derive(Clone, Copy)]
pub(super) struct Transform {
    pub(super) height: usize,
    pub(super) width: usize,
    down: Factors,
    across: Factors,
}

impl Transform {
    /// Sides of 1, 2, 4 or 8 samples.
    pub(super) fn new(height: usize, width: usize) -> Self {
        Self {
            height,
            width,
            down: factors(height),
            across: factors(width),
        }
    }

    /// Whether the samples depend on a frequency.
    pub(super) fn takes(&self, vertical: usize, horizontal: usize) -> bool {
        vertical < self.height && horizontal < self.width
    }

    /// Writes the samples of a block, levels 0 to 255, into rows that are `stride` apart.
    #[inline(always)]
    pub(super) fn run(&self, block: &Block, samples: &mut [u8], stride: usize) {
        match (self.height, self.width) {
            (1, 1) => self.sized::<1, 1>(block, samples, stride),
            (2, 2) => self.sized::<2, 2>(block, samples, stride),
            (4, 4) => self.sized::<4, 4>(block, samples, stride),
            (8, 8) => self.sized::<8, 8>(block, samples, stride),
            (1, 2) => self.sized::<1, 2>(block, samples, stride),
            (2, 4) => self.sized::<2, 4>(block, samples, stride),
            (4, 8) => self.sized::<4, 8>(block, samples, stride),
            (2, 1) => self.sized::<2, 1>(block, samples, stride),
            (4, 2) => self.sized::<4, 2>(block, samples, stride),
            _ => self.sized::<8, 4>(block, samples, stride),
        }
    }

    #[inline(always)]
    fn sized<const H: usize, const W: usize>(
        &self,
        block: &Block,
        samples: &mut [u8],
        stride: usize,
    ) {
        let mut rows = [[0.0; W]; H];
        let (frequencies, _) = block.frequencies.as_chunks::<8>();
        for (vertical, frequencies) in frequencies[..H].iter().enumerate() {
            if H > 2 && block.rows >> vertical & 1 == 0 {
                continue;
            }
            let frequencies: &[f32; W] = frequencies.first_chunk().expect("at most 8");
            for (row, &factor) in rows.iter_mut().zip(&self.down[vertical]) {
                for (sum, frequency) in row.iter_mut().zip(frequencies) {
                    *sum += factor * frequency;
                }
            }
        }
        for (row, samples) in rows.iter().zip(samples.chunks_mut(stride)) {
            let mut levels = [128.5_f32; W];
            for (factors, value) in self.across[..W].iter().zip(row) {
                for (level, factor) in levels.iter_mut().zip(factors) {
                    *level += factor * value;
                }
            }
            let samples: &mut [u8; W] = samples.first_chunk_mut().expect("a row is that long");
            // A cast saturates.
            *samples = levels.map(|level| level as u8);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The samples by the formula, in float64.
    fn by_definition(block: &Block, height: usize, width: usize, y: usize, x: usize) -> f64 {
        let basis = |n: usize, at: usize, k: usize| {
            let size = if k == 0 { 1.0 / 8f64.sqrt() } else { 0.5 };
            size * ((2 * at + 1) as f64 * k as f64 * PI / (2 * n) as f64).cos()
        };
        let mut sum = 128.0;
        for (v, h) in (0..height).flat_map(|v| (0..width).map(move |h| (v, h))) {
            sum +=
                basis(height, y, v) * basis(width, x, h) * f64::from(block.frequencies[8 * v + h]);
        }
        sum
    }

    #[test]
    fn all_sizes_are_the_transform_of_the_lowest_frequencies() {
        let mut block = Block::constant(-19.0);
        // Two rows stay as they are.
        for place in (1..64).filter(|place| !matches!(place / 8, 2 | 5)) {
            block.set(place, f32::from((place as u16 * 37 + 11) as u8 % 61) - 30.0);
        }
        for (height, width) in [
            (1, 1),
            (2, 2),
            (4, 4),
            (8, 8),
            (1, 2),
            (2, 1),
            (2, 4),
            (4, 2),
            (4, 8),
            (8, 4),
        ] {
            let stride = width + 3;
            let mut samples = vec![7; height * stride];
            Transform::new(height, width).run(&block, &mut samples, stride);
            for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
                let expected = by_definition(&block, height, width, y, x);
                let found = f64::from(samples[y * stride + x]);
                assert!(
                    (found - expected.clamp(0.0, 255.0)).abs() < 0.501,
                    "{height} x {width}: {found}, {expected}"
                );
            }
            assert!(samples[width..stride].iter().all(|&beyond| beyond == 7));
        }
    }

    #[test]
    fn levels_end_at_0_and_255() {
        let mut samples = [9; 1];
        for (constant, level) in [(-5000.0, 0), (5000.0, 255), (0.0, 128), (80.0, 138)] {
            Transform::new(1, 1).run(&Block::constant(constant), &mut samples, 1);
            assert_eq!(samples, [level]);
        }
    }
}
