//! Working memory of the threads of a session.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::aligned_buffer::AlignedBuffer;
use super::products::InputBlock;
use super::stopwatch::StageTimes;
use crate::instructions::Vector;

/// The workspaces of a session, kept for the next call: as many as threads have worked in parallel.
#[derive(Debug, Default)]
pub(crate) struct Workspaces(Mutex<Vec<Workspace>>);

impl Workspaces {
    /// Time spent so far, summed over the threads that are not working now.
    #[cfg(feature = "stage-times")]
    pub(crate) fn stage_times(&self) -> StageTimes {
        let idle = self.idle();
        let times = idle.iter().map(|workspace| workspace.times);
        times.fold(StageTimes::default(), std::ops::Add::add)
    }

    pub(super) fn take(&self) -> Workspace {
        self.idle().pop().unwrap_or_default()
    }

    pub(super) fn give_back(&self, workspace: Workspace) {
        self.idle().push(workspace);
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Workspace>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Working memory of one thread.
#[derive(Debug, Default)]
pub(super) struct Workspace {
    /// Transformed inputs of some tiles.
    pub(super) inputs: AlignedBuffer<InputBlock>,
    /// Transformed filters of some panels.
    pub(super) filters: AlignedBuffer<[Vector; 1]>,
    /// Products of tiles with some panels of filters.
    pub(super) products: AlignedBuffer<[Vector; 1]>,
    pub(super) times: StageTimes,
}
