//! A classifier behind its trunk.

use std::ops::ControlFlow;
use std::sync::mpsc::Receiver;

use ndarray::ArrayView2;

use super::{Classifier, Outcome, PredictError, Prediction};
use crate::codes::{CodesIdentity, Dtype};
use crate::dataset::Pictures;
use crate::extract::{Codes, Pipeline, Preparer, judge};
use crate::head::CodesView;
use crate::model::{Provider, Trunk};
use crate::picture::{DecodeLimits, Preparation};

/// How pictures are predicted; no option changes a prediction.
#[derive(Clone, Copy, Debug)]
pub struct PredictOptions {
    /// Pictures in a batch, at least 1: how many predictions come at a time.
    pub batch_size: usize,
    /// Threads that decode, at least 1.
    pub threads: usize,
    /// How large a picture may be.
    pub limits: DecodeLimits,
}

impl PredictOptions {
    /// Batches as small as can be had without loss of speed, so that predictions come soon: 4
    /// pictures on a CPU, 20 on CUDA. As many threads as the machine gives this process.
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
    /// Puts a classifier behind a trunk, which must give the codes that it was trained on: the
    /// parameters, the output and the size of the input are compared.
    ///
    /// Recipe, fitting and pooling are the head's, whatever the trunk's card says.
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

    /// Predicts `pictures`, whose labels are not looked at, while later ones are still decoded.
    ///
    /// `take` gets a batch of outcomes at a time, on a thread of its own, and ends it by breaking.
    /// Outcomes come in the order of the pictures; first of all come those that were unusable
    /// before they were read.
    ///
    /// # Errors
    /// [`PredictError::Trunk`] if a run fails, [`PredictError::Threads`] before the first one. A
    /// picture that cannot be used is no error: its outcome says why.
    pub fn predict(
        &mut self,
        pictures: &Pictures,
        options: PredictOptions,
        take: &mut (dyn FnMut(Vec<Outcome>) -> ControlFlow<()> + Send),
    ) -> Result<(), PredictError> {
        let codes = self.classifier.codes();
        let preparation = Preparation {
            resize: codes.resize,
            recipe: codes.recipe,
            layout: self.trunk.card().input.layout,
        };
        let pipeline = Pipeline {
            preparer: Preparer::new(pictures, preparation, options.limits, options.threads)?,
            trunk: &mut self.trunk,
            batch_size: options.batch_size,
        };
        let unusable = &pictures.unusable;
        if !unusable.is_empty() && take(unusable.iter().cloned().map(Err).collect()).is_break() {
            return Ok(());
        }
        let classifier = &self.classifier;
        let classify_all = |batches: Receiver<Codes>| {
            for batch in batches {
                if take(classify(classifier, batch)?).is_break() {
                    break;
                }
            }
            Ok::<_, PredictError>(())
        };
        pipeline.run(0, classify_all, &())?;
        Ok(())
    }
}

/// The last stage: the outcomes of a batch in the order of its pictures.
fn classify(classifier: &Classifier, batch: Codes) -> Result<Vec<Outcome>, PredictError> {
    let CodesIdentity { output, pool, .. } = classifier.codes();
    let channels = output.channels();
    let (mut pooled, mut n_codes) = (Vec::new(), 0);
    let mut fits = Vec::with_capacity(batch.outcomes.len());
    for code in batch.computed() {
        let start = pooled.len();
        pool.append(code, channels, &mut pooled);
        fits.push(judge(&pooled[start..], Dtype::F32));
        n_codes += 1;
    }
    let codes = ArrayView2::from_shape((n_codes, classifier.codes().code_len()), &pooled)
        .expect("the trunk's output was compared with the head's");
    let probabilities = classifier.probabilities(&CodesView::from(codes))?;
    let mut rows = probabilities.rows().into_iter().zip(fits);
    let outcomes = batch.outcomes.into_iter().map(|outcome| {
        let picture = outcome?.picture;
        let (row, fit) = rows.next().expect("a code for each picture that is usable");
        fit.map_err(|unfit| unfit.failure(&picture.path))?;
        Prediction::new(picture.path.into(), row.to_vec())
    });
    Ok(outcomes.collect())
}
