//! 64-bit hashes for finding pictures that show the same.
//!
//! A bit is the sign of a low frequency of the thumbnail's discrete cosine transform (DCT-II).
//! Brightness and contrast change no bit, small details hardly any. After C. Zauner,
//! "Implementation and benchmarking of perceptual image hash functions" (2010), but with signs
//! instead of a comparison with the median. So the mirror image's hash follows from the hash: half
//! of the frequencies change their sign.

use std::f32::consts::PI;

use super::thumbnail::{Levels, SIDE, Thumbnail};

/// Frequencies along each axis: those of the bits, and one more.
pub(super) const FREQUENCIES: usize = 12;

/// Signs of 64 frequencies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PerceptualHash(pub(super) u64);

impl PerceptualHash {
    /// A bit is set if its coefficient is above 0.
    pub(super) fn of_signs(coefficients: &[f32; 64]) -> Self {
        let signs = (0..).zip(coefficients);
        Self(signs.fold(0, |bits, (bit, &value)| {
            bits | u64::from(value > 0.0) << bit
        }))
    }

    /// The number of frequencies with different signs.
    pub(super) fn distance(self, other: Self) -> u32 {
        (self.0 ^ other.0).count_ones()
    }
}

/// Computes hashes.
#[derive(Debug)]
pub(super) struct Hasher {
    /// Cosines (frequency, position).
    cosines: [[f32; SIDE]; FREQUENCIES],
    /// Frequencies (down, across) of the bits of a hash, from the lowest bit.
    places: [(usize, usize); 64],
    /// Bits that are inverted in the mirror image.
    mirrored: u64,
}

impl Hasher {
    pub(super) fn new() -> Self {
        let mut cosines = [[0.0; SIDE]; FREQUENCIES];
        for (frequency, cosines) in cosines.iter_mut().enumerate() {
            for (position, cosine) in cosines.iter_mut().enumerate() {
                let angle = (position as f32 + 0.5) * frequency as f32 / SIDE as f32;
                *cosine = (PI * angle).cos();
            }
        }
        let places = places();
        let mirrored = (0..64).filter(|&bit| places[bit].1 % 2 == 1);
        Self {
            cosines,
            mirrored: mirrored.fold(0, |bits, bit| bits | 1 << bit),
            places,
        }
    }

    pub(super) fn hash(&self, thumbnail: &Thumbnail) -> PerceptualHash {
        PerceptualHash::of_signs(&self.coefficients(&thumbnail.levels().map(f32::from)))
    }

    /// Amplitudes of a thumbnail's waves, without the finest ones. The levels are approximately the
    /// sum of amplitude (down, across) times cosine (down) times cosine (across).
    pub(super) fn amplitudes(&self, levels: &Levels) -> [f32; FREQUENCIES * FREQUENCIES] {
        let across = self.across(levels);
        let scale = |frequency: usize| if frequency == 0 { 1.0 } else { 2.0 } / SIDE as f32;
        std::array::from_fn(|at| {
            let place = (at / FREQUENCIES, at % FREQUENCIES);
            self.coefficient(&across, place) * scale(place.0) * scale(place.1)
        })
    }

    /// The wave whose amplitude [`Hasher::amplitudes`] returns at this index.
    pub(super) fn wave(&self, at: usize) -> Levels {
        let (down, right) = (at / FREQUENCIES, at % FREQUENCIES);
        std::array::from_fn(|pixel| {
            self.cosines[down][pixel / SIDE] * self.cosines[right][pixel % SIDE]
        })
    }

    /// The coefficients whose signs are the bits.
    pub(super) fn coefficients(&self, levels: &Levels) -> [f32; 64] {
        let across = self.across(levels);
        self.places.map(|place| self.coefficient(&across, place))
    }

    /// The hash of a picture's mirror image.
    pub(super) fn mirrored(&self, hash: PerceptualHash) -> PerceptualHash {
        PerceptualHash(hash.0 ^ self.mirrored)
    }

    /// Sums over each row, for each frequency.
    fn across(&self, levels: &Levels) -> [[f32; FREQUENCIES]; SIDE] {
        let mut across = [[0.0; FREQUENCIES]; SIDE];
        for (row, across) in levels.chunks_exact(SIDE).zip(&mut across) {
            for (cosines, sum) in self.cosines.iter().zip(across) {
                *sum = row.iter().zip(cosines).map(|(a, b)| a * b).sum();
            }
        }
        across
    }

    fn coefficient(
        &self,
        across: &[[f32; FREQUENCIES]; SIDE],
        (down, right): (usize, usize),
    ) -> f32 {
        let column = across.iter().map(|row| row[right]);
        column.zip(self.cosines[down]).map(|(a, b)| a * b).sum()
    }
}

/// Diagonal by diagonal, without the mean.
fn places() -> [(usize, usize); 64] {
    let mut places = [(0, 0); 64];
    let diagonals = (1..).flat_map(|sum| (0..=sum).map(move |down| (down, sum - down)));
    for (place, frequencies) in places.iter_mut().zip(diagonals) {
        *place = frequencies;
    }
    places
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage, imageops};

    use super::*;

    /// Waves that no symmetry maps onto themselves.
    fn picture(brightness: f32) -> RgbImage {
        RgbImage::from_fn(64, 48, |x, y| {
            let (x, y) = (x as f32 / 64.0, y as f32 / 48.0);
            let level = (9.0 * x * x + 3.0 * y).sin() + (4.0 * x - 11.0 * y * y).cos();
            Rgb([(brightness * (100.0 + 40.0 * level)) as u8; 3])
        })
    }

    fn hash(picture: &RgbImage) -> PerceptualHash {
        Hasher::new().hash(&Thumbnail::new(picture))
    }

    #[test]
    fn a_wave_sets_the_bit_of_its_frequency() {
        let hasher = Hasher::new();
        for (bit, &(down, right)) in hasher.places.iter().enumerate() {
            let mut levels = [0.0; SIDE * SIDE];
            for (at, level) in levels.iter_mut().enumerate() {
                let (y, x) = ((at / SIDE) as f32 + 0.5, (at % SIDE) as f32 + 0.5);
                let (down, right) = (down as f32, right as f32);
                *level = (PI * y * down / 32.0).cos() * (PI * x * right / 32.0).cos();
            }
            let hash = |levels: &Levels| PerceptualHash::of_signs(&hasher.coefficients(levels));
            let negative = hash(&levels.map(|level| -level));
            assert_eq!(hash(&levels).0 >> bit & 1, 1, "{bit}");
            assert_eq!(negative.0 >> bit & 1, 0, "{bit}");
        }
    }

    #[test]
    fn light_changes_no_more_than_a_bit_or_two_and_another_picture_many() {
        let (dim, bright) = (picture(0.7), picture(1.3));
        assert!(hash(&dim).distance(hash(&bright)) <= 2);
        let other = imageops::rotate90(&dim);
        assert!(hash(&dim).distance(hash(&other)) > 16);
    }

    #[test]
    fn a_picture_of_coarse_waves_is_the_sum_of_its_waves() {
        let hasher = Hasher::new();
        let amplitude = |at: usize| ((at * 37 % 19) as f32) - 9.0;
        let mut levels = [0.0; SIDE * SIDE];
        for at in 0..FREQUENCIES * FREQUENCIES {
            for (level, wave) in levels.iter_mut().zip(hasher.wave(at)) {
                *level += amplitude(at) * wave;
            }
        }
        for (at, found) in hasher.amplitudes(&levels).into_iter().enumerate() {
            assert!((found - amplitude(at)).abs() < 1e-3, "{at}: {found}");
        }
    }

    #[test]
    fn the_mirror_images_hash_follows_from_the_hash() {
        let mirrored = hash(&imageops::flip_horizontal(&picture(1.0)));
        let followed = Hasher::new().mirrored(hash(&picture(1.0)));
        assert!(followed.distance(mirrored) <= 1);
    }
}
