//! The two passes of a resampling: across a picture's rows, then down its columns.
//!
//! Each output byte is a weighted sum of input bytes in fixed point, rounded to a byte. The sums
//! are integers, so the order of additions does not change the result, and AVX2 gives the same
//! bytes as `plain`.

use ort_winograd::{InstructionSet, Instructions, Kernel};

#[cfg(target_arch = "x86_64")]
use super::avx2;
use super::plain;
use super::weights::Weights;

/// The pass across: rows of `row_len` bytes, each at the output's width. RGB bytes.
pub(super) fn across(weights: &Weights, bytes_in: &[u8], row_len: usize) -> Vec<u8> {
    if weights.identity {
        return bytes_in.to_vec();
    }
    Instructions::detect().run(Across {
        weights,
        bytes_in,
        row_len,
    })
}

/// The pass down: turns rows of `row_len` bytes, the first of which has index `offset`, into the
/// output's rows.
pub(super) fn down(weights: &Weights, bytes_in: &[u8], offset: usize, row_len: usize) -> Vec<u8> {
    if weights.identity {
        return bytes_in.to_vec();
    }
    Instructions::detect().run(Down {
        weights,
        bytes_in,
        offset,
        row_len,
    })
}

struct Across<'a> {
    weights: &'a Weights,
    bytes_in: &'a [u8],
    row_len: usize,
}

impl Kernel for Across<'_> {
    type Output = Vec<u8>;

    #[inline(always)]
    fn run<I: InstructionSet>(self) -> Vec<u8> {
        #[cfg(target_arch = "x86_64")]
        if I::HAS_AVX2 {
            // SAFETY: a kernel gets a set with AVX2 only where the processor has AVX2.
            return unsafe { avx2::across(self.weights, self.bytes_in, self.row_len) };
        }
        plain::across(self.weights, self.bytes_in, self.row_len)
    }
}

struct Down<'a> {
    weights: &'a Weights,
    bytes_in: &'a [u8],
    offset: usize,
    row_len: usize,
}

impl Kernel for Down<'_> {
    type Output = Vec<u8>;

    /// Whole rows are easy to vectorise: the compiler handles the plain pass well.
    #[inline(always)]
    fn run<I: InstructionSet>(self) -> Vec<u8> {
        plain::down(self.weights, self.bytes_in, self.offset, self.row_len)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{RngCore, SeedableRng};
    use rand_xoshiro::Xoshiro256PlusPlus;

    use super::super::weights::{Cut, Kernel, span};
    use super::*;

    /// Weights from `size_in` to `size_out` pixels, of a part of the input when `part` is below 1.
    fn weights(kernel: Kernel, part: f64, size_in: usize, size_out: usize) -> Weights {
        let length = part * size_in as f64;
        let span = span((size_in as f64 - length) * 0.5, length);
        Weights::new(kernel, span, size_in as u32, Cut::none(size_out as u32))
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
        fn every_set_of_instructions_gives_the_bytes_of_the_plain_passes(
            kernel in prop::sample::select(vec![Kernel::bilinear(), Kernel::bicubic(), Kernel::lanczos()]),
            part in prop_oneof![Just(1.0), 0.1..1.0],
            (size_in, size_out) in (1_usize..90, 1_usize..90),
            others in 1_usize..6,
            seed: u64,
        ) {
            let weights = weights(kernel, part, size_in, size_out);
            if weights.identity {
                return Ok(());
            }
            let bytes = noise(3 * size_in * others, seed);
            let rows = weights.rows();
            let needed = &bytes[3 * others * rows.start..3 * others * rows.end];
            for instructions in Instructions::available() {
                let across = Across {
                    weights: &weights,
                    bytes_in: &bytes,
                    row_len: 3 * size_in,
                };
                prop_assert_eq!(
                    instructions.run(across),
                    plain::across(&weights, &bytes, 3 * size_in)
                );
                let down = Down {
                    weights: &weights,
                    bytes_in: needed,
                    offset: rows.start,
                    row_len: 3 * others,
                };
                prop_assert_eq!(
                    instructions.run(down),
                    plain::down(&weights, needed, rows.start, 3 * others)
                );
            }
        }
    }
}
