//! The vector instructions of the processor that this runs on.

/// A set of instructions that this processor has: whoever holds one may run what is compiled for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Instructions(Set);

/// Sets of instructions that kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Set {
    /// What every processor of the target has, as far as the compiler finds uses for it.
    Baseline,
    #[cfg(target_arch = "aarch64")]
    Neon,
    /// AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512F.
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
            // Part of the architecture.
            #[cfg(target_arch = "aarch64")]
            Self::Neon => true,
            Self::Baseline => true,
        }
    }
}

impl Instructions {
    /// The best set that this processor has.
    pub(crate) fn of_this_processor() -> Self {
        Self::all()
            .next()
            .expect("every processor has the baseline")
    }

    /// Every set that this processor has, the best first. The standard library remembers what the
    /// processor said.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let sets = Set::BEST_FIRST.iter().copied();
        sets.filter(|set| set.is_here()).map(Self)
    }

    /// Which set it is.
    pub(crate) fn set(self) -> Set {
        self.0
    }

    /// Whether a fused multiply-add is an instruction of this set, and no function call.
    pub(crate) fn have_fused_multiply_add(self) -> bool {
        self.0 != Set::Baseline
    }

    /// The set's name.
    pub(crate) fn name(self) -> &'static str {
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
}
