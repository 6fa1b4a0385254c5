//! Progress reports of a training: stages of many fits, and the epochs of one.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use crate::progress::{Progress, Watch};

/// A stage of many fits, on several threads.
pub(super) struct Stage<'a> {
    watch: &'a dyn Watch,
    progress: Mutex<Progress>,
}

impl<'a> Stage<'a> {
    /// Begins a stage with this many fits.
    pub(super) fn begin(watch: &'a dyn Watch, name: &str, fits: usize) -> Self {
        watch.stage(name, fits);
        Self::untold(watch, fits)
    }

    /// A stage that is not reported.
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

    /// One of the fits has finished.
    pub(super) fn fitted(&self) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress.done += 1;
        // Inside the lock, so that the numbers are reported in order.
        self.watch.progress(*progress, &"");
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.watch.is_stopped()
    }
}

/// One fit of many; its steps are not reported.
impl Watch for Stage<'_> {
    fn is_stopped(&self) -> bool {
        self.watch.is_stopped()
    }
}

/// Reports the epochs of one network, as a stage that begins with the first finished epoch.
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
