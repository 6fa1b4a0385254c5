//! What a person reads at the end.

mod comparison;
mod predictions;

pub use comparison::{Comparison, HeadResult};
pub use predictions::write_predictions;
