//! A list of paths, as `find` prints them.

use std::io::Read;

use super::{DatasetError, Picture, Pictures, Place};
use crate::codes::Failure;
use crate::files::lines::BoundedLines;

/// Reads a list of pictures without labels: one path per line, relative to the working folder.
///
/// Lines end with LF or CRLF. If there is a NUL anywhere, paths end with NUL instead, as `find
/// -print0` prints them. Empty lines are skipped. Rows are sorted by path, and a repeated path is
/// one row. Extensions are ignored.
///
/// # Errors
/// [`DatasetError::List`] if the list cannot be read, if a line is longer than 64 KiB, or if the
/// list is longer than 20 million lines or 2 GiB; [`DatasetError::EmptyList`] if it holds no path.
pub fn read_unlabelled_list(list: impl Read) -> Result<Pictures, DatasetError> {
    let mut bytes = Vec::new();
    BoundedLines::new(list, b"\n\0")
        .read_to_end(&mut bytes)
        .map_err(|source| DatasetError::List { source })?;
    let mut paths = split(&bytes);
    if paths.is_empty() {
        return Err(DatasetError::EmptyList);
    }
    paths.sort_unstable();
    paths.dedup();
    let mut found = Pictures::default();
    for path in paths {
        match str::from_utf8(path) {
            Ok(path) => found.listed.push(Picture {
                path: path.into(),
                label: None,
                group: None,
                place: Place::File,
            }),
            Err(_) => {
                let path = String::from_utf8_lossy(path).into_owned();
                found.unusable.push(Failure::not_utf8(path));
            }
        }
    }
    Ok(found)
}

/// The non-empty paths of a list.
fn split(list: &[u8]) -> Vec<&[u8]> {
    let paths: Vec<&[u8]> = if list.contains(&0) {
        list.split(|&byte| byte == 0).collect()
    } else {
        list.split(|&byte| byte == b'\n')
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
            .collect()
    };
    paths.into_iter().filter(|path| !path.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(list: &[u8]) -> Vec<String> {
        let found = read_unlabelled_list(list).unwrap();
        assert!(!found.is_labelled());
        assert_eq!(found.root.as_os_str(), "");
        let paths = found.listed.iter();
        paths.map(|picture| picture.path.to_string()).collect()
    }

    #[test]
    fn lines_are_sorted_and_kept_once() {
        assert_eq!(
            paths("b.jpg\r\n\r\né.jpg\na.jpg\n\n\nb.jpg\n/x y/a.txt".as_bytes()),
            ["/x y/a.txt", "a.jpg", "b.jpg", "é.jpg"]
        );
    }

    #[test]
    fn with_a_nul_anywhere_paths_may_hold_line_ends() {
        assert_eq!(paths(b"b\n.jpg\0a\r\0\0b\n.jpg\0"), ["a\r", "b\n.jpg"]);
        assert_eq!(paths(b"b.jpg\0"), ["b.jpg"]);
    }

    #[test]
    fn a_path_that_is_not_utf8_is_unusable() {
        let found = read_unlabelled_list(&b"a.jpg\n\xff.jpg\n"[..]).unwrap();
        assert_eq!((found.listed.len(), found.len()), (1, 2));
        assert_eq!(found.unusable[0].path, "\u{fffd}.jpg");
        assert_eq!(found.unusable[0].kind, "not_utf8");
    }

    #[test]
    fn a_list_without_paths_or_without_line_ends_is_refused() {
        for empty in [&b""[..], b"\n\r\n\n", b"\0\0"] {
            let error = read_unlabelled_list(empty).unwrap_err();
            assert!(matches!(error, DatasetError::EmptyList), "{error}");
        }
        let endless = std::io::BufReader::new(std::io::repeat(b'x'));
        assert_eq!(
            read_unlabelled_list(endless).unwrap_err().to_string(),
            "cannot read the list of pictures: line 1 is longer than 64 KiB, and no path is"
        );
    }
}
