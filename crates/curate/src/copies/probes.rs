//! The hashes that altered copies of a picture would have.
//!
//! Altering a thumbnail (turning or cropping it) is linear in its levels, and so are the
//! coefficients whose signs are its hash. So each alteration is a matrix from the amplitudes of the
//! picture's coarse waves to the coefficients of the altered picture. The matrices are computed
//! once.

use rayon::prelude::*;

use super::perceptual_hash::{FREQUENCIES, Hasher, PerceptualHash};
use super::thumbnail::SIDE;
use super::warp::{Warp, sample};

/// Angles (degrees) by which copies may be turned.
const TURNS: [f32; 5] = [0.0, -1.5, 1.5, -3.0, 3.0];
/// Shares of each side that cropped copies may keep.
const KEPT: [f32; 3] = [1.0, 0.95, 0.9];

/// Share of a side that may be cropped off it.
const CUT: f32 = 0.05;

/// A hash that copies of a picture may have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probe {
    pub(super) hash: PerceptualHash,
    /// Maps a pixel of such a copy to its position in the picture.
    pub(super) warp: Warp,
    /// Whether the copy is mirrored too.
    pub(super) is_mirrored: bool,
}

/// Computes probes.
#[derive(Debug)]
pub(super) struct Prober<'a> {
    hasher: &'a Hasher,
    alterations: Vec<Alteration>,
}

#[derive(Debug)]
struct Alteration {
    warp: Warp,
    /// The coefficients of each wave with amplitude 1.
    of_waves: Vec<[f32; 64]>,
}

impl<'a> Prober<'a> {
    /// Takes a few hundredths of a second.
    pub(super) fn new(hasher: &'a Hasher) -> Self {
        let alteration = |warp: Warp| Alteration {
            warp,
            of_waves: (0..FREQUENCIES * FREQUENCIES)
                .map(|wave| {
                    let altered = sample(&hasher.wave(wave), &warp);
                    hasher.coefficients(&altered.map(|(level, _)| level))
                })
                .collect(),
        };
        Self {
            hasher,
            alterations: warps().into_par_iter().map(alteration).collect(),
        }
    }

    /// The picture's own hash, followed by those of its altered copies.
    pub(super) fn probes(&self, levels: &[u8; SIDE * SIDE]) -> Vec<Probe> {
        let amplitudes = self.hasher.amplitudes(&levels.map(f32::from));
        let probes = self.alterations.iter().flat_map(|alteration| {
            let mut coefficients = [0.0; 64];
            for (amplitude, of_wave) in amplitudes.iter().zip(&alteration.of_waves) {
                for (sum, value) in coefficients.iter_mut().zip(of_wave) {
                    *sum += amplitude * value;
                }
            }
            let hash = PerceptualHash::of_signs(&coefficients);
            [(hash, false), (self.hasher.mirrored(hash), true)].map(|(hash, is_mirrored)| Probe {
                hash,
                warp: alteration.warp,
                is_mirrored,
            })
        });
        probes.collect()
    }
}

/// The alterations of copies: turned, or cropped on all sides, on two sides or on one.
fn warps() -> Vec<Warp> {
    let turned = TURNS
        .into_iter()
        .flat_map(|turn| KEPT.map(|kept| Warp::turned(turn.to_radians(), kept)));
    let sides = [(0.0, 0.0), (CUT, 0.0), (0.0, CUT)];
    let cut = sides.into_iter().flat_map(|across| {
        let down = sides.into_iter();
        down.map(move |down| Warp::cut(across, down))
    });
    // The first of those crops nothing, and is among the turned ones.
    turned.chain(cut.skip(1)).collect()
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage, imageops};

    use super::super::thumbnail::Thumbnail;
    use super::*;

    /// Waves that no symmetry maps onto themselves.
    fn picture() -> RgbImage {
        RgbImage::from_fn(200, 160, |x, y| {
            let (x, y) = (x as f32 / 200.0, y as f32 / 160.0);
            let level = (9.0 * x * x + 3.0 * y).sin() + (4.0 * x - 11.0 * y * y).cos();
            Rgb([(100.0 + 40.0 * level) as u8; 3])
        })
    }

    #[test]
    fn a_cut_and_mirrored_copy_is_nearer_to_its_probe_than_to_the_picture() {
        let hasher = Hasher::new();
        let prober = Prober::new(&hasher);
        let probes = prober.probes(Thumbnail::new(&picture()).levels());
        // A twentieth less on the left and above.
        let cut = imageops::crop_imm(&picture(), 10, 8, 190, 152).to_image();
        for (copy, is_mirrored) in [(imageops::flip_horizontal(&cut), true), (cut, false)] {
            let hash = hasher.hash(&Thumbnail::new(&copy));
            let nearest = probes.iter().min_by_key(|probe| probe.hash.distance(hash));
            let nearest = nearest.unwrap();
            assert!(nearest.hash.distance(hash) <= 3);
            assert_eq!(nearest.is_mirrored, is_mirrored);
        }
    }

    #[test]
    fn the_first_probe_is_the_picture_itself() {
        let hasher = Hasher::new();
        let thumbnail = Thumbnail::new(&picture());
        let probes = Prober::new(&hasher).probes(thumbnail.levels());
        // Signs of coefficients near 0 may change with the rounding.
        assert!(probes[0].hash.distance(hasher.hash(&thumbnail)) <= 1);
    }
}
