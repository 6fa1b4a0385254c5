//! A point of a learning curve.

use std::fmt;

use serde::Serialize;

/// What one epoch gave, in Keras' sense.
///
/// `loss` and `accuracy` are means over the epoch's batches as they were trained on: with dropout,
/// smoothed labels and weighted classes, and while the weights changed. Those of held-out and
/// validation samples are measured after the epoch, without dropout, and their losses are plain
/// cross-entropies; they can so be the better ones.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Epoch {
    /// Number of the epoch, from 1.
    pub epoch: usize,
    /// The learning rate of the epoch's last step.
    pub learning_rate: f64,
    /// Mean training loss.
    pub loss: f64,
    /// Share of training samples that were classified right, 0 to 1.
    pub accuracy: f64,
    /// Mean loss of the held-out samples, where there are any.
    pub held_out_loss: Option<f64>,
    /// Share of held-out samples that are classified right, where there are any.
    pub held_out_accuracy: Option<f64>,
    /// Mean validation loss, where there is a validation set.
    pub val_loss: Option<f64>,
    /// Share of validation samples that are classified right, where there is a validation set.
    pub val_accuracy: Option<f64>,
}

/// What a person sees of it while training goes on: losses, accuracies.
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
