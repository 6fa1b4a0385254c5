//! Pictures in files and in memory, in the order in which they are given.

use std::path::PathBuf;

use cnn_codes::codes::Failure;
use cnn_codes::dataset::{Picture, Pictures, Place};
use pyo3::prelude::*;

/// A picture file: its path, or its bytes.
#[derive(FromPyObject)]
pub enum Given {
    /// The file's bytes.
    Bytes(Vec<u8>),
    /// Where it is.
    Path(PathBuf),
}

/// A picture that cannot be used: its place in the list, its name, why, and the kind of failure in a word.
pub type Unusable = (usize, String, String, &'static str);

/// These pictures, each a row.
pub fn pictures(given: Vec<Given>) -> Pictures {
    let mut files = Vec::new();
    let mut paths = Vec::new();
    for (row, given) in given.into_iter().enumerate() {
        match given {
            Given::Bytes(bytes) => {
                paths.push(None);
                files.push((row, bytes));
            }
            Given::Path(path) => paths.push(Some(path)),
        }
    }
    let (rows, files): (Vec<_>, Vec<_>) = files.into_iter().unzip();
    let mut pictures = Pictures::in_memory(files);
    let mut in_memory = std::mem::take(&mut pictures.listed).into_iter();
    debug_assert_eq!(rows.len(), in_memory.len());
    pictures.listed = (paths.into_iter().enumerate())
        .map(|(row, path)| match path {
            Some(path) => Picture {
                path: path.to_string_lossy().into(),
                label: None,
                place: Place::File,
                group: None,
            },
            None => Picture {
                path: format!("picture {row}").into(),
                ..in_memory
                    .next()
                    .expect("each is in memory that has no path")
            },
        })
        .collect();
    pictures
}

/// Rows of numbers, of which those without a picture that can be used are NaN, and which those are.
pub fn rows(
    outcomes: impl IntoIterator<Item = Result<Vec<f32>, Failure>>,
    width: usize,
) -> (Vec<u8>, Vec<Unusable>) {
    let (mut bytes, mut unusable) = (Vec::new(), Vec::new());
    for (row, outcome) in outcomes.into_iter().enumerate() {
        let numbers = outcome.unwrap_or_else(|failure| {
            unusable.push((row, failure.path, failure.error, failure.kind));
            vec![f32::NAN; width]
        });
        bytes.extend(numbers.iter().flat_map(|number| number.to_ne_bytes()));
    }
    (bytes, unusable)
}
