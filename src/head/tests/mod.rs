//! Heads as a whole: trained, judged against fixtures, and given what would break them.

mod early_stopping;
mod logistic;
mod mlp;
mod nearest_centroid;
mod optimizers;
mod shared_keras;
mod views;
