//! What makes two models the same, whatever the bytes of their files.

pub mod graph;
pub mod tensors;
