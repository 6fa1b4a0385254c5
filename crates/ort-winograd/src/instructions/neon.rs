//! Sixteen numbers in the registers of NEON.

use std::arch::aarch64::*;

use super::lanes::{InstructionSet, Lanes, Vector};

/// Four registers of four numbers.
#[derive(Clone, Copy)]
pub(super) struct Neon([float32x4_t; 4]);

impl InstructionSet for Neon {
    const HAS_AVX2: bool = false;
}

impl Neon {
    #[inline(always)]
    fn zip(self, other: Self, operation: impl Fn(float32x4_t, float32x4_t) -> float32x4_t) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        Self([
            operation(a, e),
            operation(b, f),
            operation(c, g),
            operation(d, h),
        ])
    }
}

// SAFETY, of every block: NEON is part of what the target has; a quarter of a `Vector` is as
// long as what is loaded and stored, which need not be aligned.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Lanes for Neon {
    const HAS_MANY_REGISTERS: bool = false;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self([unsafe { vdupq_n_f32(value) }; 4])
    }

    #[inline(always)]
    fn load(from: &Vector) -> Self {
        let from = from.as_ptr();
        unsafe {
            Self([
                vld1q_f32(from),
                vld1q_f32(from.add(4)),
                vld1q_f32(from.add(8)),
                vld1q_f32(from.add(12)),
            ])
        }
    }

    #[inline(always)]
    fn store(self, to: &mut Vector) {
        let to = to.as_mut_ptr();
        for (quarter, numbers) in self.0.into_iter().enumerate() {
            unsafe { vst1q_f32(to.add(4 * quarter), numbers) }
        }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| unsafe { vaddq_f32(a, b) })
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| unsafe { vsubq_f32(a, b) })
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| unsafe { vmulq_f32(a, b) })
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, term: Self) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, factor.0);
        let [i, j, k, l] = term.0;
        unsafe {
            Self([
                vfmaq_f32(i, a, e),
                vfmaq_f32(j, b, f),
                vfmaq_f32(k, c, g),
                vfmaq_f32(l, d, h),
            ])
        }
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.zip(other, |a, b| unsafe { vbslq_f32(vcgtq_f32(a, b), a, b) })
    }
}
