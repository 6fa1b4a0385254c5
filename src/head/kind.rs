//! Which of the heads is meant.

use serde::{Deserialize, Serialize};

use crate::named;

/// A kind of head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HeadKind {
    /// The multilayer perceptron.
    Mlp,
    /// The multinomial logistic regression.
    Logistic,
}

named!(HeadKind, "head", Mlp => "mlp", Logistic => "logistic");
