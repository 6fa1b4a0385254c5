//! Finding pictures.
mod digest;
mod folders;
mod pictures;
mod read;
mod shard;
pub use folders::{DatasetError, find};
pub use pictures::{EXTENSIONS, Failure, Picture, Pictures, Place};
pub use read::{MAX_FILE_BYTES, ReadError};
pub use shard::{Shard, ShardError};
/// x
pub fn read_table(_: &std::path::Path, _: Option<&str>) -> Result<Pictures, DatasetError> {
    todo!()
}
/// x
pub fn read_list(_: impl std::io::BufRead) -> Result<Pictures, DatasetError> {
    todo!()
}
/// x
pub fn read_archives(_: &[std::path::PathBuf]) -> Result<Pictures, DatasetError> {
    todo!()
}
