//! What can be seen of a training while it runs.

use crate::head::mlp::{Epoch, Watch};

/// Looks on while heads are trained, from several threads, and may stop it; `()` does neither.
pub trait Progress: Sync {
    /// A stage of so many fits begins: "tuning the MLP".
    fn stage(&self, _name: &str, _fits: usize) {}

    /// One of the stage's fits is done.
    fn fitted(&self) {}

    /// An epoch of the MLP that is kept is done.
    fn epoch(&self, _epoch: &Epoch) {}

    /// Whether training is to stop; asked often.
    fn is_stopped(&self) -> bool {
        false
    }
}

impl Progress for () {}

/// Tells of the epochs of one network.
pub(super) struct Epochs<'a>(pub(super) &'a dyn Progress);

impl Watch for Epochs<'_> {
    fn epoch(&mut self, epoch: &Epoch) {
        self.0.epoch(epoch);
    }

    fn is_stopped(&mut self) -> bool {
        self.0.is_stopped()
    }
}

/// One fit of many, of whose epochs nothing is told.
pub(super) struct OneOfMany<'a>(pub(super) &'a dyn Progress);

impl Watch for OneOfMany<'_> {
    fn is_stopped(&mut self) -> bool {
        self.0.is_stopped()
    }
}
