//! The weights of a convolution in the model's layout.

use crate::instructions::{LANES, Vector};

/// The layout of filters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Turn {
    /// (O, I, 3, 3).
    #[default]
    None,
    /// (I, O, 3, 3), each rotated by 180 degrees: those for the gradient of a convolution's input.
    Half,
}

/// Weights (O, I, 3, 3) and bias (O) of a convolution of stride 1 with a border of 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weights<'a> {
    /// In C order.
    pub(super) filters: &'a [f32],
    /// One per output channel.
    pub(super) bias: &'a [f32],
    /// Number of input channels, I.
    pub(super) n_in: usize,
    /// The layout of `filters`.
    pub(super) turn: Turn,
}

/// Numbers in vectors, padded with zeros.
pub(super) fn blocks_of(values: &[f32]) -> Vec<Vector> {
    values
        .chunks(LANES)
        .map(|values| {
            let mut vector = [0.0; LANES];
            vector[..values.len()].copy_from_slice(values);
            vector
        })
        .collect()
}
