//! Classifiers trained on codes.
//!
//! ```text
//! CodesView    codes (N, D) f32, of an array or of a store, scaled when they are read
//! Samples      a view with labels (N) below K: what every head trains on
//! Head         the interface of all heads; `list` lists them
//! mlp          dense layers with ReLU, dropout and softmax, trained by optimizer
//! logistic     multinomial regression with an L2 penalty, solved by linfa and argmin: the baseline
//! nearest_centroid   the class whose mean code has the most similar direction: the lower bound
//! neighbours   the distance of a code from the training codes
//! scaling      statistics of the training codes, stored with the head
//! saved        HEAD on disk: head.json and safetensors
//! ```
//!
//! A fit on [`Samples`] gives a model. [`probabilities`] turns the model's logits (N, K) into
//! probabilities (N, K) for [`evaluate`](crate::evaluate).
//!
//! # Determinism
//! Sums are cut into blocks by the shapes alone, never by the number of threads, and each block is
//! summed by one thread. So the same seed on the same processor gives the same bytes with any
//! number of threads. Another kind of processor may round differently, because the matrix products
//! choose their instructions at run time.

mod any;
mod class_weights;
mod codes_view;
mod contract;
mod convergence;
mod epoch;
mod error;
mod fused_update;
mod invalid;
mod kind;
mod list;
mod neighbours;
mod samples;
mod softmax;
mod span;
pub(crate) mod splits;

pub mod logistic;
pub mod mlp;
pub mod nearest_centroid;
pub mod optimizer;
pub mod saved;
pub mod scaling;

pub(crate) use any::HeadVisitor;
pub use any::{HeadOptions, OneHead};
pub use class_weights::ClassWeights;
pub use codes_view::CodesView;
pub use contract::{Fit, Head, Layer};
pub use convergence::Convergence;
pub use epoch::Epoch;
pub use error::{Diverged, HeadError};
pub(crate) use invalid::invalid;
pub use kind::HeadKind;
pub use neighbours::{Directions, Near, Neighbours};
pub use samples::Samples;
pub(crate) use samples::group_sizes;
pub(crate) use softmax::mean_of_views;
pub(crate) use softmax::negative_log_probabilities;
pub use softmax::probabilities;
pub(crate) use span::centred_gram;

/// Rows that are predicted together: enough to reuse the weights while they are in cache, few
/// enough to keep the partial sums small.
const PREDICTED_ROWS: usize = 64;

/// Bias of a class without training samples. The optimum is minus infinity; this value is finite,
/// and low enough for a probability of 0.
const ABSENT_BIAS: f32 = -1e30;

#[cfg(test)]
mod tests;
