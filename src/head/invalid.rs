//! Options that are out of range.

use super::HeadError;

/// The error for an option with an invalid value.
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

/// Refuses a value that is not a finite number above zero.
pub(super) fn positive(option: &'static str, value: f64) -> Result<(), HeadError> {
    if value.is_finite() && value > 0.0 {
        return Ok(());
    }
    Err(invalid(option, value, "a finite number above 0"))
}

/// Refuses a value that is not a share below 1.
pub(super) fn below_one(option: &'static str, value: f64) -> Result<(), HeadError> {
    if (0.0..1.0).contains(&value) {
        return Ok(());
    }
    Err(invalid(option, value, "at least 0 and below 1"))
}
