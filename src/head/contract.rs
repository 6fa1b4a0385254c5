//! The interface of a head: options to model, codes to logits, and the arrays that are saved and
//! exported.

use std::borrow::Cow;
use std::fmt::Debug;

use ndarray::{Array2, ArrayView1, ArrayView2};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::saved::{SavedHeadError, Tensors};
use super::softmax::mean_of_views;
use super::{CodesView, Convergence, Epoch, HeadError, HeadKind, Samples};
use crate::progress::Watch;

/// A kind of classifier on codes. Its model implements this trait.
///
/// Training, tuning, evaluation, saving, export and prediction only know heads by this trait. A new
/// head is a file with an implementation, and a line in `list.rs` beside this file.
pub trait Head: Clone + Debug + PartialEq + Send + Sync + 'static {
    /// The options of a fit, as stored in head.json.
    type Options: Clone + Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static;

    /// The kind of head.
    const KIND: HeadKind;
    /// Its name in a sentence.
    const TITLE: &'static str;
    /// The word for its fit in progress messages: "training", "fitting".
    const FITTING: &'static str;
    /// Whether a fit proceeds by epochs, which are reported one by one.
    const HAS_EPOCHS: bool = false;
    /// Whether fits with several settings on the same samples share work. [`Head::fit_all`] is then
    /// faster than one fit after another, and is not divided among threads.
    const SHARES_WORK: bool = false;

    /// Checks the ranges of options.
    ///
    /// # Errors
    /// [`HeadError::InvalidOption`] for the first option that is out of range.
    fn validate(options: &Self::Options) -> Result<(), HeadError>;

    /// Settings that tuning tries, starting with `given`; only that one if there is nothing to
    /// tune.
    fn candidates(given: &Self::Options) -> Vec<Self::Options> {
        vec![given.clone()]
    }

    /// The tuned settings in words, such as "L2 strength 1".
    fn setting(_options: &Self::Options) -> String {
        "as given".to_owned()
    }

    /// If the chosen setting is at an end of the candidates for `given`: which end, in words such
    /// as "the largest L2 strength that was tried". `None` if both neighbours were tried.
    fn at_end(_chosen: &Self::Options, _given: &Self::Options) -> Option<String> {
        None
    }

    /// The same options with the seed increased by `more`; `None` if the fit uses no random
    /// numbers.
    fn reseeded(_options: &Self::Options, _more: u64) -> Option<Self::Options> {
        None
    }

    /// The seed; `None` if the fit uses no random numbers.
    fn seed(_options: &Self::Options) -> Option<u64> {
        None
    }

    /// Approximate memory in bytes of a fit on `train`.
    fn training_bytes(train: &Samples, options: &Self::Options) -> usize;

    /// Fits a model. `validation` is measured for the learning curve, if there is one, and decides
    /// nothing. A fit that `watch` stops returns its current result.
    ///
    /// # Errors
    /// [`HeadError::Stopped`] if it was stopped before there was a result, and other variants of
    /// [`HeadError`].
    fn fit<'s>(
        train: &Samples<'s>,
        validation: Option<&Samples<'s>>,
        options: &Self::Options,
        watch: &dyn Watch,
    ) -> Result<Fit<Self>, HeadError>;

    /// Fits a model with each of `options`, in order.
    ///
    /// # Errors
    /// As [`Head::fit`], for the first fit that fails; [`HeadError::Stopped`] if a fit was not
    /// started.
    fn fit_all(
        train: &Samples,
        options: &[Self::Options],
        watch: &dyn Watch,
    ) -> Result<Vec<Fit<Self>>, HeadError> {
        let fits = options.iter();
        fits.map(|options| Self::fit(train, None, options, watch))
            .collect()
    }

    /// Logits (N, K) of codes (N, D).
    ///
    /// # Errors
    /// [`HeadError::FeatureMismatch`] if the codes have another D; [`HeadError::Read`].
    fn logits(&self, codes: &CodesView) -> Result<Array2<f32>, HeadError>;

    /// Logits (N, K) of samples: for each sample the mean over its views.
    ///
    /// # Errors
    /// As [`Head::logits`].
    fn logits_of(&self, samples: &Samples) -> Result<Array2<f32>, HeadError> {
        let logits = self.logits(samples.codes_of_views())?;
        Ok(mean_of_views(logits, samples.n_views()))
    }

    /// D and K.
    fn shape(&self) -> (usize, usize);

    /// The steps from codes to logits, with the names of their arrays in saved and exported files.
    /// Steps without weights come first; between dense layers there is a ReLU.
    fn layers(&self) -> Vec<Layer<'_>>;

    /// Rebuilds the model from the arrays of [`Head::layers`]; `shape` is D and K.
    ///
    /// # Errors
    /// [`SavedHeadError::Damaged`] if an array is missing, has another shape, or is not finite.
    fn from_tensors(
        options: &Self::Options,
        shape: (usize, usize),
        tensors: &mut Tensors,
    ) -> Result<Self, SavedHeadError>;

    /// Refuses options that contradict the model.
    ///
    /// # Errors
    /// The difference, in words.
    fn check_options(&self, _options: &Self::Options) -> Result<(), String> {
        Ok(())
    }
}

/// A fitted model, and facts about the fit.
#[derive(Clone, Debug)]
pub struct Fit<H> {
    /// The model.
    pub model: H,
    /// Whether the optimum was found, if the fit has one.
    pub convergence: Option<Convergence>,
    /// The learning curve, if there is one.
    pub history: Vec<Epoch>,
    /// A remark about the fit for people, without a full stop.
    pub remark: String,
    /// Whether the fit was stopped before its end.
    pub is_stopped: bool,
}

/// A step from codes to logits, for x (N, in).
#[derive(Clone, Debug)]
pub enum Layer<'a> {
    /// x - mean.
    Centre {
        /// Name of the mean.
        name: &'static str,
        /// Mean (in).
        mean: ArrayView1<'a, f32>,
    },
    /// x / |x|, row by row; a row of zeros does not change.
    UnitLength,
    /// x weights + bias.
    Dense {
        /// Prefix of the names of weights and bias.
        name: Cow<'static, str>,
        /// Weights (in, out).
        weights: ArrayView2<'a, f32>,
        /// Bias (out).
        bias: ArrayView1<'a, f32>,
    },
}

/// Says in words whether `chosen` is the smallest or the largest of several values that were tried.
pub(super) fn end_of(
    chosen: f64,
    tried: impl IntoIterator<Item = f64>,
    setting: &str,
) -> Option<String> {
    let (mut smaller, mut larger) = (false, false);
    for value in tried {
        smaller |= value < chosen;
        larger |= value > chosen;
    }
    match (smaller, larger) {
        (false, true) => Some(format!("the smallest {setting} that was tried")),
        (true, false) => Some(format!("the largest {setting} that was tried")),
        _ => None,
    }
}
