//! Finding pictures, labelled or not, and reading their bytes.
//!
//! There are four kinds of input, each with its own file: [`find`] searches class folders,
//! [`read_table`] reads the rows of a CSV file, [`read_unlabelled_list`] the lines of a list, and
//! [`read_labelled_archives`] the members of WebDataset's tar files. All of them return
//! [`Pictures`], in an order that depends on names alone. For pictures without labels,
//! [`find_unlabelled`] takes files and folders, and [`read_unlabelled_archives`] tar files.
//! [`InputKind`] says which kind a path is.

mod archives;
mod classes;
mod digest;
mod error;
mod folders;
mod input;
mod list;
mod other_files;
mod pictures;
mod read;
mod shard;
mod table;

pub use archives::{read_labelled_archives, read_unlabelled_archives};
pub use error::DatasetError;
pub use folders::{find, find_unlabelled};
pub use input::InputKind;
pub use list::read_unlabelled_list;
pub use other_files::OtherFiles;
pub use pictures::{EXTENSIONS, Picture, Pictures, Place};
pub use read::{MAX_FILE_BYTES, ReadError};
pub use table::read_table;
