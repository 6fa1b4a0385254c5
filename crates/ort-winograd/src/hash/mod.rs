//! What makes two models the same, whatever the bytes of their files: the definitions of both hashes.
//!
//! ```text
//! graph     everything that computes an output: decides whether two models compute the same
//! tensors   the weights alone: tells that a file has the right ones
//! ```

pub mod graph;
pub mod tensors;
