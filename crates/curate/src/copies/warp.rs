//! Affine maps of thumbnails, and sampling through them.

use super::thumbnail::{Levels, SIDE};

/// The largest deviation of an affine map from the identity, per pixel: 7 degrees, or an eighth in
/// scale.
const MAX_DISTORTION: f32 = 0.125;
/// The largest shift, in pixels: an eighth of the picture.
const MAX_SHIFT: f32 = 4.0;

/// Middle of a thumbnail, in pixels.
pub(super) const MIDDLE: f32 = (SIDE as f32 - 1.0) / 2.0;

/// An affine map of the plane, around a thumbnail's middle:
/// x' = (1 + a) x + b y + e, y' = c x + (1 + d) y + f, as [a, b, c, d, e, f].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Warp(pub(super) [f32; 6]);

impl Warp {
    /// The identity.
    #[cfg(test)]
    pub(super) const NONE: Self = Self([0.0; 6]);

    /// Maps a pixel to its position in a picture that is turned by `angle` (radians) and cropped to
    /// the middle `kept` of each side.
    pub(super) fn turned(angle: f32, kept: f32) -> Self {
        let (sin, cos) = angle.sin_cos();
        Self([
            kept * cos - 1.0,
            -kept * sin,
            kept * sin,
            kept * cos - 1.0,
            0.0,
            0.0,
        ])
    }

    /// Maps a pixel to its position in a picture that is cropped by these shares of its width
    /// (left, right) and of its height (above, below).
    pub(super) fn cut((left, right): (f32, f32), (above, below): (f32, f32)) -> Self {
        let shift = |before: f32, after: f32| (before - after) / 2.0 * SIDE as f32;
        let (across, down) = (-left - right, -above - below);
        Self([
            across,
            0.0,
            0.0,
            down,
            shift(left, right),
            shift(above, below),
        ])
    }

    pub(super) fn apply(&self, x: f32, y: f32) -> (f32, f32) {
        let [a, b, c, d, e, f] = self.0;
        (x + a * x + b * y + e, y + c * x + d * y + f)
    }

    /// `inner` followed by this map.
    pub(super) fn after(&self, inner: &Self) -> Self {
        let [a, b, c, d, e, f] = inner.0;
        let (ax, ay) = self.apply(1.0 + a, c);
        let (bx, by) = self.apply(b, 1.0 + d);
        let (ex, ey) = self.apply(e, f);
        let [.., own_e, own_f] = self.0;
        Self([
            ax - own_e - 1.0,
            bx - own_e,
            ay - own_f,
            by - own_f - 1.0,
            ex,
            ey,
        ])
    }

    /// The inverse map; `None` if there is none.
    pub(super) fn inverse(&self) -> Option<Self> {
        let [a, b, c, d, e, f] = self.0;
        let determinant = (1.0 + a) * (1.0 + d) - b * c;
        if determinant.abs() < 0.5 {
            return None;
        }
        let [p, q, r, s] = [1.0 + d, -b, -c, 1.0 + a].map(|value| value / determinant);
        Some(Self([
            p - 1.0,
            q,
            r,
            s - 1.0,
            -(p * e + q * f),
            -(r * e + s * f),
        ]))
    }

    pub(super) fn is_small(&self) -> bool {
        let [distortion @ .., e, f] = self.0;
        distortion.iter().all(|value| value.abs() <= MAX_DISTORTION)
            && e.abs() <= MAX_SHIFT
            && f.abs() <= MAX_SHIFT
    }
}

/// `levels` at the positions given by `warp`, with bilinear interpolation, and whether each is
/// inside the picture. Positions outside get the nearest level.
pub(super) fn sample(levels: &Levels, warp: &Warp) -> [(f32, bool); SIDE * SIDE] {
    let mut samples = [(0.0, false); SIDE * SIDE];
    let last = (SIDE - 1) as f32;
    for (at, sample) in samples.iter_mut().enumerate() {
        let (x, y) = ((at % SIDE) as f32 - MIDDLE, (at / SIDE) as f32 - MIDDLE);
        let (x, y) = warp.apply(x, y);
        let (x, y) = (x + MIDDLE, y + MIDDLE);
        // The picture ends half a pixel beyond the middles of the outer pixels.
        let is_inside = (-0.5..=last + 0.5).contains(&x) && (-0.5..=last + 0.5).contains(&y);
        let (x, y) = (x.clamp(0.0, last), y.clamp(0.0, last));
        let (left, top) = ((x as usize).min(SIDE - 2), (y as usize).min(SIDE - 2));
        let (right, down) = (x - left as f32, y - top as f32);
        let row = |row: usize| {
            let at = row * SIDE + left;
            levels[at] + right * (levels[at + 1] - levels[at])
        };
        let (above, below) = (row(top), row(top + 1));
        *sample = (above + down * (below - above), is_inside);
    }
    samples
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_after_its_inverse_leads_nowhere() {
        let warp = Warp([0.05, -0.03, 0.08, -0.06, 1.5, -2.0]);
        let round = warp.after(&warp.inverse().unwrap());
        assert!(round.0.iter().all(|value| value.abs() < 1e-5), "{round:?}");
        let once = warp.apply(3.0, -7.0);
        let twice = warp.apply(once.0, once.1);
        let after = warp.after(&warp).apply(3.0, -7.0);
        assert!((twice.0 - after.0).abs() < 1e-4 && (twice.1 - after.1).abs() < 1e-4);
        assert_eq!(Warp([-1.0, 0.0, 0.0, -1.0, 0.0, 0.0]).inverse(), None);
    }
}
