//! What runs pictures, for a program that keeps it in its own process: loaded by the words of a command line, so that
//! options, defaults and messages are the program's.

use std::ffi::OsString;
use std::sync::Arc;

use anyhow::bail;
use cnn_codes::extract::ExtractOptions;
use cnn_codes::model::Trunk;
use cnn_codes::predict::{Classifier, PredictOptions, Predictor};
use cnn_codes::train::TrainOptions;

use crate::host::{Host, NotDone, with_words};
use crate::{Verb, extract_features, predict};

/// The trunk of `extract-features`, and how pictures become its codes; `options` are those of the verb.
///
/// # Errors
/// [`NotDone`].
pub fn trunk(
    host: Arc<dyn Host>,
    options: Vec<OsString>,
) -> Result<(Trunk, ExtractOptions), NotDone> {
    let words = ["extract-features", "-", "--dry-run"].map(OsString::from);
    let words = words.into_iter().chain(options);
    with_words(host, words, None, |verb| match verb {
        Verb::ExtractFeatures(arguments) => extract_features::load(&arguments),
        _ => bail!("extract-features is no such verb"),
    })
}

/// The head of `predict`, for codes; `words` are its HEAD and options.
///
/// # Errors
/// [`NotDone`].
pub fn classifier(host: Arc<dyn Host>, words: Vec<OsString>) -> Result<Classifier, NotDone> {
    of_predict(host, words, predict::classifier)
}

/// The head of `predict` behind its trunk, and how it predicts; `words` are its HEAD and options.
///
/// # Errors
/// [`NotDone`].
pub fn predictor(
    host: Arc<dyn Host>,
    words: Vec<OsString>,
) -> Result<(Predictor, PredictOptions), NotDone> {
    of_predict(host, words, predict::predictor)
}

/// What `train-head` would train; `options` are those of the verb.
///
/// # Errors
/// [`NotDone`].
pub fn heads(host: Arc<dyn Host>, options: Vec<OsString>) -> Result<TrainOptions, NotDone> {
    let words = ["train-head", "--train", "-", "--folds", "2", "--out", "-"].map(OsString::from);
    let words = words.into_iter().chain(options);
    with_words(host, words, None, |verb| match verb {
        Verb::TrainHead(arguments) => Ok(arguments.options()),
        _ => bail!("train-head is no such verb"),
    })
}

fn of_predict<T>(
    host: Arc<dyn Host>,
    words: Vec<OsString>,
    load: impl FnOnce(&predict::Arguments) -> anyhow::Result<T>,
) -> Result<T, NotDone> {
    let words = std::iter::once("predict".into()).chain(words);
    with_words(host, words, None, |verb| match verb {
        Verb::Predict(arguments) => load(&arguments),
        _ => bail!("predict is no such verb"),
    })
}
