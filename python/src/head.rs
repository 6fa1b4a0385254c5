//! Heads: those of a HEAD folder that are kept, and those fitted on arrays.

use std::ffi::OsString;
use std::sync::{Arc, PoisonError};

use cnn_codes::head::{CodesView, Layer, Samples};
use cnn_codes::predict::{Classifier, PredictOptions, Predictor};
use cnn_codes::progress::{Progress, Watch};
use cnn_codes_cli::engine;
use cnn_codes_cli::host::{Host, NotDone};
use ndarray::ArrayView2;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::call::{Listener, wait};
use crate::errors::{error_of, raised, raised_by};
use crate::pictures::{Given, Unusable, pictures, rows};
use crate::process::OfProcess;

/// One head of a HEAD folder, by the words of `predict`. Its trunk is loaded with the first picture.
#[pyclass(frozen, module = "cnn_codes._native")]
pub struct Head {
    words: Vec<OsString>,
    classifier: Arc<Classifier>,
    predictor: Arc<OfProcess<(Predictor, PredictOptions)>>,
}

#[pymethods]
impl Head {
    /// Loads the head of `predict` with these words: HEAD and options.
    #[new]
    #[pyo3(signature = (words, listener=None))]
    fn new(py: Python<'_>, words: Vec<OsString>, listener: Option<Listener>) -> PyResult<Self> {
        let of_classifier = words.clone();
        let classifier = wait(py, listener, |host| engine::classifier(host, of_classifier))?;
        Ok(Self {
            words,
            classifier: Arc::new(classifier.map_err(|error| raised(py, error, "HeadError"))?),
            predictor: Arc::new(OfProcess::new()),
        })
    }

    /// Which head it is: mlp, logistic, ...
    #[getter]
    fn name(&self) -> &str {
        self.classifier.name()
    }

    /// Class names in the order of the probabilities.
    #[getter]
    fn classes(&self) -> Vec<String> {
        self.classifier.classes().to_vec()
    }

    /// How many numbers a flattened code has.
    #[getter]
    fn code_len(&self) -> usize {
        self.classifier.codes().code_len()
    }

    /// The name of the trunk whose codes it takes.
    #[getter]
    fn trunk(&self) -> &str {
        &self.classifier.codes().trunk.name
    }

    /// Probabilities (N, K) of codes (N, D), float32 in native order.
    #[pyo3(signature = (codes, n, listener=None))]
    fn of_codes<'py>(
        &self,
        py: Python<'py>,
        codes: &[u8],
        n: usize,
        listener: Option<Listener>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let codes = numbers(codes);
        let classifier = Arc::clone(&self.classifier);
        let width = classifier.codes().code_len();
        if codes.len() != n * width {
            let message = format!(
                "codes of {} numbers are given, and the head takes codes of {width}",
                codes.len() / n.max(1)
            );
            return Err(error_of(py, "HeadError", message));
        }
        let probabilities = wait(py, listener, move |_| {
            let codes =
                ArrayView2::from_shape((n, width), &codes).expect("their number was checked");
            classifier.probabilities(&CodesView::from(codes))
        })?;
        let probabilities = probabilities.map_err(|error| raised_by(py, &error))?;
        let bytes: Vec<u8> = probabilities.iter().flat_map(|p| p.to_ne_bytes()).collect();
        Ok(PyBytes::new(py, &bytes))
    }

    /// Probabilities (N, K) of pictures, float32 in native order with NaN for those that cannot be used, and these.
    #[pyo3(signature = (given, listener=None))]
    fn of_pictures<'py>(
        &self,
        py: Python<'py>,
        given: Vec<Given>,
        listener: Option<Listener>,
    ) -> PyResult<(Bound<'py, PyBytes>, Vec<Unusable>)> {
        let (predictor, words) = (Arc::clone(&self.predictor), self.words.clone());
        let n_classes = self.classifier.classes().len();
        let done = wait(py, listener, move |host| {
            let predictor = predictor.get(|| engine::predictor(Arc::clone(&host), words))?;
            let mut predictor = predictor.lock().unwrap_or_else(PoisonError::into_inner);
            let (predictor, options) = &mut *predictor;
            let total = given.len();
            host.stage("pictures", total);
            let mut outcomes = Vec::with_capacity(total);
            for batch in predictor.predict(pictures(given), *options) {
                if host.is_stopped() {
                    break;
                }
                let batch = batch.map_err(NotDone::of)?.into_iter();
                outcomes.extend(batch.map(|outcome| Ok(outcome?.probabilities)));
                let progress = Progress {
                    done: outcomes.len(),
                    total,
                    ..Progress::default()
                };
                host.progress(progress, "");
            }
            Ok::<_, NotDone>(rows(outcomes, n_classes))
        })?;
        let (bytes, unusable) = done.map_err(|error| raised(py, error, "HeadError"))?;
        Ok((PyBytes::new(py, &bytes), unusable))
    }
}

/// A step from codes to logits: its kind, and its arrays (shape, float32 in native order).
type Step<'py> = (&'static str, Vec<(Vec<usize>, Bound<'py, PyBytes>)>);

/// Fits the first head that `train-head` would train with these options on codes (N, D); its steps, and what must be
/// known about the fit.
#[pyfunction]
#[pyo3(signature = (words, codes, labels, n_classes, listener=None))]
pub fn fit<'py>(
    py: Python<'py>,
    words: Vec<OsString>,
    codes: &[u8],
    labels: Vec<usize>,
    n_classes: usize,
    listener: Option<Listener>,
) -> PyResult<(Vec<Step<'py>>, String)> {
    let codes = numbers(codes);
    let fitted = wait(py, listener, move |host| {
        let options = engine::heads(Arc::clone(&host), words)?;
        let width = codes.len() / labels.len().max(1);
        let codes = ArrayView2::from_shape((labels.len(), width), &codes).map_err(NotDone::of)?;
        let samples = Samples::new(codes, &labels, n_classes).map_err(NotDone::of)?;
        let fitted = options.heads[0].fit(&samples, &Watched(&*host));
        fitted.map_err(NotDone::of)
    })?;
    let (head, remark) = fitted.map_err(|error| raised(py, error, "HeadError"))?;
    let array = |shape: &[usize], numbers: &mut dyn Iterator<Item = f32>| {
        let bytes: Vec<u8> = numbers.flat_map(f32::to_ne_bytes).collect();
        (shape.to_vec(), PyBytes::new(py, &bytes))
    };
    let steps = head.layers().into_iter().map(|layer| match layer {
        Layer::Centre { mean, .. } => (
            "centre",
            vec![array(mean.shape(), &mut mean.iter().copied())],
        ),
        Layer::UnitLength => ("unit_length", Vec::new()),
        Layer::Dense { weights, bias, .. } => {
            let weights = array(weights.shape(), &mut weights.iter().copied());
            (
                "dense",
                vec![weights, array(bias.shape(), &mut bias.iter().copied())],
            )
        }
    });
    Ok((steps.collect(), remark))
}

/// A host that watches a fit.
struct Watched<'a>(&'a dyn Host);

impl Watch for Watched<'_> {
    fn stage(&self, name: &str, steps: usize) {
        self.0.stage(name, steps);
    }

    fn progress(&self, progress: Progress, detail: &dyn std::fmt::Display) {
        self.0.progress(progress, &detail.to_string());
    }

    fn is_stopped(&self) -> bool {
        self.0.is_stopped()
    }
}

/// Numbers in native order.
fn numbers(bytes: &[u8]) -> Vec<f32> {
    let (numbers, _) = bytes.as_chunks::<4>();
    numbers
        .iter()
        .map(|bytes| f32::from_ne_bytes(*bytes))
        .collect()
}
