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

mod dry_run;
mod error;
mod known;
mod outcome;
mod prepare;
mod write;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

pub use self::dry_run::{DryRun, dry_run};
pub use self::error::{ExtractError, Kept};
use self::known::Known;
pub use self::outcome::{Busy, Extracted, Failures, Progress, RowCounts};
use self::prepare::{Batch, Preparer};
use self::write::{Codes, Writing, Written};
use crate::codes::{
    CodesIdentity, Dtype, Job, Leftover, Manifest, Opened, Part, Pool, Store, StoreDescription,
    StoreWriter,
};
use crate::dataset::{Picture, Pictures, Shard};
use crate::draft::Existing;
use crate::model::Trunk;
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
    Ok(Extracted {
        store,
        manifest: finish(writer, &failures)?,
        rows: RowCounts {
            done_before,
            ..stages.written.rows
        },
        failures,
        elapsed: start.elapsed(),
        busy: stages.busy,
    })
}

/// Publishes the store, unless it would be an empty one for want of usable pictures. A part may
/// be empty.
fn finish(writer: StoreWriter, failures: &Failures) -> Result<Manifest, ExtractError> {
    if writer.rows() > 0 || failures.is_empty() || writer.is_part() {
        return Ok(writer.finish()?);
    }
    writer.discard();
    Err(ExtractError::NothingUsable {
        n: failures.len(),
        first: failures.first.first().cloned(),
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
    busy: Busy,
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
            busy: Busy {
                decode,
                inference: inference?,
                write: written.busy,
            },
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
        kernels: trunk.kernels().name().to_owned(),
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
