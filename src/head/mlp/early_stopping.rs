//! Chooses the epoch whose weights are kept, and ends training.

use super::{Keep, Mlp, MlpOptions};

/// Follows the loss on held-out samples from epoch to epoch.
#[derive(Debug)]
pub(super) struct EarlyStopping {
    patience: Option<usize>,
    best: Best,
    /// Memory for the best network so far, if it is kept; allocated once.
    kept: Option<Mlp>,
}

/// The epoch with the smallest loss so far, of equal ones the first.
#[derive(Debug)]
struct Best {
    /// 0 before there is one.
    epoch: usize,
    loss: f64,
}

impl EarlyStopping {
    pub(super) fn new(options: &MlpOptions, mlp: &Mlp) -> Self {
        Self {
            patience: options.patience,
            best: Best {
                epoch: 0,
                loss: f64::INFINITY,
            },
            kept: (options.keep == Keep::Best).then(|| mlp.clone()),
        }
    }

    /// Takes the loss after an epoch, if it is measured, and the network. Returns whether the loss
    /// has not improved for as many epochs as patience allows.
    pub(super) fn is_over(&mut self, epoch: usize, loss: Option<f64>, mlp: &Mlp) -> bool {
        if let Some(loss) = loss
            && loss < self.best.loss
        {
            self.best = Best { epoch, loss };
            if let Some(kept) = &mut self.kept {
                kept.copy_from(mlp);
            }
        }
        self.patience
            .is_some_and(|patience| epoch - self.best.epoch >= patience)
    }

    /// The best network and its epoch, if it was kept.
    pub(super) fn into_best(self) -> Option<(usize, Mlp)> {
        let kept = self.kept.filter(|_| self.best.epoch > 0)?;
        Some((self.best.epoch, kept))
    }
}
