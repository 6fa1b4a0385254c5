//! Gradients of a loss to all weights of a tail.

/// The smallest number beside a norm, as PyTorch's `clip_grad_norm_` has it.
const BESIDE_NORM: f64 = 1e-6;

/// Gradients of a loss to weights, and to the input if it was wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct Gradients {
    /// For each of [`Tail::tensors`](crate::Tail::tensors), a number for each weight.
    pub tensors: Vec<Vec<f32>>,
    /// (N, H, W, C) of the batch.
    pub input: Option<Vec<f32>>,
}

impl Gradients {
    /// The Euclidean norm over the gradients to all weights.
    #[must_use]
    pub fn norm(&self) -> f64 {
        let squares = self.tensors.iter().flatten();
        squares
            .map(|&gradient| f64::from(gradient) * f64::from(gradient))
            .sum::<f64>()
            .sqrt()
    }

    /// Shortens the gradients to all weights to a norm of at most `max_norm`, and gives the norm that they had
    /// (R. Pascanu, T. Mikolov, Y. Bengio: "On the difficulty of training recurrent neural networks", 2013,
    /// algorithm 1; with PyTorch's term beside the norm). A norm that is no number changes nothing.
    pub fn clip(&mut self, max_norm: f32) -> f64 {
        let norm = self.norm();
        let factor = f64::from(max_norm) / (norm + BESIDE_NORM);
        if factor < 1.0 {
            self.scale(factor as f32);
        }
        norm
    }

    /// Multiplies the gradients to all weights with `factor`, as is needed where the norm is that of a head too.
    pub fn scale(&mut self, factor: f32) {
        for gradient in self.tensors.iter_mut().flatten() {
            *gradient *= factor;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradients_are_shortened_together_and_never_made_longer() {
        let mut gradients = Gradients {
            tensors: vec![vec![3.0], vec![0.0, -4.0]],
            input: None,
        };
        assert_eq!(gradients.clip(10.0), 5.0);
        assert_eq!(gradients.tensors, [vec![3.0], vec![0.0, -4.0]]);
        assert_eq!(gradients.clip(1.0), 5.0);
        assert!((gradients.norm() - 1.0).abs() < 1e-6);
        assert!((gradients.tensors[0][0] - 0.6).abs() < 1e-6);
    }
}
