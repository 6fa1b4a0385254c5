//! What a person reads at the end.
//!
//! ```text
//! comparison, head_result   what there is to tell, as text and as JSON
//! predictions               every judged picture, as CSV
//! provenance                what else the report tells: stores, command, the map
//! principal_components      codes in two dimensions
//! files                     these in HEAD
//! read                      HEAD's files -> a report
//! thumbnails                pictures -> small ones inside a page
//! page                      a report -> report.html
//! ```

mod comparison;
mod files;
mod head_result;
mod page;
mod predictions;
mod principal_components;
mod provenance;
mod read;
mod thumbnails;

pub use comparison::{Comparison, FailedHead, PairedTests};
pub use files::{JUDGED_PICTURES, METRICS, PREDICTIONS, PROVENANCE, REPORT, write_judgement};
pub use head_result::{Calibration, HeadResult, Trial, Tuning};
pub use page::document;
pub use predictions::write_predictions;
pub use provenance::{JudgedPicture, Provenance, StoreProvenance, write_judged_pictures};
pub use read::{Report, ReportError};
pub use thumbnails::{Inline, inline};
