//! The result of a training: metrics and provenance of its heads, and the files of a HEAD that hold
//! them.
//!
//! ```text
//! comparison, head_result   the heads' metrics, as text and as JSON
//! verdict                   the conclusion from the comparison of two heads
//! growth                    how accuracy grew with the training pictures
//! floor                     baselines to compare the heads with
//! overlap                   evaluated pictures that the heads were trained on
//! recommendation            the default head
//! predictions               every evaluated picture, as CSV
//! provenance                the stores, the command
//! judged_pictures           every evaluated picture's hash and its position on the map of codes
//! principal_components      codes in two dimensions
//! origin                    provenance and judged pictures of one training
//! report                    all of it, of a training or read back from HEAD's files
//! files                     the names of the files, and how each is written
//! ```

mod comparison;
mod files;
mod floor;
mod growth;
mod head_result;
mod judged_pictures;
mod origin;
mod overlap;
mod predictions;
mod principal_components;
mod provenance;
mod recommendation;
mod report;
mod verdict;
mod views;

pub use self::comparison::{Comparison, FailedHead, percent};
pub use self::files::REPORT;
pub(super) use self::files::{write, write_judgement};
pub use self::floor::Floor;
pub use self::growth::{CurvePoint, GrowthOf, LearningCurve};
pub use self::head_result::{Calibration, HeadResult, Trial, Tuning};
pub use self::judged_pictures::JudgedPicture;
pub use self::origin::{Origin, Told};
pub use self::overlap::Overlap;
pub use self::provenance::{Provenance, StoreProvenance};
pub use self::recommendation::Recommendation;
pub use self::report::{Report, ReportError};
pub use self::views::{BroughtOf, ViewsBrought};
