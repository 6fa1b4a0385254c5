//! A point of a learning curve.

use std::fmt;

use serde::Serialize;

/// The results of one epoch, in Keras' sense.
///
/// `loss` and `accuracy` are means over the epoch's batches as they were trained on: with dropout,
/// smoothed labels and class weights, while the weights changed. Held-out and validation samples
/// are measured after the epoch, without dropout, and their losses are plain cross-entropies. So
/// their results can be better.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Epoch {
    /// Number of the epoch, from 1.
    pub epoch: usize,
    /// The learning rate of the epoch's last step.
    pub learning_rate: f64,
    /// Mean training loss.
    pub loss: f64,
    /// Share of training samples classified correctly, 0 to 1.
    pub accuracy: f64,
    /// Mean loss of the held-out samples, if there are any.
    pub held_out_loss: Option<f64>,
    /// Share of held-out samples classified correctly, if there are any.
    pub held_out_accuracy: Option<f64>,
    /// Mean validation loss, if there is a validation set.
    pub val_loss: Option<f64>,
    /// Share of validation samples classified correctly, if there is a validation set.
    pub val_accuracy: Option<f64>,
}

/// The text shown during training: losses, accuracies.
impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "loss {:.4}, accuracy {:.3}", self.loss, self.accuracy)?;
        if let (Some(loss), Some(accuracy)) = (self.held_out_loss, self.held_out_accuracy) {
            write!(
                f,
                ", held_out_loss {loss:.4}, held_out_accuracy {accuracy:.3}"
            )?;
        }
        if let (Some(loss), Some(accuracy)) = (self.val_loss, self.val_accuracy) {
            write!(f, ", val_loss {loss:.4}, val_accuracy {accuracy:.3}")?;
        }
        Ok(())
    }
}
