//! All of an extraction but inference and writing.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use super::known::Known;
use super::prepare::Preparer;
use super::{ExtractError, ExtractOptions, Failures, Progress};
use crate::dataset::Pictures;

/// What [`dry_run`] saw.
#[derive(Clone, Debug)]
pub struct DryRun {
    /// Pictures that could be used.
    pub usable: usize,
    /// Usable pictures that are equal, byte for byte, to one before them.
    pub repeated: usize,
    /// Pictures that could not be used.
    pub failures: Failures,
    /// Those of them that could not be read for reasons that are not their own.
    pub unread: usize,
    /// From the first picture to the last.
    pub elapsed: Duration,
}

/// Does with `pictures` all that [`extract`](super::extract) does but inference and writing: whether they can be
/// used, and how fast they come.
///
/// # Errors
/// [`ExtractError::Threads`], [`ExtractError::Strict`] or [`ExtractError::Stopped`].
pub fn dry_run(
    pictures: Pictures,
    options: &ExtractOptions,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<DryRun, ExtractError> {
    let start = Instant::now();
    let pictures = match options.shard {
        Some(shard) => pictures.shard(shard),
        None => pictures,
    };
    let mut preparer = Preparer::new(
        &pictures,
        options.preparation,
        options.limits,
        options.threads,
    )?
    .with_known(Known::default(), 0);
    let mut run = DryRun {
        usable: 0,
        repeated: 0,
        failures: Failures::default(),
        unread: 0,
        elapsed: Duration::ZERO,
    };
    let mut state = Progress {
        done: 0,
        done_before: 0,
        total: pictures.pictures.len(),
        failures: 0,
    };
    let _ = progress(state);
    run.failures.note(&pictures.unusable, options.on_failure)?;
    run.unread += pictures.unusable.iter().filter(|f| f.may_pass()).count();
    let mut tensor = Vec::new();
    for chunk in pictures.pictures.chunks(options.batch_size) {
        let batch = preparer.batch(chunk, tensor);
        run.failures.note(batch.failures(), options.on_failure)?;
        run.unread += batch.failures().filter(|f| f.may_pass()).count();
        let n_failures = batch.failures().count();
        let n_usable = chunk.len() - n_failures;
        run.usable += n_usable;
        run.repeated += n_usable - batch.n_computed;
        state.done += chunk.len();
        state.failures += n_failures;
        tensor = batch.tensor;
        if progress(state).is_break() {
            return Err(ExtractError::Stopped { kept: None });
        }
    }
    run.elapsed = start.elapsed();
    Ok(run)
}
