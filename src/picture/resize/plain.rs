//! The passes as they are defined, for any processor.

use super::weights::{HALF, WEIGHT_BITS, Weights};

/// The pass across: rows of `row_len` bytes, each at the output's width.
pub(super) fn across(weights: &Weights, bytes_in: &[u8], row_len: usize) -> Vec<u8> {
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

/// The pass down: rows of `row_len` bytes, the first of which has index `offset`, become the output's
/// rows. Always inlined, to be compiled with its caller's instructions.
#[inline(always)]
pub(super) fn down(weights: &Weights, bytes_in: &[u8], offset: usize, row_len: usize) -> Vec<u8> {
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
/// The additions are "wrapping" because overflow checks, which are on in tests, would prevent
/// vectorisation.
#[inline(always)]
fn add_weighted(sum: &mut i32, byte: u8, weight: i32) {
    *sum = sum.wrapping_add(i32::from(byte).wrapping_mul(weight));
}

#[inline(always)]
fn to_byte(sum: i32) -> u8 {
    (sum >> WEIGHT_BITS).clamp(0, 255) as u8
}
