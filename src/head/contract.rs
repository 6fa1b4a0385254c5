//! What a head is: from options to a model, from codes to logits, and the parts by which models are
//! saved and exported.

use std::borrow::Cow;
use std::fmt::Debug;

use ndarray::{Array2, ArrayView1, ArrayView2};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::saved::{SavedHeadError, Tensors};
use super::softmax::mean_of_views;
use super::{CodesView, Convergence, Epoch, HeadError, HeadKind, Samples};
use crate::progress::Watch;

/// A kind of classifier on codes; its model implements it.
///
/// Training, tuning, judging, saving, exporting and predicting know heads by this trait alone. A new
/// head is a file with its implementation, and a line in `list.rs` beside this file.
pub trait Head: Clone + Debug + PartialEq + Send + Sync + 'static {
    /// How it is fitted; head.json has it.
    type Options: Clone + Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static;

    /// Which head it is.
    const KIND: HeadKind;
    /// Its name in a sentence.
    const TITLE: &'static str;
    /// What its fit is called where a person waits for it: "training", "fitting".
    const FITTING: &'static str;
    /// Whether a fit goes by epochs, of which a person is told one by one.
    const HAS_EPOCHS: bool = false;
    /// Whether fits with several settings on the same samples share work, so that
    /// [`Head::fit_all`] is faster than one fit after the other, and is not cut up among threads.
    const SHARES_WORK: bool = false;

    /// Checks the ranges of options.
    ///
    /// # Errors
    /// [`HeadError::InvalidOption`] for the first that is outside.
    fn validate(options: &Self::Options) -> Result<(), HeadError>;

    /// Settings that tuning tries, those that are `given` first; one where nothing is tuned.
    fn candidates(given: &Self::Options) -> Vec<Self::Options> {
        vec![given.clone()]
    }

    /// The tuned settings in words, such as "L2 strength 1".
    fn setting(_options: &Self::Options) -> String {
        "as given".to_owned()
    }

    /// At which end of what tuning tries the settings are, in words such as "the largest L2 strength that
    /// was tried", of the candidates for `given`; nothing where both neighbours were tried.
    fn at_end(_chosen: &Self::Options, _given: &Self::Options) -> Option<String> {
        None
    }

    /// The same options with the seed that comes so many after theirs; nothing where no random number
    /// plays a part.
    fn reseeded(_options: &Self::Options, _more: u64) -> Option<Self::Options> {
        None
    }

    /// The seed of its random numbers; nothing where none plays a part.
    fn seed(_options: &Self::Options) -> Option<u64> {
        None
    }

    /// Memory in bytes that a fit on `train` takes, roughly.
    fn training_bytes(train: &Samples, options: &Self::Options) -> usize;

    /// Fits a model. `validation` is measured where the head has a learning curve, and decides
    /// nothing. A fit that `watch` stops gives what it has by then.
    ///
    /// # Errors
    /// [`HeadError::Stopped`] if it was stopped before there was anything, and others of
    /// [`HeadError`].
    fn fit<'s>(
        train: &Samples<'s>,
        validation: Option<&Samples<'s>>,
        options: &Self::Options,
        watch: &dyn Watch,
    ) -> Result<Fit<Self>, HeadError>;

    /// Fits a model with each of `options`, in their order.
    ///
    /// # Errors
    /// As [`Head::fit`], for the first that fails, and [`HeadError::Stopped`] if one was not begun.
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

    /// Logits (N, K) of samples: of each the mean over its views.
    ///
    /// # Errors
    /// As [`Head::logits`].
    fn logits_of(&self, samples: &Samples) -> Result<Array2<f32>, HeadError> {
        let logits = self.logits(samples.codes_of_views())?;
        Ok(mean_of_views(logits, samples.n_views()))
    }

    /// D and K.
    fn shape(&self) -> (usize, usize);

    /// The steps from codes to logits, with the names by which their arrays are saved and exported.
    /// Steps without weights come first, and ReLU stands between dense layers.
    fn layers(&self) -> Vec<Layer<'_>>;

    /// Takes the arrays of [`Head::layers`] back, for D and K = `shape`.
    ///
    /// # Errors
    /// [`SavedHeadError::Damaged`] if one is absent, of another shape, or not finite.
    fn from_tensors(
        options: &Self::Options,
        shape: (usize, usize),
        tensors: &mut Tensors,
    ) -> Result<Self, SavedHeadError>;

    /// Refuses options that are not the model's.
    ///
    /// # Errors
    /// What differs, in words.
    fn check_options(&self, _options: &Self::Options) -> Result<(), String> {
        Ok(())
    }
}

/// A fitted model, and how it came about.
#[derive(Clone, Debug)]
pub struct Fit<H> {
    /// The model.
    pub model: H,
    /// Whether the optimum was found, where there is one to find.
    pub convergence: Option<Convergence>,
    /// The learning curve, where there is one.
    pub history: Vec<Epoch>,
    /// What must be known about the fit, for people, without a full stop.
    pub remark: String,
    /// Whether it was stopped before its end.
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
    /// x / |x|, row by row; a row of zeros stays as it is.
    UnitLength,
    /// x weights + bias.
    Dense {
        /// Beginning of the names of weights and bias.
        name: Cow<'static, str>,
        /// Weights (in, out).
        weights: ArrayView2<'a, f32>,
        /// Bias (out).
        bias: ArrayView1<'a, f32>,
    },
}

/// Whether `chosen` is the smallest or the largest of several values of a setting that were tried, in
/// words.
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
