//! Finding pictures, labelled or not, and reading their bytes.
//!
//! There are four kinds of input, each in a file of its own: [`find`] searches class folders,
//! [`read_table`] takes the rows of a CSV file, [`read_list`] the lines of a list, and
//! [`read_archives`] the members of WebDataset's tar files. All of them give [`Pictures`], in an
//! order that depends on names alone. Where labels do not matter, [`list_files`] takes files and
//! folders, and [`list_archives`] tar files.

mod archives;
mod classes;
mod digest;
mod error;
mod folders;
pub mod lines;
mod list;
mod pictures;
mod read;
mod shard;
mod table;

pub use archives::{list_archives, read_archives};
pub use error::DatasetError;
pub use folders::{find, list_files};
pub use list::read_list;
pub use pictures::{EXTENSIONS, Failure, Picture, Pictures, Place};
pub use read::{MAX_FILE_BYTES, ReadError};
pub use shard::{Shard, ShardError};
pub use table::read_table;
