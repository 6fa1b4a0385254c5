//! Functions of single numbers.

use ort_winograd::blocked::{BlockedTensor, Vector};
use rayon::prelude::*;

/// Vectors that a thread processes at a time.
const SOME: usize = 1024;

/// A function of one number whose slope follows from its output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Activation {
    /// The number itself.
    #[default]
    Linear,
    /// max(x, 0).
    Relu,
    /// min(max(x, 0), 6).
    Relu6,
}

impl Activation {
    /// Applies the function to `values`.
    pub(crate) fn forward(self, values: &mut BlockedTensor) {
        let most = match self {
            Self::Linear => return,
            Self::Relu => f32::INFINITY,
            Self::Relu6 => 6.0,
        };
        let some = values.vectors_mut().par_chunks_mut(SOME);
        some.for_each(|vectors| {
            for value in vectors.as_flattened_mut() {
                // Plain comparisons, so that NaN stays NaN.
                let above = if *value < 0.0 { 0.0 } else { *value };
                *value = if above > most { most } else { above };
            }
        });
    }

    /// Turns the gradient with respect to the function's output into that with respect to its
    /// input. The slope is 1 if the output lies between the function's bounds, and 0 at the bounds.
    pub(crate) fn backward(self, output: &BlockedTensor, d_output: &mut BlockedTensor) {
        let most = match self {
            Self::Linear => return,
            Self::Relu => f32::INFINITY,
            Self::Relu6 => 6.0,
        };
        let outputs = output.vectors().par_chunks(SOME);
        let d_outputs = d_output.vectors_mut().par_chunks_mut(SOME);
        outputs.zip(d_outputs).for_each(|(outputs, d_outputs)| {
            let outputs: &[Vector] = outputs;
            for (output, d) in outputs
                .as_flattened()
                .iter()
                .zip(d_outputs.as_flattened_mut())
            {
                let is_between = *output > 0.0 && *output < most;
                *d = if is_between { *d } else { 0.0 };
            }
        });
    }
}
