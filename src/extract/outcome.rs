//! The results of an extraction.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::{ExtractError, OnFailure};
use crate::codes::{Failure, Manifest};

/// The results of an extraction.
#[derive(Clone, Debug)]
pub struct Extracted {
    /// The store, or the requested part of it.
    pub store: PathBuf,
    /// The contents of store.json.
    pub manifest: Manifest,
    /// The origin of the codes.
    pub rows: RowCounts,
    /// The pictures that could not be used.
    pub failures: Failures,
    /// From the first picture to the published store.
    pub elapsed: Duration,
    /// How long each stage was busy. Stages overlap, so the sum exceeds `elapsed`.
    pub busy: StageTimes,
}

/// The origin of a store's rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowCounts {
    /// Pictures that an earlier run of the job finished.
    pub done_before: usize,
    /// Codes that the trunk computed.
    pub computed: usize,
    /// Codes copied from other stores.
    pub reused: usize,
    /// Codes of pictures that equal an earlier one, byte for byte.
    pub repeated: usize,
}

/// The pictures that could not be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    /// How many, by kind of failure.
    pub by_kind: BTreeMap<String, usize>,
    /// The first few of this run; failures.csv lists all.
    pub first: Vec<Failure>,
}

impl Failures {
    /// The most failures that are kept for messages.
    const KEPT: usize = 5;

    /// Counts a failure, and keeps it if it is one of the first; or returns the error that ends the
    /// job.
    pub(super) fn note(
        &mut self,
        failure: &Failure,
        on_failure: OnFailure,
    ) -> Result<(), ExtractError> {
        if on_failure == OnFailure::Stop {
            return Err(ExtractError::Strict(failure.clone()));
        }
        *self.by_kind.entry(failure.kind.to_owned()).or_default() += 1;
        if self.first.len() < Self::KEPT {
            self.first.push(failure.clone());
        }
        Ok(())
    }

    /// Number of failures.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_kind.values().sum()
    }

    /// Whether all pictures could be used.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_kind.is_empty()
    }
}

/// Time for each stage of the pipeline.
#[derive(Clone, Copy, Debug, Default)]
pub struct StageTimes {
    /// Reading, decoding, resizing and applying the recipe. Time is counted once for all threads
    /// together.
    pub decode: Duration,
    /// ONNX Runtime.
    pub inference: Duration,
    /// Pooling, converting, writing and syncing.
    pub write: Duration,
}

impl StageTimes {
    /// The stage that was busy longest, which limits the job, and its time.
    #[must_use]
    pub fn bottleneck(&self) -> (&'static str, Duration) {
        let stages = [
            ("inference", self.inference),
            ("decoding", self.decode),
            ("writing", self.write),
        ];
        stages
            .into_iter()
            .reduce(|a, b| if b.1 > a.1 { b } else { a })
            .expect("three stages")
    }
}
