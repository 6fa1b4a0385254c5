//! Hashes under which altered copies of a picture are found.
//!
//! Altering a thumbnail (turning it, cutting some off) is linear in its levels, and so are the
//! coefficients whose signs are its hash. So each alteration is a matrix, from the amplitudes of the
//! picture's coarse waves to the coefficients of the altered picture, made once.

use rayon::prelude::*;

use super::perceptual_hash::{FREQUENCIES, Hasher, PerceptualHash};
use super::thumbnail::SIDE;
use super::warp::{Warp, sample};

/// A picture turned so much (degrees) may be found by what it was before.
const TURNS: [f32; 5] = [0.0, -1.5, 1.5, -3.0, 3.0];
/// A picture of which so much is left along each side may be found by the whole of it.
const KEPT: [f32; 3] = [1.0, 0.95, 0.9];

/// What may have been cut off one side, as a share of it.
const CUT: f32 = 0.05;

/// A hash under which copies of a picture may be found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probe {
    pub(super) hash: PerceptualHash,
    /// Where in the picture a pixel of such a copy comes from.
    pub(super) warp: Warp,
    /// Whether the copy is mirrored besides.
    pub(super) is_mirrored: bool,
}

/// Makes probes.
#[derive(Debug)]
pub(super) struct Prober<'a> {
    hasher: &'a Hasher,
    alterations: Vec<Alteration>,
}

#[derive(Debug)]
struct Alteration {
    warp: Warp,
    /// The coefficients that each wave of amplitude 1 gets.
    of_waves: Vec<[f32; 64]>,
}

impl<'a> Prober<'a> {
    /// Takes some hundredths of a second.
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

    /// The picture's own hash first, and then those of its altered copies.
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
