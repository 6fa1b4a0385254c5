//! The logistic regression as one of the heads.

use ndarray::Array2;

use super::{Logistic, LogisticFit, LogisticOptions};
use crate::head::contract::end_of;
use crate::head::saved::{SavedHeadError, Tensors};
use crate::head::{CodesView, Fit, Head, HeadError, HeadKind, Layer, Samples};
use crate::progress::{Stopped, Watch};

/// L2 strengths that are tried besides the given one: powers of ten from 1e-4 to 1e5.
const STRENGTH_EXPONENTS: std::ops::RangeInclusive<i32> = -4..=5;

impl Head for Logistic {
    type Options = LogisticOptions;

    const KIND: HeadKind = HeadKind::Logistic;
    const TITLE: &'static str = "logistic regression";
    const FITTING: &'static str = "fitting";
    /// Each L2 strength starts from the optimum of another, in the same span of the samples.
    const SHARES_WORK: bool = true;

    fn validate(options: &LogisticOptions) -> Result<(), HeadError> {
        options.validate()
    }

    /// L2 strengths.
    fn candidates(given: &LogisticOptions) -> Vec<LogisticOptions> {
        let powers = STRENGTH_EXPONENTS.map(|exponent| 10_f64.powi(exponent));
        let others = powers.filter(|&l2| l2 != given.l2);
        std::iter::once(given.l2)
            .chain(others)
            .map(|l2| LogisticOptions { l2, ..*given })
            .collect()
    }

    fn setting(options: &LogisticOptions) -> String {
        format!("L2 strength {}", options.l2)
    }

    fn at_end(chosen: &LogisticOptions, given: &LogisticOptions) -> Option<String> {
        let strengths = Self::candidates(given)
            .into_iter()
            .map(|options| options.l2);
        end_of(chosen.l2, strengths, "L2 strength")
    }

    fn training_bytes(train: &Samples, _options: &LogisticOptions) -> usize {
        Self::fitting_bytes(train)
    }

    fn fit<'s>(
        train: &Samples<'s>,
        _validation: Option<&Samples<'s>>,
        options: &LogisticOptions,
        watch: &dyn Watch,
    ) -> Result<Fit<Self>, HeadError> {
        let fits = Self::fit_path(train, &[options.l2], options, watch)?;
        let first = fits.into_iter().flatten().next();
        Ok(first.expect("the first strength is always fitted").into())
    }

    /// The options differ only in their L2 strengths.
    fn fit_all(
        train: &Samples,
        options: &[LogisticOptions],
        watch: &dyn Watch,
    ) -> Result<Vec<Fit<Self>>, HeadError> {
        let Some(first) = options.first() else {
            return Ok(Vec::new());
        };
        let strengths: Vec<_> = options.iter().map(|options| options.l2).collect();
        let fits = Self::fit_path(train, &strengths, first, watch)?;
        fits.into_iter()
            .map(|fit| fit.map(Fit::from).ok_or(HeadError::Stopped(Stopped)))
            .collect()
    }

    fn logits(&self, codes: &CodesView) -> Result<Array2<f32>, HeadError> {
        self.logits(codes)
    }

    fn shape(&self) -> (usize, usize) {
        (self.n_features(), self.n_classes())
    }

    fn layers(&self) -> Vec<Layer<'_>> {
        vec![Layer::Dense {
            name: "logistic".into(),
            weights: self.weights(),
            bias: self.intercepts().view(),
        }]
    }

    fn from_tensors(
        _options: &LogisticOptions,
        shape: (usize, usize),
        tensors: &mut Tensors,
    ) -> Result<Self, SavedHeadError> {
        let weights = tensors.matrix("logistic.weight", shape)?;
        let intercepts = tensors.vector("logistic.bias", shape.1)?;
        Self::from_weights(weights, intercepts).map_err(|error| tensors.damaged(error))
    }
}

impl From<LogisticFit> for Fit<Logistic> {
    fn from(fit: LogisticFit) -> Self {
        Self {
            model: fit.model,
            history: Vec::new(),
            remark: fit.convergence.explanation.clone(),
            is_stopped: fit.convergence.stopped,
            convergence: Some(fit.convergence),
        }
    }
}
