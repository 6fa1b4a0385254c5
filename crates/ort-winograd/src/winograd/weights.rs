//! The weights of a convolution as a model has them.

use crate::instructions::{LANES, Vector};

/// Which way filters lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Turn {
    /// (O, I, 3, 3).
    #[default]
    None,
    /// (I, O, 3, 3), each turned by half a turn: those of the gradient to the input of a convolution.
    Half,
}

/// Weights (O, I, 3, 3) and bias (O) of a convolution of stride 1 with a border of 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weights<'a> {
    /// In C order.
    pub(super) filters: &'a [f32],
    /// One for each output channel.
    pub(super) bias: &'a [f32],
    /// Input channels, I.
    pub(super) n_in: usize,
    /// Which way `filters` lie.
    pub(super) turn: Turn,
}

/// Numbers in vectors, with zeros at the end.
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
