//! The definitions of two hashes that identify a model, whatever the bytes of its file.
//!
//! ```text
//! graph     everything that computes an output: decides whether two models compute the same
//! tensors   the weights alone: shows that a file has the right ones
//! ```

pub mod graph;
pub mod tensors;
