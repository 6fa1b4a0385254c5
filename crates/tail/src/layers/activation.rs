//! What is done to each number by itself.

use ort_winograd::blocked::{BlockedTensor, Vector};
use rayon::prelude::*;

/// Vectors that a thread works on at a time.
const SOME: usize = 1024;

/// A function of one number, which its slope tells by what it gives.
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
    /// `values` becomes what the function gives for them.
    pub(crate) fn forward(self, values: &mut BlockedTensor) {
        let most = match self {
            Self::Linear => return,
            Self::Relu => f32::INFINITY,
            Self::Relu6 => 6.0,
        };
        let some = values.vectors_mut().par_chunks_mut(SOME);
        some.for_each(|vectors| {
            for value in vectors.as_flattened_mut() {
                // Comparisons as they are, so that NaN stays.
                let above = if *value < 0.0 { 0.0 } else { *value };
                *value = if above > most { most } else { above };
            }
        });
    }

    /// From the gradient to what the function gave to that to what it took: the slope is 1 where the output is
    /// between the function's ends, and 0 at these.
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
