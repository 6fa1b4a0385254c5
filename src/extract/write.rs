//! The third stage: writes rows and failures in order, with a checkpoint at intervals.
//!
//! After a picture that could not be read for an outside reason, nothing more is written into the
//! store, because that picture will be tried again. The codes of later pictures are kept ahead.

use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use super::ahead::Ahead;
use super::judge::{Unfit, judge, judge_bytes};
use super::known::CodeSource;
use super::pipeline::Codes;
use super::prepare::Usable;
use super::{ExtractError, ExtractOptions, Failures, OnFailure, OnUnread, RowCounts};
use crate::codes::{Code, Failure, PictureRow, Store, StoreWriter};

/// After this many unreadable pictures in a row the run stops: the disk is probably missing.
const UNREAD_IN_A_ROW: usize = 5;

/// Writes batches into a store.
pub(super) struct Writing<'a> {
    writer: &'a mut StoreWriter,
    ahead: &'a mut Ahead,
    options: &'a ExtractOptions,
    reuse: &'a [Store],
    /// Channels of the trunk's output: the length of its last axis.
    channels: usize,
    n_done: usize,
    /// The decoders count usable pictures, and refer to an earlier equal picture by that count.
    /// Pictures whose codes proved unusable have no row.
    next_usable: usize,
    unfit: Vec<(usize, Unfit)>,
    report: Written,
}

/// The results of the stage.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) busy: Duration,
    pub(super) rows: RowCounts,
    pub(super) failures: Failures,
    pub(super) unread: Unread,
}

/// The pictures that could not be read for outside reasons.
#[derive(Debug, Default)]
pub(super) struct Unread {
    pub(super) n: usize,
    pub(super) first: Option<Failure>,
    /// How many of the last ones came in a row.
    n_in_a_row: usize,
}

impl Unread {
    fn note(&mut self, outcome: &Result<Usable, Failure>) {
        match outcome {
            Err(failure) if failure.may_pass() => {
                self.n += 1;
                self.n_in_a_row += 1;
                self.first.get_or_insert_with(|| failure.clone());
            }
            _ => self.n_in_a_row = 0,
        }
    }

    /// Whether so many in a row could not be read that the run gives up.
    pub(super) fn is_given_up(&self) -> bool {
        self.n_in_a_row >= UNREAD_IN_A_ROW
    }
}

/// The code of a new row.
enum Source {
    Values(Vec<f32>),
    Bytes(Vec<u8>),
    Row(usize),
}

/// The outcome of a picture: a row, or a line of failures.csv.
type Fate<'b> = Result<(&'b PictureRow, Source), Failure>;

impl<'a> Writing<'a> {
    pub(super) fn new(
        writer: &'a mut StoreWriter,
        ahead: &'a mut Ahead,
        options: &'a ExtractOptions,
        reuse: &'a [Store],
        channels: usize,
    ) -> Self {
        Self {
            n_done: writer.n_done(),
            next_usable: writer.rows(),
            writer,
            ahead,
            options,
            reuse,
            channels,
            unfit: Vec::new(),
            report: Written::default(),
        }
    }

    /// Pictures finished so far.
    pub(super) fn n_done(&self) -> usize {
        self.n_done
    }

    /// Records the pictures that were unusable before they were read, unless an earlier run has
    /// done so.
    pub(super) fn note_unusable(&mut self, failures: &[Failure]) -> Result<(), ExtractError> {
        if self.n_done == 0 && self.writer.failures().is_empty() {
            self.fail(failures)?;
        }
        Ok(())
    }

    /// Writes all batches, and makes a checkpoint after the last one received.
    pub(super) fn run(mut self, batches: Receiver<Codes>) -> Result<Written, ExtractError> {
        let mut last_checkpoint = Instant::now();
        for batch in batches {
            let start = Instant::now();
            self.take(&batch)?;
            if last_checkpoint.elapsed() >= self.options.checkpoint_every {
                self.checkpoint()?;
                last_checkpoint = Instant::now();
            }
            self.report.busy += start.elapsed();
            if self.report.unread.is_given_up() {
                break;
            }
        }
        self.checkpoint()?;
        Ok(self.report)
    }

    fn checkpoint(&mut self) -> Result<(), ExtractError> {
        if self.n_done > self.writer.n_done() {
            self.writer.checkpoint(self.n_done)?;
        }
        Ok(self.ahead.checkpoint()?)
    }

    fn take(&mut self, batch: &Codes) -> Result<(), ExtractError> {
        let is_strict = self.options.on_failure == OnFailure::Stop;
        if self.options.on_unread == OnUnread::TryAgain && !is_strict {
            for outcome in &batch.outcomes {
                self.report.unread.note(outcome);
                if self.report.unread.is_given_up() {
                    break;
                }
            }
        }
        match self.report.unread.n {
            0 => self.write(batch),
            _ => self.keep_ahead(batch),
        }
    }

    fn write(&mut self, batch: &Codes) -> Result<(), ExtractError> {
        let fates = self.judge(batch)?;
        // Failures go first, so that a checkpoint made before an error ends with the previous
        // batch.
        self.fail(fates.iter().filter_map(|fate| fate.as_ref().err()))?;
        for (picture, source) in fates.into_iter().flatten() {
            let code = match &source {
                Source::Values(values) => Code::Values(values),
                Source::Bytes(bytes) => Code::Bytes(bytes),
                Source::Row(row) => Code::Row(*row),
            };
            self.writer.append(picture, code)?;
        }
        self.n_done += batch.outcomes.len();
        Ok(())
    }

    /// The outcome of a batch's pictures, after a check of their codes.
    fn judge<'b>(&mut self, batch: &'b Codes) -> Result<Vec<Fate<'b>>, ExtractError> {
        let mut computed = batch.computed();
        let mut fates = Vec::with_capacity(batch.outcomes.len());
        for outcome in &batch.outcomes {
            let fate = match outcome {
                Err(failure) => Err(failure.clone()),
                Ok(row) => {
                    let source = self.source(row, &mut computed)?;
                    if let Err(unfit) = source {
                        self.unfit.push((self.next_usable, unfit));
                    }
                    self.next_usable += 1;
                    source
                        .map(|source| (&row.picture, source))
                        .map_err(|unfit| unfit.failure(&row.picture.path))
                }
            };
            fates.push(fate);
        }
        Ok(fates)
    }

    /// Where a row's code is, if the code can be stored.
    fn source<'c>(
        &mut self,
        row: &Usable,
        computed: &mut impl Iterator<Item = &'c [f32]>,
    ) -> Result<Result<Source, Unfit>, ExtractError> {
        let (source, count) = match row.known {
            Some(CodeSource::Written(usable)) => {
                let source = self.row_of(usable as usize).map(Source::Row);
                (source, &mut self.report.rows.repeated)
            }
            Some(CodeSource::Reused { store, row }) => {
                let mut bytes = Vec::new();
                self.reuse[store as usize].read_code_bytes(row as usize, &mut bytes)?;
                let fit = judge_bytes(&bytes, self.options.dtype);
                let source = fit.map(|()| Source::Bytes(bytes));
                (source, &mut self.report.rows.reused)
            }
            Some(CodeSource::Ahead(row)) => {
                let mut bytes = Vec::new();
                self.ahead.read(row as usize, &mut bytes)?;
                (Ok(Source::Bytes(bytes)), &mut self.report.rows.done_before)
            }
            None => {
                let source = self.pooled(computed).map(Source::Values);
                (source, &mut self.report.rows.computed)
            }
        };
        *count += usize::from(source.is_ok());
        Ok(source)
    }

    /// The next computed code, pooled, if it can be stored.
    fn pooled<'c>(
        &self,
        computed: &mut impl Iterator<Item = &'c [f32]>,
    ) -> Result<Vec<f32>, Unfit> {
        let code = computed.next().expect("a code for each computed row");
        let mut pooled = Vec::new();
        let views = self.options.preparation.views;
        self.options
            .pool
            .append_views(code, views.n(), self.channels, &mut pooled);
        judge(&pooled, self.options.dtype).map(|()| pooled)
    }

    /// The row of the usable picture with this number.
    fn row_of(&self, usable: usize) -> Result<usize, Unfit> {
        match self
            .unfit
            .binary_search_by_key(&usable, |(place, _)| *place)
        {
            Ok(at) => Err(self.unfit[at].1),
            Err(n_unfit_before) => Ok(usable - n_unfit_before),
        }
    }

    /// Keeps the computed codes of a batch whose turn has not come.
    fn keep_ahead(&mut self, batch: &Codes) -> Result<(), ExtractError> {
        let mut computed = batch.computed();
        for row in batch.outcomes.iter().flatten() {
            if row.known.is_some() {
                continue;
            }
            let Ok(code) = self.pooled(&mut computed) else {
                continue;
            };
            if self.writer.n_done() == 0 {
                // So that the draft is kept.
                self.writer.checkpoint(self.n_done)?;
            }
            self.ahead.append(&row.picture, &code)?;
        }
        Ok(())
    }

    fn fail<'f>(
        &mut self,
        failures: impl IntoIterator<Item = &'f Failure>,
    ) -> Result<(), ExtractError> {
        for failure in failures {
            if let Err(error) = self.report.failures.note(failure, self.options.on_failure) {
                self.checkpoint()?;
                return Err(error);
            }
            self.writer.fail(failure)?;
        }
        Ok(())
    }
}
