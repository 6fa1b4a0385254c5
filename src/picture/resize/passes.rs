//! The two passes of a resampling: across a picture's rows, then down its columns.
//!
//! Each output byte is a weighted sum of input bytes in fixed point, rounded to a byte. The sums are
//! of integers, so that the order of the additions does not show in the result, and what `avx2`
//! makes of them is what stands here.

use super::weights::{HALF, WEIGHT_BITS, Weights};

#[cfg(target_arch = "x86_64")]
use super::avx2;

/// The pass across: rows of `row_len` bytes, each at the output's width. RGB bytes.
pub(super) fn across(weights: &Weights, bytes_in: &[u8], row_len: usize) -> Vec<u8> {
    if weights.identity {
        return bytes_in.to_vec();
    }
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: this processor has AVX2, which is all that the function asks for.
        return unsafe { avx2::across(weights, bytes_in, row_len) };
    }
    plain_across(weights, bytes_in, row_len)
}

/// The pass down: rows of `row_len` bytes, of which the first given one has index `offset`, become
/// the output's rows.
pub(super) fn down(weights: &Weights, bytes_in: &[u8], offset: usize, row_len: usize) -> Vec<u8> {
    if weights.identity {
        return bytes_in.to_vec();
    }
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: this processor has AVX2, which is all that the function asks for.
        return unsafe { avx2::down(weights, bytes_in, offset, row_len) };
    }
    plain_down(weights, bytes_in, offset, row_len)
}

/// [`across`] as it is defined.
fn plain_across(weights: &Weights, bytes_in: &[u8], row_len: usize) -> Vec<u8> {
    let row_len_out = 3 * weights.len();
    let mut bytes_out = vec![0; bytes_in.len() / row_len * row_len_out];
    let rows_out = bytes_out.chunks_exact_mut(row_len_out);
    for (row_in, row_out) in bytes_in.chunks_exact(row_len).zip(rows_out) {
        for ((first, weights), out) in weights.iter().zip(row_out.chunks_exact_mut(3)) {
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

/// [`down`] as it is defined. Always inlined, so that `avx2` can have it compiled for itself.
#[inline(always)]
pub(super) fn plain_down(
    weights: &Weights,
    bytes_in: &[u8],
    offset: usize,
    row_len: usize,
) -> Vec<u8> {
    let mut bytes_out = vec![0; weights.len() * row_len];
    let mut sums = vec![HALF; row_len];
    for ((first, weights), row_out) in weights.iter().zip(bytes_out.chunks_exact_mut(row_len)) {
        let rows_in = bytes_in[(first - offset) * row_len..].chunks_exact(row_len);
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

/// Nothing wraps, since the weights' absolute values add up to less than 2 (tested in `weights`).
/// It says "wrapping" because checks for overflow, which tests run with, would keep vectors out of
/// the loop.
#[inline(always)]
fn add_weighted(sum: &mut i32, byte: u8, weight: i32) {
    *sum = sum.wrapping_add(i32::from(byte).wrapping_mul(weight));
}

#[inline(always)]
fn to_byte(sum: i32) -> u8 {
    (sum >> WEIGHT_BITS).clamp(0, 255) as u8
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{RngCore, SeedableRng};
    use rand_xoshiro::Xoshiro256PlusPlus;

    use super::super::weights::Kernel;
    use super::super::{Filter, span};
    use super::*;

    /// Weights from `size_in` to `size_out` pixels, of a part of the input when `part` is below 1.
    fn weights(filter: Filter, part: f64, size_in: usize, size_out: usize) -> Weights {
        let length = part * size_in as f64;
        let span = span((size_in as f64 - length) * 0.5, length);
        let kernel = Kernel::of(filter).unwrap();
        Weights::new(kernel, span, size_in as u32, size_out as u32)
    }

    /// Bytes with many that are 0 or 255, at which cubics and sincs leave the range.
    fn noise(n: usize, seed: u64) -> Vec<u8> {
        let mut noise = vec![0; n];
        Xoshiro256PlusPlus::seed_from_u64(seed).fill_bytes(&mut noise);
        for byte in &mut noise {
            *byte = byte.saturating_sub(64).saturating_mul(2);
        }
        noise
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn the_passes_of_this_processor_give_the_bytes_of_the_plain_ones(
            filter in prop::sample::select(vec![Filter::Bilinear, Filter::Bicubic, Filter::Lanczos]),
            part in prop_oneof![Just(1.0), 0.1..1.0],
            (size_in, size_out) in (1_usize..90, 1_usize..90),
            others in 1_usize..6,
            seed: u64,
        ) {
            let weights = weights(filter, part, size_in, size_out);
            if weights.identity {
                return Ok(());
            }
            let bytes = noise(3 * size_in * others, seed);
            prop_assert_eq!(
                across(&weights, &bytes, 3 * size_in),
                plain_across(&weights, &bytes, 3 * size_in)
            );
            let rows = weights.rows();
            let needed = &bytes[3 * others * rows.start..3 * others * rows.end];
            prop_assert_eq!(
                down(&weights, needed, rows.start, 3 * others),
                plain_down(&weights, needed, rows.start, 3 * others)
            );
        }
    }
}
