//! Sixteen numbers in the registers of AVX-512 and of AVX2.

use std::arch::x86_64::*;

use super::lanes::{InstructionSet, Lanes, Vector};

/// Only created in functions compiled for AVX-512.
#[derive(Clone, Copy)]
pub(super) struct Avx512(__m512);

impl InstructionSet for Avx512 {
    const HAS_AVX2: bool = true;
}

// SAFETY, of every block: the caller is compiled for AVX-512, and runs where there is AVX-512;
// a `Vector` is as long as what is loaded and stored, which need not be aligned.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Lanes for Avx512 {
    const HAS_MANY_REGISTERS: bool = true;

    #[inline(always)]
    fn prefetch(vector: &Vector) {
        unsafe { _mm_prefetch::<_MM_HINT_T1>(vector.as_ptr().cast()) }
    }

    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self(unsafe { _mm512_set1_ps(value) })
    }

    #[inline(always)]
    fn load(from: &Vector) -> Self {
        Self(unsafe { _mm512_loadu_ps(from.as_ptr()) })
    }

    #[inline(always)]
    fn store(self, to: &mut Vector) {
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), self.0) }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(unsafe { _mm512_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self(unsafe { _mm512_sub_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        Self(unsafe { _mm512_mul_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, term: Self) -> Self {
        Self(unsafe { _mm512_fmadd_ps(self.0, factor.0, term.0) })
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        Self(unsafe { _mm512_max_ps(self.0, other.0) })
    }
}

/// Only created in functions compiled for AVX2 and FMA.
#[derive(Clone, Copy)]
pub(super) struct Avx2(__m256, __m256);

impl InstructionSet for Avx2 {
    const HAS_AVX2: bool = true;
}

// SAFETY, of every block: the caller is compiled for AVX2 and FMA, and runs where they are;
// each half of a `Vector` is as long as what is loaded and stored, which need not be aligned.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Lanes for Avx2 {
    const HAS_MANY_REGISTERS: bool = false;

    #[inline(always)]
    fn prefetch(vector: &Vector) {
        unsafe { _mm_prefetch::<_MM_HINT_T1>(vector.as_ptr().cast()) }
    }

    #[inline(always)]
    fn splat(value: f32) -> Self {
        let half = unsafe { _mm256_set1_ps(value) };
        Self(half, half)
    }

    #[inline(always)]
    fn load(from: &Vector) -> Self {
        let from = from.as_ptr();
        unsafe { Self(_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))) }
    }

    #[inline(always)]
    fn store(self, to: &mut Vector) {
        let to = to.as_mut_ptr();
        unsafe {
            _mm256_storeu_ps(to, self.0);
            _mm256_storeu_ps(to.add(8), self.1);
        }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        unsafe {
            Self(
                _mm256_add_ps(self.0, other.0),
                _mm256_add_ps(self.1, other.1),
            )
        }
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        unsafe {
            Self(
                _mm256_sub_ps(self.0, other.0),
                _mm256_sub_ps(self.1, other.1),
            )
        }
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        unsafe {
            Self(
                _mm256_mul_ps(self.0, other.0),
                _mm256_mul_ps(self.1, other.1),
            )
        }
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, term: Self) -> Self {
        unsafe {
            Self(
                _mm256_fmadd_ps(self.0, factor.0, term.0),
                _mm256_fmadd_ps(self.1, factor.1, term.1),
            )
        }
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        unsafe {
            Self(
                _mm256_max_ps(self.0, other.0),
                _mm256_max_ps(self.1, other.1),
            )
        }
    }
}
