//! Pictures through the trunk into a store: decoding, inference and writing, overlapped.
//!
//! ```text
//! decoder thread            this thread            writer thread
//! (rayon inside) --batch--> session --codes-->     pool, convert, write, checkpoint
//!        ^                    |
//!        +---- empty tensors--+
//! ```
//!
//! Both queues are bounded, so memory does not grow with the size of the pictures' codes: at most
//! two batches wait at each, and a slow disk holds the decoders back. Batches keep the order of the
//! pictures, so that the rows do not depend on the number of threads.
//!
//! Every so often the writer brings its files to the disk and notes so in the store's journal.
//! The next run of the same job begins after the last such batch, and makes the same batches.

mod known;
mod prepare;
mod write;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use self::known::Known;
use self::prepare::{Batch, Preparer};
use self::write::{Codes, Writing, Written};
use crate::codes::{
    CodesIdentity, Dtype, Job, Leftover, Manifest, Opened, Part, Pool, Store, StoreDescription,
    StoreError, StoreWriter,
};
use crate::dataset::{Failure, Picture, Pictures, Shard};
use crate::draft::Existing;
use crate::model::{Trunk, TrunkError};
use crate::picture::{self, Preparation};

/// Batches that may wait in each queue: one being made while one is used is enough to overlap.
pub const QUEUE_DEPTH: usize = 2;

/// How to extract.
#[derive(Clone, Debug)]
pub struct ExtractOptions {
    /// How a decoded picture becomes the input tensor.
    pub preparation: Preparation,
    /// Pictures in a batch, at least 1.
    pub batch_size: usize,
    /// Threads that decode, at least 1.
    pub threads: usize,
    /// What is kept of the trunk's output.
    pub pool: Pool,
    /// Element type on disk.
    pub dtype: Dtype,
    /// What to do with pictures that cannot be used.
    pub on_failure: OnFailure,
    /// What to do about a store that is there already.
    pub existing: Existing,
    /// What to do with what a run of the same job left, when it was stopped.
    pub leftover: Leftover,
    /// Which part of the pictures to deal with; nothing for all.
    pub shard: Option<Shard>,
    /// Time between checkpoints: how much work a kill may cost, besides the batches in flight. A
    /// checkpoint brings four files to the disk and writes a line of the journal.
    pub checkpoint_every: Duration,
}

/// What to do with a picture that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// List it in failures.csv and go on.
    List,
    /// Stop, and leave no store.
    Stop,
}

/// Why an extraction left no store.
#[derive(Debug, thiserror::Error)]
pub enum ExtractError {
    /// The store could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The trunk failed.
    #[error(transparent)]
    Trunk(#[from] TrunkError),
    /// A picture could not be used, and [`OnFailure::Stop`] was asked for.
    #[error("{}: {} (leave out --strict to list such pictures and go on)", .0.path, .0.error)]
    Strict(Failure),
    /// Not one picture could be used.
    #[error("none of the {n} pictures could be used; the first, {}: {}", first.path, first.error)]
    NothingUsable {
        /// How many there were.
        n: usize,
        /// The first of them.
        first: Failure,
    },
    /// A store's codes cannot be copied, as they are others than those asked for.
    #[error("the codes of {} cannot be reused: {reason}", store.display())]
    Reuse {
        /// The store.
        store: PathBuf,
        /// What differs.
        reason: String,
    },
    /// The decoders' threads could not be started.
    #[error("cannot start {threads} decoder threads: {source}")]
    Threads {
        /// How many were asked for.
        threads: usize,
        /// What rayon said.
        source: rayon::ThreadPoolBuildError,
    },
    /// The caller wanted to stop.
    #[error("stopped{}", kept.as_ref().map_or(String::new(), ToString::to_string))]
    Stopped {
        /// What the next run goes on from, if any batch was done.
        kept: Option<Kept>,
    },
    /// The job broke off, but not all of its work is lost.
    #[error("{source}{kept}")]
    Broken {
        /// Why it broke off.
        source: Box<ExtractError>,
        /// What the next run goes on from.
        kept: Kept,
    },
}

/// Work that is safe on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The unfinished store.
    pub draft: PathBuf,
    /// Pictures dealt with.
    pub n_done: usize,
    /// Pictures of the job.
    pub n_pictures: usize,
}

impl std::fmt::Display for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "; {} of {} pictures are done and kept in {}: the same command goes on from there",
            self.n_done,
            self.n_pictures,
            self.draft.display()
        )
    }
}

/// How far an extraction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Pictures dealt with, the unusable ones and those of an earlier run among them.
    pub done: usize,
    /// Pictures that an earlier run dealt with.
    pub done_before: usize,
    /// Pictures in all.
    pub total: usize,
    /// Pictures that could not be used, in this run.
    pub failures: usize,
}

/// What an extraction did.
#[derive(Clone, Debug)]
pub struct Extracted {
    /// The store, or the part of it that was asked for.
    pub store: PathBuf,
    /// What store.json says.
    pub manifest: Manifest,
    /// Where the pictures' codes come from.
    pub rows: RowCounts,
    /// The pictures that could not be used.
    pub failures: Failures,
    /// From the first picture to the published store.
    pub elapsed: Duration,
    /// How long each stage was busy; they overlap, so that the sum exceeds `elapsed`.
    pub busy: Busy,
}

/// Where the rows of a store come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowCounts {
    /// Pictures that an earlier run of the job dealt with.
    pub done_before: usize,
    /// Codes that the trunk computed.
    pub computed: usize,
    /// Codes copied from other stores.
    pub reused: usize,
    /// Codes of pictures that are equal, byte for byte, to one before them.
    pub repeated: usize,
}

/// The pictures that could not be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    /// How many, by the kind of reason.
    pub by_kind: BTreeMap<String, usize>,
    /// The first few of this run; failures.csv has them all.
    pub first: Vec<Failure>,
}

impl Failures {
    /// Failures that are kept to be shown.
    const KEPT: usize = 5;

    /// Counts `failures`, and keeps the first of all.
    fn note(&mut self, failures: &[Failure], on_failure: OnFailure) -> Result<(), ExtractError> {
        for failure in failures {
            if on_failure == OnFailure::Stop {
                return Err(ExtractError::Strict(failure.clone()));
            }
            *self.by_kind.entry(failure.kind.to_owned()).or_default() += 1;
            if self.first.len() < Self::KEPT {
                self.first.push(failure.clone());
            }
        }
        Ok(())
    }

    /// How many there are.
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
pub struct Busy {
    /// Reading, decoding, resizing and applying the recipe, all threads together counted once.
    pub decode: Duration,
    /// ONNX Runtime.
    pub inference: Duration,
    /// Pooling, converting, writing and syncing.
    pub write: Duration,
}

impl Busy {
    /// The stage that was busy longest, which is what limits the job, and for how long.
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

/// Runs all of `pictures`, or a shard of them, through `trunk` into a store at `out`.
///
/// Rows follow the order of `pictures`. Equal inputs and options give equal bytes on one machine,
/// whatever the number of decoder threads, and however often the job was killed and run again;
/// ONNX Runtime's results may differ in the last bits between kinds of CPU, and with another number
/// of its own threads. A shard goes to `out/part-IIIII-of-NNNNN`.
///
/// The codes of pictures that `reuse` has, byte for byte, are copied from there; a picture that
/// comes again is computed once. When `progress`, which is called at the start and after each batch, breaks, the
/// batches that are through the trunk are written and kept.
///
/// A store that is there already and was made by this very job is left as it is, and reported.
///
/// # Errors
/// [`ExtractError`]; no store is left then, and one that was there before is still there. What was
/// done may be kept for the next run of the same job: the error says so.
pub fn extract(
    pictures: Pictures,
    trunk: &mut Trunk,
    options: &ExtractOptions,
    reuse: &[Store],
    out: &Path,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Extracted, ExtractError> {
    let start = Instant::now();
    let listing = pictures.digest();
    let part = options.shard.map(|shard| Part {
        index: shard.index(),
        of: shard.count(),
    });
    let (pictures, store) = match (options.shard, part) {
        (Some(shard), Some(part)) => (pictures.shard(shard), out.join(part.to_string())),
        _ => (pictures, out.to_owned()),
    };
    let job = Job {
        store: describe(&pictures, trunk, options, listing, part),
        n_pictures: pictures.len(),
        batch_size: options.batch_size,
        threads: trunk.threads(),
    };
    let mut writer = match StoreWriter::open(&store, options.existing, options.leftover, &job)? {
        Opened::Complete(manifest) => return Ok(already_complete(store, *manifest)),
        Opened::Unfinished(writer) => *writer,
    };
    let done_before = writer.n_done();
    let known = Known::new(reuse, &job.store, &writer.written()?)?;
    let preparer = Preparer::new(&pictures, options, known, writer.rows())?;
    let stages = run_stages(
        preparer,
        &pictures,
        trunk,
        options,
        reuse,
        &mut writer,
        progress,
    );
    let stages = match stages {
        Ok(stages) => stages,
        Err(error) => return Err(broken_off(error, &writer, pictures.pictures.len())),
    };
    let failures = Failures {
        by_kind: writer.failures().clone(),
        first: stages.written.first_failures,
    };
    if let (None, 0, Some(first)) = (part, writer.rows(), failures.first.first()) {
        let (n, first) = (failures.len(), first.clone());
        writer.discard();
        return Err(ExtractError::NothingUsable { n, first });
    }
    Ok(Extracted {
        store,
        manifest: writer.finish()?,
        rows: RowCounts {
            done_before,
            computed: stages.written.n_computed,
            reused: stages.written.n_reused,
            repeated: stages.written.n_repeated,
        },
        failures,
        elapsed: start.elapsed(),
        busy: Busy {
            decode: stages.decode,
            inference: stages.inference,
            write: stages.written.busy,
        },
    })
}

/// What is reported of a store that needs nothing more.
fn already_complete(store: PathBuf, manifest: Manifest) -> Extracted {
    Extracted {
        store,
        rows: RowCounts {
            done_before: manifest.counts.pictures + manifest.counts.failures,
            ..RowCounts::default()
        },
        manifest,
        failures: Failures::default(),
        elapsed: Duration::ZERO,
        busy: Busy::default(),
    }
}

/// Adds to `error` what is kept, if anything is.
fn broken_off(error: ExtractError, writer: &StoreWriter, n_pictures: usize) -> ExtractError {
    let kept = (writer.n_done() > 0).then(|| Kept {
        draft: writer.draft().to_owned(),
        n_done: writer.n_done(),
        n_pictures,
    });
    match (error, kept) {
        (ExtractError::Stopped { .. }, kept) => ExtractError::Stopped { kept },
        (error, None) => error,
        (error, Some(kept)) => ExtractError::Broken {
            source: Box::new(error),
            kept,
        },
    }
}

/// What the stages report.
struct Stages {
    decode: Duration,
    inference: Duration,
    written: Written,
}

/// Runs the three stages at once, until the last batch is written or one of them fails.
fn run_stages(
    preparer: Preparer,
    pictures: &Pictures,
    trunk: &mut Trunk,
    options: &ExtractOptions,
    reuse: &[Store],
    writer: &mut StoreWriter,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Stages, ExtractError> {
    let done_before = writer.n_done();
    let left = &pictures.pictures[done_before.min(pictures.pictures.len())..];
    let channels = trunk.output().shape.last().copied().unwrap_or(1);
    let mut writing = Writing::new(writer, options, reuse, channels);
    writing.note_unusable(&pictures.unusable)?;
    let (batches_in, batches) = sync_channel(QUEUE_DEPTH);
    let (codes_in, codes) = sync_channel(QUEUE_DEPTH);
    let (spare_in, spare) = channel();
    let state = Progress {
        done: done_before,
        done_before,
        total: pictures.pictures.len(),
        failures: 0,
    };
    if progress(state).is_break() {
        return Err(ExtractError::Stopped { kept: None });
    }
    thread::scope(|scope| {
        let size = options.batch_size;
        let decoder = scope.spawn(move || prepare_all(preparer, left, size, &spare, &batches_in));
        let writer = scope.spawn(move || writing.run(codes));
        // A stage that fails drops its ends of the queues, at which the others stop.
        let inference = infer_all(trunk, batches, codes_in, &spare_in, state, progress);
        let decode = decoder.join().expect("the decoder does not panic");
        let written = writer.join().expect("the writer does not panic")?;
        Ok(Stages {
            decode,
            inference: inference?,
            written,
        })
    })
}

fn describe(
    pictures: &Pictures,
    trunk: &Trunk,
    options: &ExtractOptions,
    listing: blake3::Hash,
    part: Option<Part>,
) -> StoreDescription {
    StoreDescription {
        codes: CodesIdentity {
            trunk: trunk.identity().clone(),
            recipe: options.preparation.recipe,
            resize: options.preparation.resize,
            output: trunk.output(),
            pool: options.pool,
        },
        dtype: options.dtype,
        classes: pictures.classes.clone(),
        listing: Some(listing.to_hex().to_string()),
        part,
        decoder: picture::DECODER.to_owned(),
        onnxruntime: trunk.onnxruntime().to_owned(),
        provider: trunk.provider().name().to_owned(),
    }
}

/// The first stage: batches in the order of the pictures, until all are made or nobody wants more.
fn prepare_all(
    mut preparer: Preparer,
    pictures: &[Picture],
    batch_size: usize,
    spare: &Receiver<Vec<f32>>,
    batches: &SyncSender<Batch>,
) -> Duration {
    let mut busy = Duration::ZERO;
    for chunk in pictures.chunks(batch_size) {
        let tensor = spare.try_recv().unwrap_or_default();
        let start = Instant::now();
        let batch = preparer.batch(chunk, tensor);
        busy += start.elapsed();
        if batches.send(batch).is_err() {
            break;
        }
    }
    busy
}

/// The second stage: each batch through the session, its tensor back to the decoders.
fn infer_all(
    trunk: &mut Trunk,
    batches: Receiver<Batch>,
    codes_in: SyncSender<Codes>,
    spare: &Sender<Vec<f32>>,
    mut state: Progress,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Duration, ExtractError> {
    let mut busy = Duration::ZERO;
    for batch in batches {
        let mut computed = Vec::new();
        if batch.n_computed > 0 {
            let start = Instant::now();
            trunk.run(&batch.tensor, batch.n_computed, &mut computed)?;
            busy += start.elapsed();
        }
        state.done += batch.n_pictures;
        state.failures += batch.failures.len();
        // Nobody waits for it once the last batch is decoded.
        let _ = spare.send(batch.tensor);
        let codes = Codes {
            n_pictures: batch.n_pictures,
            computed,
            n_computed: batch.n_computed,
            rows: batch.rows,
            failures: batch.failures,
        };
        if codes_in.send(codes).is_err() {
            break;
        }
        if progress(state).is_break() && state.done < state.total {
            return Err(ExtractError::Stopped { kept: None });
        }
    }
    Ok(busy)
}

/// What [`dry_run`] saw.
#[derive(Clone, Debug)]
pub struct DryRun {
    /// Pictures that could be used.
    pub usable: usize,
    /// Usable pictures that are equal, byte for byte, to one before them.
    pub repeated: usize,
    /// Pictures that could not be used.
    pub failures: Failures,
    /// From the first picture to the last.
    pub elapsed: Duration,
}

/// Does with `pictures` all that [`extract`] does but inference and writing: whether they can be
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
    let mut preparer = Preparer::new(&pictures, options, Known::default(), 0)?;
    let mut run = DryRun {
        usable: 0,
        repeated: 0,
        failures: Failures::default(),
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
    let mut tensor = Vec::new();
    for chunk in pictures.pictures.chunks(options.batch_size) {
        let batch = preparer.batch(chunk, tensor);
        run.failures.note(&batch.failures, options.on_failure)?;
        run.usable += batch.rows.len();
        run.repeated += batch.rows.len() - batch.n_computed;
        state.done += batch.n_pictures;
        state.failures += batch.failures.len();
        tensor = batch.tensor;
        if progress(state).is_break() {
            return Err(ExtractError::Stopped { kept: None });
        }
    }
    run.elapsed = start.elapsed();
    Ok(run)
}
