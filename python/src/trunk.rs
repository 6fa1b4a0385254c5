//! A trunk that is kept: pictures to codes, in memory.

use std::ffi::OsString;
use std::sync::{Arc, PoisonError};

use cnn_codes::extract::{ExtractError, ExtractOptions, Extractor};
use cnn_codes::model;
use cnn_codes::progress::Stopped;
use cnn_codes_cli::engine;
use cnn_codes_cli::host::NotDone;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::call::{Listener, wait};
use crate::errors::raised;
use crate::pictures::{Given, Unusable, pictures, rows};
use crate::process::OfProcess;

/// A trunk in a session, by the words of `extract-features`.
#[pyclass(frozen, module = "cnn_codes._native")]
pub struct Trunk {
    words: Vec<OsString>,
    loaded: Arc<OfProcess<(model::Trunk, ExtractOptions)>>,
}

#[pymethods]
impl Trunk {
    /// Loads the trunk of `extract-features` with these options.
    #[new]
    #[pyo3(signature = (words, listener=None))]
    fn new(py: Python<'_>, words: Vec<OsString>, listener: Option<Listener>) -> PyResult<Self> {
        let trunk = Self {
            words,
            loaded: Arc::new(OfProcess::new()),
        };
        trunk.with(py, listener, |_, _| Ok(()))?;
        Ok(trunk)
    }

    /// Name, hashes, preparation, output and pooling of the codes, as JSON: what decides their values.
    fn identity(&self, py: Python<'_>) -> PyResult<String> {
        self.with(py, None, |trunk, options| {
            let codes = serde_json::json!({
                "trunk": trunk.identity(),
                "output": trunk.output(),
                "recipe": options.preparation.recipe,
                "resize": options.preparation.resize,
                "pool": options.pool,
            });
            Ok(codes.to_string())
        })
    }

    /// How many numbers a flattened code has.
    fn code_len(&self, py: Python<'_>) -> PyResult<usize> {
        self.with(py, None, |trunk, options| Ok(code_len(trunk, options)))
    }

    /// The codes of pictures, (N, D) float32 in native order with NaN for those that cannot be used; D; and these.
    #[pyo3(signature = (given, listener=None))]
    fn codes<'py>(
        &self,
        py: Python<'py>,
        given: Vec<Given>,
        listener: Option<Listener>,
    ) -> PyResult<(Bound<'py, PyBytes>, usize, Vec<Unusable>)> {
        let (bytes, width, unusable) = self.with(py, listener, move |trunk, options| {
            let width = code_len(trunk, options);
            let options = options.clone();
            let mut codes = Vec::new();
            for batch in Extractor::new(trunk).options(options).pull(pictures(given)) {
                codes.extend(batch?);
            }
            let (bytes, unusable) = rows(codes, width);
            Ok((bytes, width, unusable))
        })?;
        Ok((PyBytes::new(py, &bytes), width, unusable))
    }
}

impl Trunk {
    /// Does `work` with the trunk of this process.
    fn with<T: Send + 'static>(
        &self,
        py: Python<'_>,
        listener: Option<Listener>,
        work: impl FnOnce(&mut model::Trunk, &ExtractOptions) -> Result<T, ExtractError>
        + Send
        + 'static,
    ) -> PyResult<T> {
        let (loaded, words) = (Arc::clone(&self.loaded), self.words.clone());
        let done = wait(py, listener, move |host| {
            let trunk = loaded.get(|| engine::trunk(Arc::clone(&host), words))?;
            let mut trunk = trunk.lock().unwrap_or_else(PoisonError::into_inner);
            let (trunk, options) = &mut *trunk;
            if host.is_stopped() {
                return Err(NotDone::Stopped(Stopped.to_string()));
            }
            work(trunk, options).map_err(NotDone::of)
        })?;
        done.map_err(|error| raised(py, error, "TrunkError"))
    }
}

fn code_len(trunk: &model::Trunk, options: &ExtractOptions) -> usize {
    options.code_len(&trunk.output())
}
