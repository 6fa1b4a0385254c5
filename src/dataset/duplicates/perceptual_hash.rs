//! 64 bits by which pictures that show the same are found.
//!
//! A bit is the sign of a low frequency of the thumbnail's discrete cosine transform (DCT-II): light
//! and contrast change none of them, small detail hardly any. After C. Zauner, "Implementation and
//! benchmarking of perceptual image hash functions" (2010), with signs in place of a comparison with
//! the median, so that the mirror image's hash follows from the hash: half of the frequencies change
//! their sign.

use std::f32::consts::PI;

use super::alignment::{SideLevels, Warp, sample};
use super::thumbnail::{SIDE, Thumbnail};

/// Frequencies along each axis: what the first 64 diagonals' places need.
const FREQUENCIES: usize = 11;

/// A picture turned so much (degrees) may be found by what it was before.
const TURNS: [f32; 5] = [0.0, -1.5, 1.5, -3.0, 3.0];
/// A picture of which so much is left along each side may be found by the whole of it.
const KEPT: [f32; 3] = [1.0, 0.95, 0.9];

/// What may have been cut off one side, as a share of it.
const CUT: f32 = 0.05;

/// Signs of 64 frequencies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PerceptualHash(pub(super) u64);

impl PerceptualHash {
    /// How many frequencies have another sign.
    pub(super) fn distance(self, other: Self) -> u32 {
        (self.0 ^ other.0).count_ones()
    }
}

/// A hash under which copies of a picture may be found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probe {
    pub(super) hash: PerceptualHash,
    /// Where in the picture a pixel of such a copy comes from.
    pub(super) warp: Warp,
    /// Whether the copy is mirrored besides.
    pub(super) is_mirrored: bool,
}

/// Makes hashes.
#[derive(Debug)]
pub(super) struct Hasher {
    /// Cosines (frequency, position).
    cosines: [[f32; SIDE]; FREQUENCIES],
    /// Frequencies (down, across), the bits of a hash from the lowest on.
    places: [(usize, usize); 64],
    /// Bits that the mirror image has the other way round.
    mirrored: u64,
    /// What is tried.
    warps: Vec<Warp>,
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
            warps: warps(),
        }
    }

    pub(super) fn hash(&self, thumbnail: &Thumbnail) -> PerceptualHash {
        self.hash_levels(&thumbnail.levels().map(f32::from))
    }

    fn hash_levels(&self, levels: &SideLevels) -> PerceptualHash {
        let mut across = [[0.0; FREQUENCIES]; SIDE];
        for (row, across) in levels.chunks_exact(SIDE).zip(&mut across) {
            for (cosines, sum) in self.cosines.iter().zip(across) {
                *sum = row.iter().zip(cosines).map(|(a, b)| a * b).sum();
            }
        }
        let coefficient = |(down, right): (usize, usize)| -> f32 {
            let column = across.iter().map(|row| row[right]);
            column.zip(self.cosines[down]).map(|(a, b)| a * b).sum()
        };
        let signs = self.places.iter().enumerate();
        let bits = signs.map(|(bit, &place)| u64::from(coefficient(place) > 0.0) << bit);
        PerceptualHash(bits.fold(0, |bits, bit| bits | bit))
    }

    /// The picture's own hash first, and then those of its altered copies.
    pub(super) fn probes(&self, levels: &[u8; SIDE * SIDE]) -> Vec<Probe> {
        let levels = levels.map(f32::from);
        let probes = self.warps.iter().flat_map(|&warp| {
            let hash = self.hash_levels(&sample(&levels, &warp).map(|(level, _)| level));
            let mirrored = PerceptualHash(hash.0 ^ self.mirrored);
            [(hash, false), (mirrored, true)].map(|(hash, is_mirrored)| Probe {
                hash,
                warp,
                is_mirrored,
            })
        });
        probes.collect()
    }
}

/// What is done to copies of pictures: turned, cut on all sides, on two sides or on one.
fn warps() -> Vec<Warp> {
    let turned = TURNS
        .into_iter()
        .flat_map(|turn| KEPT.map(|kept| Warp::turned(turn.to_radians(), kept)));
    let sides = [(0.0, 0.0), (CUT, 0.0), (0.0, CUT)];
    let cut = sides.into_iter().flat_map(|across| {
        let down = sides.into_iter();
        down.map(move |down| Warp::cut(across, down))
    });
    // The first of those is cut nowhere, which is among the turned ones.
    turned.chain(cut.skip(1)).collect()
}

/// Diagonal by diagonal, without the mean.
fn places() -> [(usize, usize); 64] {
    let mut places = [(0, 0); 64];
    let diagonals = (1..FREQUENCIES).flat_map(|sum| (0..=sum).map(move |down| (down, sum - down)));
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
            let negative = hasher.hash_levels(&levels.map(|level| -level));
            assert_eq!(hasher.hash_levels(&levels).0 >> bit & 1, 1, "{bit}");
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
    fn the_probe_for_the_mirror_image_is_its_hash() {
        let hasher = Hasher::new();
        let original = Thumbnail::new(&picture(1.0));
        let probes = hasher.probes(original.levels());
        let mirrored = hash(&imageops::flip_horizontal(&picture(1.0)));
        assert_eq!(probes[0].hash, hash(&picture(1.0)));
        assert!(probes[1].is_mirrored && probes[1].hash.distance(mirrored) <= 1);
    }
}
