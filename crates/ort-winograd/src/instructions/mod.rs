//! Vector instruction sets, and kernels that are compiled for each of them.
//!
//! A [`Kernel`] is written once, in plain Rust, and compiled several times: for the baseline that
//! every processor of the target has, and for each larger [set](Instructions) that makes its loops
//! faster. The copy to run is chosen at run time.

use std::sync::OnceLock;

mod lanes;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use self::lanes::InstructionSet;
pub(crate) use self::lanes::Lanes;
pub use self::lanes::{LANES, Vector};

/// The environment variable that names a set to use instead of the best one.
const CHOICE: &str = "ORT_WINOGRAD_INSTRUCTIONS";

/// An instruction set that this processor has.
///
/// ```
/// use ort_winograd::{InstructionSet, Instructions, Kernel};
///
/// /// The sum of the squares of `values`, in eight sums side by side.
/// struct Energy<'a> {
///     values: &'a [f32],
/// }
///
/// impl Kernel for Energy<'_> {
///     type Output = f32;
///
///     #[inline(always)]
///     fn run<S: InstructionSet>(self) -> f32 {
///         let mut sums = [0.0; 8];
///         for values in self.values.chunks(8) {
///             for (sum, value) in sums.iter_mut().zip(values) {
///                 *sum += value * value;
///             }
///         }
///         sums.iter().sum()
///     }
/// }
///
/// let values = vec![0.5; 1000];
/// for instructions in Instructions::available() {
///     assert_eq!(instructions.run(Energy { values: &values }), 250.0);
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instructions(Set);

/// A kernel that [`Instructions::run`] runs.
pub trait Kernel {
    /// The result.
    type Output;

    /// Runs the kernel.
    ///
    /// Mark the implementation, and everything that it calls in its hot loops, `#[inline(always)]`:
    /// only inlined code is compiled with the instructions of `S`. The compiler never fuses a
    /// product and a sum on its own, so plain Rust gives the same bits with every set.
    fn run<S: InstructionSet>(self) -> Self::Output;
}

/// The sets, as values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Set {
    /// The instructions that every processor of the target has, as far as the compiler uses them.
    Baseline,
    #[cfg(target_arch = "aarch64")]
    Neon,
    /// AVX2 and FMA, with BMI and LZCNT.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512F, with AVX2 and FMA.
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
            Self::Avx512 => Self::Avx2.is_here() && is_x86_feature_detected!("avx512f"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => {
                is_x86_feature_detected!("avx2")
                    && is_x86_feature_detected!("fma")
                    && is_x86_feature_detected!("bmi1")
                    && is_x86_feature_detected!("bmi2")
                    && is_x86_feature_detected!("lzcnt")
            }
            // Part of the architecture.
            #[cfg(target_arch = "aarch64")]
            Self::Neon => true,
            Self::Baseline => true,
        }
    }
}

impl Instructions {
    /// The best set that this processor has. For measurements, the environment variable
    /// `ORT_WINOGRAD_INSTRUCTIONS` can name another one: `avx512`, `avx2`, `neon` or `baseline`. A
    /// set that the processor does not have is ignored. All sets give the same bits.
    ///
    /// # Panics
    /// Never: every processor has the baseline.
    #[must_use]
    pub fn detect() -> Self {
        static DETECTED: OnceLock<Instructions> = OnceLock::new();
        *DETECTED.get_or_init(|| {
            let named = std::env::var(CHOICE).unwrap_or_default();
            let mut all = Self::available();
            let chosen = Self::available().find(|set| set.is_called(&named));
            chosen
                .or_else(|| all.next())
                .expect("every processor has the baseline")
        })
    }

    /// Whether `name` is the set's name, such as `avx2` for AVX2.
    #[must_use]
    pub fn is_called(self, name: &str) -> bool {
        self.name().replace('-', "").eq_ignore_ascii_case(name)
    }

    /// Every set that this processor has, the best first. The last is the baseline, with which the
    /// others are compared in tests. The standard library caches the processor's features.
    pub fn available() -> impl Iterator<Item = Self> {
        let sets = Set::BEST_FIRST.iter().copied();
        sets.filter(|set| set.is_here()).map(Self)
    }

    /// Whether a fused multiply-add is an instruction of this set, not a function call.
    #[must_use]
    pub fn has_fused_multiply_add(self) -> bool {
        self.0 != Set::Baseline
    }

    /// Whether there are 32 registers of 16 numbers.
    pub(crate) fn has_many_registers(self) -> bool {
        struct HasMany;
        impl Kernel for HasMany {
            type Output = bool;

            #[inline(always)]
            fn run<S: InstructionSet>(self) -> bool {
                S::HAS_MANY_REGISTERS
            }
        }
        self.run(HasMany)
    }

    /// The set's name: `AVX-512`, `AVX2`, `NEON` or `baseline`.
    #[must_use]
    pub fn name(self) -> &'static str {
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

    /// The processor features of the set, by their names in Rust; none for the baseline.
    #[must_use]
    pub fn features(self) -> &'static [&'static str] {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => &["avx2", "fma", "bmi1", "bmi2", "lzcnt", "avx512f"],
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => &["avx2", "fma", "bmi1", "bmi2", "lzcnt"],
            #[cfg(target_arch = "aarch64")]
            Set::Neon => &["neon"],
            Set::Baseline => &[],
        }
    }

    /// Runs `kernel`, compiled for these instructions.
    #[inline]
    pub fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self.0 {
            Set::Baseline => kernel.run::<lanes::Portable>(),
            #[cfg(target_arch = "aarch64")]
            Set::Neon => kernel.run::<neon::Neon>(),
            // SAFETY: an `Instructions` of a set is only made where the processor has it.
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => unsafe { run_avx2(kernel) },
            // SAFETY: an `Instructions` of a set is only made where the processor has it.
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => unsafe { run_avx512(kernel) },
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt")]
fn run_avx2<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<x86::Avx2>()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,bmi1,bmi2,lzcnt")]
fn run_avx512<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<x86::Avx512>()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct HasAvx2;

    impl Kernel for HasAvx2 {
        type Output = bool;

        #[inline(always)]
        fn run<S: InstructionSet>(self) -> bool {
            S::HAS_AVX2
        }
    }

    #[test]
    fn the_baseline_is_there_and_comes_last_and_every_set_names_its_features() {
        let sets: Vec<_> = Instructions::available().collect();
        assert_eq!(sets.first(), Some(&Instructions::detect()));
        assert_eq!(sets.last().map(|set| set.name()), Some("baseline"));
        for set in sets {
            assert_eq!(set.features().is_empty(), set.name() == "baseline");
            assert_eq!(set.run(HasAvx2), set.features().contains(&"avx2"));
            let named: Vec<_> = ["avx512", "avx2", "neon", "baseline"]
                .into_iter()
                .filter(|name| set.is_called(name))
                .collect();
            assert_eq!(named.len(), 1, "{}", set.name());
        }
    }
}
