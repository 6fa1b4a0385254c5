//! A bar for what is being trained, on a terminal only.

use cnn_codes::head::mlp::Epoch;
use cnn_codes::train::Progress;
use indicatif::{ProgressBar, ProgressStyle};

use crate::stop::Stop;

/// Shows progress on stderr, and passes signals on.
pub struct Display<'a> {
    stop: &'a Stop,
    bar: ProgressBar,
    epochs: usize,
}

impl<'a> Display<'a> {
    /// Begins to show a training whose MLP has so many epochs.
    pub fn new(stop: &'a Stop, epochs: usize) -> Self {
        Self {
            stop,
            bar: ProgressBar::new(0).with_style(style("{prefix} {bar:30} {pos}/{len}{msg}")),
            epochs,
        }
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }

    fn begin(&self, name: &str, length: usize) {
        self.bar.reset();
        self.bar.set_prefix(name.to_owned());
        self.bar.set_message("");
        self.bar.set_length(length as u64);
    }
}

impl Progress for Display<'_> {
    fn stage(&self, name: &str, fits: usize) {
        self.begin(name, fits);
    }

    fn fitted(&self) {
        self.bar.inc(1);
    }

    fn epoch(&self, epoch: &Epoch) {
        if epoch.epoch == 1 {
            self.begin("epoch", self.epochs);
        }
        self.bar.set_message(message(epoch));
        self.bar.set_position(epoch.epoch as u64);
    }

    fn is_stopped(&self) -> bool {
        self.stop.is_wanted()
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("a valid template")
}

fn message(epoch: &Epoch) -> String {
    let mut message = format!(": loss {:.4}, accuracy {:.3}", epoch.loss, epoch.accuracy);
    if let (Some(loss), Some(accuracy)) = (epoch.held_out_loss, epoch.held_out_accuracy) {
        message += &format!(", held_out_loss {loss:.4}, held_out_accuracy {accuracy:.3}");
    }
    if let (Some(loss), Some(accuracy)) = (epoch.val_loss, epoch.val_accuracy) {
        message += &format!(", val_loss {loss:.4}, val_accuracy {accuracy:.3}");
    }
    message
}
