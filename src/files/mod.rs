//! Directories and files that appear whole or not at all, and never in the place of something else.
//!
//! ```text
//! draft        a directory NAME.partial that becomes NAME in one rename
//! target       what stands at NAME: nothing, what may be replaced, or what is left alone
//! replacement  a directory in the place of an older one, mended by the next run after a kill
//! whole_file   a file that is written beside its target and renamed
//! rename       a rename that replaces nothing
//! lock         a lock that dies with its holder
//! open         opening a file itself, and not what a link leads to
//! sync         a directory's entries onto the disk
//! ```

mod draft;
mod error;
mod lock;
mod open;
mod rename;
mod replacement;
mod sync;
mod target;
mod whole_file;

pub use self::draft::Draft;
pub use self::error::{DraftError, PathError};
pub(crate) use self::lock::Lock;
pub(crate) use self::open::open_itself;
pub(crate) use self::replacement::put_in_place;
pub(crate) use self::sync::{parent, sync_directory};
pub use self::target::{Existing, Kind, resolve};
pub use self::whole_file::FileDraft;
pub(crate) use self::whole_file::sweep;
