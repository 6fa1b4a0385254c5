//! The store: a directory of codes, and the only link between extraction and training.
//!
//! ```text
//! codes.npy       float32 or float16, C order, (N, 7, 7, 512), or (N, 512) when pooled; with V views
//!                 of each picture (N, V, ...)
//! labels.npy      int64 (N,): class indices, classes in alphabetical order; for labelled pictures
//! images.csv      row, path, label, width, height, blake3, and group where there are groups
//! failures.csv    path, error
//! store.json      format, trunk, recipe, resize, decoder, output, dtype, views, pooling, classes, counts
//! ```
//!
//! [`StoreWriter`] fills a [`Draft`](crate::files::Draft) and publishes it whole. It keeps a
//! journal there, from which a killed run resumes. [`Store`] opens a store and refuses it if its
//! files disagree. A store may be made in parts, `STORE/part-00000-of-00004` and so on. Each part
//! is a store; their parent folder opens as the complete one.

mod codes_file;
mod corrections;
mod description;
mod dtype;
mod error;
mod failure;
mod groups;
mod identity;
mod journal;
mod manifest;
mod parts;
mod pooling;
mod shard;
mod store;
mod table;
mod writer;

pub use corrections::{CORRECTIONS, Corrected, Correction, Corrections, CorrectionsError};
pub use description::StoreDescription;
pub use dtype::Dtype;
pub use error::StoreError;
pub use failure::Failure;
pub use groups::Groups;
pub use identity::CodesIdentity;
pub use journal::{Checkpoint, Job, JournalError, read_journal};
pub use manifest::{Counts, Manifest, ManifestError};
pub use pooling::Pool;
pub use shard::{Shard, ShardError};
pub use store::{PictureRow, Store};
pub(crate) use writer::IN_HAND;
pub use writer::{Code, Leftover, Opened, StoreWriter};

/// The file that makes a directory a store.
pub(crate) const MANIFEST: &str = "store.json";
/// The codes' file name inside a store.
pub(crate) const CODES: &str = "codes.npy";
/// The labels' file name inside a store.
pub(crate) const LABELS: &str = "labels.npy";
/// The name of the table of rows inside a store.
pub(crate) const IMAGES: &str = "images.csv";
/// The name of the table of unusable pictures inside a store.
pub(crate) const FAILURES: &str = "failures.csv";
