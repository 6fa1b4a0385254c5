//! The pass across for processors with AVX2.
//!
//! Compilers vectorise the pass across badly, because pixels have 3 bytes and an output pixel
//! depends on few of them. Here two pixels are taken at a time:
//!
//! ```text
//! bytes       r0  g0  b0  r1  g1  b1  --  --      8 bytes, of which the last 2 are not wanted
//! weights     w0  w0  w0  w1  w1  w1   0   0
//! sums        += bytes * weights                  8 lanes of 32 bits
//! r, g, b  =  sums[0..3] + sums[3..6]             after the last pair
//! ```

use std::arch::x86_64::*;

use super::weights::{HALF, WEIGHT_BITS, Weights};

/// Bytes of two pixels.
const PAIR: usize = 2 * 3;
/// Bytes that are loaded to read two pixels.
const LOADED: usize = 8;

/// The pass across: as `plain::across`.
#[target_feature(enable = "avx2")]
pub(super) fn across(weights: &Weights, bytes_in: &[u8], row_len: usize) -> Vec<u8> {
    let row_len_out = 3 * weights.len();
    let mut bytes_out = vec![0; bytes_in.len() / row_len * row_len_out];
    let n_pairs = pairs_per_pixel(weights);
    let pairs = weight_pairs(weights, n_pairs);
    let window = n_pairs * PAIR + LOADED - PAIR;
    // The last windows may reach beyond the row's end, with weights of 0.
    let mut row = vec![0; row_len + window];
    let rows_out = bytes_out.chunks_exact_mut(row_len_out);
    for (row_in, row_out) in bytes_in.chunks_exact(row_len).zip(rows_out) {
        row[..row_len].copy_from_slice(row_in);
        let pixels_out = row_out.chunks_exact_mut(3).zip(pairs.chunks_exact(n_pairs));
        for ((out, pairs), (first, _)) in pixels_out.zip(weights.iter()) {
            let bytes = &row[3 * first..][..window];
            let mut sums = _mm256_setzero_si256();
            for (bytes, weights) in bytes.windows(LOADED).step_by(PAIR).zip(pairs) {
                let products = _mm256_mullo_epi32(widened(bytes), *weights);
                sums = _mm256_add_epi32(sums, products);
            }
            out.copy_from_slice(&pixel_of(sums));
        }
    }
    bytes_out
}

/// The same number for all output pixels, although some need a pair less: loops of one length
/// predict well.
fn pairs_per_pixel(weights: &Weights) -> usize {
    let longest = weights.iter().map(|(_, weights)| weights.len()).max();
    longest.unwrap_or(0).div_ceil(2).max(1)
}

/// The weights by lane: `n_pairs` vectors for every output pixel, padded with 0.
#[target_feature(enable = "avx2")]
fn weight_pairs(weights: &Weights, n_pairs: usize) -> Vec<__m256i> {
    let mut pairs = vec![_mm256_setzero_si256(); weights.len() * n_pairs];
    let pixels = pairs.chunks_exact_mut(n_pairs);
    for ((_, weights), pairs) in weights.iter().zip(pixels) {
        for (pair, weights) in pairs.iter_mut().zip(weights.chunks(2)) {
            let (a, b) = (weights[0], weights.get(1).copied().unwrap_or(0));
            *pair = _mm256_setr_epi32(a, a, a, b, b, b, 0, 0);
        }
    }
    pairs
}

/// [`LOADED`] bytes as lanes of 32 bits.
#[target_feature(enable = "avx2")]
fn widened(bytes: &[u8]) -> __m256i {
    let bytes = bytes.try_into().expect("windows of this length");
    _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(i64::from_le_bytes(bytes)))
}

/// The pixel whose two halves are in lanes 0 to 2 and 3 to 5, rounded and clamped to 0 to 255.
#[target_feature(enable = "avx2")]
fn pixel_of(sums: __m256i) -> [u8; 3] {
    let second = _mm256_permutevar8x32_epi32(sums, _mm256_setr_epi32(3, 4, 5, 0, 0, 0, 0, 0));
    let sums = _mm256_castsi256_si128(_mm256_add_epi32(sums, second));
    let rounded = _mm_add_epi32(sums, _mm_set1_epi32(HALF));
    let levels = _mm_srai_epi32::<{ WEIGHT_BITS as i32 }>(rounded);
    // Both packings saturate.
    let words = _mm_packs_epi32(levels, levels);
    let [red, green, blue, _] = _mm_cvtsi128_si32(_mm_packus_epi16(words, words)).to_le_bytes();
    [red, green, blue]
}
