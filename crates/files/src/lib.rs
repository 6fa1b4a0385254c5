//! Directories and files that appear whole or not at all, and never replace anything else.
//!
//! ```text
//! draft        a directory NAME.partial that becomes NAME in one rename
//! target       what exists at NAME: nothing, what may be replaced, or what is left alone
//! replacement  replaces an older directory; after a kill the next run repairs it
//! whole_file   a file that is written beside its target and renamed
//! fill         a file inside a draft
//! rename       a rename that replaces nothing
//! json_lines   a growing file of JSON documents, one per line: journals
//! lock         a lock that is released when its holder dies
//! lines        untrusted text, line by line, with limits
//! npy          NumPy's .npy files, written row by row
//! open         this program's own files, opened for writing: links are refused
//! read_at      a part of a file, independent of other threads' reads
//! regular      anyone's files, opened for reading: links are followed
//! sync         syncs a directory's entries
//! ```

mod draft;
mod error;
mod fill;
mod json_lines;
pub mod lines;
mod lock;
pub mod npy;
mod open;
mod read_at;
pub mod regular;
mod rename;
mod replacement;
mod sync;
mod target;
mod whole_file;

pub use self::draft::Draft;
pub use self::error::{DraftError, PathError, path_error};
pub use self::fill::fill;
pub use self::json_lines::{JsonLines, WholeLines};
pub use self::lock::Lock;
pub use self::open::open_itself;
pub use self::read_at::read_exact_at;
pub use self::regular::Open;
pub use self::replacement::put_in_place;
pub use self::sync::{parent, sync_directory};
pub use self::target::{Existing, Kind, resolve};
pub use self::whole_file::{FileDraft, sweep};
