//! Sixteen numbers at a time, with the instructions of any processor.
//!
//! Every instruction set does the same operations with the same rounding, so results are equal to
//! the bit. Tests compare the others with [`Portable`].

/// Numbers in a vector, and channels in a block of the blocked layout.
pub const LANES: usize = 16;

/// Sixteen numbers in memory.
pub type Vector = [f32; LANES];

/// Sixteen numbers in registers. Public only for [`InstructionSet`]; other crates cannot name it.
#[allow(missing_docs, reason = "no user of the crate reaches them")]
pub trait Lanes: Copy {
    /// Whether there are 32 registers of sixteen numbers, so that 28 sums stay in them.
    const HAS_MANY_REGISTERS: bool;

    /// Prefetches memory that is loaded later. It does not wait, and has no other effect.
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
    /// self if it is greater, else other: a NaN in `other` stays.
    fn max(self, other: Self) -> Self;
}

/// An instruction set as a type. Only the sets of this crate exist, and a kernel only gets one that
/// the processor has.
pub trait InstructionSet: Lanes {
    /// Whether it has AVX2, so that functions compiled for AVX2 may be called.
    const HAS_AVX2: bool;
}

/// Sixteen numbers on any processor.
#[derive(Clone, Copy)]
pub(super) struct Portable(Vector);

impl Portable {
    #[inline(always)]
    fn zip(self, other: Self, operation: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|lane| {
            operation(self.0[lane], other.0[lane])
        }))
    }
}

impl InstructionSet for Portable {
    const HAS_AVX2: bool = false;
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
