//! Options outside their range.

use super::HeadError;

/// An option that has a value it must not have.
pub(crate) fn invalid(
    option: &'static str,
    value: impl ToString,
    expected: &'static str,
) -> HeadError {
    HeadError::InvalidOption {
        option,
        value: value.to_string(),
        expected,
    }
}

/// Refuses what is not a finite number above zero.
pub(super) fn positive(option: &'static str, value: f64) -> Result<(), HeadError> {
    if value.is_finite() && value > 0.0 {
        return Ok(());
    }
    Err(invalid(option, value, "a finite number above 0"))
}

/// Refuses what is not a share that leaves something.
pub(super) fn below_one(option: &'static str, value: f64) -> Result<(), HeadError> {
    if (0.0..1.0).contains(&value) {
        return Ok(());
    }
    Err(invalid(option, value, "at least 0 and below 1"))
}
