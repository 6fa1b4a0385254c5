//! Classifiers trained on codes.
//!
//! ```text
//! CodesView    codes (N, D) f32, of an array or of a store, scaled on the way
//! Samples      a view with labels (N) below K: what every head trains on
//! mlp          dense layers with ReLU, dropout and softmax, trained by optimizer
//! logistic     multinomial regression with an L2 penalty, solved by linfa and argmin: the baseline
//! scaling      statistics of the training codes, kept with the head
//! saved        HEAD on disk: head.json and safetensors
//! ```
//!
//! Both heads have the same shape of use: `fit` on [`Samples`] gives a model, and the model's
//! `predict_proba` gives probabilities (N, K) for [`evaluate`](crate::evaluate).
//!
//! # Determinism
//! Sums are cut into blocks by the shapes alone, never by the number of threads, and every block
//! is summed by one thread. So the same seed on the same processor gives the same bytes, with one
//! thread or with many. Another kind of processor may round differently, because the matrix
//! products choose their instructions at run time.

mod class_weights;
mod codes_view;
mod error;
mod fused_update;
mod kind;
mod samples;
mod softmax;
mod span;

pub mod logistic;
pub mod mlp;
pub mod optimizer;
pub mod saved;
pub mod scaling;

pub use class_weights::ClassWeights;
pub use codes_view::CodesView;
pub use error::HeadError;
pub use kind::HeadKind;
pub use samples::Samples;
pub use softmax::probabilities;
