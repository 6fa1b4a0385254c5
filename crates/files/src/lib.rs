//! Directories and files that appear whole or not at all, and never in the place of something else.
//!
//! ```text
//! draft        a directory NAME.partial that becomes NAME in one rename
//! target       what stands at NAME: nothing, what may be replaced, or what is left alone
//! replacement  a directory in the place of an older one, mended by the next run after a kill
//! whole_file   a file that is written beside its target and renamed
//! fill         a file inside a draft
//! rename       a rename that replaces nothing
//! json_lines   a file of JSON documents, one a line, that grows: journals
//! lock         a lock that dies with its holder
//! lines        text of strangers, line by line, within bounds
//! npy          NumPy's .npy files, written row by row
//! open         this program's own files, opened to be written: links are refused
//! read_at      a part of a file, wherever other threads read
//! regular      anyone's files, opened to be read: links are followed
//! sync         a directory's entries onto the disk
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
