//! What is told of a training while it runs: stages of many fits, and the epochs of one.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use crate::progress::{Progress, Watch};

/// A stage of many fits, on several threads.
pub(super) struct Stage<'a> {
    watch: &'a dyn Watch,
    progress: Mutex<Progress>,
}

impl<'a> Stage<'a> {
    /// Begins a stage of so many fits.
    pub(super) fn begin(watch: &'a dyn Watch, name: &str, fits: usize) -> Self {
        watch.stage(name, fits);
        Self::untold(watch, fits)
    }

    /// A stage that is not told of.
    pub(super) fn untold(watch: &'a dyn Watch, fits: usize) -> Self {
        let progress = Progress {
            total: fits,
            ..Progress::default()
        };
        Self {
            watch,
            progress: Mutex::new(progress),
        }
    }

    /// One of the fits is done.
    pub(super) fn fitted(&self) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress.done += 1;
        // Within the lock, so that numbers come in their order.
        self.watch.progress(*progress, &"");
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.watch.is_stopped()
    }
}

/// One fit of many, of whose steps nothing is told.
impl Watch for Stage<'_> {
    fn is_stopped(&self) -> bool {
        self.watch.is_stopped()
    }
}

/// Tells of the epochs of one network, as a stage that begins with the first that is done.
pub(super) struct Epochs<'a>(pub(super) &'a dyn Watch);

impl Watch for Epochs<'_> {
    fn progress(&self, progress: Progress, epoch: &dyn fmt::Display) {
        if progress.done == 1 {
            self.0.stage("epoch", progress.total);
        }
        self.0.progress(progress, epoch);
    }

    fn is_stopped(&self) -> bool {
        self.0.is_stopped()
    }
}
