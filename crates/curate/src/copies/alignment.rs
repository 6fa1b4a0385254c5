//! Aligns one thumbnail with another, to decide whether they show the same.
//!
//! The second thumbnail is shifted, turned and stretched a little (an affine map) until it matches
//! the first best: Gauss-Newton on the differences, after S. Baker and I. Matthews, "Lucas-Kanade
//! 20 years on" (2004), the inverse compositional algorithm, with brightness and contrast equalised
//! at each step.

use super::thumbnail::{Levels, SIDE};
use super::warp::{MIDDLE, Warp, sample};

/// Steps of the alignment: from a probe's start it converges in four or five.
const STEPS: usize = 10;
/// When a step moves the corners by fewer pixels than this, the alignment has converged.
const ARRIVED: f32 = 0.02;

/// The share of the first picture that the second must cover.
const MIN_OVERLAP: f32 = 0.75;

/// Correlation above which two pictures show the same, if [`MIN_DETAIL`] is reached too.
const MIN_CORRELATION: f32 = 0.90;
/// Correlation of the details: levels minus the mean of their surroundings. Similar shapes, such as
/// two tomatoes on white, have similar levels, but not similar details.
const MIN_DETAIL: f32 = 0.80;
/// Radius of the surroundings in pixels.
const SURROUNDINGS: usize = 2;

/// How well `second` matches `first` after alignment; `None` if they do not show the same.
///
/// `start` maps a pixel of `second` roughly to its position in `first`; if `is_mirrored`, `second`
/// is mirrored first.
pub(super) fn align(
    first: &[u8; SIDE * SIDE],
    second: &[u8; SIDE * SIDE],
    start: Warp,
    is_mirrored: bool,
) -> Option<f32> {
    let first = first.map(f32::from);
    let mut second = second.map(f32::from);
    if is_mirrored {
        for row in second.chunks_exact_mut(SIDE) {
            row.reverse();
        }
    }
    // The second picture stays fixed, and the first is sampled.
    let warp = laid_over(&smoothed(&second), &smoothed(&first), start)?;
    let covered = sample(&first, &warp);
    let n_covered = covered.iter().filter(|sample| sample.1).count();
    if (n_covered as f32) < MIN_OVERLAP * (SIDE * SIDE) as f32 {
        return None;
    }
    let level = correlation(&second, &covered);
    let detail = correlation(&detailed(&second), &sample(&detailed(&first), &warp));
    (level >= MIN_CORRELATION && detail >= MIN_DETAIL).then_some(level)
}

/// The warp that aligns `image` with `fixed`; `None` if it moves too far away.
fn laid_over(fixed: &Levels, image: &Levels, start: Warp) -> Option<Warp> {
    let directions = steepest_descent(fixed);
    let mut warp = start;
    for _ in 0..STEPS {
        let samples = sample(image, &warp);
        let (gain, offset) = evened(fixed, &samples)?;
        let mut matrix = [[0.0; 6]; 6];
        let mut vector = [0.0; 6];
        for ((direction, &(level, is_inside)), fixed) in directions.iter().zip(&samples).zip(fixed)
        {
            if !is_inside {
                continue;
            }
            let difference = gain * level + offset - fixed;
            for (i, &value) in direction.iter().enumerate() {
                vector[i] += value * difference;
                for (j, &other) in direction[..=i].iter().enumerate() {
                    matrix[i][j] += value * other;
                }
            }
        }
        let step = Warp(solved(matrix, vector)?);
        warp = warp.after(&step.inverse()?);
        if !warp.is_small() {
            return None;
        }
        let corner = step.apply(MIDDLE, MIDDLE);
        if (corner.0 - MIDDLE).abs().max((corner.1 - MIDDLE).abs()) < ARRIVED {
            break;
        }
    }
    Some(warp)
}

/// The derivative of each pixel's level with respect to each number of a warp.
fn steepest_descent(levels: &Levels) -> Vec<[f32; 6]> {
    let slope = |from: usize, to: usize, n: usize| (levels[to] - levels[from]) / n as f32;
    (0..SIDE * SIDE)
        .map(|at| {
            let (column, row) = (at % SIDE, at / SIDE);
            let (left, right) = (column.saturating_sub(1), (column + 1).min(SIDE - 1));
            let (above, below) = (row.saturating_sub(1), (row + 1).min(SIDE - 1));
            let across = slope(row * SIDE + left, row * SIDE + right, right - left);
            let down = slope(above * SIDE + column, below * SIDE + column, below - above);
            let (x, y) = (column as f32 - MIDDLE, row as f32 - MIDDLE);
            [across * x, across * y, down * x, down * y, across, down]
        })
        .collect()
}

/// Gain and offset that give the samples the mean and the deviation of `fixed`; `None` if all of
/// them have one level.
fn evened(fixed: &Levels, samples: &[(f32, bool)]) -> Option<(f32, f32)> {
    let moments = Moments::new(fixed, samples);
    let gain = (moments.fixed / moments.samples).sqrt();
    gain.is_normal()
        .then_some((gain, moments.fixed_mean - gain * moments.samples_mean))
}

/// Correlation of `fixed` with the samples inside the picture; 0 if there is nothing to compare.
fn correlation(fixed: &Levels, samples: &[(f32, bool)]) -> f32 {
    let moments = Moments::new(fixed, samples);
    let correlation = moments.both / (moments.fixed * moments.samples).sqrt();
    if correlation.is_finite() {
        correlation
    } else {
        0.0
    }
}

/// Means, and sums of squares and products around them, over the samples inside the picture.
struct Moments {
    fixed_mean: f32,
    samples_mean: f32,
    fixed: f32,
    samples: f32,
    both: f32,
}

impl Moments {
    fn new(fixed: &Levels, samples: &[(f32, bool)]) -> Self {
        let inside = || {
            let pairs = fixed.iter().zip(samples);
            pairs.filter_map(|(&a, &(b, is_inside))| is_inside.then_some((a, b)))
        };
        let n = inside().count().max(1) as f32;
        let sums = inside().fold((0.0, 0.0), |sums, (a, b)| (sums.0 + a, sums.1 + b));
        let (fixed_mean, samples_mean) = (sums.0 / n, sums.1 / n);
        let mut moments = Self {
            fixed_mean,
            samples_mean,
            fixed: 0.0,
            samples: 0.0,
            both: 0.0,
        };
        for (a, b) in inside() {
            let (a, b) = (a - fixed_mean, b - samples_mean);
            moments.fixed += a * a;
            moments.samples += b * b;
            moments.both += a * b;
        }
        moments
    }
}

/// The solution of a symmetric system, given by its lower half, by Cholesky's method; `None` if it
/// has none, as for a picture that only varies in one direction.
fn solved(mut matrix: [[f32; 6]; 6], mut vector: [f32; 6]) -> Option<[f32; 6]> {
    let scale = (0..6).map(|i| matrix[i][i]).fold(0.0, f32::max);
    for i in 0..6 {
        for j in 0..=i {
            let sum: f32 = (0..j).map(|k| matrix[i][k] * matrix[j][k]).sum();
            let rest = matrix[i][j] - sum;
            if i == j {
                if rest <= 1e-6 * scale {
                    return None;
                }
                matrix[i][i] = rest.sqrt();
            } else {
                matrix[i][j] = rest / matrix[j][j];
            }
        }
        let sum: f32 = (0..i).map(|k| matrix[i][k] * vector[k]).sum();
        vector[i] = (vector[i] - sum) / matrix[i][i];
    }
    for i in (0..6).rev() {
        let sum: f32 = (i + 1..6).map(|k| matrix[k][i] * vector[k]).sum();
        vector[i] = (vector[i] - sum) / matrix[i][i];
    }
    Some(vector)
}

/// Means over 3 x 3 pixels: without the finest detail, alignment converges more reliably from a few
/// pixels away.
fn smoothed(levels: &Levels) -> Levels {
    box_mean(levels, 1)
}

/// Levels minus the means around them.
fn detailed(levels: &Levels) -> Levels {
    let mut detailed = box_mean(levels, SURROUNDINGS);
    for (mean, level) in detailed.iter_mut().zip(levels) {
        *mean = level - *mean;
    }
    detailed
}

/// Means over the pixels at most `reach` away along each axis, inside the picture.
fn box_mean(levels: &Levels, reach: usize) -> Levels {
    let window = |at: usize| at.saturating_sub(reach)..(at + reach + 1).min(SIDE);
    let mut across = [0.0; SIDE * SIDE];
    for (row, means) in levels.chunks_exact(SIDE).zip(across.chunks_exact_mut(SIDE)) {
        for (column, mean) in means.iter_mut().enumerate() {
            let window = &row[window(column)];
            *mean = window.iter().sum::<f32>() / window.len() as f32;
        }
    }
    let mut means = [0.0; SIDE * SIDE];
    for (at, mean) in means.iter_mut().enumerate() {
        let rows = window(at / SIDE);
        let n = rows.len() as f32;
        *mean = rows.map(|row| across[row * SIDE + at % SIDE]).sum::<f32>() / n;
    }
    means
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage, imageops};

    use super::super::thumbnail::Thumbnail;
    use super::*;

    /// Waves of many lengths; `phase` makes another picture of the same kind.
    fn picture(phase: f32) -> RgbImage {
        RgbImage::from_fn(320, 240, |x, y| {
            let (x, y) = (x as f32 / 32.0, y as f32 / 24.0);
            let waves = (1.3 * x + phase).sin() * (0.9 * y).cos()
                + (2.9 * y + 0.7 * x * phase).sin()
                + (0.23 * x * y - phase).cos();
            Rgb([(120.0 + 40.0 * waves) as u8; 3])
        })
    }

    fn levels(picture: &RgbImage) -> [u8; SIDE * SIDE] {
        *Thumbnail::new(picture).levels()
    }

    #[test]
    fn a_small_cut_is_found_without_being_told() {
        // 10 of 320 pixels on the left, 6 of 240 below; a pixel of the thumbnail is 10 x 7.5.
        let cut = imageops::crop_imm(&picture(1.0), 10, 0, 310, 234).to_image();
        let (whole, part) = (levels(&picture(1.0)), levels(&cut));
        let [whole_f, part_f] = [whole, part].map(|levels| smoothed(&levels.map(f32::from)));
        let Warp([a, b, c, d, e, f]) = laid_over(&part_f, &whole_f, Warp::NONE).unwrap();
        let expected = Warp::cut((10.0 / 320.0, 0.0), (0.0, 6.0 / 240.0)).0;
        for (found, expected) in [a, b, c, d].iter().zip(expected) {
            assert!((found - expected).abs() < 0.005, "{found} for {expected}");
        }
        assert!((e - expected[4]).abs() < 0.05 && (f - expected[5]).abs() < 0.05);
        assert!(align(&whole, &part, Warp::NONE, false).unwrap() > 0.99);
    }

    #[test]
    fn only_the_mirror_image_lies_over_the_mirror_image() {
        let original = levels(&picture(1.0));
        let mirrored = levels(&imageops::flip_horizontal(&picture(1.0)));
        assert!(align(&original, &mirrored, Warp::NONE, true).unwrap() > 0.999);
        assert_eq!(align(&original, &mirrored, Warp::NONE, false), None);
    }

    #[test]
    fn other_pictures_and_plain_ones_lie_over_nothing() {
        let original = levels(&picture(1.0));
        assert_eq!(
            align(&original, &levels(&picture(2.5)), Warp::NONE, false),
            None
        );
        let plain = [128; SIDE * SIDE];
        assert_eq!(align(&original, &plain, Warp::NONE, false), None);
        assert_eq!(align(&plain, &original, Warp::NONE, false), None);
    }
}
