//! The multilayer perceptron: dense layers with ReLU and dropout between them, softmax at the end.
//!
//! The tutorial's head is `Dense(256, relu) -> Dropout(0.5) -> Dense(K, softmax)`, trained by
//! RMSprop on the categorical cross-entropy, and that is [`MlpOptions::default`].
//!
//! Shapes: B samples in a batch, D features, K classes; a layer's weights are (in, out).

mod batches;
mod network;
mod options;
mod order;
mod training;

pub use network::{Dense, Mlp};
pub use options::{BatchOrder, MlpOptions};
pub use training::{BatchResult, Ended, Epoch, StepTimes, TrainedMlp, Trainer};
