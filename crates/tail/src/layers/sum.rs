//! The sum of two tensors, as in residual blocks.

use ort_winograd::blocked::{BlockedShape, BlockedTensor};

use super::Backed;

pub(super) fn output_shape(inputs: &[BlockedShape]) -> Result<BlockedShape, String> {
    let first = inputs[0];
    match inputs.iter().find(|&&shape| shape != first) {
        None => Ok(first),
        Some(other) => Err(format!(
            "{} x {} x {} and {} x {} x {} are to be added",
            first.height, first.width, first.channels, other.height, other.width, other.channels
        )),
    }
}

/// y = a + b.
pub(super) fn forward(inputs: &[&BlockedTensor]) -> BlockedTensor {
    let mut sum = inputs[0].clone();
    for other in &inputs[1..] {
        add(&mut sum, other);
    }
    sum
}

/// da = db = dy.
pub(super) fn backward(d_output: BlockedTensor) -> Backed {
    Backed {
        d_inputs: vec![d_output.clone(), d_output],
        ..Backed::default()
    }
}

/// sum += other.
pub(crate) fn add(sum: &mut BlockedTensor, other: &BlockedTensor) {
    let sums = sum.vectors_mut().as_flattened_mut().iter_mut();
    for (sum, other) in sums.zip(other.vectors().as_flattened()) {
        *sum += other;
    }
}
