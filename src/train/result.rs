//! What a training gives: how its heads did, where they come from, and the files of HEAD that tell it.
//!
//! ```text
//! comparison, head_result   how the heads did, as text and as JSON
//! floor                     the simplest head, which the others are held against
//! predictions               every judged picture, as CSV
//! provenance                the stores, the command
//! judged_pictures           every judged picture's hash and its place on the map of codes
//! principal_components      codes in two dimensions
//! origin                    provenance and judged pictures of one training
//! report                    all of it, of a training or read back from HEAD's files
//! files                     the names of the files, and how each is written
//! ```

mod comparison;
mod files;
mod floor;
mod head_result;
mod judged_pictures;
mod origin;
mod predictions;
mod principal_components;
mod provenance;
mod report;

pub use self::comparison::{Comparison, FailedHead, PairedTests, SIGNIFICANCE, percent};
pub use self::files::REPORT;
pub(super) use self::files::{write, write_judgement};
pub use self::floor::Floor;
pub use self::head_result::{Calibration, HeadResult, Trial, Tuning};
pub use self::judged_pictures::JudgedPicture;
pub use self::origin::{Origin, Told};
pub use self::provenance::{Provenance, StoreProvenance};
pub use self::report::{Report, ReportError};
