//! What a person reads at the end.

mod comparison;
mod head_result;
mod predictions;

pub use comparison::{Comparison, PairedTests};
pub use head_result::{Calibration, HeadResult, Trial, Tuning};
pub use predictions::write_predictions;
