//! Errors as the exceptions of `cnn_codes.errors`.

use std::any::Any;
use std::error::Error;

use cnn_codes::codes::StoreError;
use cnn_codes::dataset::DatasetError;
use cnn_codes::export::ExportError;
use cnn_codes::extract::ExtractError;
use cnn_codes::files::DraftError;
use cnn_codes::head::HeadError;
use cnn_codes::head::saved::SavedHeadError;
use cnn_codes::model::card::CardError;
use cnn_codes::model::{RuntimeError, TrunkError};
use cnn_codes::picture::DecodeError;
use cnn_codes::predict::PredictError;
use cnn_codes::train::TrainError;
use cnn_codes_cli::host::NotDone;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

/// The exception of the class called `class`, with a message.
pub fn error_of(py: Python<'_>, class: &str, message: String) -> PyErr {
    let class = py
        .import("cnn_codes.errors")
        .and_then(|module| module.getattr(class));
    match class.and_then(|class| class.call1((message.clone(),))) {
        Ok(error) => PyErr::from_value(error),
        Err(_) => PyRuntimeError::new_err(message),
    }
}

/// The exception for what was not done; one whose type tells nothing is of the class `otherwise`.
pub fn raised(py: Python<'_>, error: NotDone, otherwise: &str) -> PyErr {
    match error {
        NotDone::Usage(message) => error_of(py, "UsageError", message),
        NotDone::Stopped(message) => error_of(py, "StoppedError", message),
        NotDone::Failed { message, error } => {
            let class = error.chain().find_map(class_of).unwrap_or(otherwise);
            error_of(py, class, message)
        }
    }
}

/// The exception for an error of the library.
pub fn raised_by<E: Error + 'static>(py: Python<'_>, error: &E) -> PyErr {
    let class = class_of(error).unwrap_or("CnnCodesError");
    error_of(py, class, error.to_string())
}

/// The exception for a panic, which is a mistake of ours.
pub fn internal(py: Python<'_>, panic: &(dyn Any + Send)) -> PyErr {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or(panic.downcast_ref::<&str>().copied());
    let text = text.unwrap_or("no reason was given");
    error_of(
        py,
        "CnnCodesError",
        format!("a mistake within cnn_codes, which you may report: {text}"),
    )
}

/// Which exception an error is, by its type.
fn class_of(error: &(dyn Error + 'static)) -> Option<&'static str> {
    macro_rules! classes {
        ($($class:literal: $($of:ty),+;)+) => {
            $(if $(error.is::<$of>() || error.is::<Box<$of>>())||+ {
                return Some($class);
            })+
        };
    }
    // An error that holds another one is of the inner one's class: it is looked at first.
    if let Some(inner) = error.source().and_then(class_of) {
        return Some(inner);
    }
    if let Some(DraftError::Busy { .. }) = error.downcast_ref() {
        return Some("BusyError");
    }
    classes! {
        "RuntimeMissingError": RuntimeError;
        "TrunkError": TrunkError, CardError;
        "StoreError": StoreError;
        "PictureError": DatasetError, DecodeError, ExtractError;
        "HeadError": SavedHeadError, HeadError, PredictError;
        "TrainError": TrainError;
        "ExportError": ExportError;
        "OutputError": DraftError;
    }
    None
}
