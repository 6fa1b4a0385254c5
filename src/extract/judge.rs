//! Which codes may be stored: finite numbers that fit the store's element type.

use half::f16;

use crate::codes::{Dtype, Failure};

/// Why a code is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// It holds NaN or an infinity.
    NotFinite,
    /// It holds numbers that become infinite in 16 bits.
    BeyondF16,
}

impl Unfit {
    /// The failure of the picture at `path`.
    pub(crate) fn failure(self, path: &str) -> Failure {
        Failure {
            path: path.to_owned(),
            error: self.message().to_owned(),
            kind: self.kind(),
        }
    }

    /// The kind of failure: a stable name.
    fn kind(self) -> &'static str {
        match self {
            Self::NotFinite => "not_finite",
            Self::BeyondF16 => "beyond_f16",
        }
    }

    /// The reason in failures.csv, the same for the picture and its copies.
    fn message(self) -> &'static str {
        match self {
            Self::NotFinite => "its code holds NaN or infinity",
            Self::BeyondF16 => "its code holds numbers beyond those of f16, which ends at 65504",
        }
    }
}

/// Checks whether a code, pooled as for the store, can be stored as `dtype`.
pub(crate) fn judge(code: &[f32], dtype: Dtype) -> Result<(), Unfit> {
    if code.iter().any(|number| !number.is_finite()) {
        return Err(Unfit::NotFinite);
    }
    let is_beyond = |number: &f32| f16::from_f32(*number).is_infinite();
    if dtype == Dtype::F16 && code.iter().any(is_beyond) {
        return Err(Unfit::BeyondF16);
    }
    Ok(())
}

/// As [`judge`], for a code that a store holds as little-endian elements of `dtype`.
pub(super) fn judge_bytes(bytes: &[u8], dtype: Dtype) -> Result<(), Unfit> {
    let is_finite = match dtype {
        Dtype::F16 => {
            let (halves, _) = bytes.as_chunks();
            halves
                .iter()
                .all(|&half| f16::from_le_bytes(half).is_finite())
        }
        Dtype::F32 => {
            let (numbers, _) = bytes.as_chunks();
            numbers
                .iter()
                .all(|&number| f32::from_le_bytes(number).is_finite())
        }
    };
    is_finite.then_some(()).ok_or(Unfit::NotFinite)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_round_to_an_infinity_in_16_bits_are_beyond_them() {
        // 65504 is the largest, and half the way to 65536 is rounded up to infinity.
        assert_eq!(judge(&[-65504.0, 65519.0], Dtype::F16), Ok(()));
        assert_eq!(judge(&[65520.0], Dtype::F16), Err(Unfit::BeyondF16));
        assert_eq!(judge(&[-7e4], Dtype::F16), Err(Unfit::BeyondF16));
        assert_eq!(judge(&[65520.0, 3e38], Dtype::F32), Ok(()));
        for number in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for dtype in [Dtype::F16, Dtype::F32] {
                assert_eq!(judge(&[0.0, number], dtype), Err(Unfit::NotFinite));
            }
        }
    }

    #[test]
    fn stored_bytes_are_judged_as_what_they_stand_for() {
        let single =
            |number: f32| judge_bytes(&[0.0, number].map(f32::to_le_bytes).concat(), Dtype::F32);
        let half = |number: f32| {
            let bytes = [0.0, number].map(|number| f16::from_f32(number).to_le_bytes());
            judge_bytes(&bytes.concat(), Dtype::F16)
        };
        assert_eq!((single(3e38), half(65504.0)), (Ok(()), Ok(())));
        for number in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert_eq!(single(number), Err(Unfit::NotFinite));
            assert_eq!(half(number), Err(Unfit::NotFinite));
        }
    }
}
