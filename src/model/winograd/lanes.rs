//! Sixteen numbers at a time, with the instructions of whatever processor there is.
//!
//! Every set of instructions does the same operations with the same rounding, so results are equal
//! to the bit, and [`Portable`] is the twin that tests hold the others against.

/// Numbers in a vector, and channels in a block of the blocked layout.
pub(super) const LANES: usize = 16;

/// Sixteen numbers as they lie in memory.
pub(super) type Vector = [f32; LANES];

/// Sixteen numbers in registers.
pub(super) trait Lanes: Copy {
    /// Whether there are 32 registers of sixteen numbers, so that 28 sums stay in them.
    const HAS_MANY_REGISTERS: bool;

    /// Asks for memory that is loaded later. Nothing waits for it, and nothing else comes of it.
    #[inline(always)]
    fn prefetch(_: &Vector) {}

    fn splat(value: f32) -> Self;
    fn load(from: &Vector) -> Self;
    fn store(self, to: &mut Vector);
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    /// self * factor + term, rounded once.
    fn mul_add(self, factor: Self, term: Self) -> Self;
    /// self where it is greater, else other: a NaN in `other` stays.
    fn max(self, other: Self) -> Self;
}

/// Work that is compiled for each set of instructions.
pub(super) trait Work {
    /// Does it. Implementations are always inlined, as all that they call, to be compiled with
    /// their caller's instructions.
    fn run<L: Lanes>(self);
}

/// A set of instructions that this processor has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Instructions(Set);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Set {
    /// What every processor of the target has, as far as the compiler finds uses for it.
    Baseline,
    #[cfg(target_arch = "aarch64")]
    Neon,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Set {
    const BEST_FIRST: &[Self] = &[
        #[cfg(target_arch = "x86_64")]
        Self::Avx512,
        #[cfg(target_arch = "x86_64")]
        Self::Avx2,
        #[cfg(target_arch = "aarch64")]
        Self::Neon,
        Self::Baseline,
    ];

    fn is_here(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => is_x86_feature_detected!("avx512f"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "aarch64")]
            Self::Neon => true,
            Self::Baseline => true,
        }
    }
}

impl Instructions {
    /// The best set that this processor has.
    pub(super) fn of_this_processor() -> Self {
        Self::all()
            .next()
            .expect("every processor has the baseline")
    }

    /// Every set that this processor has, the best first.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let sets = Set::BEST_FIRST.iter().copied();
        sets.filter(|set| set.is_here()).map(Self)
    }

    /// Whether a fused multiply-add is an instruction of this set, and no function call.
    pub(super) fn are_fast(self) -> bool {
        self.0 != Set::Baseline
    }

    /// The set's name.
    pub(super) fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => "AVX-512",
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => "AVX2",
            #[cfg(target_arch = "aarch64")]
            Set::Neon => "NEON",
            Set::Baseline => "baseline",
        }
    }

    /// Does `work` with these instructions.
    #[inline]
    pub(super) fn run(self, work: impl Work) {
        match self.0 {
            Set::Baseline => work.run::<Portable>(),
            #[cfg(target_arch = "aarch64")]
            Set::Neon => work.run::<neon::Neon>(),
            // SAFETY: an `Instructions` of a set is only made where the processor has it.
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => unsafe { run_avx2(work) },
            // SAFETY: an `Instructions` of a set is only made where the processor has it.
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => unsafe { run_avx512(work) },
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn run_avx2(work: impl Work) {
    work.run::<x86::Avx2>();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn run_avx512(work: impl Work) {
    work.run::<x86::Avx512>();
}

/// Sixteen numbers on any processor.
#[derive(Clone, Copy)]
struct Portable(Vector);

impl Portable {
    #[inline(always)]
    fn zip(self, other: Self, operation: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|lane| {
            operation(self.0[lane], other.0[lane])
        }))
    }
}

impl Lanes for Portable {
    const HAS_MANY_REGISTERS: bool = false;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self([value; LANES])
    }

    #[inline(always)]
    fn load(from: &Vector) -> Self {
        Self(*from)
    }

    #[inline(always)]
    fn store(self, to: &mut Vector) {
        *to = self.0;
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, term: Self) -> Self {
        Self(std::array::from_fn(|lane| {
            self.0[lane].mul_add(factor.0[lane], term.0[lane])
        }))
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.zip(other, |a, b| if a > b { a } else { b })
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{Lanes, Vector};

    /// Values of it are only made in functions compiled for AVX-512.
    #[derive(Clone, Copy)]
    pub(super) struct Avx512(__m512);

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

    /// Values of it are only made in functions compiled for AVX2 and FMA.
    #[derive(Clone, Copy)]
    pub(super) struct Avx2(__m256, __m256);

    // SAFETY, of every block: the caller is compiled for AVX2 and FMA, and runs where they are;
    // each half of a `Vector` is as long as what is loaded and stored, which need not be aligned.
    #[allow(clippy::undocumented_unsafe_blocks)]
    impl Lanes for Avx2 {
        const HAS_MANY_REGISTERS: bool = false;

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
}

#[cfg(target_arch = "aarch64")]
mod neon {
    use std::arch::aarch64::*;

    use super::{Lanes, Vector};

    /// Four registers of four numbers.
    #[derive(Clone, Copy)]
    pub(super) struct Neon([float32x4_t; 4]);

    impl Neon {
        #[inline(always)]
        fn zip(
            self,
            other: Self,
            operation: impl Fn(float32x4_t, float32x4_t) -> float32x4_t,
        ) -> Self {
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
}
