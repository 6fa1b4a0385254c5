//! One head of a HEAD directory, ready for codes.

use std::ops::ControlFlow;
use std::path::Path;

use ndarray::Array2;

use super::{Outcome, PredictError, Prediction};
use crate::codes::{CodesIdentity, Store};
use crate::head::logistic::Logistic;
use crate::head::mlp::Mlp;
use crate::head::saved::{SavedHead, SavedHeadError};
use crate::head::scaling::Scaling;
use crate::head::{CodesView, HeadError, probabilities};
use crate::names::named;

/// Codes of a store that are classified at a time; each chunk reads the head's weights once.
const CHUNK_ROWS: usize = 64;

/// A kind of head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadKind {
    /// The multilayer perceptron.
    Mlp,
    /// The multinomial logistic regression.
    Logistic,
}

named!(HeadKind, "head", Mlp => "mlp", Logistic => "logistic");

/// A trained head with all that is done to codes before and after it.
#[derive(Clone, Debug)]
pub struct Classifier {
    codes: CodesIdentity,
    classes: Vec<String>,
    scaling: Scaling,
    model: Model,
    temperature: f32,
}

#[derive(Clone, Debug)]
enum Model {
    Mlp(Mlp),
    Logistic(Logistic),
}

impl Classifier {
    /// Loads one head of the HEAD directory at `dir`: of the `kind` asked for, or the MLP where
    /// there is one, and else the logistic regression.
    ///
    /// # Errors
    /// [`PredictError::Head`] or [`PredictError::NoSuchHead`].
    pub fn load(dir: &Path, kind: Option<HeadKind>) -> Result<Self, PredictError> {
        let SavedHead {
            codes,
            classes,
            scaling,
            mlp,
            logistic,
        } = SavedHead::load(dir)?;
        let mlp = mlp.map(|mlp| (Model::Mlp(mlp.model), mlp.temperature));
        let logistic = logistic.map(|head| (Model::Logistic(head.model), head.temperature));
        let (wanted, other) = match kind {
            Some(HeadKind::Mlp) => (mlp, logistic),
            Some(HeadKind::Logistic) => (logistic, mlp),
            None => (mlp.or(logistic), None),
        };
        let (model, temperature) = match (wanted, kind, other) {
            (Some(wanted), ..) => wanted,
            (None, Some(wanted), Some((found, _))) => {
                return Err(PredictError::NoSuchHead {
                    dir: dir.to_owned(),
                    wanted,
                    found: found.kind(),
                });
            }
            // `SavedHead::load` refuses a directory with neither.
            (None, ..) => {
                return Err(PredictError::Head(SavedHeadError::NotAHead {
                    dir: dir.to_owned(),
                }));
            }
        };
        Ok(Self {
            codes,
            classes,
            scaling,
            model,
            temperature: temperature as f32,
        })
    }

    /// What the codes are that the head takes.
    #[must_use]
    pub fn codes(&self) -> &CodesIdentity {
        &self.codes
    }

    /// Class names (K) in the order of their indices.
    #[must_use]
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Which head it is.
    #[must_use]
    pub fn kind(&self) -> HeadKind {
        self.model.kind()
    }

    /// Probabilities (N, K) of codes (N, D): scaled as those of the training were, and calibrated
    /// where the head is. Rows sum to 1; a code that holds NaN gives NaN.
    ///
    /// # Errors
    /// [`HeadError::FeatureMismatch`] if the codes have another D.
    pub fn probabilities(&self, codes: &CodesView) -> Result<Array2<f32>, HeadError> {
        let scaled = codes.scaled(self.scaling.clone())?;
        let logits = match &self.model {
            Model::Mlp(mlp) => mlp.logits(&scaled)?,
            Model::Logistic(logistic) => logistic.logits(&scaled)?,
        };
        Ok(probabilities(logits, self.temperature))
    }

    /// Predicts the pictures of a store from its codes, in the order of its rows. `take` gets some
    /// of them at a time, and ends it by breaking.
    ///
    /// # Errors
    /// [`PredictError::OtherCodes`] before any work.
    pub fn predict_store(
        &self,
        store: &Store,
        take: &mut dyn FnMut(Vec<Outcome>) -> ControlFlow<()>,
    ) -> Result<(), PredictError> {
        if let Some(difference) = self.codes.difference(&store.manifest().codes) {
            return Err(PredictError::OtherCodes {
                store: store.dir().to_owned(),
                difference,
            });
        }
        let view = CodesView::from(store);
        let rows: Vec<_> = (0..store.pictures().len()).collect();
        for rows in rows.chunks(CHUNK_ROWS) {
            let probabilities = self.probabilities(&view.select(rows))?;
            let outcomes = rows
                .iter()
                .zip(probabilities.rows())
                .map(|(&row, row_of_p)| {
                    Prediction::new(store.pictures()[row].path.to_string(), row_of_p.to_vec())
                });
            if take(outcomes.collect()).is_break() {
                break;
            }
        }
        Ok(())
    }
}

impl Model {
    fn kind(&self) -> HeadKind {
        match self {
            Self::Mlp(_) => HeadKind::Mlp,
            Self::Logistic(_) => HeadKind::Logistic,
        }
    }
}
