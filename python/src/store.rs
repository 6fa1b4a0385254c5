//! What a store holds besides its codes, which Python maps itself.

use std::ops::Range;
use std::path::PathBuf;

use cnn_codes::codes;
use pyo3::prelude::*;

use crate::call::wait;
use crate::errors::{error_of, raised_by};

/// Which of `n` pictures are those of part `index` of `count`: the first, and the one after the last.
///
/// # Errors
/// `UsageError` if there is no such part.
#[pyfunction]
pub fn shard_range(py: Python<'_>, n: usize, index: u32, count: u32) -> PyResult<(usize, usize)> {
    let shard = codes::Shard::new(index, count);
    let shard = shard.map_err(|error| error_of(py, "UsageError", error.to_string()))?;
    let Range { start, end } = shard.range(n);
    Ok((start, end))
}

/// A store whose files were checked against each other.
#[pyclass(frozen, module = "cnn_codes._native")]
pub struct Store {
    store: codes::Store,
}

#[pymethods]
impl Store {
    /// Opens the store in a folder.
    #[new]
    fn new(py: Python<'_>, folder: PathBuf) -> PyResult<Self> {
        let store = wait(py, None, move |_| codes::Store::open(&folder))?;
        Ok(Self {
            store: store.map_err(|error| raised_by(py, &error))?,
        })
    }

    /// Class names in the order of the labels; none of an unlabelled store.
    #[getter]
    fn classes(&self) -> Vec<String> {
        self.store.classes().to_vec()
    }

    /// Class indices, one a row; None for an unlabelled store.
    #[getter]
    fn labels(&self) -> Option<Vec<usize>> {
        self.store.labels().map(<[usize]>::to_vec)
    }

    /// Path, width and height, BLAKE3 and group of each picture.
    #[getter]
    fn pictures(&self) -> Vec<(String, u32, u32, String, Option<String>)> {
        let rows = self.store.pictures().iter();
        rows.map(|row| {
            let group = row.group.as_deref().map(str::to_owned);
            let hash = row.blake3.to_hex().to_string();
            (row.path.to_string(), row.width, row.height, hash, group)
        })
        .collect()
    }
}
