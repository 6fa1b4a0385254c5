//! An extraction without inference and writing.

use std::time::{Duration, Instant};

use super::known::Known;
use super::prepare::Preparer;
use super::{ExtractError, Extractor, Failures, OnFailure};
use crate::codes::Failure;
use crate::dataset::Pictures;
use crate::progress::Progress;

/// The result of [`Extractor::dry_run`].
#[derive(Clone, Debug, Default)]
pub struct DryRun {
    /// Usable pictures.
    pub usable: usize,
    /// Usable pictures that equal an earlier one, byte for byte.
    pub repeated: usize,
    /// Unusable pictures.
    pub failures: Failures,
    /// Those of the failures whose reason lies outside the picture.
    pub unread: usize,
    /// From the first picture to the last.
    pub elapsed: Duration,
}

impl DryRun {
    fn note<'a>(
        &mut self,
        failures: impl IntoIterator<Item = &'a Failure>,
        on_failure: OnFailure,
    ) -> Result<(), ExtractError> {
        for failure in failures {
            self.failures.note(failure, on_failure)?;
            self.unread += usize::from(failure.may_pass());
        }
        Ok(())
    }
}

impl<T> Extractor<'_, T> {
    /// Does everything that an extraction does with `pictures`, except inference and writing. It
    /// shows whether they can be used, and how fast they are decoded.
    ///
    /// # Errors
    /// [`ExtractError::Threads`], [`ExtractError::Strict`] or [`ExtractError::Stopped`].
    pub fn dry_run(self, pictures: Pictures) -> Result<DryRun, ExtractError> {
        let start = Instant::now();
        let (options, watch) = (&self.options, self.watch);
        let pictures = match options.shard {
            Some(shard) => pictures.shard(shard),
            None => pictures,
        };
        let (preparation, limits) = (options.preparation, options.limits);
        let mut preparer = Preparer::new(&pictures, preparation, limits, options.threads)?
            .with_known(Known::default(), 0);
        let mut run = DryRun::default();
        let mut progress = Progress {
            total: pictures.listed.len(),
            ..Progress::default()
        };
        watch.progress(progress, &"");
        run.note(&pictures.unusable, options.on_failure)?;
        let mut tensor = Vec::new();
        for chunk in pictures.listed.chunks(options.batch_size) {
            let batch = preparer.batch(chunk, tensor);
            run.note(batch.failures(), options.on_failure)?;
            let n_failures = batch.failures().count();
            let n_usable = chunk.len() - n_failures;
            run.usable += n_usable;
            run.repeated += n_usable - batch.n_computed;
            progress.done += chunk.len();
            progress.failures += n_failures;
            tensor = batch.tensor;
            watch.progress(progress, &"");
            watch.or_stopped()?;
        }
        run.elapsed = start.elapsed();
        Ok(run)
    }
}
