//! Progress of a long job and requests to stop it: one interface for all jobs.

use std::fmt;

/// The progress of a job, or of a stage of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Steps done (pictures, addresses, fits, epochs), including those of an earlier run.
    pub done: usize,
    /// Steps that an earlier run did.
    pub done_before: usize,
    /// Total number of steps.
    pub total: usize,
    /// Steps of this run that failed, such as pictures that could not be decoded.
    pub failures: usize,
}

/// Watches a job while it runs, and may stop it. `()` watches nothing and never stops.
///
/// A job may call it from several threads.
pub trait Watch: Sync {
    /// A stage of the job begins, such as "tuning the MLP", with this many steps.
    fn stage(&self, _name: &str, _steps: usize) {}

    /// The stage has come this far. `detail` is a short text about its last step, such as an
    /// epoch's loss; it may be empty.
    fn progress(&self, _progress: Progress, _detail: &dyn fmt::Display) {}

    /// Whether the job should stop. Jobs ask often.
    fn is_stopped(&self) -> bool {
        false
    }

    /// [`Watch::is_stopped`] as a `Result`, for use with `?`.
    ///
    /// # Errors
    /// [`Stopped`], if the job should stop.
    fn or_stopped(&self) -> Result<(), Stopped> {
        if self.is_stopped() {
            Err(Stopped)
        } else {
            Ok(())
        }
    }
}

impl Watch for () {}

/// A job ended early because its [`Watch`] asked it to. Whatever it had saved is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stopped")]
pub struct Stopped;
