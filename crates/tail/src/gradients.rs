//! Gradients of a loss with respect to all weights of a tail.

/// Added to a norm before dividing, as in PyTorch's `clip_grad_norm_`.
const BESIDE_NORM: f64 = 1e-6;

/// Gradients of a loss with respect to the weights, and to the input if requested.
#[derive(Clone, Debug, PartialEq)]
pub struct Gradients {
    /// For each of [`Tail::tensors`](crate::Tail::tensors), one number per weight.
    pub tensors: Vec<Vec<f32>>,
    /// Gradient with respect to the batch, (N, H, W, C).
    pub input: Option<Vec<f32>>,
}

impl Gradients {
    /// The Euclidean norm of the gradients with respect to all weights.
    #[must_use]
    pub fn norm(&self) -> f64 {
        let squares = self.tensors.iter().flatten();
        squares
            .map(|&gradient| f64::from(gradient) * f64::from(gradient))
            .sum::<f64>()
            .sqrt()
    }

    /// Scales the gradients of all weights down to a norm of at most `max_norm`, and returns the
    /// norm before (R. Pascanu, T. Mikolov, Y. Bengio: "On the difficulty of training recurrent
    /// neural networks", 2013, algorithm 1; with PyTorch's term added to the norm). If the norm is
    /// NaN, nothing changes.
    pub fn clip(&mut self, max_norm: f32) -> f64 {
        let norm = self.norm();
        let factor = f64::from(max_norm) / (norm + BESIDE_NORM);
        if factor < 1.0 {
            self.scale(factor as f32);
        }
        norm
    }

    /// Multiplies the gradients of all weights by `factor`, for example to clip them together with
    /// a head's.
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
