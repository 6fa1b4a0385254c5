//! A classifier with its trunk.

use ndarray::ArrayView2;

use super::{Classifier, Outcome, PredictError, Prediction};
use crate::codes::{CodesIdentity, Dtype};
use crate::dataset::Pictures;
use crate::extract::{Codes, DecodeOptions, PulledCodes, judge};
use crate::head::CodesView;
use crate::model::{Provider, Trunk};
use crate::picture::{DecodeLimits, Preparation};

/// Options for predicting pictures; none of them changes a prediction.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct PredictOptions {
    /// Pictures in a batch, at least 1: the number of predictions that arrive together.
    pub batch_size: usize,
    /// Threads that decode, at least 1.
    pub threads: usize,
    /// How large a picture may be.
    pub limits: DecodeLimits,
}

impl PredictOptions {
    /// Batches as small as possible without loss of speed, so that predictions come soon: 4
    /// pictures on a CPU, 20 on CUDA. As many threads as this process may use.
    #[must_use]
    pub fn for_trunk(trunk: &Trunk) -> Self {
        Self {
            batch_size: match trunk.provider() {
                Provider::Cpu => 4,
                Provider::Cuda => 20,
            },
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            limits: DecodeLimits::default(),
        }
    }
}

/// Pictures to probabilities.
#[derive(Debug)]
pub struct Predictor {
    classifier: Classifier,
    trunk: Trunk,
}

impl Predictor {
    /// Joins a classifier and a trunk, which must compute the codes that the classifier was trained
    /// on: the parameters, the output and the size of the input are compared.
    ///
    /// Recipe, fit and pooling are those of the head, whatever the trunk's card says.
    ///
    /// # Errors
    /// [`PredictError::OtherTrunk`].
    pub fn new(classifier: Classifier, trunk: Trunk) -> Result<Self, PredictError> {
        let wanted = classifier.codes();
        let given = CodesIdentity::new(
            trunk.identity().clone(),
            trunk.card(),
            wanted.recipe,
            wanted.resize,
            wanted.pool,
        );
        match wanted.difference(&given) {
            None => Ok(Self { classifier, trunk }),
            Some(difference) => Err(PredictError::OtherTrunk { difference }),
        }
    }

    /// Replaces the classifier by another one for codes of the same trunk.
    ///
    /// # Errors
    /// [`PredictError::OtherTrunk`]; the previous classifier is then kept.
    pub fn exchange(&mut self, classifier: Classifier) -> Result<(), PredictError> {
        match classifier.codes().difference(self.classifier.codes()) {
            None => {
                self.classifier = classifier;
                Ok(())
            }
            Some(difference) => Err(PredictError::OtherTrunk { difference }),
        }
    }

    /// The classifier.
    #[must_use]
    pub fn classifier(&self) -> &Classifier {
        &self.classifier
    }

    /// The trunk.
    #[must_use]
    pub fn trunk(&self) -> &Trunk {
        &self.trunk
    }

    /// Predicts `pictures` from the classifier's [views](Classifier::views), while later pictures
    /// are being decoded. Labels are ignored.
    ///
    /// Outcomes come in the order of the pictures; pictures that were unusable before they were
    /// read come first.
    pub fn predict(&mut self, pictures: Pictures, options: PredictOptions) -> Predictions<'_> {
        let codes = self.classifier.codes();
        let preparation = Preparation {
            resize: codes.resize,
            recipe: codes.recipe,
            layout: self.trunk.card().input.layout,
            views: self.classifier.views(),
        };
        let decode = DecodeOptions {
            preparation,
            limits: options.limits,
            threads: options.threads,
            batch_size: options.batch_size,
        };
        let unusable = pictures.unusable.iter().cloned().map(Err);
        Predictions {
            classifier: &self.classifier,
            unusable: unusable.collect(),
            codes: Some(PulledCodes::begin(pictures, decode, &mut self.trunk)),
        }
    }
}

/// The outcomes of pictures, one batch at a time. Dropping it ends the work.
///
/// An item is an error if a run fails, [`PredictError::Trunk`] or [`PredictError::SameCodes`], or
/// if the decoders cannot be started, [`PredictError::Threads`]; nothing follows it. An unusable
/// picture is not an error: its outcome says why.
pub struct Predictions<'p> {
    classifier: &'p Classifier,
    /// The outcomes of pictures that were unusable before they were read, until they are returned.
    unusable: Vec<Outcome>,
    /// `None` after an error, and after the last batch.
    codes: Option<PulledCodes<'p>>,
}

impl Iterator for Predictions<'_> {
    type Item = Result<Vec<Outcome>, PredictError>;

    fn next(&mut self) -> Option<Self::Item> {
        if !self.unusable.is_empty() {
            return Some(Ok(std::mem::take(&mut self.unusable)));
        }
        let batch = self.codes.as_mut()?.next::<PredictError>();
        let outcomes = batch.map(|batch| classify(self.classifier, batch?));
        if !matches!(outcomes, Some(Ok(_))) {
            self.codes = None;
        }
        outcomes
    }
}

/// The outcomes of a batch, in the order of its pictures.
fn classify(classifier: &Classifier, batch: Codes) -> Result<Vec<Outcome>, PredictError> {
    let CodesIdentity { output, pool, .. } = classifier.codes();
    let channels = output.channels();
    let n_views = classifier.views().n();
    let (mut pooled, mut n_codes) = (Vec::new(), 0);
    let mut fits = Vec::with_capacity(batch.outcomes.len());
    for code in batch.computed() {
        let start = pooled.len();
        pool.append_views(code, n_views, channels, &mut pooled);
        fits.push(judge(&pooled[start..], Dtype::F32));
        n_codes += n_views;
    }
    let codes = ArrayView2::from_shape((n_codes, classifier.codes().code_len()), &pooled)
        .expect("the trunk's output was compared with the head's");
    let answers = classifier.answers(&CodesView::from(codes), n_views)?;
    let mut rows = answers.into_iter().zip(fits);
    let outcomes = batch.outcomes.into_iter().map(|outcome| {
        let picture = outcome?.picture;
        let (answer, fit) = rows.next().expect("a code for each picture that is usable");
        fit.map_err(|unfit| unfit.failure(&picture.path))?;
        Prediction::new(picture.path.into(), answer)
    });
    Ok(outcomes.collect())
}
