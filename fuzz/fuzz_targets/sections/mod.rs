//! Several files in one input, so that a fuzzer changes all of them.

use std::io::{self, Read};
use std::path::Path;

/// What stands between two files of an input.
const BETWEEN: &[u8] = b"\n=====\n";

/// The files of `names`, in this order, that `input` holds one after the other; the last of them
/// takes all that is left, and those beyond the end are not there.
pub fn sections<'i, 'n>(names: &[&'n str], input: &'i [u8]) -> Vec<(&'n str, &'i [u8])> {
    let mut rest = Some(input);
    let mut files = Vec::new();
    for (index, &name) in names.iter().enumerate() {
        let Some(bytes) = rest else { break };
        let is_last = index + 1 == names.len();
        let mut places = bytes.windows(BETWEEN.len());
        let between = places.position(|window| window == BETWEEN);
        match between.filter(|_| !is_last) {
            Some(end) => {
                files.push((name, &bytes[..end]));
                rest = Some(&bytes[end + BETWEEN.len()..]);
            }
            None => {
                files.push((name, bytes));
                rest = None;
            }
        }
    }
    files
}

/// Opens one of `files`, by the name at the end of its path.
pub fn open(files: &[(&str, &[u8])], path: &Path) -> io::Result<Box<dyn Read>> {
    let mut named = files.iter().filter(|(name, _)| path.ends_with(name));
    match named.next() {
        Some((_, bytes)) => Ok(Box::new(io::Cursor::new(bytes.to_vec()))),
        None => Err(io::ErrorKind::NotFound.into()),
    }
}
