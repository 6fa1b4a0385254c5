//! One head of a HEAD directory, ready for codes.

use std::path::Path;

use ndarray::Array2;

use super::answer::{Outliers, Sets};
use super::{Outcome, PredictError, Prediction};
use crate::codes::{CodesIdentity, Pool, Store};
use crate::head::saved::{Evidence, SavedHead};
use crate::head::scaling::Scaling;
use crate::head::{
    CodesView, HeadError, HeadKind, Neighbours, OneHead, mean_of_views, negative_log_probabilities,
    probabilities,
};
use crate::model::Trunk;
use crate::model::card::CardClassifier;
use crate::picture::{Resize, Views};

/// Codes of a store that are classified in one chunk; each chunk reads the head's weights once.
const CHUNK_ROWS: usize = 64;

/// A trained head with every step before and after it.
#[derive(Clone, Debug)]
pub struct Classifier {
    codes: CodesIdentity,
    views: Views,
    classes: Vec<String>,
    name: String,
    /// Why this head was chosen, if there were several and none was named.
    choice: Option<String>,
    /// `None` if the codes are probabilities already.
    head: Option<Head>,
    /// If sets of classes are requested.
    pub(super) sets: Option<Sets>,
    /// If outliers are requested.
    pub(super) outliers: Option<Outliers>,
    /// If the nearest training codes are requested: the codes, and how many.
    pub(super) nearest: Option<(Neighbours, usize)>,
}

#[derive(Clone, Debug)]
struct Head {
    scaling: Scaling,
    model: OneHead,
    evidence: Evidence,
}

impl Classifier {
    /// Loads one head from the HEAD directory at `dir`: the `kind` asked for, or the first one in
    /// the order of the kinds.
    ///
    /// # Errors
    /// [`PredictError::Head`] or [`PredictError::NoSuchHead`].
    pub fn load(dir: &Path, kind: Option<HeadKind>) -> Result<Self, PredictError> {
        let head = SavedHead::load(dir)?;
        let found = head.default_kind();
        let wanted = kind.unwrap_or(found);
        Self::new(head, kind).ok_or_else(|| PredictError::NoSuchHead {
            dir: dir.to_owned(),
            wanted,
            found,
        })
    }

    /// One of the heads, chosen as by [`Classifier::load`]; `None` if there is no such head.
    #[must_use]
    pub fn new(head: SavedHead, kind: Option<HeadKind>) -> Option<Self> {
        let choice = head.choice().filter(|_| kind.is_none());
        let kind = kind.unwrap_or_else(|| head.default_kind());
        let model = head.heads.into_iter().find(|head| head.kind() == kind)?;
        Some(Self {
            codes: head.codes,
            views: head.views,
            classes: head.classes,
            name: kind.to_string(),
            choice,
            head: Some(Head {
                scaling: head.scaling,
                model,
                evidence: head.evidence,
            }),
            sets: None,
            outliers: None,
            nearest: None,
        })
    }

    /// Adds a [set](crate::predict::Prediction::set) of classes to each prediction. The set
    /// contains the picture's own class with a probability of about `share`, above 0 and below 1.
    ///
    /// This holds on average, not for each class, and for pictures from new groups of the same
    /// source as the training pictures. The sets come from the head's probabilities out of fold,
    /// see [`ConformalScores`](crate::evaluate::ConformalScores). A set is never empty, so it
    /// contains the own class more often if the head alone is right more often.
    ///
    /// # Errors
    /// [`PredictError::NotOutOfFold`], [`PredictError::TooFew`], or [`PredictError::Inside`].
    pub fn with_sets(mut self, share: f64) -> Result<Self, PredictError> {
        let Some(head) = &self.head else {
            return Err(PredictError::Inside { name: self.name });
        };
        let kind = head.model.kind();
        self.sets = Some(Sets::new(&head.evidence, kind, share)?);
        Ok(self)
    }

    /// Adds to each prediction whether the picture [is an
    /// outlier](crate::predict::Prediction::is_outlier): farther from all training pictures than
    /// these are from each other. A share of about `rate`, above 0 and below 1, of pictures from
    /// the training pictures' source is also marked.
    ///
    /// # Errors
    /// [`PredictError::NoTrainingCodes`], [`PredictError::TooFew`], or [`PredictError::Inside`].
    pub fn with_outliers(mut self, rate: f64) -> Result<Self, PredictError> {
        let Some(head) = &self.head else {
            return Err(PredictError::Inside { name: self.name });
        };
        self.outliers = Some(Outliers::new(&head.evidence, rate)?);
        Ok(self)
    }

    /// Adds to each prediction the `k` [nearest](crate::predict::Prediction::nearest) training
    /// codes, among the at most 4,096 codes of 512 channels that a head keeps.
    ///
    /// # Errors
    /// [`PredictError::NoTrainingCodes`] or [`PredictError::Inside`].
    pub fn with_nearest(mut self, k: usize) -> Result<Self, PredictError> {
        let Some(head) = &self.head else {
            return Err(PredictError::Inside { name: self.name });
        };
        let neighbours = head.evidence.neighbours.clone();
        self.nearest = Some((neighbours.ok_or(PredictError::NoTrainingCodes)?, k));
        Ok(self)
    }

    /// The classifier after a trunk whose codes are probabilities already: an exported classifier.
    /// `None` if the trunk's card does not say so.
    #[must_use]
    pub fn inside(trunk: &Trunk) -> Option<Self> {
        let card = trunk.card();
        let CardClassifier {
            classes,
            fit,
            filter,
            decoding,
        } = card.classifier.clone()?;
        let resize = Resize {
            fit,
            filter,
            decoding,
            ..card.resize()
        };
        let recipe = card.input.recipe;
        let codes = CodesIdentity::new(trunk.identity().clone(), card, recipe, resize, Pool::None);
        Some(Self {
            codes,
            views: Views::None,
            classes,
            name: card.name.clone(),
            choice: None,
            head: None,
            sets: None,
            outliers: None,
            nearest: None,
        })
    }

    /// The codes that the head takes.
    #[must_use]
    pub fn codes(&self) -> &CodesIdentity {
        &self.codes
    }

    /// The views whose mean logits classify a picture: those with which the head was evaluated.
    #[must_use]
    pub fn views(&self) -> Views {
        self.views
    }

    /// Uses other views to classify pictures.
    #[must_use]
    pub fn with_views(self, views: Views) -> Self {
        Self { views, ..self }
    }

    /// Class names (K) in the order of their indices.
    #[must_use]
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Which head was chosen and why, in a sentence without a full stop, if there were several and
    /// none was named.
    #[must_use]
    pub fn choice(&self) -> Option<&str> {
        self.choice.as_deref()
    }

    /// The kind of head, such as `mlp`; for an exported classifier the name on its card.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Probabilities (N, K) of codes (N, D), which are scaled as in training; calibrated if the
    /// head is. Rows sum to 1; a code with NaN gives NaN.
    ///
    /// # Errors
    /// [`HeadError::FeatureMismatch`] if the codes have another D.
    pub fn probabilities(&self, codes: &CodesView) -> Result<Array2<f32>, HeadError> {
        Ok(self.judge(codes, 1)?.0)
    }

    /// Probabilities (N, K) of pictures from the codes of their views (N V, D), and their -ln if
    /// sets are requested.
    pub(super) fn judge(
        &self,
        codes: &CodesView,
        n_views: usize,
    ) -> Result<(Array2<f32>, Option<Array2<f32>>), HeadError> {
        let Some(head) = &self.head else {
            let read = self.read(codes)?;
            if n_views == 1 {
                return Ok((read, None));
            }
            let logits = read.mapv(|probability| probability.max(f32::MIN_POSITIVE).ln());
            return Ok((probabilities(mean_of_views(logits, n_views), 1.0), None));
        };
        let scaled = codes.scaled(head.scaling.clone())?;
        let logits = mean_of_views(head.model.logits(&scaled)?, n_views);
        let temperature = head.model.temperature() as f32;
        let scores = self.sets.is_some();
        let scores = scores.then(|| negative_log_probabilities(logits.clone(), temperature));
        Ok((probabilities(logits, temperature), scores))
    }

    /// Codes that are probabilities already, unchanged.
    fn read(&self, codes: &CodesView) -> Result<Array2<f32>, HeadError> {
        let (expected, actual) = (self.classes.len(), codes.n_features());
        if actual != expected {
            return Err(HeadError::FeatureMismatch { expected, actual });
        }
        let rows: Vec<_> = (0..codes.n_rows()).collect();
        let mut probabilities = Array2::zeros((rows.len(), expected));
        codes.read_rows(&rows, probabilities.view_mut())?;
        Ok(probabilities)
    }

    /// Predicts the pictures of a store from the codes of all its views, in the order of its rows,
    /// one chunk at a time.
    ///
    /// # Errors
    /// [`PredictError::OtherCodes`] before any work; an item is [`PredictError::Codes`] if codes cannot
    /// be read.
    pub fn predict_store<'a>(
        &'a self,
        store: &'a Store,
    ) -> Result<impl Iterator<Item = Result<Vec<Outcome>, PredictError>> + 'a, PredictError> {
        if let Some(difference) = self.codes.difference(store.codes_identity()) {
            return Err(PredictError::OtherCodes {
                store: store.dir().to_owned(),
                difference,
            });
        }
        let codes = CodesView::every_view(store);
        let n_views = store.views().n();
        let n_rows = store.pictures().len();
        let firsts = (0..n_rows).step_by(CHUNK_ROWS);
        Ok(firsts.map(move |first| {
            let rows: Vec<_> = (first..n_rows.min(first + CHUNK_ROWS)).collect();
            let views = first * n_views..(first + rows.len()) * n_views;
            let codes = codes.select(&views.collect::<Vec<_>>());
            let answers = self.answers(&codes, n_views)?;
            let outcomes = rows.iter().zip(answers).map(|(&row, answer)| {
                let path = store.pictures()[row].path.to_string();
                Prediction::new(path, answer)
            });
            Ok(outcomes.collect())
        }))
    }
}
