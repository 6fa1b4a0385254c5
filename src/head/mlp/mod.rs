//! The multilayer perceptron: dense layers with ReLU and dropout between them, softmax at the end.
//!
//! ```text
//! options          all settings of a training
//! network          layers, forward and backward
//! loss             the training loss
//! trainer          a network and its optimizer, step by step
//! training         epochs: batches, measurements, the end of training
//! early_stopping   which epoch's weights are kept
//! head             the MLP as one of the heads
//! ```
//!
//! The tutorial's head is `Dense(256, relu) -> Dropout(0.5) -> Dense(K, softmax)`, trained by
//! RMSprop on the categorical cross-entropy. It is the default, [`MlpOptions::default`].
//!
//! Shapes: B samples in a batch, D features, K classes; a layer's weights are (in, out).

mod batches;
mod early_stopping;
mod head;
mod loss;
mod network;
mod options;
mod order;
mod trainer;
mod training;

pub(crate) use loss::Loss;
pub use loss::LossOptions;
pub use network::{Dense, Mlp};
pub use options::{BatchOrder, Keep, MlpOptions};
#[cfg(test)]
pub(crate) use trainer::Trainer;
pub(crate) use training::{Ended, Monitored, TrainedMlp};
