//! The third stage: rows and failures, in order, to the disk, with a checkpoint now and then.

use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use super::known::Place;
use super::pipeline::Codes;
use super::prepare::failures;
use super::{ExtractError, ExtractOptions, OnFailure, RowCounts};
use crate::codes::{Code, Store, StoreWriter};
use crate::dataset::Failure;

/// Failures that are kept for the summary; failures.csv has all.
const KEPT_FAILURES: usize = 5;

/// Writes batches into a store.
pub(super) struct Writing<'a> {
    writer: &'a mut StoreWriter,
    options: &'a ExtractOptions,
    reuse: &'a [Store],
    /// Channels of the trunk's output, its last axis.
    channels: usize,
    n_done: usize,
    report: Written,
}

/// What the stage did.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) busy: Duration,
    pub(super) rows: RowCounts,
    pub(super) first_failures: Vec<Failure>,
}

impl<'a> Writing<'a> {
    pub(super) fn new(
        writer: &'a mut StoreWriter,
        options: &'a ExtractOptions,
        reuse: &'a [Store],
        channels: usize,
    ) -> Self {
        Self {
            n_done: writer.n_done(),
            writer,
            options,
            reuse,
            channels,
            report: Written::default(),
        }
    }

    /// Pictures dealt with so far.
    pub(super) fn n_done(&self) -> usize {
        self.n_done
    }

    /// Notes the pictures that were unusable before they were read; an earlier run has done so.
    pub(super) fn note_unusable(&mut self, failures: &[Failure]) -> Result<(), ExtractError> {
        if self.n_done == 0 {
            self.fail(failures)?;
        }
        Ok(())
    }

    /// Writes all batches, and leaves a checkpoint after the last one that came.
    pub(super) fn run(mut self, batches: Receiver<Codes>) -> Result<Written, ExtractError> {
        let mut last_checkpoint = Instant::now();
        for batch in batches {
            let start = Instant::now();
            self.write(&batch)?;
            if last_checkpoint.elapsed() >= self.options.checkpoint_every {
                self.writer.checkpoint(self.n_done)?;
                last_checkpoint = Instant::now();
            }
            self.report.busy += start.elapsed();
        }
        self.checkpoint()?;
        Ok(self.report)
    }

    fn checkpoint(&mut self) -> Result<(), ExtractError> {
        if self.n_done > self.writer.n_done() {
            self.writer.checkpoint(self.n_done)?;
        }
        Ok(())
    }

    fn write(&mut self, batch: &Codes) -> Result<(), ExtractError> {
        // Failures first, so that a checkpoint before an error ends with the batch before.
        self.fail(failures(&batch.outcomes))?;
        let mut computed = batch.computed();
        let (mut pooled, mut bytes) = (Vec::new(), Vec::new());
        for row in batch.outcomes.iter().flatten() {
            let code = match row.known {
                Some(Place::Row(row)) => {
                    self.report.rows.repeated += 1;
                    Code::Row(row)
                }
                Some(Place::Reused { store, row }) => {
                    self.report.rows.reused += 1;
                    self.reuse[store].read_code_bytes(row, &mut bytes)?;
                    Code::Bytes(&bytes)
                }
                None => {
                    self.report.rows.computed += 1;
                    let code = computed.next().expect("a code for each computed row");
                    pooled.clear();
                    self.options.pool.append(code, self.channels, &mut pooled);
                    Code::Values(&pooled)
                }
            };
            self.writer.append(&row.picture, code)?;
        }
        self.n_done += batch.outcomes.len();
        Ok(())
    }

    fn fail<'f>(
        &mut self,
        failures: impl IntoIterator<Item = &'f Failure>,
    ) -> Result<(), ExtractError> {
        for failure in failures {
            if self.options.on_failure == OnFailure::Stop {
                self.checkpoint()?;
                return Err(ExtractError::Strict(failure.clone()));
            }
            self.writer.fail(failure)?;
            if self.report.first_failures.len() < KEPT_FAILURES {
                self.report.first_failures.push(failure.clone());
            }
        }
        Ok(())
    }
}
