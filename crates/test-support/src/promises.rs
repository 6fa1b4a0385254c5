//! What the readers of tar files, tables and lists promise for any bytes. Fuzz targets use it too.

#![allow(dead_code, reason = "each program uses a part of it")]

use std::fs;
use std::path::Path;

use cnn_codes::dataset::{self, DatasetError, Pictures, Place};

/// A tar file of any bytes is refused by its name, or each picture is a piece of it.
pub fn check_tar(bytes: &[u8], folder: &Path) {
    let archive = folder.join("shard.tar");
    fs::write(&archive, bytes).expect("a file");
    for read in [
        dataset::read_labelled_archives,
        dataset::read_unlabelled_archives,
    ] {
        let Some(found) = accepted(read(std::slice::from_ref(&archive)), "shard.tar") else {
            continue;
        };
        check_pictures(&found);
        for picture in &found.listed {
            assert!(picture.path.starts_with("shard.tar/"), "{}", picture.path);
            let Place::Archived {
                offset, n_bytes, ..
            } = picture.place
            else {
                panic!("{} is not in the archive", picture.path);
            };
            let (start, end) = (offset as usize, (offset + n_bytes) as usize);
            let read = found.read(picture).expect("a piece of the file");
            assert!(read == bytes[start..end], "{}", picture.path);
        }
        for class in &found.classes {
            assert!(!class.contains(char::is_control) && class.len() <= 1000);
        }
    }
}

/// A table of any bytes is refused by its name, or its rows are sorted and labelled all or none.
pub fn check_table(bytes: &[u8], folder: &Path) {
    let table = folder.join("labels.csv");
    fs::write(&table, bytes).expect("a file");
    for split in [None, Some("train")] {
        let Some(found) = accepted(dataset::read_table(&table, split), "labels.csv") else {
            continue;
        };
        check_pictures(&found);
        assert_eq!(found.root, folder);
        assert!(found.classes.iter().all(|class| !class.contains('\n')));
    }
}

/// A list of any bytes has a path in it or is refused; a path holds no NUL.
pub fn check_list(bytes: &[u8]) {
    match dataset::read_unlabelled_list(bytes) {
        Ok(found) => {
            check_pictures(&found);
            let mut paths = found.listed.iter().map(|picture| &picture.path);
            assert!(!found.is_labelled() && !found.is_empty());
            assert!(paths.all(|path| !path.contains('\0')));
        }
        Err(error) => assert!(error.to_string().contains("list of pictures"), "{error}"),
    }
}

/// The pictures, unless the input was refused with an error that names `file`.
fn accepted(read: Result<Pictures, DatasetError>, file: &str) -> Option<Pictures> {
    read.inspect_err(|error| assert!(error.to_string().contains(file), "{error}"))
        .ok()
}

/// What all readers promise: names that are there and differ, and labels that are classes.
fn check_pictures(found: &Pictures) {
    let mut paths: Vec<_> = found.listed.iter().map(|picture| &*picture.path).collect();
    let from_file = found.archives.is_empty();
    assert!(!from_file || paths.is_sorted());
    paths.sort_unstable();
    assert!(paths.windows(2).all(|pair| pair[0] != pair[1]));
    assert!(paths.iter().all(|path| !path.is_empty()));
    assert_ne!(found.classes.len(), 1);
    assert!(found.classes.is_sorted());
    for picture in &found.listed {
        assert_eq!(picture.label.is_some(), found.is_labelled());
        assert!(
            picture
                .label
                .is_none_or(|label| label < found.classes.len())
        );
    }
}
